//! Versions that IAM does not show: not yet, or not any more.

use fakes::log::Log;

use crate::*;

const BASELINE: &str = "baseline/111122223333/policy/gate.json";

#[tokio::test(start_paused = true)]
async fn a_list_older_than_the_one_before_is_not_believed() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    pass(5).await;
    edit(&mut script.world.lock(), &["7.7.7.7/32"], "ec2:*");
    script.once(Act::Fail(404, "NoSuchEntity"), |op| matches!(op, Op::GetPolicyVersion(_, 3)));
    let mut lists = 0;
    script.rule(move |_, author, op| {
        lists += usize::from(author == 2 && lists_versions(op));
        (author == 2 && lists_versions(op) && lists == 2).then_some(Act::Stale(1))
    });
    let report = script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap();
    assert_eq!(
        report["targets"][0]["removed"],
        json!(["51.44.71.80/32", "7.7.7.7/32"]),
        "the reset names what was in force: {report}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_person_deleted_long_ago_is_not_built_on() {
    let script = Script::new(office());
    edit(&mut script.world.lock(), &["7.7.7.7/32"], "ec2:*");
    script.caller(1).add("alice", HOME).await;
    {
        let mut world = script.world.lock();
        world.set_default(POLICY, 1);
        for _ in 0..2 {
            world.apply(99, &Op::DeleteNewest(POLICY.to_owned()), 0);
        }
    }
    pass(90).await;
    let answer = script.caller(2).add("bob", "51.44.71.81").await;
    assert_eq!(answer.body["targets"][0]["version"], "v4", "{answer:?}");
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert_eq!(tags, BTreeSet::from(["s3:Get*".to_owned()]), "what is in force is built on");
    assert_eq!(
        entries,
        BTreeSet::from(
            ["123.123.123.123/32", "51.44.71.80/32", "51.44.71.81/32"].map(str::to_owned)
        )
    );
}

/// The first add of all, beside an edit. Its own version v3 cannot be read for so many seconds.
async fn first_add(script: &Script, seconds: u64) {
    script.before(creates, |world| edit(world, &["7.7.7.7/32"], "ec2:*"));
    hide_version(script, 3, Duration::from_secs(seconds));
    let log = Log::listen();
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    assert!(!script.world.lock().objects.contains_key(BASELINE));
    assert_eq!(log.with_outcome("baseline_not_captured").len(), 1);
}

/// What stood before the first add: the office, and the edit.
fn baseline_is_complete(script: &Script) {
    let world = script.world.lock();
    let (entries, tags) = read_gate(&world.objects[BASELINE].body);
    assert_eq!(entries, BTreeSet::from([OFFICE.to_owned(), "7.7.7.7/32".to_owned()]));
    assert_eq!(tags.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_waits_until_our_first_version_can_be_read() {
    let script = Script::new(office());
    first_add(&script, 10).await;
    pass(20).await;
    assert_eq!(script.caller(2).add("bob", "51.44.71.81").await.word(), "added");
    baseline_is_complete(&script);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_does_not_wait_for_a_version_that_was_deleted() {
    let script = Script::new(office());
    first_add(&script, 10).await;
    script.world.lock().apply(99, &Op::DeletePolicyVersion(POLICY.to_owned(), 3), 0);
    pass(90).await;
    assert_eq!(script.caller(2).add("bob", "51.44.71.81").await.word(), "added");
    baseline_is_complete(&script);
}

/// A function dies after its version v4; v3 below it was a person's, who deletes it. v2 is what both built on.
async fn dies_above_a_deleted_edit(script: &Script) {
    script.caller(1).add("alice", HOME).await;
    let mut edited = false;
    let mut is_dead = false;
    script.rule(move |world, author, op| {
        if author != 2 {
            return None;
        }
        if is_dead {
            return Some(Act::Silent);
        }
        if creates(op) && !std::mem::replace(&mut edited, true) {
            edit(world, &["7.7.7.7/32"], "ec2:*");
        }
        is_dead = creates(op);
        is_dead.then_some(Act::Lost)
    });
    let answer = script.caller(2).add("bob", "51.44.71.81").await;
    assert!(answer.status >= 500, "{answer:?}");
    script.world.lock().apply(99, &Op::DeletePolicyVersion(POLICY.to_owned(), 3), 0);
    assert_eq!(script.world.lock().policy(POLICY).default, 4);
}

/// Takes the version away that the dead function's intent names as its base.
fn lose_base(script: &Script) {
    let mut record = lease(script);
    record["targets"][POLICY].as_object_mut().unwrap().remove("doc");
    let mut world = script.world.lock();
    world.put("lease.json", &record.to_string());
    world.apply(99, &Op::DeletePolicyVersion(POLICY.to_owned(), 2), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_unreadable_for_a_minute_counts_as_deleted() {
    for is_base_lost in [false, true] {
        let script = Script::new(office());
        dies_above_a_deleted_edit(&script).await;
        if is_base_lost {
            lose_base(&script);
        }
        pass(90).await;
        let answer = script.caller(3).add("carol", "51.44.71.82").await;
        assert_eq!(answer.word(), "added", "{answer:?}");
        let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
        assert_eq!((entries.len(), tags.len()), (4, 1), "{entries:?} {tags:?}");
        assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None, "all is settled");
    }
}

#[tokio::test(start_paused = true)]
async fn a_base_that_is_unreadable_for_seconds_does_not_count_as_deleted() {
    let script = Script::new(office());
    dies_above_a_deleted_edit(&script).await;
    lose_base(&script);
    pass(5).await;
    let before = script.world.lock().policy(POLICY).clone();
    let answer = script.caller(3).add("carol", "51.44.71.82").await;
    assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
    assert_eq!(script.world.lock().policy(POLICY), &before, "a cut may have taken entries away");
}
