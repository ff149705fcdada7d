//! Several targets, of which one fails: what is in force keeps its grant, its baseline, and its line in the log.

use std::sync::atomic::{AtomicBool, Ordering};

use fakes::invoke::remove_event;
use fakes::log::Log;

use crate::*;

const SECOND: &str = "arn:aws:iam::111122223333:policy/team/a/gate";
const BOTH: [(&str, &str); 2] = [
    (
        "POLICY_ARNS",
        "arn:aws:iam::111122223333:policy/gate,arn:aws:iam::111122223333:policy/team/a/gate",
    ),
    ("NOTIFY_TOPIC", "arn:aws:sns:us-east-1:111122223333:changes"),
];

/// Two policies; IAM refuses new versions of the second one while the switch is on.
fn two_policies() -> (Script, Arc<AtomicBool>) {
    let mut world = office();
    world.add_policy(SECOND, &[(7, gate(&["9.9.9.9/32"], &[]))]);
    let (script, denies) = (Script::new(world), Arc::new(AtomicBool::new(false)));
    let denied = denies.clone();
    script.rule(move |_, _, op| {
        let is_refused = matches!(op, Op::CreatePolicyVersion(arn, _) if arn == SECOND)
            && denied.load(Ordering::Relaxed);
        is_refused.then_some(Act::Fail(403, "AccessDenied"))
    });
    (script, denies)
}

async fn ask(script: &Script, event: Value) -> fakes::Answer {
    script.caller(1).event(add_config(&BOTH), event).await
}

#[tokio::test(start_paused = true)]
async fn a_first_add_that_fails_on_one_target_saves_the_baseline_of_the_other() {
    let (script, denies) = two_policies();
    denies.store(true, Ordering::Relaxed);
    let answer = ask(&script, add_event("alice", HOME)).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    denies.store(false, Ordering::Relaxed);
    let answer = ask(&script, add_event("alice", HOME)).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let world = script.world.lock();
    assert_eq!(world.keys("baseline/").len(), 2);
    for (arn, before) in [(POLICY, OFFICE), (SECOND, "9.9.9.9/32")] {
        let object = allowlist::Target::policy(arn).unwrap().baseline_object();
        let (entries, _) = read_gate(&world.objects[&object].body);
        assert_eq!(entries.into_iter().collect::<Vec<_>>(), [before]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_in_force_on_one_target_keeps_its_grant() {
    let (script, denies) = two_policies();
    ask(&script, add_event("bob", "51.44.71.81")).await;
    denies.store(true, Ordering::Relaxed);
    let log = Log::listen();
    let answer = ask(&script, add_event("alice", HOME)).await;
    let written = json!([{ "arn": POLICY, "status": "added", "version": "v3" }]);
    assert_eq!((answer.status, &answer.body["targets"]), (502, &written));
    let grant = "grants/51.44.71.80_32/alice.json".to_owned();
    assert!(script.world.lock().keys("grants/").contains(&grant));
    let lines = log.with_outcome("added");
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["target.version"], &lines[0]["member"]), (&json!("v3"), &json!("alice")));
    assert_eq!(lines[0]["listed"], "51.44.71.80/32 (alice)");
    let answer = ask(&script, remove_event("alice", HOME, &[])).await;
    assert_eq!(answer.body["removed"], json!(["51.44.71.80/32"]), "{answer:?}");
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE, "51.44.71.81/32"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_wrote_nothing_leaves_no_grant() {
    let (script, _) = two_policies();
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(403, "AccessDenied")));
    let answer = ask(&script, add_event("alice", HOME)).await;
    assert_eq!((answer.status, answer.body.get("targets")), (502, None));
    assert_eq!(script.world.lock().keys("grants/"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_even_if_its_grant_cannot_be_deleted() {
    for (act, told, is_free) in [
        (Act::Fail(403, "AccessDenied"), (502, "aws_error"), true),
        (Act::Silent, (503, "busy"), false),
    ] {
        let (script, _) = two_policies();
        script.rule(|_, _, op| creates(op).then_some(Act::Fail(403, "AccessDenied")));
        let rule = act.clone();
        script.rule(move |_, _, op| matches!(op, Op::DeleteObject(_)).then(|| rule.clone()));
        let answer = ask(&script, add_event("alice", HOME)).await;
        assert_eq!((answer.status, answer.word().as_str()), told, "{act:?}: {answer:?}");
        assert_eq!(lease(&script)["nonce"].is_null(), is_free, "a late delete needs the lease");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_the_grant_that_was_there_before_and_no_other() {
    for had in ["alice", "bob"] {
        let (script, _) = two_policies();
        script.rule(|_, _, op| creates(op).then_some(Act::Fail(403, "AccessDenied")));
        let grant = format!("grants/51.44.71.80_32/{had}.json");
        script.world.lock().put(&grant, "{}");
        assert_eq!(ask(&script, add_event("alice", HOME)).await.status, 502);
        assert_eq!(script.world.lock().keys("grants/"), [grant]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_on_one_target_says_what_it_removed() {
    let (script, denies) = two_policies();
    assert_eq!(ask(&script, add_event("alice", HOME)).await.word(), "added");
    denies.store(true, Ordering::Relaxed);
    let log = Log::listen();
    let answer = ask(&script, remove_event("alice", HOME, &[])).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    let written = json!([{ "arn": POLICY, "status": "removed", "version": "v3" }]);
    assert_eq!(answer.body["targets"], written);
    let notices = script.world.lock().notices();
    assert_eq!(notices.last().unwrap()["outcome"], "removed");
    assert_eq!(log.with_outcome("removed").len(), 1);
    assert_eq!(script.world.lock().keys("grants/").len(), 1, "it is in force on the other");
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_whose_baseline_is_not_saved_leaves_no_intent() {
    let role = "arn:aws:iam::444455556666:role/jump";
    let mut world = office();
    world.add_role(
        role,
        r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"IpAddress":{"aws:SourceIp":["198.51.100.10/32"]}}}]}"#,
    );
    let script = Script::new(world);
    script.rule(|_, _, op| {
        matches!(op, Op::PutObject { key, .. } if key.starts_with("baseline/444455556666"))
            .then_some(Act::Fail(403, "AccessDenied"))
    });
    let config = add_config(&[("ROLE_ARNS", role)]);
    let answer = script.caller(1).event(config, add_event("alice", HOME)).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"), "{answer:?}");
    assert_eq!(script.world.lock().keys("grants/"), Vec::<String>::new());
    assert_eq!(lease(&script)["targets"], json!({}), "{}", lease(&script));
}
