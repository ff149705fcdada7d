//! The account: what there is, the one clock of its services, and the record of what happened. [`crate::iam`],
//! [`crate::s3`] and [`crate::sts`] own their services' rules. Nothing here knows the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio::time::Instant;

pub use crate::iam::{Cause, Moment, Policy, Role};
pub use crate::op::{Condition, Op, Reply};
pub use crate::replicas::{Behind, Replicas};
pub use crate::s3::Object;

/// The ARN of the policy that most tests use.
pub const POLICY: &str = "arn:aws:iam::111122223333:policy/gate";

/// Seconds since 1970 at which every fake world begins.
pub const EPOCH: i64 = 1_800_000_000;

/// One call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub step: usize,
    /// Since the world began.
    pub at: Duration,
    pub author: usize,
    pub op: Op,
    pub reply: Reply,
}

/// The account.
#[derive(Debug)]
pub struct World {
    pub step: usize,
    pub policies: BTreeMap<String, Vec<Moment>>,
    /// By name.
    pub roles: BTreeMap<String, Role>,
    pub objects: BTreeMap<String, Object>,
    pub calls: Vec<Call>,
    /// When each author first wrote the lease with a nonce.
    pub leased: BTreeMap<usize, usize>,
    /// Who answers reads of IAM.
    pub replicas: Replicas,
    /// How many keys a page of a listing has.
    pub page_size: usize,
    /// Whether a read of a trust policy gives it back in another order and shape, as IAM does.
    pub shuffles_trust: bool,
    /// The characters that a trust policy may have.
    pub trust_policy_limit: usize,
    /// The roles that may not be assumed, by ARN.
    pub refused_roles: BTreeSet<String>,
    pub(crate) rng: Rng,
    start: Instant,
    skipped: Duration,
}

/// The account as the clients share it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

/// The entries of a gate and the tags of the other statement, as [`crate::gate`] writes them.
pub fn read_gate(document: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let json: Value = serde_json::from_str(document).unwrap();
    let texts = |value: &Value| -> BTreeSet<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let statement = &json["Statement"];
    (
        texts(&statement[0]["Condition"]["NotIpAddress"]["aws:SourceIp"]),
        texts(&statement[1]["Action"]),
    )
}

impl Default for World {
    fn default() -> Self {
        Self {
            step: 0,
            policies: BTreeMap::new(),
            roles: BTreeMap::new(),
            objects: BTreeMap::new(),
            calls: Vec::new(),
            leased: BTreeMap::new(),
            replicas: Replicas::in_step(),
            page_size: 1000,
            shuffles_trust: true,
            trust_policy_limit: 2048,
            refused_roles: BTreeSet::new(),
            rng: Rng::with_seed(0),
            start: Instant::now(),
            skipped: Duration::ZERO,
        }
    }
}

impl World {
    /// How long the world has been there.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed() + self.skipped
    }

    /// The time by the services' clock, in whole seconds since 1970.
    pub fn now(&self) -> i64 {
        EPOCH + i64::try_from(self.elapsed().as_secs()).unwrap()
    }

    /// Lets so much time pass for the services, at once.
    pub fn skip(&mut self, time: Duration) {
        self.skipped += time;
    }

    /// The notices that topics were told, as JSON.
    pub fn notices(&self) -> Vec<Value> {
        let message = |call: &Call| match &call.op {
            Op::Publish { message, .. } if call.reply == Reply::Done => {
                serde_json::from_str(message).ok()
            }
            _ => None,
        };
        self.calls.iter().filter_map(message).collect()
    }

    /// Makes one call, and records it. A read of IAM is answered from `writes` writes ago, or with 0 as the replica
    /// knows it that is drawn.
    pub fn apply(&mut self, author: usize, op: &Op, writes: usize) -> Reply {
        let behind = match writes {
            0 => Behind::Replica,
            several => Behind::Writes(several),
        };
        self.apply_behind(author, op, behind)
    }

    /// Makes one call, and records it.
    pub fn apply_behind(&mut self, author: usize, op: &Op, behind: Behind) -> Reply {
        let now = self.now();
        self.apply_dated(author, op, behind, now)
    }

    /// Makes one call, and records it. An object that it puts says that S3 took it in at that second.
    pub fn apply_dated(&mut self, author: usize, op: &Op, behind: Behind, modified: i64) -> Reply {
        self.step += 1;
        let reply = match op {
            op if op.is_s3() => self.s3(author, op, modified),
            Op::AssumeRole { .. } => self.sts(op),
            Op::Publish { .. } => Reply::Done,
            op => self.iam(author, op, behind),
        };
        self.calls.push(Call {
            step: self.step,
            at: self.elapsed(),
            author,
            op: op.clone(),
            reply: reply.clone(),
        });
        reply
    }
}
