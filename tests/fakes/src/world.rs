//! The account: policies with their versions and history, roles, and one bucket. Owns the services' rules and the
//! record of what happened; knows nothing of the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// The ARN of the policy that most tests use.
pub const POLICY: &str = "arn:aws:iam::111122223333:policy/gate";

/// Seconds since 1970 at which every fake world begins.
pub const EPOCH: i64 = 1_800_000_000;

/// One call of IAM, S3 or SNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    ListVersions(String),
    GetVersion(String, u64),
    Create(String, String),
    Delete(String, u64),
    GetRole(String),
    UpdateTrust(String, String),
    Get(String),
    Put {
        key: String,
        body: String,
        condition: Option<Condition>,
    },
    Remove(String),
    List(String),
    /// A notice to an SNS topic.
    Publish {
        topic: String,
        subject: String,
        message: String,
    },
    /// A person in the console reads what is in force and saves it with these entries and tags added, in one moment.
    Edit {
        arn: String,
        entries: Vec<String>,
        tags: Vec<String>,
    },
}

impl Op {
    /// Whether IAM answers it.
    pub fn is_iam(&self) -> bool {
        !matches!(
            self,
            Self::Get(_)
                | Self::Put { .. }
                | Self::Remove(_)
                | Self::List(_)
                | Self::Publish { .. }
        )
    }

    /// Whether it only reads IAM, and so may be answered with something old.
    pub fn is_iam_read(&self) -> bool {
        matches!(
            self,
            Self::ListVersions(_) | Self::GetVersion(..) | Self::GetRole(_)
        )
    }

    /// Whether it writes the lease.
    pub fn writes_lease(&self) -> bool {
        matches!(self, Self::Put { key, .. } if key == "lease.json")
    }

    /// Whether it writes a document in IAM.
    pub fn writes_document(&self) -> bool {
        matches!(self, Self::Create(..) | Self::UpdateTrust(..))
    }
}

/// A conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Absent,
    Etag(String),
}

/// An answer, or an error by its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Versions {
        ids: Vec<u64>,
        default: u64,
    },
    Document(String),
    Created(u64),
    Object {
        etag: String,
        body: String,
        modified: i64,
    },
    Stored(String),
    Listing(Vec<(String, i64)>),
    Done,
    Error(u16, &'static str),
}

/// One policy at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub versions: BTreeMap<u64, String>,
    pub default: u64,
    pub next: u64,
}

impl Policy {
    /// The document in force.
    pub fn document(&self) -> &str {
        &self.versions[&self.default]
    }
}

/// A policy from one write to the next.
#[derive(Clone, Debug)]
pub struct Moment {
    pub step: usize,
    pub policy: Policy,
    pub author: usize,
    pub cause: Cause,
}

/// Why a policy changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Start,
    Write,
    Edit,
    Prune,
}

/// One object of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub body: String,
    pub etag: String,
    pub modified: i64,
}

/// One call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub step: usize,
    pub author: usize,
    pub op: Op,
    pub reply: Reply,
}

/// The account.
#[derive(Debug)]
pub struct World {
    pub step: usize,
    pub policies: BTreeMap<String, Vec<Moment>>,
    pub roles: BTreeMap<String, Vec<String>>,
    pub objects: BTreeMap<String, Object>,
    pub calls: Vec<Call>,
    /// When each author first wrote the lease with a nonce.
    pub leased: BTreeMap<usize, usize>,
    start: Instant,
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
        value
            .as_array()
            .map(|items| {
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
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
            start: Instant::now(),
        }
    }
}

impl World {
    /// A world with one policy. Stale reads reach back to the prefixes of its versions; the last is the default.
    pub fn with_policy(versions: &[(u64, String)]) -> Self {
        let mut world = Self::default();
        world.add_policy(POLICY, versions);
        world
    }

    /// Adds a policy with these versions, the last of which is the default.
    pub fn add_policy(&mut self, arn: &str, versions: &[(u64, String)]) {
        let mut history = Vec::new();
        let mut all = BTreeMap::new();
        for (id, document) in versions {
            all.insert(*id, document.clone());
            let policy = Policy {
                versions: all.clone(),
                default: *id,
                next: id + 1,
            };
            history.push(Moment {
                step: 0,
                policy,
                author: usize::MAX,
                cause: Cause::Start,
            });
        }
        self.policies.insert(arn.to_owned(), history);
    }

    /// Makes an older version the default, as a person may.
    pub fn set_default(&mut self, arn: &str, id: u64) {
        let mut policy = self.policy(arn).clone();
        policy.default = id;
        self.write(arn, policy, usize::MAX, Cause::Edit);
    }

    /// Puts an object at the start.
    pub fn put(&mut self, key: &str, body: &str) {
        let modified = self.now();
        self.objects.insert(
            key.to_owned(),
            Object {
                body: body.to_owned(),
                etag: etag(body),
                modified,
            },
        );
    }

    /// The policy now.
    pub fn policy(&self, arn: &str) -> &Policy {
        &self.policies[arn].last().unwrap().policy
    }

    /// The document in force.
    pub fn document(&self, arn: &str) -> String {
        self.policy(arn).document().to_owned()
    }

    /// Adds a role with this trust policy.
    pub fn add_role(&mut self, name: &str, document: &str) {
        self.roles
            .insert(name.to_owned(), vec![document.to_owned()]);
    }

    /// The trust policy of a role.
    pub fn trust(&self, name: &str) -> String {
        self.roles[name].last().unwrap().clone()
    }

    /// The entries in force.
    pub fn entries(&self, arn: &str) -> Vec<String> {
        read_gate(self.policy(arn).document())
            .0
            .into_iter()
            .collect()
    }

    /// The keys of the bucket that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.objects
            .keys()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// The time by the services' clock, in whole seconds since 1970.
    pub fn now(&self) -> i64 {
        EPOCH + i64::try_from(self.start.elapsed().as_secs()).unwrap()
    }

    fn write(&mut self, arn: &str, policy: Policy, author: usize, cause: Cause) {
        let step = self.step;
        self.policies.get_mut(arn).unwrap().push(Moment {
            step,
            policy,
            author,
            cause,
        });
    }

    /// A policy as a read sees it that is `lag` writes behind.
    fn seen(&self, arn: &str, lag: usize) -> Option<&Policy> {
        let history = self.policies.get(arn)?;
        Some(&history[history.len().saturating_sub(1 + lag)].policy)
    }

    /// What a read would answer `lag` writes behind, without making it.
    pub fn peek(&self, op: &Op, lag: usize) -> Option<Reply> {
        match op {
            Op::ListVersions(arn) => {
                let policy = self.seen(arn, lag)?;
                Some(Reply::Versions {
                    ids: policy.versions.keys().rev().copied().collect(),
                    default: policy.default,
                })
            }
            Op::GetVersion(arn, id) => self
                .seen(arn, lag)?
                .versions
                .get(id)
                .map(|document| Reply::Document(document.clone())),
            Op::GetRole(name) => {
                let history = self.roles.get(name)?;
                Some(Reply::Document(
                    history[history.len().saturating_sub(1 + lag)].clone(),
                ))
            }
            _ => None,
        }
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

    /// Makes one call, and records it.
    pub fn apply(&mut self, author: usize, op: &Op, lag: usize) -> Reply {
        self.step += 1;
        let reply = self.effect(author, op, lag);
        self.calls.push(Call {
            step: self.step,
            author,
            op: op.clone(),
            reply: reply.clone(),
        });
        reply
    }

    fn effect(&mut self, author: usize, op: &Op, lag: usize) -> Reply {
        const NO_ENTITY: Reply = Reply::Error(404, "NoSuchEntity");
        match op {
            Op::ListVersions(_) | Op::GetVersion(..) | Op::GetRole(_) => {
                self.peek(op, lag).unwrap_or(NO_ENTITY)
            }
            Op::Create(arn, document) => self.create(arn, document, author, Cause::Write),
            Op::Delete(arn, id) => {
                let Some(policy) = self.seen(arn, 0) else {
                    return NO_ENTITY;
                };
                let mut policy = policy.clone();
                if policy.default == *id {
                    return Reply::Error(409, "DeleteConflict");
                }
                if policy.versions.remove(id).is_none() {
                    return NO_ENTITY;
                }
                self.write(arn, policy, author, Cause::Prune);
                Reply::Done
            }
            Op::UpdateTrust(name, document) => match self.roles.get_mut(name) {
                Some(history) => {
                    history.push(document.clone());
                    Reply::Done
                }
                None => NO_ENTITY,
            },
            Op::Get(key) => match self.objects.get(key) {
                Some(Object {
                    body,
                    etag,
                    modified,
                }) => Reply::Object {
                    etag: etag.clone(),
                    body: body.clone(),
                    modified: *modified,
                },
                None => Reply::Error(404, "NoSuchKey"),
            },
            Op::Put {
                key,
                body,
                condition,
            } => {
                let existing = self.objects.get(key).map(|object| object.etag.clone());
                let met = match condition {
                    None => true,
                    Some(Condition::Absent) => existing.is_none(),
                    Some(Condition::Etag(etag)) => existing.as_ref() == Some(etag),
                };
                if !met {
                    return Reply::Error(412, "PreconditionFailed");
                }
                if op.writes_lease() && !body.starts_with(r#"{"nonce":null"#) {
                    self.leased.entry(author).or_insert(self.step);
                }
                let (etag, modified) = (etag(body), self.now());
                self.objects.insert(
                    key.clone(),
                    Object {
                        body: body.clone(),
                        etag: etag.clone(),
                        modified,
                    },
                );
                Reply::Stored(etag)
            }
            Op::Remove(key) => {
                self.objects.remove(key);
                Reply::Done
            }
            Op::Publish { .. } => Reply::Done,
            Op::List(prefix) => {
                let hits = self
                    .objects
                    .iter()
                    .filter(|(key, _)| key.starts_with(prefix));
                Reply::Listing(
                    hits.map(|(key, object)| (key.clone(), object.modified))
                        .collect(),
                )
            }
            Op::Edit { arn, entries, tags } => {
                self.make_room(arn, author);
                let (mut all_entries, mut all_tags) = read_gate(self.policy(arn).document());
                all_entries.extend(entries.iter().cloned());
                all_tags.extend(tags.iter().cloned());
                let (e, t): (Vec<&str>, Vec<&str>) = (
                    all_entries.iter().map(String::as_str).collect(),
                    all_tags.iter().map(String::as_str).collect(),
                );
                let document = crate::gate(&e, &t);
                self.create(arn, &document, author, Cause::Edit)
            }
        }
    }

    /// IAM's rules: five versions at most, ids only grow.
    fn create(&mut self, arn: &str, document: &str, author: usize, cause: Cause) -> Reply {
        let Some(policy) = self.seen(arn, 0) else {
            return Reply::Error(404, "NoSuchEntity");
        };
        let mut policy = policy.clone();
        if policy.versions.len() >= 5 || document.len() > 6144 {
            return Reply::Error(409, "LimitExceeded");
        }
        if serde_json::from_str::<Value>(document).is_err() {
            return Reply::Error(400, "MalformedPolicyDocument");
        }
        let id = policy.next;
        policy.versions.insert(id, document.to_owned());
        policy.next += 1;
        policy.default = id;
        self.write(arn, policy, author, cause);
        Reply::Created(id)
    }

    /// What a person in the console does when five versions exist.
    fn make_room(&mut self, arn: &str, author: usize) {
        let mut policy = self.policy(arn).clone();
        if policy.versions.len() >= 5 {
            let oldest = *policy
                .versions
                .keys()
                .find(|id| **id != policy.default)
                .unwrap();
            policy.versions.remove(&oldest);
            self.write(arn, policy, author, Cause::Prune);
        }
    }
}

/// S3's ETag depends on the content alone.
fn etag(body: &str) -> String {
    let hash = Sha256::digest(body.as_bytes());
    format!(
        "\"{}\"",
        hash.iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    )
}
