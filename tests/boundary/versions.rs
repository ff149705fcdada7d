//! Room for versions under lag: what is known decides what is deleted, never a stale list alone.

use std::collections::BTreeMap;

use fakes::Replicas;

use crate::*;

/// Lists are so old, gets are not.
fn lists_lag(script: &Script, seconds: u64) {
    let lag = Duration::from_secs(seconds);
    script.world.lock().replicas = Replicas::lagging(1, &[lag], &[Duration::ZERO]);
}

/// Nobody asks twice for the same deletion, nobody deletes the default, and there is always room.
fn deletes_are_sound(script: &Script) {
    let world = script.world.lock();
    let mut asked: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for call in &world.calls {
        if let Op::DeletePolicyVersion(_, id) = call.op {
            *asked.entry((call.author, id)).or_default() += 1;
            assert_ne!(call.reply, Reply::Error(409, "DeleteConflict"), "v{id}");
        }
    }
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
    for moment in &world.policies[POLICY] {
        let policy = &moment.policy;
        assert!(policy.versions.len() <= 5 && policy.versions.contains_key(&policy.default));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fifth_version_that_the_list_does_not_show_costs_one_deletion() {
    let versions: Vec<_> = (1..=4).map(|id| (id, gate(&[OFFICE], &["s3:Get*"]))).collect();
    let script = Script::new(World::with_policy(&versions));
    pass(1).await;
    edit(&mut script.world.lock(), &[], "ec2:*");
    lists_lag(&script, 10);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v7", "{answer:?}");
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert_eq!((entries.len(), tags.len()), (2, 2), "the edit is merged");
    deletes_are_sound(&script);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_stale_list_still_shows_is_asked_for_once() {
    let versions: Vec<_> = (1..=5).map(|id| (id, gate(&[OFFICE], &["s3:Get*"]))).collect();
    let script = Script::new(World::with_policy(&versions));
    pass(60).await;
    // A person deletes three drafts and saves three versions: five exist, and none of them is on the list.
    {
        let mut world = script.world.lock();
        for tag in ["a", "b", "c"] {
            let oldest = *world.policy(POLICY).versions.keys().next().unwrap();
            world.apply(99, &Op::DeletePolicyVersion(POLICY.to_owned(), oldest), 0);
            edit(&mut world, &[], tag);
        }
    }
    lists_lag(&script, 30);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    deletes_are_sound(&script);
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert_eq!((entries.len(), tags.len()), (2, 4), "the edits are merged");
}

#[tokio::test(start_paused = true)]
async fn people_who_save_between_adds_never_fill_the_versions_up() {
    for lag in [2, 10, 20] {
        let script = Script::new(office());
        lists_lag(&script, lag);
        for host in 0..12 {
            edit(&mut script.world.lock(), &[], &format!("tag{host}:*"));
            let address = format!("51.44.71.{host}");
            let answer = script.caller(host).add("alice", &address).await;
            assert_eq!(answer.word(), "added", "{lag} s, {host}: {answer:?}");
            pass(1).await;
        }
        deletes_are_sound(&script);
        let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
        assert_eq!((entries.len(), tags.len()), (13, 13), "{lag} s");
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_is_never_deleted_to_make_room() {
    let versions: Vec<_> = (1..=5).map(|id| (id, gate(&[OFFICE], &["s3:Get*"]))).collect();
    let mut world = World::with_policy(&versions);
    world.set_default(POLICY, 1);
    let script = Script::new(world);
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    deletes_are_sound(&script);
    let left: Vec<u64> = script.world.lock().policy(POLICY).versions.keys().copied().collect();
    assert_eq!(left, [3, 4, 5, 6]);
}
