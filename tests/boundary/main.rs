//! Events in, the account's final state out: the real handlers on stateful fakes of IAM and S3.

mod add;
mod admin;
mod audit;
mod cutoff;
mod entries;
mod events;
mod faults;
mod lag;
mod members;
mod notices;
mod page;
mod partial;
mod removals;
mod requests;
mod roles;
mod round_trips;
mod rules;
mod security;
mod strangers;
mod targets;
mod unreadable;
mod upgrade;
mod versions;
mod writes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use allowlist::Document;
use fakes::connection::{Decision, Director};
use fakes::world::{EPOCH, Reply, read_gate};
use fakes::{
    Act, Caller, OFFICE, Op, POLICY, Script, World, add_config, add_event, gate, office,
    reset_config,
};
use serde_json::{Value, json};

const HOME: &str = "51.44.71.80";

fn creates(op: &Op) -> bool {
    matches!(op, Op::CreatePolicyVersion(..))
}

fn lists_versions(op: &Op) -> bool {
    matches!(op, Op::ListPolicyVersions(_))
}

/// A person in the console adds these entries and this tag to what is in force.
fn edit(world: &mut World, entries: &[&str], tag: &str) {
    let entries = entries.iter().map(|&entry| entry.to_owned()).collect();
    let op = Op::Edit { arn: POLICY.to_owned(), entries, tags: vec![tag.to_owned()] };
    world.apply(99, &op, 0);
}

/// `GetPolicyVersion` does not find this version for so long.
fn hide_version(script: &Script, version: u64, time: Duration) {
    let until = script.world.lock().elapsed() + time;
    script.rule(move |world, _, op| {
        let is_hidden =
            matches!(op, Op::GetPolicyVersion(_, id) if *id == version) && world.elapsed() < until;
        is_hidden.then_some(Act::Fail(404, "NoSuchEntity"))
    });
}

fn iam_calls(script: &Script) -> usize {
    script.world.lock().calls.iter().filter(|call| call.op.is_iam()).count()
}

/// One round trip to IAM, and one to S3.
const FAR: Duration = Duration::from_millis(100);
const NEAR: Duration = Duration::from_millis(2);

/// Lets so many seconds pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Invokes reset-policy.
async fn command(script: &Script, event: Value) -> Value {
    let config = reset_config(&[]);
    script.caller(90).reset(config, event).await.unwrap()
}

/// What `lease.json` says.
fn lease(script: &Script) -> Value {
    serde_json::from_str(&script.world.lock().objects["lease.json"].body).unwrap()
}

/// The calls that wrote something, in IAM or in S3.
fn writes(script: &Script) -> Vec<Op> {
    let world = script.world.lock();
    let calls = world.calls.iter().map(|call| call.op.clone());
    let reads = |op: &Op| {
        op.is_iam_read()
            || matches!(op, Op::GetObject(_) | Op::ListObjectsV2(..) | Op::AssumeRole { .. })
    };
    calls.filter(|op| !reads(op)).collect()
}

/// Answers as the script does, after the time that the way there and back takes.
struct Distance(Script);

impl Director for Distance {
    fn decide(&self, author: usize, op: Op) -> Decision {
        let way = if op.is_iam() { FAR } else { NEAR };
        let decision = self.0.decide(author, op);
        Box::pin(async move {
            tokio::time::sleep(way / 2).await;
            let fate = decision.await;
            tokio::time::sleep(way / 2).await;
            fate
        })
    }
}

/// The lists of source addresses in a document, taken out.
fn blank(json: &Value) -> Value {
    match json {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                (
                    key.clone(),
                    if key.eq_ignore_ascii_case("aws:SourceIp") {
                        Value::Null
                    } else {
                        blank(value)
                    },
                )
            })
            .collect(),
        Value::Array(items) => items.iter().map(blank).collect(),
        other => other.clone(),
    }
}

/// What the lists of source addresses hold; a scalar counts as a list of one.
fn addresses(json: &Value) -> Vec<Value> {
    match json {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                (key, Value::Array(items)) if key.eq_ignore_ascii_case("aws:SourceIp") => {
                    items.clone()
                }
                (key, one) if key.eq_ignore_ascii_case("aws:SourceIp") => vec![one.clone()],
                (_, other) => addresses(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(addresses).collect(),
        _ => Vec::new(),
    }
}
