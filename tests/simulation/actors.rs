//! Who does something in a schedule, and how: events to the functions, acts in the console and on the bucket.

use std::sync::Arc;
use std::time::Duration;

use fakes::connection::Director;
use fakes::invoke::{
    expire_event, member, member_with_key, remove_event, revoke_member_event, rollback_event,
};
use fakes::world::Reply;
use fakes::{
    Caller, Fate, Function, Op, add_config, add_event, gate, invoke, read_gate, reset_config,
};
use serde_json::{Value, json};

use crate::outcome::Requests;
use crate::schedule::Gatekeeper;
use crate::start::net;

/// A request of a member to let a network in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add {
    pub member: &'static str,
    /// The short name of the network.
    pub net: &'static str,
    /// The entry ends after so many minutes.
    pub minutes: Option<u64>,
    /// Whose key is used: one member may have several.
    pub file: &'static str,
}

impl Add {
    pub const fn new(member: &'static str, net: &'static str) -> Self {
        Self { member, net, minutes: None, file: member }
    }

    pub const fn minutes(self, minutes: u64) -> Self {
        Self { minutes: Some(minutes), ..self }
    }

    pub const fn file(self, file: &'static str) -> Self {
        Self { file, ..self }
    }
}

/// Somebody who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Add(Add),
    /// One process handles one request after the other, and keeps what it knows in between.
    AddBoth(Add, Add),
    /// A member takes away an entry of their own, or all of them.
    Remove {
        member: &'static str,
        net: Option<&'static str>,
    },
    Reset,
    Expire,
    /// An administrator deletes the member's file, and then revokes the entries.
    RevokeMember(&'static str),
    Rollback(&'static str),
    Console(Console),
    /// So many minutes pass at once.
    Clock(u64),
    /// An administrator makes a file for a member.
    MakeMember {
        file: &'static str,
        member: &'static str,
    },
}

/// What a person does in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Saves what is in force with a tag more in another statement.
    Tag,
    /// Saves what is in force with an entry more.
    Entry,
    /// Saves a copy that was read earlier, with a tag more.
    OldCopy,
    Draft,
    OlderDefault,
    DeleteNewest,
}

impl Actor {
    /// Whether a person does it, whom no fault meets and no clock kills.
    pub fn is_person(self) -> bool {
        matches!(self, Self::Console(_) | Self::Clock(_) | Self::MakeMember { .. })
    }

    /// The files that it needs: the key, and the member's name in it.
    pub fn files(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Add(add) => vec![(add.file, add.member)],
            Self::AddBoth(one, other) => vec![(one.file, one.member), (other.file, other.member)],
            Self::Remove { member, .. } | Self::RevokeMember(member) => vec![(member, member)],
            _ => Vec::new(),
        }
    }
}

/// What is added to an author for the next request that the same process handles.
pub const NEXT: usize = 1000;

/// One actor on its way.
pub struct Player {
    pub author: usize,
    pub gatekeeper: Gatekeeper,
    pub requests: Requests,
    pub policies: String,
    pub share: usize,
    pub cutoff: bool,
}

impl Player {
    /// Does everything, from the first call to what it is told, and on to the work after the answer.
    pub async fn play(self, actor: Actor) {
        match actor {
            Actor::Add(add) => self.add(&[add]).await,
            Actor::AddBoth(one, other) => self.add(&[one, other]).await,
            Actor::Remove { member, net } => self.remove(member, net).await,
            Actor::Console(console) => self.console(console).await,
            Actor::Clock(minutes) => {
                let time = Duration::from_secs(60 * minutes);
                self.gatekeeper.tick(self.author, time).await;
            }
            Actor::MakeMember { file, member } => {
                let (key, body) = member_with_key(&invoke::key(file), member);
                self.call(Op::PutObject { key, body, condition: None }).await;
            }
            Actor::Reset => self.reset(json!({})).await,
            Actor::Expire => self.reset(expire_event()).await,
            Actor::Rollback(version) => {
                let first = self.arns()[0].to_owned();
                self.reset(rollback_event(&first, version)).await;
            }
            Actor::RevokeMember(name) => {
                self.call(Op::DeleteObject(member(name).0)).await;
                self.reset(revoke_member_event(name)).await;
            }
        }
        self.requests.stop(self.author);
    }

    fn arns(&self) -> Vec<&str> {
        self.policies.split(',').collect()
    }

    fn caller(&self) -> Caller {
        Caller::new(self.author, Arc::new(self.gatekeeper.clone()))
    }

    async fn call(&self, op: Op) -> Option<Reply> {
        match self.gatekeeper.decide(self.author, op).await {
            Fate::Answered(reply, _) => Some(reply),
            _ => None,
        }
    }

    async fn function(&self) -> Function {
        let share = self.share.to_string();
        self.caller().function(add_config(&self.variables(&share))).await
    }

    fn variables<'v>(&'v self, share: &'v str) -> [(&'static str, &'v str); 3] {
        let cutoff = if self.cutoff { "1" } else { "0" };
        [
            ("POLICY_ARNS", self.policies.as_str()),
            ("MAX_GRANTS_PER_MEMBER", share),
            ("CUTOFF_HOURS", cutoff),
        ]
    }

    async fn add(&self, adds: &[Add]) {
        let function = self.function().await;
        for (index, add) in adds.iter().enumerate() {
            let author = self.author + index * NEXT;
            function.set_author(author);
            let address = net(add.net).trim_end_matches("/32");
            let event = match add.minutes {
                Some(minutes) => invoke::add_event_for(add.file, address, &format!("{minutes}m")),
                None => add_event(add.file, address),
            };
            let (answer, rest) = function.answer(event).await;
            self.requests.told(author, &answer.word());
            rest.run().await;
            self.requests.stop(author);
        }
    }

    async fn remove(&self, name: &str, entry: Option<&str>) {
        let function = self.function().await;
        let elsewhere = net("Z").trim_end_matches("/32");
        let event = match entry {
            None => remove_event(name, elsewhere, &[("all", "true")]),
            Some(entry) if self.author % 2 == 1 => {
                remove_event(name, elsewhere, &[("network", net(entry))])
            }
            Some(entry) => remove_event(name, net(entry).trim_end_matches("/32"), &[]),
        };
        let (answer, rest) = function.answer(event).await;
        self.requests.told(self.author, &answer.word());
        rest.run().await;
    }

    async fn reset(&self, event: Value) {
        let share = self.share.to_string();
        match self.caller().reset(reset_config(&self.variables(&share)), event).await {
            Ok(report) => {
                let word = report["status"].as_str().unwrap();
                self.requests.told(self.author, word);
            }
            Err(error) => self.requests.told(self.author, &error.error_type),
        }
    }

    async fn console(&self, console: Console) {
        let tag = format!("tag:{}", self.author);
        for arn in self.arns() {
            let arn = arn.to_owned();
            let op = match console {
                Console::Tag => Op::Edit { arn, entries: vec![], tags: vec![tag.clone()] },
                Console::Entry => Op::Edit { arn, entries: vec![net("n1").into()], tags: vec![] },
                Console::OldCopy => match self.copy(&arn, &tag).await {
                    Some(document) => Op::Save(arn, document),
                    None => continue,
                },
                Console::Draft => Op::Draft(arn, "draft:it".to_owned()),
                Console::OlderDefault => Op::SetOlderDefault(arn),
                Console::DeleteNewest => Op::DeleteNewest(arn),
            };
            self.call(op).await;
        }
        self.requests.told(self.author, "done");
    }

    /// The document in force as an editor shows it, with a tag more.
    async fn copy(&self, arn: &str, tag: &str) -> Option<String> {
        let Some(Reply::Versions { default, .. }) =
            self.call(Op::ListPolicyVersions(arn.to_owned())).await
        else {
            return None;
        };
        let Some(Reply::Document(document)) =
            self.call(Op::GetPolicyVersion(arn.to_owned(), default)).await
        else {
            return None;
        };
        let (entries, mut tags) = read_gate(&document);
        tags.insert(tag.to_owned());
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        Some(gate(&entries, &tags))
    }
}
