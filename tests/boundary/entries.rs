//! Entries that end when they should: `for`, renewals, and expiry.

use fakes::Answer;
use fakes::invoke::{add_event_for, expire_event, status_event};

use crate::*;

async fn ask(script: &Script, event: Value) -> Answer {
    script.caller(1).event(add_config(&[]), event).await
}

async fn add_for(script: &Script, name: &str, address: &str, length: &str) -> Answer {
    ask(script, add_event_for(name, address, length)).await
}

fn entries(script: &Script) -> Vec<String> {
    script.world.lock().entries(POLICY)
}

fn grants(script: &Script) -> Vec<String> {
    script.world.lock().keys("grants/")
}

// How long an entry stays.

/// Whether a call is the one that fails.
type Matches = fn(&Op) -> bool;

#[tokio::test(start_paused = true)]
async fn an_entry_may_be_asked_for_a_time() {
    for (length, ends, seconds) in [
        ("5m", "2027-01-15T08:05:00Z", 300),
        ("30m", "2027-01-15T08:30:00Z", 1800),
        ("2h", "2027-01-15T10:00:00Z", 7200),
        ("1d", "2027-01-16T08:00:00Z", 86_400),
        ("24h", "2027-01-16T08:00:00Z", 86_400),
    ] {
        let script = Script::new(office());
        let answer = add_for(&script, "alice", HOME, length).await;
        assert_eq!(answer.word(), "added", "{length}: {answer:?}");
        assert_eq!(answer.body["ends"], ends);
        let object = format!("grants/51.44.71.80_32/alice@{}.json", EPOCH + seconds);
        assert_eq!(grants(&script), [object]);
        let status = ask(&script, status_event("alice", HOME)).await;
        assert_eq!(status.body["ends"], ends);
        assert_eq!(
            status.body["entries"],
            json!([{ "network": "51.44.71.80/32", "granted_at": "2027-01-15T08:00:00Z", "ends": ends }])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_may_ask_for_a_time_too() {
    let script = Script::new(office());
    let mut event = add_event("alice", HOME);
    event["httpMethod"] = "POST".into();
    event["headers"]["Content-Type"] = "application/x-www-form-urlencoded".into();
    event["body"] = "for=2h".into();
    let answer = ask(&script, event).await;
    assert_eq!(answer.body["ends"], "2027-01-15T10:00:00Z", "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_time_an_entry_stays_until_the_reset() {
    for event in [add_event("alice", HOME), add_event_for("alice", HOME, "")] {
        let script = Script::new(office());
        let answer = ask(&script, event).await;
        assert_eq!(answer.body["ends"], Value::Null);
        assert_eq!(grants(&script), ["grants/51.44.71.80_32/alice.json"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_cannot_be_had_is_refused() {
    let script = Script::new(office());
    for length in [
        "0m",
        "4m",
        "25h",
        "2d",
        "2",
        "h",
        "-1h",
        "+2h",
        "1.5h",
        "2 h",
        " 2h",
        "2H",
        "1w",
        "120s",
        "1h30m",
        "٢h",
        "２h",
        "2ｈ",
        "99999999999999999999h",
        "153722867280912931m",
        "until",
    ] {
        let answer = add_for(&script, "alice", HOME, length).await;
        assert_eq!((answer.status, answer.word().as_str()), (400, "bad_for"), "{length}");
    }
    assert_eq!(iam_calls(&script), 0);
    let stranger = add_for(&script, "nobody", HOME, "until").await;
    assert_eq!(stranger.status, 401, "a stranger learns nothing");
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_is_a_setting() {
    for (hours, length, status) in
        [("1", "1h", 200), ("1", "61m", 400), ("48", "2d", 200), ("48", "49h", 400)]
    {
        let script = Script::new(office());
        let config = add_config(&[("MAX_ENTRY_HOURS", hours)]);
        let event = add_event_for("alice", HOME, length);
        let answer = script.caller(1).event(config, event).await;
        assert_eq!(answer.status, status, "{hours} {length}: {answer:?}");
        if status == 400 {
            let message = answer.body["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{hours}h`")), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_time_replaces_the_older_grant() {
    let script = Script::new(office());
    ask(&script, add_event("alice", HOME)).await;
    let mut expected = Vec::new();
    for (length, object) in [
        ("1h", "grants/51.44.71.80_32/alice@1800003600.json"),
        ("", "grants/51.44.71.80_32/alice.json"),
        ("5m", "grants/51.44.71.80_32/alice@1800000300.json"),
        ("2h", "grants/51.44.71.80_32/alice@1800007200.json"),
    ] {
        // All of it in one second of S3's clock.
        let answer = add_for(&script, "alice", HOME, length).await;
        assert_eq!(answer.word(), "already_allowed", "{answer:?}");
        assert_eq!(grants(&script), [object], "{length}");
        expected.push(object);
    }
    let puts = writes(&script);
    let deleted = |object: &&str| puts.contains(&Op::DeleteObject((*object).to_owned()));
    assert!(expected[..3].iter().all(deleted));
    assert_eq!(script.world.lock().policy(POLICY).default, 2, "no version");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_leaves_other_members_grants_alone() {
    let script = Script::new(office());
    for name in ["alice", "bob"] {
        add_for(&script, name, HOME, "1h").await;
    }
    add_for(&script, "alice", HOME, "2h").await;
    assert_eq!(
        grants(&script),
        [
            "grants/51.44.71.80_32/alice@1800007200.json",
            "grants/51.44.71.80_32/bob@1800003600.json"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_grant_of_an_entry_decides_when_it_ends() {
    for (older, newer, is_in) in [
        ("alice.json", "alice@1800000300.json", false),
        ("alice@1800000300.json", "alice.json", true),
    ] {
        let script = Script::new(office());
        ask(&script, add_event("bob", "51.44.71.81")).await;
        // A request that died has left both objects.
        {
            let mut world = script.world.lock();
            world.put_at(&format!("grants/51.44.71.80_32/{older}"), "{}", EPOCH - 9);
            world.put_at(&format!("grants/51.44.71.80_32/{newer}"), "{}", EPOCH - 5);
        }
        ask(&script, add_event("bob", "51.44.71.82")).await;
        assert!(entries(&script).contains(&"51.44.71.80/32".to_owned()));
        let ends = if is_in { Value::Null } else { json!("2027-01-15T08:05:00Z") };
        let listed = command(&script, json!({ "list": true })).await;
        let listed = listed["targets"][0]["entries"].as_array().unwrap().clone();
        let entry = listed.iter().find(|entry| entry["entry"] == "51.44.71.80/32");
        assert_eq!(entry.unwrap()["ends"], ends, "{listed:?}");
        pass(300).await;
        command(&script, expire_event()).await;
        assert_eq!(
            entries(&script).contains(&"51.44.71.80/32".to_owned()),
            is_in,
            "{older} before {newer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_permanently_in_is_told_no_end() {
    for hours in ["0", "2"] {
        let script = Script::new(office());
        let config = add_config(&[("CUTOFF_HOURS", hours)]);
        let event = add_event_for("alice", "123.123.123.123", "1h");
        let answer = script.caller(1).event(config, event).await;
        assert_eq!(answer.word(), "already_allowed");
        assert_eq!(answer.body["ends"], Value::Null, "{answer:?}");
        assert_eq!(grants(&script), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_entries_whose_time_is_not_over() {
    let script = Script::new(office());
    add_for(&script, "alice", HOME, "1d").await;
    pass(2).await;
    let report = command(&script, json!({})).await;
    assert_eq!(report["targets"][0]["removed"], json!(["51.44.71.80/32"]));
    assert_eq!(entries(&script), [OFFICE]);
    assert_eq!(grants(&script), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn administrators_see_when_entries_end() {
    let script = Script::new(office());
    add_for(&script, "alice", HOME, "1h").await;
    add_for(&script, "bob", HOME, "2h").await;
    add_for(&script, "carol", "51.44.71.81", "1h").await;
    ask(&script, add_event("bob", "51.44.71.81")).await;
    let listed = command(&script, json!({ "list": true })).await;
    let ends: Vec<_> = listed["targets"][0]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["entry"], &entry["ends"]))
        .collect();
    assert_eq!(
        ends,
        [
            (&json!(OFFICE), &Value::Null),
            (&json!("51.44.71.80/32"), &json!("2027-01-15T10:00:00Z")),
            (&json!("51.44.71.81/32"), &Value::Null),
        ],
        "the last grant of an entry decides"
    );
}

// Expiry.

#[tokio::test(start_paused = true)]
async fn with_nothing_to_end_expire_makes_one_listing() {
    let script = Script::new(office());
    for (name, length) in [("alice", ""), ("bob", "1h")] {
        add_for(&script, name, HOME, length).await;
    }
    let before = script.world.lock().calls.len();
    let report = command(&script, expire_event()).await;
    assert_eq!(report, json!({ "status": "unchanged", "targets": [] }));
    let world = script.world.lock();
    let calls: Vec<_> = world.calls[before..].iter().map(|call| &call.op).collect();
    assert_eq!(calls, [&Op::ListObjectsV2("grants/".to_owned(), None)]);
}

#[tokio::test(start_paused = true)]
async fn expire_ends_what_is_over_to_the_second() {
    let script = Script::new(office());
    add_for(&script, "alice", HOME, "5m").await;
    add_for(&script, "bob", "51.44.71.81", "10m").await;
    ask(&script, add_event("carol", "51.44.71.82")).await;
    pass(299).await;
    assert_eq!(command(&script, expire_event()).await["status"], "unchanged");
    pass(1).await;
    let dry = json!({ "expire": true, "dry_run": true });
    assert_eq!(command(&script, dry).await["status"], "would_expire");
    assert_eq!(entries(&script).len(), 4);
    let report = command(&script, expire_event()).await;
    assert_eq!(
        (report["status"].as_str(), &report["targets"][0]["removed"]),
        (Some("expired"), &json!(["51.44.71.80/32"]))
    );
    assert_eq!(entries(&script), [OFFICE, "51.44.71.81/32", "51.44.71.82/32"]);
    assert_eq!(
        grants(&script),
        ["grants/51.44.71.81_32/bob@1800000600.json", "grants/51.44.71.82_32/carol.json"]
    );
    assert_eq!(command(&script, expire_event()).await["status"], "unchanged");
}

#[tokio::test(start_paused = true)]
async fn expire_never_takes_a_permanent_entry() {
    let script = Script::new(office());
    ask(&script, add_event("bob", "51.44.71.81")).await;
    let object = "grants/123.123.123.123_32/alice@1800000300.json";
    script.world.lock().put(object, "{}");
    pass(300).await;
    command(&script, expire_event()).await;
    assert_eq!(entries(&script), [OFFICE, "51.44.71.81/32"]);
    assert_eq!(grants(&script), ["grants/51.44.71.81_32/bob.json"]);
}

#[tokio::test(start_paused = true)]
async fn expire_never_takes_what_somebody_else_was_granted() {
    let script = Script::new(office());
    add_for(&script, "alice", HOME, "5m").await;
    add_for(&script, "bob", HOME, "10m").await;
    pass(300).await;
    command(&script, expire_event()).await;
    assert_eq!(entries(&script), [OFFICE, "51.44.71.80/32"]);
    assert_eq!(grants(&script), ["grants/51.44.71.80_32/bob@1800000600.json"]);
    pass(300).await;
    command(&script, expire_event()).await;
    assert_eq!(entries(&script), [OFFICE]);
}

#[tokio::test(start_paused = true)]
async fn expire_that_fails_answers_as_data() {
    let fails: [(&str, Matches); 3] = [
        ("the version", creates),
        ("the listing", |op| matches!(op, Op::ListObjectsV2(..))),
        ("the lease", Op::writes_lease),
    ];
    for (what, fails) in fails {
        let script = Script::new(office());
        add_for(&script, "alice", HOME, "5m").await;
        pass(300).await;
        script.rule(move |_, _, op| fails(op).then_some(Act::Fail(403, "AccessDenied")));
        let report = command(&script, expire_event()).await;
        assert_eq!(report["status"], "failed", "{what}: {report}");
        assert_eq!(report["error"], "aws_error", "{what}: {report}");
        assert_eq!(grants(&script).len(), 1, "{what}: the grant stays");
    }
}

#[tokio::test(start_paused = true)]
async fn expire_without_a_usable_baseline_has_failed() {
    let script = Script::new(office());
    add_for(&script, "alice", HOME, "5m").await;
    pass(300).await;
    let object = "baseline/111122223333/policy/gate.json";
    script.world.lock().put(object, "nonsense");
    let report = command(&script, expire_event()).await;
    assert_eq!(
        (report["status"].as_str(), report["error"].as_str()),
        (Some("failed"), Some("baseline_unusable")),
        "{report}"
    );
}
