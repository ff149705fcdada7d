//! One schedule: the actors run as tasks on a paused clock; every call that they make waits until the seed says that
//! it happens, and how.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakes::connection::{Decision, Director, Fate};
use fakes::invoke::member_with_key;
use fakes::{Op, Replicas, Shared, World, invoke};
use fastrand::Rng;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::actors::{Actor, Add, NEXT, Player};
use crate::faults::{Late, Options};
use crate::outcome::{Outcome, Requests};
use crate::scenarios::{SCENARIOS, Scenario};
use crate::start::{policies, world};

/// What somebody waits for.
#[derive(Clone, Debug)]
pub enum Ask {
    Call(Op),
    /// So much time is to pass at once.
    Tick(Duration),
}

pub struct Pending {
    pub author: usize,
    pub ask: Ask,
    pub sent: Instant,
    pub reply: oneshot::Sender<Fate>,
}

/// Every call waits here until its turn.
#[derive(Clone, Default)]
pub struct Gatekeeper {
    queue: Arc<Mutex<Vec<Pending>>>,
    arrived: Arc<Notify>,
}

impl Gatekeeper {
    fn ask(&self, author: usize, ask: Ask) -> Decision {
        let (reply, answered) = oneshot::channel();
        self.queue.lock().unwrap().push(Pending { author, ask, sent: Instant::now(), reply });
        self.arrived.notify_one();
        Box::pin(async move { answered.await.unwrap_or(Fate::Silent) })
    }

    /// Lets so much time pass at once, when it is this author's turn.
    pub async fn tick(&self, author: usize, time: Duration) {
        self.ask(author, Ask::Tick(time)).await;
    }

    /// Forgets what these authors wait for.
    fn forget(&self, matches: impl Fn(usize) -> bool) {
        let mut queue = self.queue.lock().unwrap();
        queue.retain(|pending| !matches(pending.author));
    }
}

impl Director for Gatekeeper {
    fn decide(&self, author: usize, op: Op) -> Decision {
        self.ask(author, Ask::Call(op))
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
    let outcome = runtime.block_on(async { Schedule::new(scenario, seed, options).play().await });
    runtime.shutdown_background();
    outcome
}

pub struct Schedule<'s> {
    pub scenario: &'s Scenario,
    pub world: Shared,
    pub requests: Requests,
    pub rng: Rng,
    pub options: Options,
    pub late: Vec<Late>,
    pub calls_of_first: usize,
    gatekeeper: Gatekeeper,
    notes: Vec<(usize, String)>,
    tasks: Vec<(usize, JoinHandle<()>)>,
    policies: &'static [&'static str],
    longest_lag: Duration,
    began: i64,
    /// Nothing goes wrong but that IAM lags.
    calm: bool,
}

/// Who repairs in the end: an add, and a reset.
pub const REPAIR: (usize, usize) = (90, 91);

impl<'s> Schedule<'s> {
    fn new(scenario: &'s Scenario, seed: u64, options: Options) -> Self {
        let mut rng = Rng::with_seed(seed);
        let policies = policies(seed / SCENARIOS.len() as u64);
        let age = Duration::from_secs([1, 3, 10, 40, 300][rng.usize(0..5)]);
        let mut world = world(scenario.start, policies, age);
        for (file, name) in scenario.files() {
            let (object, body) = member_with_key(&invoke::key(file), name);
            world.put(&object, &body);
        }
        // IAM lags by time, or by writes, or not at all.
        let mut longest_lag = Duration::ZERO;
        let mut options = options;
        if options.deviation > 0.0 {
            options.switch = [0.04, 0.24, 0.24, 0.5][rng.usize(0..4)];
            match rng.u8(0..6) {
                0 => options.stale_writes = 0,
                1 | 2 => {
                    options.stale_writes = 0;
                    if rng.u8(0..3) == 0 {
                        options = Options::undisturbed();
                    }
                    longest_lag = Duration::from_millis(rng.u64(500..20_000));
                    world.replicas = Replicas::spread(seed, rng.usize(1..4), longest_lag);
                }
                3 => options.stale_writes = 6,
                _ => options.stale_writes = 2,
            }
        }
        let began = world.now();
        let world = Shared::new(world);
        Self {
            scenario,
            requests: Requests::new(world.clone()),
            world,
            rng,
            options,
            late: Vec::new(),
            calls_of_first: 0,
            gatekeeper: Gatekeeper::default(),
            notes: Vec::new(),
            tasks: Vec::new(),
            policies,
            longest_lag,
            began,
            calm: options.deviation == 0.0 && options.crash_at.is_none(),
        }
    }

    fn spawn(&mut self, author: usize, actor: Actor) {
        match actor {
            Actor::AddBoth(one, other) => {
                self.requests.add(author, Actor::Add(one));
                self.requests.add(author + NEXT, Actor::Add(other));
            }
            actor => self.requests.add(author, actor),
        }
        let player = Player {
            author,
            gatekeeper: self.gatekeeper.clone(),
            requests: self.requests.clone(),
            policies: self.policies.join(","),
            share: self.scenario.share,
            cutoff: self.scenario.cutoff,
        };
        let arrived = self.gatekeeper.arrived.clone();
        let task = tokio::spawn(async move {
            player.play(actor).await;
            arrived.notify_one();
        });
        self.tasks.push((author, task));
    }

    async fn play(mut self) -> Outcome {
        for (author, actor) in self.scenario.actors.iter().enumerate() {
            self.spawn(author, *actor);
        }
        let mut ended = self.drive().await;
        // After quiescence, and after the lease of anybody who died: the next add and the next reset just work.
        self.late.clear();
        let mut rest = Duration::from_secs(14).max(self.longest_lag + Duration::from_secs(1));
        if self.scenario.deletes_by_hand() {
            // For a minute nobody can tell a version that a person deleted from one that cannot be seen yet.
            rest = Duration::from_secs(75);
        }
        tokio::time::sleep(rest).await;
        self.options = Options::undisturbed();
        self.spawn(REPAIR.0, Actor::Add(Add::new("repair", "Z")));
        ended &= self.drive().await;
        let (bucket, repaired, repaired_at) = {
            let world = self.world.lock();
            (world.objects.clone(), world.step, world.elapsed())
        };
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.spawn(REPAIR.1, Actor::Reset);
        ended &= self.drive().await;
        let world: World = std::mem::take(&mut *self.world.lock());
        Outcome {
            world,
            policies: self.policies,
            requests: self.requests.all(),
            notes: self.notes,
            began: self.began,
            calm: self.calm,
            bucket,
            repaired,
            repaired_at,
            ended,
        }
    }

    /// Lets calls happen until every actor has ended.
    async fn drive(&mut self) -> bool {
        let limit = Instant::now() + Duration::from_secs(400);
        let mut current = usize::MAX;
        loop {
            // The clock moves only when every task waits. So the next act of each actor is in the
            // queue after this.
            let pause = if self.options.deviation > 0.0 && self.chance(0.1) {
                self.rng.u64(200..1500)
            } else {
                self.rng.u64(1..40)
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let authors: Vec<usize> = {
                let mut queue = self.gatekeeper.queue.lock().unwrap();
                queue.retain(|pending| !pending.reply.is_closed());
                queue.iter().map(|pending| pending.author).collect()
            };
            self.tasks.retain(|(_, task)| !task.is_finished());
            if self.tasks.is_empty() {
                return true;
            }
            if Instant::now() > limit {
                return false;
            }
            self.land();
            if authors.is_empty() {
                self.gatekeeper.arrived.notified().await;
                continue;
            }
            let stay = authors.iter().position(|author| *author == current);
            let index = match stay {
                Some(index) if !self.chance(self.options.switch) => index,
                _ => self.rng.usize(0..authors.len()),
            };
            let pending = self.gatekeeper.queue.lock().unwrap().remove(index);
            current = pending.author;
            self.requests.called(current);
            match &pending.ask {
                Ask::Call(op) => {
                    let op = op.clone();
                    self.happen(pending, op);
                }
                Ask::Tick(time) => {
                    let time = *time;
                    self.tick(current, time);
                    let _ = pending.reply.send(Fate::Silent);
                    self.requests.told(current, "done");
                }
            }
        }
    }

    pub fn chance(&mut self, likely: f64) -> bool {
        likely > 0.0 && self.rng.f64() < likely
    }

    pub fn note(&mut self, author: usize, what: &str) {
        let step = self.world.lock().step;
        self.notes.push((step, format!("           {author}  [{what}]")));
    }

    /// So much time passes at once: no request lives that long.
    fn tick(&mut self, author: usize, time: Duration) {
        self.note(author, &format!("{} minutes pass", time.as_secs() / 60));
        {
            let mut world = self.world.lock();
            world.skip(time);
            world.step += 1;
        }
        for (running, actor) in self.requests.running() {
            if !actor.is_person() {
                self.kill(running, "its time is over");
            }
        }
        self.late.clear();
    }

    pub fn kill(&mut self, author: usize, what: &str) {
        self.note(author, what);
        let process = author % NEXT;
        if let Some((_, task)) = self.tasks.iter().find(|(owner, _)| *owner == process) {
            task.abort();
        }
        self.gatekeeper.forget(|author| author % NEXT == process);
        self.requests.stop(process);
        self.requests.stop(process + NEXT);
    }

    /// Whether the author is a person.
    pub fn is_person(&self, author: usize) -> bool {
        let actor = self.scenario.actors.get(author % NEXT);
        actor.is_some_and(|actor| actor.is_person())
    }
}
