//! Events in, the account's final state out: the real handlers on stateful fakes of IAM and S3.

mod add;
mod admin;
mod faults;
mod lag;
mod notices;
mod page;
mod requests;
mod roles;
mod round_trips;

use std::collections::BTreeSet;

use allowlist::Document;
use fakes::world::{EPOCH, read_gate};
use fakes::{
    Act, OFFICE, Op, POLICY, Script, World, add_config, add_event, gate, office, reset_config,
};
use serde_json::{Value, json};

const HOME: &str = "51.44.71.80";

fn creates(op: &Op) -> bool {
    matches!(op, Op::CreatePolicyVersion(..))
}

fn iam_calls(script: &Script) -> usize {
    script.world.lock().calls.iter().filter(|call| call.op.is_iam()).count()
}
