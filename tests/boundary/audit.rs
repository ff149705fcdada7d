//! What the log and the topic say: every change once, with its version, and nothing where nothing happened.

use fakes::invoke::{add_event_for, expire_event, revoke_member_event};
use fakes::log::Log;

use crate::*;

const TOPIC: (&str, &str) = ("NOTIFY_TOPIC", "arn:aws:sns:us-east-1:111122223333:changes");

#[tokio::test(start_paused = true)]
async fn a_reset_whose_deletion_is_not_answered_says_what_it_wrote() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    pass(2).await;
    script.rule(|_, _, op| matches!(op, Op::DeleteObject(_)).then_some(Act::Silent));
    let log = Log::listen();
    let failed = script.caller(9).reset(reset_config(&[TOPIC]), json!({})).await;
    assert!(failed.is_err());
    let lines = log.with_outcome("reset");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["removed"], &lines[0]["target.version"]),
        (&json!("51.44.71.80/32"), &json!("v3"))
    );
    assert_eq!(script.world.lock().notices().last().unwrap()["removed"], json!(["51.44.71.80/32"]));
}

#[tokio::test(start_paused = true)]
async fn an_expiry_with_nothing_to_end_logs_nothing() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let log = Log::listen();
    let iam = iam_calls(&script);
    assert_eq!(command(&script, expire_event()).await["status"], "unchanged");
    assert_eq!(log.take(), Vec::<Value>::new());
    assert_eq!(iam_calls(&script), iam);
}

#[tokio::test(start_paused = true)]
async fn foreign_objects_are_named_in_one_line_of_a_run() {
    let script = Script::new(office());
    script.caller(1).event(add_config(&[]), add_event_for("alice", HOME, "5m")).await;
    script.world.lock().put("grants/6.6.6.6/mallory.json", "{}");
    pass(301).await;
    for (event, status) in [
        (json!({ "expire": true, "dry_run": true }), "would_expire"),
        (expire_event(), "expired"),
        (expire_event(), "unchanged"),
        (revoke_member_event("bob"), "unchanged"),
        (json!({}), "unchanged"),
    ] {
        let log = Log::listen();
        assert_eq!(command(&script, event.clone()).await["status"], status);
        let lines = log.with_outcome("foreign_object");
        assert_eq!((lines.len(), lines[0]["level"].as_str()), (1, Some("ERROR")), "{event}");
        assert_eq!(lines[0]["objects"], "grants/6.6.6.6/mallory.json");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_iam_cannot_guard_with_a_cutoff_is_named_once_a_run() {
    let allow = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":["123.123.123.123/32"]}}}]}"#;
    for (document, lines) in [(allow.to_owned(), 1), (gate(&[OFFICE], &[]), 0)] {
        let script = Script::new(World::with_policy(&[(1, document)]));
        let log = Log::listen();
        let config = add_config(&[("CUTOFF_HOURS", "2")]);
        assert_eq!(script.caller(1).event(config, add_event("alice", HOME)).await.word(), "added");
        let warned = log.with_outcome("no_cutoff");
        assert_eq!(warned.len(), lines);
        assert!(warned.iter().all(|line| line["target.arn"] == POLICY && line["level"] == "WARN"));
        pass(2).await;
        script.caller(9).reset(reset_config(&[("CUTOFF_HOURS", "2")]), json!({})).await.unwrap();
        assert_eq!(log.with_outcome("no_cutoff").len(), lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_says_when_an_entry_ends() {
    let script = Script::new(office());
    let add = async |name, address, length| {
        let event = add_event_for(name, address, length);
        script.caller(1).event(add_config(&[TOPIC]), event).await
    };
    add("alice", HOME, "2h").await;
    add("bob", "51.44.71.81", "").await;
    let notices = script.world.lock().notices();
    let ends = |at: usize| notices[at]["added"][0]["ends"].clone();
    assert_eq!((ends(0), ends(1)), (json!("2027-01-15T10:00:00Z"), Value::Null));
}
