//! Members who were removed, and shares: who may have what in force, also while requests are on
//! their way.

use fakes::invoke::{member, remove_event, revoke_member_event, status_event};
use tokio::task::JoinSet;

use crate::*;

fn left(script: &Script) -> Vec<String> {
    script.world.lock().keys("grants/")
}

// Members who were removed.

const ALICE: &str = "62.4.5.";

/// The entries in force of the member under suspicion.
fn hers(script: &Script) -> Vec<String> {
    let mut entries = script.world.lock().entries(POLICY);
    entries.retain(|entry| entry.starts_with(ALICE));
    entries
}

/// Others add now and when the minute is over: everything that lies in the bucket has its chance.
async fn others_add(script: &Script) {
    for (name, address) in [("bob", "51.44.71.81"), ("carol", "51.44.71.82")] {
        let answer = script.caller(70).add(name, address).await;
        assert_eq!(answer.word(), "added", "{answer:?}");
        assert_eq!(hers(script), Vec::<String>::new(), "{name}");
        pass(70).await;
    }
}

/// A holder who died a moment ago keeps everybody waiting.
fn dead_holder(script: &Script) {
    let body = r#"{"nonce":"dead","holder":"r0","kind":"add","until":"","targets":{}}"#;
    script.world.lock().put("lease.json", body);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_bring_a_removed_member_nothing_back() {
    for (seed, deleted) in [(1, true), (2, true), (3, false), (4, false)] {
        fastrand::seed(seed);
        let script = Script::new(office());
        let baseline = gate(&[OFFICE], &["s3:Get*"]);
        let object = "baseline/111122223333/policy/gate.json";
        script.world.lock().put(object, &baseline);
        dead_holder(&script);
        let mut waiting = JoinSet::new();
        for host in 0..28 {
            let caller = Caller::new(host, Arc::new(Distance(script.clone())));
            waiting.spawn(async move {
                let config = add_config(&[("MAX_GRANTS_PER_MEMBER", "30")]);
                let event = add_event("alice", &format!("{ALICE}{host}"));
                caller.event(config, event).await
            });
        }
        pass(1).await;
        if deleted {
            script.world.lock().objects.remove(&member("alice").0);
        }
        let revoked = command(&script, revoke_member_event("alice")).await;
        assert!(revoked["status"] == "revoked" || revoked["status"] == "unchanged", "{revoked}");
        assert_eq!(hers(&script), Vec::<String>::new());
        for answer in waiting.join_all().await {
            let word = answer.word();
            assert!(["added", "unauthorized"].contains(&word.as_str()), "{answer:?}");
        }
        assert_eq!(hers(&script), Vec::<String>::new(), "seed {seed}");
        others_add(&script).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_lands_late_brings_a_removed_member_nothing_back() {
    let script = Script::new(office());
    script.caller(1).add("bob", "51.44.71.80").await;
    script.once(
        Act::Late(Duration::from_secs(20)),
        |op| matches!(op, Op::PutObject { key, .. } if key.starts_with("grants/")),
    );
    let answer = script.caller(1).add("alice", &format!("{ALICE}1")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let revoked = command(&script, revoke_member_event("alice")).await;
    assert_eq!(revoked["status"], "unchanged");
    pass(20).await;
    assert!(left(&script).contains(&format!("grants/{ALICE}1_32/alice.json")));
    others_add(&script).await;
    command(&script, json!({})).await;
    assert_eq!(left(&script), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_fails_brings_a_removed_member_nothing_back() {
    let script = Script::new(office());
    script.caller(1).add("bob", "51.44.71.80").await;
    command(&script, revoke_member_event("alice")).await;
    // A put of hers lands after that.
    let object = format!("grants/{ALICE}1_32/alice.json");
    script.world.lock().put(&object, "{}");
    pass(100).await;
    script.once(Act::Fail(403, "AccessDenied"), creates);
    let failed = script.caller(2).reset(reset_config(&[]), json!({})).await;
    failed.unwrap_err();
    assert!(left(&script).contains(&object));
    others_add(&script).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_member_is_a_stranger_for_a_minute() {
    let script = Script::new(office());
    script.caller(1).add("alice", &format!("{ALICE}1")).await;
    command(&script, revoke_member_event("alice")).await;
    let stranger = script.caller(1).add("nobody", HOME).await;
    for event in
        [add_event("alice", HOME), status_event("alice", HOME), remove_event("alice", HOME, &[])]
    {
        let answer = script.caller(1).event(add_config(&[]), event).await;
        assert_eq!(answer, stranger);
    }
    pass(60).await;
    assert_eq!(script.caller(1).add("alice", HOME).await, stranger);
    pass(1).await;
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
}

// Shares.

/// 60 requests at once, each from an address of its own, and one of somebody else.
async fn flood(script: &Script, variables: &'static [(&str, &str)], event: fn(&str) -> Value) {
    let mut requests = JoinSet::new();
    for host in 0..60 {
        let caller = Caller::new(host, Arc::new(Distance(script.clone())));
        let event = event(&format!("{ALICE}{host}"));
        requests.spawn(async move { caller.event(add_config(variables), event).await });
    }
    let honest = script.caller(90);
    requests.spawn(async move {
        let event = add_event("bob", "51.44.71.81");
        honest.event(add_config(variables), event).await
    });
    let answers = requests.join_all().await;
    let count = |word: &str| answers.iter().filter(|a| a.word() == word).count();
    let busy = count("busy");
    assert!(count("added") <= 6, "{} were added", count("added"));
    let answered = count("added") + count("already_allowed") + count("too_many_entries");
    assert_eq!(answered + busy, 61);
    let honest = script.caller(91);
    let event = add_event("bob", "51.44.71.82");
    let honest = honest.event(add_config(variables), event).await;
    assert_eq!(honest.word(), "added");
    let history = script.world.lock().policies[POLICY].clone();
    for moment in &history {
        let (entries, _) = read_gate(moment.policy.document());
        let hers = entries.iter().filter(|entry| entry.starts_with(ALICE));
        assert!(hers.count() <= 5, "step {}: {entries:?}", moment.step);
    }
    assert_eq!(hers(script).len(), 5);
    // What a request that was answered with 503 has left over the share is taken back when nobody waits for it any more.
    pass(70).await;
    let event = add_event("bob", "51.44.71.83");
    let last = script.caller(92).event(add_config(variables), event).await;
    assert_eq!(last.word(), "added");
    let left = script.world.lock().keys(&format!("grants/{ALICE}"));
    assert_eq!(left.len(), 5, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_never_has_more_than_their_share_in_force() {
    for seed in 0..3 {
        fastrand::seed(seed);
        let script = Script::new(office());
        let share = &[("MAX_GRANTS_PER_MEMBER", "5")];
        flood(&script, share, |address| add_event("alice", address)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_without_a_key_have_one_share_together() {
    let script = Script::new(office());
    let share = &[("MAX_GRANTS_PER_MEMBER", "5"), ("OPEN_ACCESS", "true")];
    flood(&script, share, |address| add_event("nobody", address)).await;
    let grants = script.world.lock().keys(&format!("grants/{ALICE}"));
    assert!(grants.iter().all(|key| key.ends_with("/_open.json")));
}

#[tokio::test(start_paused = true)]
async fn grants_over_the_share_are_never_published_by_somebody_else() {
    let script = Script::new(office());
    for host in 0..12 {
        let object = format!("grants/{ALICE}{host}_32/alice.json");
        script.world.lock().put(&object, "{}");
    }
    let share = [("MAX_GRANTS_PER_MEMBER", "5")];
    let add = add_event("bob", HOME);
    let answer = script.caller(1).event(add_config(&share), add).await;
    assert_eq!(answer.word(), "added");
    assert_eq!(hers(&script).len(), 5);
    command(&script, json!({ "revoke": ["9.9.9.9"] })).await;
    let revoked =
        script.caller(2).reset(reset_config(&share), json!({ "revoke": [HOME] })).await.unwrap();
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(hers(&script).len(), 12, "the default share is 20");
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_share_is_deleted_when_no_request_waits_for_it_any_more() {
    for (age, left) in [(60, 3), (61, 2)] {
        let script = Script::new(office());
        for host in 0..3 {
            let object = format!("grants/{ALICE}{host}_32/alice.json");
            script.world.lock().put(&object, "{}");
        }
        pass(age).await;
        let config = add_config(&[("MAX_GRANTS_PER_MEMBER", "2")]);
        assert_eq!(script.caller(1).event(config, add_event("bob", HOME)).await.word(), "added");
        let grants = script.world.lock().keys(&format!("grants/{ALICE}"));
        assert_eq!((grants.len(), hers(&script).len()), (left, 2), "after {age} s: {grants:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_share_leaves_what_is_in_force_its_grants() {
    let script = Script::new(office());
    for host in 0..3 {
        script.caller(1).add("alice", &format!("{ALICE}{host}")).await;
        pass(1).await;
    }
    pass(70).await;
    let config = add_config(&[("MAX_GRANTS_PER_MEMBER", "2")]);
    assert_eq!(script.caller(2).event(config, add_event("bob", HOME)).await.word(), "added");
    let grants = script.world.lock().keys(&format!("grants/{ALICE}"));
    assert_eq!((grants.len(), hers(&script).len()), (3, 3), "no entry is in force without a grant");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_force_comes_before_what_is_older() {
    let script = Script::new(office());
    script.caller(1).add("alice", &format!("{ALICE}2")).await;
    let older = format!("grants/{ALICE}1_32/alice.json");
    script.world.lock().put_at(&older, "{}", EPOCH - 10);
    let config = add_config(&[("MAX_GRANTS_PER_MEMBER", "1")]);
    assert_eq!(script.caller(2).event(config, add_event("bob", HOME)).await.word(), "added");
    assert_eq!(hers(&script), [format!("{ALICE}2/32")]);
}
