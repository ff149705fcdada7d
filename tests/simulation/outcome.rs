//! What happened in a schedule: the requests, the world as they left it, and the trace for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakes::world::{Call, EPOCH, Object, Reply};
use fakes::{Op, World};

use crate::actors::Actor;
use crate::start::NETWORKS;

/// One request, or one act of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub author: usize,
    pub actor: Actor,
    /// Before its first call, if it made one.
    pub start: Option<usize>,
    pub start_at: Duration,
    /// What it was told, if it was told anything: a status, or an error's kind.
    pub word: Option<String>,
    pub told: Option<usize>,
    /// When it ended, answered or not.
    pub stop: Option<usize>,
    /// A put of a grant was still on its way when the request gave it up or died: it may land later.
    pub slow: bool,
}

impl Request {
    /// Whether an add was told that its network is let in.
    pub fn is_yes(&self) -> bool {
        matches!(self.actor, Actor::Add(_)) && self.word_is(&["added", "already_allowed"])
    }

    pub fn word_is(&self, words: &[&str]) -> bool {
        self.word.as_deref().is_some_and(|word| words.contains(&word))
    }

    /// When none of its effects can happen any more.
    pub fn over_at(&self) -> usize {
        if self.slow && !self.is_yes() {
            return usize::MAX;
        }
        self.told.or(self.stop).unwrap_or(usize::MAX)
    }

    /// The second in which it began, by the services' clock.
    pub fn start_second(&self) -> i64 {
        second(self.start_at)
    }
}

/// A moment by the services' clock.
pub fn second(at: Duration) -> i64 {
    EPOCH + i64::try_from(at.as_secs()).unwrap()
}

/// The requests of a schedule, as they go on.
#[derive(Clone, Debug)]
pub struct Requests {
    world: fakes::Shared,
    requests: Arc<Mutex<BTreeMap<usize, Request>>>,
}

impl Requests {
    pub fn new(world: fakes::Shared) -> Self {
        Self { world, requests: Arc::default() }
    }

    pub fn add(&self, author: usize, actor: Actor) {
        let request = Request {
            author,
            actor,
            start: None,
            start_at: Duration::ZERO,
            word: None,
            told: None,
            stop: None,
            slow: false,
        };
        self.requests.lock().unwrap().insert(author, request);
    }

    fn change(&self, author: usize, change: impl FnOnce(&mut Request)) {
        if let Some(request) = self.requests.lock().unwrap().get_mut(&author) {
            change(request);
        }
    }

    /// It makes a call.
    pub fn called(&self, author: usize) {
        let (step, at) = {
            let world = self.world.lock();
            (world.step, world.elapsed())
        };
        self.change(author, |request| {
            if request.start.is_none() {
                (request.start, request.start_at) = (Some(step), at);
            }
        });
    }

    /// It is answered.
    pub fn told(&self, author: usize, word: &str) {
        let step = {
            let mut world = self.world.lock();
            world.step += 1;
            world.step
        };
        self.change(author, |request| {
            request.word.get_or_insert_with(|| word.to_owned());
            request.told.get_or_insert(step);
        });
    }

    /// It ends.
    pub fn stop(&self, author: usize) {
        let step = self.world.lock().step;
        self.change(author, |request| {
            request.stop.get_or_insert(step);
        });
    }

    /// A put of a grant of its own is still on its way.
    pub fn slow(&self, author: usize) {
        self.change(author, |request| request.slow = true);
    }

    /// Those that have begun and not ended.
    pub fn running(&self) -> Vec<(usize, Actor)> {
        let requests = self.requests.lock().unwrap();
        let running =
            requests.values().filter(|request| request.start.is_some() && request.stop.is_none());
        running.map(|request| (request.author, request.actor)).collect()
    }

    pub fn all(&self) -> Vec<Request> {
        self.requests.lock().unwrap().values().cloned().collect()
    }
}

/// What happened.
#[derive(Debug)]
pub struct Outcome {
    pub world: World,
    pub policies: &'static [&'static str],
    pub requests: Vec<Request>,
    pub notes: Vec<(usize, String)>,
    /// The second in which it began, by the services' clock.
    pub began: i64,
    /// Nothing went wrong but that IAM lagged.
    pub calm: bool,
    /// The bucket when the repairing add had ended.
    pub bucket: BTreeMap<String, Object>,
    /// When that was.
    pub repaired: usize,
    pub repaired_at: Duration,
    /// Whether the schedule came to its end in time.
    pub ended: bool,
}

impl Outcome {
    /// The calls in their order, with what was done to them, for people.
    pub fn trace(&self) -> String {
        shortened(&self.lines(|op, reply| format!("{op:?} -> {reply:?}")))
    }

    /// The same without what depends on the time of day: equal for two runs of one seed.
    pub fn skeleton(&self) -> String {
        self.lines(skeleton)
    }

    fn lines(&self, show: impl Fn(&Op, &Reply) -> String) -> String {
        let mut lines: Vec<(usize, String)> = self.notes.clone();
        for Call { step, author, op, reply, at } in &self.world.calls {
            let time = at.as_secs_f64();
            lines.push((*step, format!("{time:9.3}  {author}  {}", show(op, reply))));
        }
        for request in &self.requests {
            if let (Some(step), Some(word)) = (request.told, &request.word) {
                let Request { author, actor, .. } = request;
                lines.push((step, format!("           {author}  {actor:?} is told `{word}`")));
            }
        }
        lines.sort_by_key(|(step, _)| *step);
        lines.into_iter().map(|(step, line)| format!("{step:4} {line}\n")).collect()
    }
}

/// A call without what differs from run to run of the same seed: times and what is computed from them.
fn skeleton(op: &Op, reply: &Reply) -> String {
    match (op, reply) {
        (Op::PutObject { key, condition, .. }, Reply::Stored(_)) => {
            format!("PutObject {key} {} -> Stored", condition.is_some())
        }
        (Op::PutObject { key, condition, .. }, reply) => {
            format!("PutObject {key} {} -> {reply:?}", condition.is_some())
        }
        (op, Reply::Object { .. }) => format!("{op:?} -> Object"),
        (op, reply) => format!("{op:?} -> {reply:?}"),
    }
}

/// A trace with short names for what everybody knows: documents, networks, policies.
fn shortened(trace: &str) -> String {
    const BEGIN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Gate""#;
    const END: &str = r#""Resource":"*"}]}"#;
    let trace = trace.replace('\\', "");
    let mut short = String::new();
    let mut rest = trace.as_str();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let Some((document, after)) = after.split_once(END) else {
            break;
        };
        let list = |key: &str| {
            let list = document.rsplit_once(key).and_then(|(_, list)| list.split_once(']'));
            list.map(|(list, _)| list).unwrap_or_default()
        };
        short += before;
        short += &format!("<{} | {}>", list(r#""aws:SourceIp":["#), list(r#""Action":["#));
        rest = after;
    }
    short += rest;
    for (name, network) in NETWORKS {
        short = short
            .replace(&network.replace('/', "_"), name)
            .replace(&format!("\"{network}\""), name)
            .replace(network, name);
    }
    short.replace("arn:aws:iam::111122223333:policy/", "")
}
