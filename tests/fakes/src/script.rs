//! A director for tests that tell a story: every call is made at once, unless a rule interferes
//! with it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::connection::{Decision, Director, Fate};
use crate::invoke::{Caller, member};
use crate::op::{Op, Reply};
use crate::replicas::Behind;
use crate::world::{Shared, World};

/// How a rule interferes with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A read is answered from so many writes ago.
    Stale(usize),
    /// A read is answered from so much time ago.
    StaleBy(Duration),
    /// The call fails with this status and code, and has no effect.
    Fail(u16, &'static str),
    /// It takes effect, and the connection breaks.
    Lost,
    /// It has no effect, and the connection breaks.
    Dropped,
    /// It has no effect and nothing comes back.
    Silent,
    /// Nothing comes back, and it takes effect so much later.
    Late(Duration),
}

type Rule = Box<dyn FnMut(&mut World, usize, &Op) -> Option<Act> + Send>;

/// The director.
#[derive(Clone)]
pub struct Script {
    pub world: Shared,
    rules: Arc<Mutex<Vec<Rule>>>,
    signed: Arc<Mutex<Vec<(Op, String)>>>,
}

impl Script {
    /// A world in which `alice`, `bob` and `carol` are members.
    pub fn new(mut world: World) -> Self {
        for name in ["alice", "bob", "carol"] {
            let (object, body) = member(name);
            world.put(&object, &body);
        }
        Self { world: Shared::new(world), rules: Arc::default(), signed: Arc::default() }
    }

    /// The calls so far, each with the access key id that it was signed with.
    pub fn signed_calls(&self) -> Vec<(Op, String)> {
        self.signed.lock().unwrap().clone()
    }

    /// Adds a rule; the first rule that acts on a call decides. A rule may change the world itself.
    pub fn rule(&self, rule: impl FnMut(&mut World, usize, &Op) -> Option<Act> + Send + 'static) {
        self.rules.lock().unwrap().push(Box::new(rule));
    }

    /// Interferes with the first call that `matches`.
    pub fn once(&self, act: Act, matches: impl Fn(&Op) -> bool + Send + 'static) {
        let mut left = Some(act);
        self.rule(move |_, _, op| if matches(op) { left.take() } else { None });
    }

    /// Lets a person change the world just before the first call that `matches`.
    pub fn before(
        &self,
        matches: impl Fn(&Op) -> bool + Send + 'static,
        edit: impl FnOnce(&mut World) + Send + 'static,
    ) {
        let mut edit = Some(edit);
        self.rule(move |world, _, op| {
            if matches(op)
                && let Some(edit) = edit.take()
            {
                edit(world);
            }
            None
        });
    }

    /// A caller of the functions in this world.
    pub fn caller(&self, author: usize) -> Caller {
        Caller::new(author, Arc::new(self.clone()))
    }
}

impl Director for Script {
    fn signed(&self, op: &Op, access_key: &str) {
        let call = (op.clone(), access_key.to_owned());
        self.signed.lock().unwrap().push(call);
    }

    fn decide(&self, author: usize, op: Op) -> Decision {
        let (shared, rules) = (self.world.clone(), self.rules.clone());
        Box::pin(async move {
            let mut world = shared.lock();
            let act =
                rules.lock().unwrap().iter_mut().find_map(|rule| rule(&mut world, author, &op));
            let now = world.now();
            match act {
                None => Fate::Answered(world.apply(author, &op, 0), now),
                Some(Act::Stale(writes)) => Fate::Answered(world.apply(author, &op, writes), now),
                Some(Act::StaleBy(lag)) => {
                    Fate::Answered(world.apply_behind(author, &op, Behind::Time(lag)), now)
                }
                Some(Act::Fail(status, code)) => Fate::Answered(Reply::Error(status, code), now),
                Some(Act::Lost) => {
                    world.apply(author, &op, 0);
                    Fate::Broken
                }
                Some(Act::Dropped) => Fate::Broken,
                Some(Act::Silent) => Fate::Silent,
                Some(Act::Late(after)) => {
                    drop(world);
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        shared.lock().apply(author, &op, 0);
                    });
                    Fate::Silent
                }
            }
        })
    }
}
