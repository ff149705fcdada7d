//! Whom a change is told to: one notice for each version written, and no answer that depends on it.

use fakes::{Act, Answer, OFFICE, Op, POLICY, Script, add_config, add_event, office, reset_config};
use serde_json::{Value, json};

const TOPIC: (&str, &str) = ("NOTIFY_TOPIC", "arn:aws:sns:us-east-1:111122223333:changes");

async fn add(script: &Script, author: usize, name: &str, address: &str) -> Answer {
    script.caller(author).event(add_config(&[TOPIC]), add_event(name, address)).await
}

fn publishes(op: &Op) -> bool {
    matches!(op, Op::Publish { .. })
}

#[tokio::test(start_paused = true)]
async fn a_version_is_told_once_with_all_that_belongs_to_it() {
    let script = Script::new(office());
    for _ in 0..2 {
        assert_eq!(add(&script, 1, "alice", "51.44.71.80").await.status, 200);
    }
    let world = script.world.lock();
    let notice = json!({
        "outcome": "added", "arn": POLICY, "version": "v2", "removed": [], "drift": false, "request": "add-1",
        "added": [{ "network": "51.44.71.80/32", "members": ["alice"], "ends": null }],
    });
    assert_eq!(world.notices(), [notice]);
    let told = world.calls.iter().find_map(|call| match &call.op {
        Op::Publish { topic, subject, .. } => Some((topic.clone(), subject.clone())),
        _ => None,
    });
    assert_eq!(told, Some((TOPIC.1.to_owned(), "ip-gate: added gate +1 -0".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_had_waited_is_told_with_the_version_that_brings_it() {
    let script = Script::new(office());
    script.world.lock().put("grants/62.4.5.7_32/bob.json", "{}");
    assert_eq!(add(&script, 1, "alice", "51.44.71.80").await.status, 200);
    let notices = script.world.lock().notices();
    let added = json!([
        { "network": "51.44.71.80/32", "members": ["alice"], "ends": null },
        { "network": "62.4.5.7/32", "members": ["bob"], "ends": null },
    ]);
    assert_eq!((notices.len(), &notices[0]["added"]), (1, &added));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_told_to_nobody() {
    let script = Script::new(office());
    let act =
        async |event: Value| script.caller(9).reset(reset_config(&[TOPIC]), event).await.unwrap();
    for address in ["51.44.71.80", "51.44.71.81"] {
        script.caller(1).add("alice", address).await;
    }
    act(json!({ "dry_run": true })).await;
    assert!(script.world.lock().notices().is_empty());
    act(json!({ "revoke": ["51.44.71.81"] })).await;
    act(json!({})).await;
    act(json!({})).await;
    let notices = script.world.lock().notices();
    let told: Vec<_> = notices
        .iter()
        .map(|notice| (&notice["outcome"], &notice["version"], &notice["removed"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("revoked"), &json!("v4"), &json!(["51.44.71.81/32"])),
            (&json!("reset"), &json!("v5"), &json!(["51.44.71.80/32"])),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_does_not_depend_on_its_notice() {
    for act in [Act::Fail(403, "AuthorizationError"), Act::Dropped, Act::Silent] {
        let script = Script::new(office());
        let rule = act.clone();
        script.rule(move |_, _, op| publishes(op).then(|| rule.clone()));
        let started = tokio::time::Instant::now();
        assert_eq!(add(&script, 1, "alice", "51.44.71.80").await.word(), "added");
        assert!(started.elapsed().as_secs() < 3, "{act:?}: {:?}", started.elapsed());
        let world = script.world.lock();
        assert_eq!(world.entries(POLICY), [OFFICE, "51.44.71.80/32"]);
        assert!(
            world.objects["lease.json"].body.starts_with(r#"{"nonce":null"#),
            "the lease is given back"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_topic_nobody_is_told() {
    let script = Script::new(office());
    script.caller(1).add("alice", "51.44.71.80").await;
    assert!(!script.world.lock().calls.iter().any(|call| publishes(&call.op)));
}
