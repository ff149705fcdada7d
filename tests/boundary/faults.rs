//! The faults of the earlier program, and failures of the services.

use crate::*;

#[tokio::test(start_paused = true)]
async fn an_edit_made_in_the_console_while_we_write_is_merged_not_overwritten() {
    let script = Script::new(office());
    script.before(creates, |world| {
        world.apply(
            9,
            &Op::Edit {
                arn: POLICY.into(),
                entries: vec!["7.7.7.7/32".into()],
                tags: vec!["ec2:*".into()],
            },
            0,
        );
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(
        (answer.word().as_str(), &answer.body["targets"][0]["version"]),
        ("added", &json!("v4"))
    );
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert_eq!(
        entries,
        BTreeSet::from(["123.123.123.123/32", "51.44.71.80/32", "7.7.7.7/32"].map(str::to_owned))
    );
    assert_eq!(tags, BTreeSet::from(["ec2:*", "s3:Get*"].map(str::to_owned)));
    let world = script.world.lock();
    assert_eq!(
        read_gate(&world.objects["baseline/111122223333/policy/gate.json"].body).0.len(),
        2,
        "the edit came before our first version"
    );
}

#[tokio::test(start_paused = true)]
async fn two_callers_at_once_are_both_let_in() {
    let script = Script::new(office());
    let (alice, bob) = (script.caller(1), script.caller(2));
    let (a, b) = tokio::join!(alice.add("alice", HOME), bob.add("bob", "51.44.71.81"));
    assert_eq!((a.word().as_str(), b.word().as_str()), ("added", "added"));
    assert_eq!(
        script.world.lock().entries(POLICY),
        ["123.123.123.123/32", "51.44.71.80/32", "51.44.71.81/32"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_whose_answer_was_lost_is_not_created_twice() {
    let script = Script::new(office());
    script.once(Act::Lost, creates);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v2", "{answer:?}");
    assert_eq!(script.world.lock().policy(POLICY).next, 3);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_then_reported() {
    let script = Script::new(office());
    for _ in 0..3 {
        script.once(Act::Fail(400, "Throttling"), creates);
    }
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");

    let script = Script::new(office());
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(400, "Throttling")));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(
        (answer.status, answer.word().as_str(), answer.headers["Retry-After"].as_str()),
        (503, "throttled", Some("5"))
    );
    assert_eq!(script.world.lock().keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_never_eats_the_whole_invocation() {
    for iam in [true, false] {
        let script = Script::new(office());
        script.rule(move |_, _, op| (op.is_iam() == iam).then_some(Act::Silent));
        let started = tokio::time::Instant::now();
        let answer = script.caller(1).add("alice", HOME).await;
        assert!(answer.status >= 500, "{answer:?}");
        assert!(started.elapsed() < std::time::Duration::from_secs(28), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_behind_the_last_known_write_is_not_believed() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    script.rule(|_, _, op| op.is_iam_read().then_some(Act::Stale(2)));
    let answer = script.caller(2).add("bob", "123.123.123.123").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(script.world.lock().entries(POLICY), ["123.123.123.123/32", "51.44.71.80/32"]);
}

// The page, and answers for browsers.

#[tokio::test(start_paused = true)]
async fn a_grant_that_cannot_be_put_gives_the_lease_back_with_nothing_noted() {
    let script = Script::new(office());
    script.caller(1).add("bob", "51.44.71.1").await;
    let before = script.world.lock().policy(POLICY).clone();
    script.rule(|_, _, op| match op {
        Op::PutObject { key, .. } if key.starts_with("grants/") => {
            Some(Act::Fail(403, "AccessDenied"))
        }
        _ => None,
    });
    let answer = script.caller(2).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"), "{answer:?}");
    let world = script.world.lock();
    assert_eq!(world.policy(POLICY), &before);
    let lease: Value = serde_json::from_str(&world.objects["lease.json"].body).unwrap();
    assert_eq!(
        (&lease["nonce"], &lease["targets"][POLICY]["last"], &lease["targets"][POLICY]["pending"]),
        (&Value::Null, &json!("v2"), &Value::Null)
    );
    assert_eq!(world.keys("grants/"), ["grants/51.44.71.1_32/bob.json"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_cannot_read_the_lease_keeps_its_grant() {
    let script = Script::new(office());
    let held = r#"{"nonce":"bob","holder":"r0","kind":"add","until":"","targets":{}}"#;
    script.world.lock().put("lease.json", held);
    let mut reads = 0;
    script.rule(move |_, _, op| match op {
        Op::GetObject(key) if key == "lease.json" => {
            reads += 1;
            (reads > 2).then_some(Act::Fail(500, "InternalError"))
        }
        _ => None,
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
    let grant = "grants/51.44.71.80_32/alice.json";
    assert_eq!(script.world.lock().keys("grants/"), [grant], "the holder may have published it");
}

#[tokio::test(start_paused = true)]
async fn no_deletion_is_sent_when_the_lease_is_over() {
    let script = Script::new(office());
    for host in 0..160 {
        let object = format!("grants/62.4.5.{host}_32/alice.json");
        script.world.lock().put(&object, "{}");
    }
    script.caller(1).add("bob", HOME).await;
    pass(2).await;
    let deletes = |op: &Op| matches!(op, Op::DeleteObject(_));
    script.rule(move |_, _, op| deletes(op).then_some(Act::Silent));
    script.caller(9).reset(reset_config(&[]), json!({})).await.unwrap_err();
    let world = script.world.lock();
    let calls = || world.calls.iter().filter(|call| call.author == 9);
    let takes = |op: &Op| matches!(op, Op::PutObject { key, .. } if key == "lease.json");
    let taken = calls().filter(|call| takes(&call.op)).map(|call| call.at).max().unwrap();
    for call in calls().filter(|call| deletes(&call.op)) {
        assert!(call.at < taken + Duration::from_secs(12), "{:?} after {taken:?}", call.at);
    }
}
