//! IAM: customer managed policies with their versions, and roles with their trust policies.
//!
//! What the real service does, and how the fake does it:
//! - reads lag, each as far as the replica that answers it ([`crate::replicas`]); writes do not;
//! - at most five versions of a policy; ids only grow, and none is given out twice; the default version cannot be
//!   deleted; a document over 6,144 characters without white space is `LimitExceeded` like a sixth version;
//! - trust policies do not read back as they were written ([`crate::trust`]), and have a limit of their own;
//! - `GetPolicyVersion` and `GetRole` return the document percent-encoded ([`crate::wire`]);
//! - throttling, refusals, answers that are lost, writes that land late: a director does them.
//!
//! What it does not do: a list of versions in several pages (there are at most five), and a role of the same name in
//! two accounts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::op::{NO_SUCH_ENTITY, Op, Reply};
use crate::replicas::Behind;
use crate::trust;
use crate::world::{World, read_gate};

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

    /// The newest of the versions that are not the default.
    fn newest_other(&self) -> Option<u64> {
        self.versions.keys().rev().find(|id| **id != self.default).copied()
    }
}

/// A policy from one write to the next.
#[derive(Clone, Debug)]
pub struct Moment {
    pub step: usize,
    /// Since the world began.
    pub at: Duration,
    pub policy: Policy,
    pub author: usize,
    pub cause: Cause,
}

/// Why a policy changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Start,
    /// A function created a version.
    Write,
    /// A person saved a version.
    Edit,
    /// A person saved a version that is not the default.
    Draft,
    /// A person made another version the default.
    SetDefault,
    Prune,
}

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    pub arn: String,
    /// The trust policies in normal form, and when each was written.
    pub history: Vec<(Duration, String)>,
}

/// The one that a read sees.
fn seen<T>(history: &[T], behind: Behind, now: Duration, at: impl Fn(&T) -> Duration) -> &T {
    let last = history.len() - 1;
    let index = match behind {
        Behind::Replica => last,
        Behind::Writes(count) => last.saturating_sub(count),
        Behind::Time(lag) => {
            let then = now.saturating_sub(lag);
            history.iter().rposition(|item| at(item) <= then).unwrap_or_default()
        }
    };
    &history[index]
}

impl World {
    /// A world with one policy. Stale reads reach back to the prefixes of its versions; the last is the default.
    pub fn with_policy(versions: &[(u64, String)]) -> Self {
        let mut world = Self::default();
        world.add_policy(crate::POLICY, versions);
        world
    }

    /// Adds a policy with these versions, the last of which is the default.
    pub fn add_policy(&mut self, arn: &str, versions: &[(u64, String)]) {
        self.policies.insert(arn.to_owned(), Vec::new());
        for (id, document) in versions {
            self.add_version(arn, *id, document);
        }
    }

    /// Adds a version at the start, made now.
    pub fn add_version(&mut self, arn: &str, id: u64, document: &str) {
        let mut versions = self.policies[arn]
            .last()
            .map(|moment| moment.policy.versions.clone())
            .unwrap_or_default();
        versions.insert(id, document.to_owned());
        let policy = Policy { versions, default: id, next: id + 1 };
        self.write(arn, policy, usize::MAX, Cause::Start);
    }

    /// Makes an older version the default, as a person may.
    pub fn set_default(&mut self, arn: &str, id: u64) {
        let mut policy = self.policy(arn).clone();
        policy.default = id;
        self.write(arn, policy, usize::MAX, Cause::SetDefault);
    }

    /// The policy now.
    pub fn policy(&self, arn: &str) -> &Policy {
        &self.policies[arn].last().unwrap().policy
    }

    /// The document in force.
    pub fn document(&self, arn: &str) -> String {
        self.policy(arn).document().to_owned()
    }

    /// The entries in force.
    pub fn entries(&self, arn: &str) -> Vec<String> {
        read_gate(self.policy(arn).document()).0.into_iter().collect()
    }

    /// Adds a role, by its ARN or by its name, with this trust policy.
    pub fn add_role(&mut self, role: &str, document: &str) {
        let arn = if role.starts_with("arn:") {
            role.to_owned()
        } else {
            format!("arn:aws:iam::111122223333:role/{role}")
        };
        let name = arn.rsplit('/').next().unwrap().to_owned();
        let history = vec![(self.elapsed(), trust::normal(document))];
        self.roles.insert(name, Role { arn, history });
    }

    /// The trust policy of a role, in normal form.
    pub fn trust(&self, name: &str) -> String {
        self.roles[name].history.last().unwrap().1.clone()
    }

    /// What a read of IAM would answer, without making it. ([`Behind::Replica`] is the newest state here.)
    pub fn peek(&self, op: &Op, behind: Behind) -> Option<Reply> {
        let now = self.elapsed();
        let policy = |arn: &String| {
            let history = self.policies.get(arn)?;
            Some(&seen(history, behind, now, |moment| moment.at).policy)
        };
        match op {
            Op::ListPolicyVersions(arn) => {
                let policy = policy(arn)?;
                Some(Reply::Versions {
                    ids: policy.versions.keys().rev().copied().collect(),
                    default: policy.default,
                })
            }
            Op::GetPolicyVersion(arn, id) => {
                policy(arn)?.versions.get(id).map(|document| Reply::Document(document.clone()))
            }
            Op::GetRole(name) => {
                let role = self.roles.get(name)?;
                Some(Reply::Role {
                    arn: role.arn.clone(),
                    trust_policy: seen(&role.history, behind, now, |(at, _)| *at).1.clone(),
                })
            }
            _ => None,
        }
    }

    pub(crate) fn iam(&mut self, author: usize, op: &Op, behind: Behind) -> Reply {
        match op {
            Op::ListPolicyVersions(_) | Op::GetPolicyVersion(..) | Op::GetRole(_) => {
                let behind = match behind {
                    Behind::Replica => Behind::Time(self.replicas.draw(op)),
                    told => told,
                };
                match self.peek(op, behind) {
                    Some(Reply::Role { arn, trust_policy }) if self.shuffles_trust => Reply::Role {
                        arn,
                        trust_policy: trust::shuffled(&trust_policy, &mut self.rng),
                    },
                    Some(reply) => reply,
                    None => NO_SUCH_ENTITY,
                }
            }
            Op::CreatePolicyVersion(arn, document) => {
                self.create(arn, document, author, Cause::Write)
            }
            Op::DeletePolicyVersion(arn, id) => self.delete(arn, *id, author),
            Op::UpdateAssumeRolePolicy(name, document) => self.update_trust(name, document),
            by_hand => self.by_hand(author, by_hand),
        }
    }

    fn by_hand(&mut self, author: usize, op: &Op) -> Reply {
        match op {
            Op::Edit { arn, entries, tags } => {
                self.make_room(arn, author);
                let document = with(self.policy(arn).document(), entries, tags);
                self.create(arn, &document, author, Cause::Edit)
            }
            Op::Save(arn, document) => {
                self.make_room(arn, author);
                self.create(arn, document, author, Cause::Edit)
            }
            Op::Draft(arn, tag) => {
                self.make_room(arn, author);
                let policy = self.policy(arn);
                let (default, id) = (policy.default, policy.next);
                let document = with(policy.document(), &[], std::slice::from_ref(tag));
                let mut policy = policy.clone();
                policy.versions.insert(id, document);
                policy.next += 1;
                policy.default = default;
                self.write(arn, policy, author, Cause::Draft);
                Reply::Created(id)
            }
            Op::SetOlderDefault(arn) => {
                let mut policy = self.policy(arn).clone();
                if let Some(id) = policy.newest_other() {
                    policy.default = id;
                    self.write(arn, policy, author, Cause::SetDefault);
                }
                Reply::Done
            }
            Op::DeleteNewest(arn) => match self.policy(arn).newest_other() {
                Some(id) => self.delete(arn, id, author),
                None => Reply::Done,
            },
            other => panic!("{other:?} is none of IAM's"),
        }
    }

    pub(crate) fn write(&mut self, arn: &str, policy: Policy, author: usize, cause: Cause) {
        let (step, at) = (self.step, self.elapsed());
        self.policies.get_mut(arn).unwrap().push(Moment { step, at, policy, author, cause });
    }

    fn create(&mut self, arn: &str, document: &str, author: usize, cause: Cause) -> Reply {
        let Some(moment) = self.policies.get(arn).and_then(|history| history.last()) else {
            return NO_SUCH_ENTITY;
        };
        let mut policy = moment.policy.clone();
        if policy.versions.len() >= 5 || size(document) > 6144 {
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

    fn delete(&mut self, arn: &str, id: u64, author: usize) -> Reply {
        let Some(moment) = self.policies.get(arn).and_then(|history| history.last()) else {
            return NO_SUCH_ENTITY;
        };
        let mut policy = moment.policy.clone();
        if policy.default == id {
            return Reply::Error(409, "DeleteConflict");
        }
        if policy.versions.remove(&id).is_none() {
            return NO_SUCH_ENTITY;
        }
        self.write(arn, policy, author, Cause::Prune);
        Reply::Done
    }

    fn update_trust(&mut self, name: &str, document: &str) -> Reply {
        let at = self.elapsed();
        let Some(role) = self.roles.get_mut(name) else {
            return NO_SUCH_ENTITY;
        };
        if serde_json::from_str::<Value>(document).is_err()
            || trust::names_a_deleted_principal(document)
        {
            return Reply::Error(400, "MalformedPolicyDocument");
        }
        if size(document) > self.trust_policy_limit {
            return Reply::Error(409, "LimitExceeded");
        }
        role.history.push((at, trust::normal(document)));
        Reply::Done
    }

    /// What a person in the console does when five versions exist.
    fn make_room(&mut self, arn: &str, author: usize) {
        let policy = self.policy(arn);
        if policy.versions.len() >= 5 {
            let oldest = policy.versions.keys().find(|id| **id != policy.default);
            let oldest = *oldest.unwrap();
            self.delete(arn, oldest, author);
        }
    }
}

/// The characters that IAM counts: white space is free.
fn size(document: &str) -> usize {
    document.chars().filter(|character| !character.is_whitespace()).count()
}

/// A document with these entries and tags as well.
fn with(document: &str, entries: &[String], tags: &[String]) -> String {
    let (mut all_entries, mut all_tags) = read_gate(document);
    all_entries.extend(entries.iter().cloned());
    all_tags.extend(tags.iter().cloned());
    let all_entries: Vec<&str> = all_entries.iter().map(String::as_str).collect();
    let all_tags: Vec<&str> = all_tags.iter().map(String::as_str).collect();
    crate::gate(&all_entries, &all_tags)
}
