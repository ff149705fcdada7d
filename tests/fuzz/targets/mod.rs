//! One module for each edge where bytes come in, and the account that most of them need.

pub mod commands;
pub mod documents;
pub mod events;
pub mod leases;
pub mod listings;
pub mod members;
pub mod networks;

use std::collections::BTreeSet;
use std::time::Duration;

use allowlist::Target;
use fakes::world::Op;
use fakes::{OFFICE, POLICY, Script, World, gate, read_gate};

/// What alice has on the list from the start.
const HOME: &str = "51.44.71.80/32";

/// Runs a story in which time passes only where somebody waits. None may take longer than two functions together.
fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let longest = Duration::from_secs(1000);
    let told = runtime.block_on(async { tokio::time::timeout(longest, story).await });
    told.expect("nobody waits forever")
}

/// An account with a baseline, with the office on the list for good, and alice's home until the reset.
fn account() -> Script {
    let mut world = World::with_policy(&[(1, gate(&[OFFICE, HOME], &["s3:Get*"]))]);
    let baseline = Target::policy(POLICY).unwrap().baseline_object();
    world.put(&baseline, &gate(&[OFFICE], &["s3:Get*"]));
    world.put("grants/51.44.71.80_32/alice.json", "{}");
    Script::new(world)
}

/// The entries of the list in force.
fn listed(script: &Script) -> BTreeSet<String> {
    let document = script.world.lock().policy(POLICY).document().to_owned();
    let (entries, tags) = read_gate(&document);
    assert_eq!(tags, BTreeSet::from(["s3:Get*".to_owned()]), "only the list may change");
    assert!(entries.contains(OFFICE), "the office is out: {entries:?}");
    entries
}

/// The writes so far.
fn writes(script: &Script) -> Vec<Op> {
    let is_read =
        |op: &Op| op.is_iam_read() || matches!(op, Op::GetObject(_) | Op::ListObjectsV2(..));
    let world = script.world.lock();
    let calls = world.calls.iter().map(|call| call.op.clone());
    calls.filter(|op| !is_read(op)).collect()
}
