//! One schedule: the actors run as tasks on a paused clock; every call that they make waits until the seed says that
//! it happens, and how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakes::connection::{Decision, Director, Fate};
use fakes::invoke::member;
use fakes::world::{Call, Reply};
use fakes::{Caller, Op, Shared, World, add_config, add_event, reset_config};
use fastrand::Rng;
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::scenarios::{Actor, Scenario, net, policies, world};

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How likely a call is interfered with, and an actor interrupted by another.
    pub deviation: f64,
    /// How many actors may crash.
    pub crashes: u32,
    /// Crash the first actor at its nth call, before or after its effect, and do nothing else.
    pub crash_at: Option<(usize, bool)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deviation: 0.12,
            crashes: 1,
            crash_at: None,
        }
    }
}

/// What an actor was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub author: usize,
    pub actor: Actor,
    /// `added`, `already_allowed`, `reset`, `unchanged`, an error's kind, or `crashed`.
    pub word: String,
    pub start: usize,
    pub end: usize,
}

/// What happened.
#[derive(Debug)]
pub struct Outcome {
    pub world: World,
    pub policies: &'static [&'static str],
    pub acks: Vec<Ack>,
    pub notes: Vec<(usize, String)>,
    /// Whether the schedule came to its end in time.
    pub ended: bool,
}

impl Outcome {
    /// The calls in their order, with what was done to them, for people.
    pub fn trace(&self) -> String {
        self.lines(|op, reply| format!("{op:?} -> {reply:?}").replace('\\', ""))
    }

    /// The same without what depends on the time of day: equal for two runs of one seed.
    pub fn skeleton(&self) -> String {
        self.lines(skeleton)
    }

    fn lines(&self, show: impl Fn(&Op, &Reply) -> String) -> String {
        let mut lines: Vec<(usize, String)> = self.notes.clone();
        for Call {
            step,
            author,
            op,
            reply,
            ..
        } in &self.world.calls
        {
            lines.push((*step, format!("{author}  {}", show(op, reply))));
        }
        for ack in &self.acks {
            lines.push((
                ack.end,
                format!("{}  {:?} is told `{}`", ack.author, ack.actor, ack.word),
            ));
        }
        lines.sort_by_key(|(step, _)| *step);
        lines
            .into_iter()
            .map(|(step, line)| format!("{step:4} {line}\n"))
            .collect()
    }
}

/// A call without what differs from run to run of the same seed: times and what is computed from them.
fn skeleton(op: &Op, reply: &Reply) -> String {
    match (op, reply) {
        (Op::PutObject { key, condition, .. }, reply) => {
            format!("Put {key} {} -> {}", condition.is_some(), word(reply))
        }
        (op, Reply::Object { .. }) => format!("{op:?} -> Object"),
        (op, reply) => format!("{op:?} -> {reply:?}"),
    }
}

fn word(reply: &Reply) -> String {
    match reply {
        Reply::Stored(_) => "Stored".to_owned(),
        other => format!("{other:?}"),
    }
}

struct Pending {
    author: usize,
    op: Op,
    reply: oneshot::Sender<Fate>,
}

/// Every call waits here until its turn.
#[derive(Clone, Default)]
struct Gatekeeper {
    queue: Arc<Mutex<Vec<Pending>>>,
    arrived: Arc<Notify>,
}

impl Director for Gatekeeper {
    fn decide(&self, author: usize, op: Op) -> Decision {
        let (reply, answered) = oneshot::channel();
        self.queue
            .lock()
            .unwrap()
            .push(Pending { author, op, reply });
        self.arrived.notify_one();
        Box::pin(async move { answered.await.unwrap_or(Fate::Silent) })
    }
}

/// Plays one schedule.
pub fn run(scenario: &Scenario, seed: u64, options: Options) -> Outcome {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome =
        runtime.block_on(async { Schedule::new(scenario, seed, options).play(scenario).await });
    runtime.shutdown_background();
    outcome
}

struct Schedule {
    world: Shared,
    gatekeeper: Gatekeeper,
    acks: Arc<Mutex<Vec<Ack>>>,
    notes: Vec<(usize, String)>,
    tasks: Vec<(usize, JoinHandle<()>)>,
    rng: Rng,
    options: Options,
    policies: &'static [&'static str],
    late: Vec<(usize, Op, Instant)>,
    calls_of_first: usize,
    /// When each author's first call happened.
    started: BTreeMap<usize, usize>,
}

/// What is added to an author for the next request that the same process handles.
const NEXT: usize = 1000;

/// An IAM write starts with at least six seconds of the lease left, and the lease outlives any request.
const LATEST: Duration = Duration::from_millis(5900);

impl Schedule {
    fn new(scenario: &Scenario, seed: u64, options: Options) -> Self {
        let policies = policies(seed);
        let mut world = world(scenario.start, policies);
        let (object, body) = member("alice");
        world.put(&object, &body);
        Self {
            world: Shared::new(world),
            gatekeeper: Gatekeeper::default(),
            acks: Arc::default(),
            notes: Vec::new(),
            tasks: Vec::new(),
            rng: Rng::with_seed(seed),
            options,
            policies,
            late: Vec::new(),
            calls_of_first: 0,
            started: BTreeMap::new(),
        }
    }

    fn spawn(&mut self, author: usize, actor: Actor) {
        let director = self.gatekeeper.clone();
        let (acks, world, policies) = (
            self.acks.clone(),
            self.world.clone(),
            self.policies.join(","),
        );
        let arrived = self.gatekeeper.arrived.clone();
        let task = tokio::spawn(async move {
            perform(author, actor, director, world, acks, &policies).await;
            arrived.notify_one();
        });
        self.tasks.push((author, task));
    }

    async fn play(mut self, scenario: &Scenario) -> Outcome {
        for (author, actor) in scenario.actors.iter().enumerate() {
            self.spawn(author, *actor);
        }
        let mut ended = self.drive(scenario.late).await;
        // After quiescence, and after the lease of anybody who died: the next add and the next reset just work.
        self.late.clear();
        tokio::time::sleep(Duration::from_secs(14)).await;
        self.options = Options {
            deviation: 0.0,
            crashes: 0,
            crash_at: None,
        };
        for (author, actor) in [(90, Actor::Add("Z")), (91, Actor::Reset)] {
            if author == 91 {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            self.spawn(author, actor);
            ended &= self.drive(false).await;
        }
        let world = std::mem::take(&mut *self.world.lock());
        let mut acks = std::mem::take(&mut *self.acks.lock().unwrap());
        for ack in &mut acks {
            ack.start = self.started.get(&ack.author).copied().unwrap_or(ack.start);
        }
        Outcome {
            world,
            policies: self.policies,
            acks,
            notes: self.notes,
            ended,
        }
    }

    /// Lets calls happen until every actor has ended.
    async fn drive(&mut self, late: bool) -> bool {
        let limit = Instant::now() + Duration::from_secs(400);
        let mut current = usize::MAX;
        loop {
            // The clock moves only when every task waits: whatever an actor does next is in the queue after this.
            let pause = if self.chance(0.1) {
                self.rng.u64(200..1500)
            } else {
                self.rng.u64(1..40)
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.gatekeeper
                .queue
                .lock()
                .unwrap()
                .retain(|pending| !pending.reply.is_closed());
            self.tasks.retain(|(_, task)| !task.is_finished());
            if self.tasks.is_empty() {
                return true;
            }
            if Instant::now() > limit {
                return false;
            }
            self.land();
            let authors: Vec<usize> = self
                .gatekeeper
                .queue
                .lock()
                .unwrap()
                .iter()
                .map(|pending| pending.author)
                .collect();
            if authors.is_empty() {
                self.gatekeeper.arrived.notified().await;
                continue;
            }
            let stay = authors.iter().position(|author| *author == current);
            let index = match stay {
                Some(index) if !self.chance(self.options.deviation * 2.0) => index,
                _ => self.rng.usize(0..authors.len()),
            };
            let pending = self.gatekeeper.queue.lock().unwrap().remove(index);
            current = pending.author;
            self.happen(pending, late);
        }
    }

    fn chance(&mut self, likely: f64) -> bool {
        likely > 0.0 && self.rng.f64() < likely
    }

    /// A request whose answer never came may take effect now, or not any more.
    fn land(&mut self) {
        let now = Instant::now();
        self.late
            .retain(|(_, _, sent)| now.duration_since(*sent) < LATEST);
        if !self.late.is_empty() && self.chance(0.2) {
            let index = self.rng.usize(0..self.late.len());
            let (author, op, _) = self.late.remove(index);
            self.note(author, "a late request lands");
            self.world.lock().apply(author, &op, 0);
        }
    }

    fn note(&mut self, author: usize, what: &str) {
        let step = self.world.lock().step;
        self.notes.push((step, format!("{author}  [{what}]")));
    }

    fn kill(&mut self, author: usize, what: &str) {
        self.note(author, what);
        let process = author % NEXT;
        if let Some((_, task)) = self.tasks.iter().find(|(owner, _)| *owner == process) {
            task.abort();
        }
        self.gatekeeper
            .queue
            .lock()
            .unwrap()
            .retain(|pending| pending.author % NEXT != process);
    }

    fn answer(&mut self, pending: Pending, lag: usize) {
        let mut world = self.world.lock();
        let reply = world.apply(pending.author, &pending.op, lag);
        let now = world.now();
        drop(world);
        let _ = pending.reply.send(Fate::Answered(reply, now));
    }

    /// One call happens.
    fn happen(&mut self, pending: Pending, late: bool) {
        let author = pending.author;
        let step = self.world.lock().step;
        self.started.entry(author).or_insert(step);
        if let (Some((nth, after)), 0) = (self.options.crash_at, author) {
            self.calls_of_first += 1;
            if self.calls_of_first == nth {
                if after {
                    self.world.lock().apply(author, &pending.op, 0);
                }
                self.kill(
                    author,
                    if after {
                        "crashes after the call"
                    } else {
                        "crashes before the call"
                    },
                );
                return;
            }
        }
        let console = matches!(pending.op, Op::Edit { .. });
        if console || !self.chance(self.options.deviation) {
            return self.answer(pending, 0);
        }
        if self.options.crashes > 0 && self.chance(0.25) {
            self.options.crashes -= 1;
            match self.rng.u8(0..3) {
                0 => {}
                1 => {
                    self.world.lock().apply(author, &pending.op, 0);
                }
                _ if late && pending.op.writes_document() => {
                    self.late.push((author, pending.op, Instant::now()))
                }
                _ => {}
            }
            return self.kill(author, "crashes");
        }
        if pending.op.is_iam_read() && self.chance(0.7) {
            let lag = self.rng.usize(1..=2);
            self.note(author, &format!("answered from {lag} writes ago"));
            return self.answer(pending, lag);
        }
        let lost = pending.op.writes_document() || pending.op.writes_lease();
        match self.rng.u8(0..5) {
            0 if late && pending.op.writes_document() => {
                self.note(author, "no answer, and it may land later");
                self.late.push((author, pending.op, Instant::now()));
                let _ = pending.reply.send(Fate::Silent);
            }
            0 | 1 if lost => {
                self.note(author, "the answer is lost");
                self.world.lock().apply(author, &pending.op, 0);
                let _ = pending.reply.send(if self.rng.bool() {
                    Fate::Broken
                } else {
                    Fate::Silent
                });
            }
            2 => {
                self.note(author, "the request is lost");
                let _ = pending.reply.send(if self.rng.bool() {
                    Fate::Broken
                } else {
                    Fate::Silent
                });
            }
            3 => {
                self.note(author, "throttled");
                let now = self.world.lock().now();
                let (status, code) = if pending.op.is_iam() {
                    (400, "Throttling")
                } else {
                    (503, "SlowDown")
                };
                let _ = pending
                    .reply
                    .send(Fate::Answered(Reply::Error(status, code), now));
            }
            4 if pending.op.writes_lease() => {
                self.note(author, "conditional request conflict");
                let now = self.world.lock().now();
                let _ = pending.reply.send(Fate::Answered(
                    Reply::Error(409, "ConditionalRequestConflict"),
                    now,
                ));
            }
            _ => self.answer(pending, 0),
        }
    }
}

/// One actor, from its first call to what it is told, and on to its work after the answer.
async fn perform(
    author: usize,
    actor: Actor,
    director: Gatekeeper,
    world: Shared,
    acks: Arc<Mutex<Vec<Ack>>>,
    policies: &str,
) {
    let start = world.lock().step;
    let told_as = |author: usize, actor: Actor, word: &str| {
        let mut world = world.lock();
        world.step += 1;
        acks.lock().unwrap().push(Ack {
            author,
            actor,
            word: word.to_owned(),
            start,
            end: world.step,
        });
    };
    let told = |word: &str| told_as(author, actor, word);
    let variables = [("POLICY_ARNS", policies)];
    let caller = Caller::new(author, Arc::new(director.clone()));
    match actor {
        Actor::Add(_) | Actor::AddBoth(..) => {
            let function = caller.function(add_config(&variables)).await;
            let names = match actor {
                Actor::AddBoth(first, second) => vec![first, second],
                Actor::Add(name) => vec![name],
                _ => Vec::new(),
            };
            for (index, name) in names.into_iter().enumerate() {
                let author = author + index * NEXT;
                function.set_author(author);
                let address = net(name).trim_end_matches("/32");
                let (answer, rest) = function.answer(add_event("alice", address)).await;
                told_as(author, Actor::Add(name), &answer.word());
                rest.run().await;
            }
        }
        Actor::Reset => match caller.reset(reset_config(&variables), json!({})).await {
            Ok(report) => told(report["status"].as_str().unwrap()),
            Err(error) => told(&error.error_type),
        },
        Actor::EditTag | Actor::EditEntry => {
            for arn in policies.split(',') {
                let op = match actor {
                    Actor::EditTag => Op::Edit {
                        arn: arn.into(),
                        entries: vec![],
                        tags: vec![format!("tag:{author}")],
                    },
                    _ => Op::Edit {
                        arn: arn.into(),
                        entries: vec![net("n1").into()],
                        tags: vec![],
                    },
                };
                director.decide(author, op).await;
            }
            told("edited");
        }
    }
}
