//! Adding: what is put in force, on one policy or on several, and what is refused.

use fakes::log::Log;

use crate::*;

#[tokio::test(start_paused = true)]
async fn the_first_add_saves_what_was_in_force_as_the_baseline() {
    let script = Script::new(office());
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body,
        json!({
            "status": "added", "network": "51.44.71.80/32", "member": "alice", "ends": null,
            "targets": [{ "arn": POLICY, "status": "added", "version": "v2" }],
        })
    );
    assert_eq!(answer.headers["Cache-Control"], "no-store");
    assert_eq!(answer.headers["Content-Type"], "application/json");
    let world = script.world.lock();
    assert_eq!(world.document(POLICY), gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"]));
    assert_eq!(
        world.objects["baseline/111122223333/policy/gate.json"].body,
        gate(&[OFFICE], &["s3:Get*"])
    );
    assert_eq!(world.keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
    let lease: Value = serde_json::from_str(&world.objects["lease.json"].body).unwrap();
    assert_eq!(
        (&lease["nonce"], &lease["targets"][POLICY]),
        (
            &Value::Null,
            &json!({
                "last": "v2", "last_at": EPOCH, "ids": ["v1", "v2"], "doc": world.document(POLICY),
            })
        )
    );
    assert_eq!(lease["served"], json!(["grants/51.44.71.80_32/alice.json"]));
}

#[tokio::test(start_paused = true)]
async fn who_is_in_already_is_told_so_by_reads_alone() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let before = script.world.lock().calls.len();
    for (name, address) in [("alice", HOME), ("bob", "123.123.123.123")] {
        let answer = script.caller(2).add(name, address).await;
        assert_eq!((answer.status, answer.word().as_str()), (200, "already_allowed"), "{answer:?}");
        assert_eq!(
            answer.body["targets"][0],
            json!({ "arn": POLICY, "status": "already_allowed", "version": "v2" })
        );
    }
    let world = script.world.lock();
    let reads = |op: &Op| {
        matches!(
            op,
            Op::ListPolicyVersions(_)
                | Op::GetPolicyVersion(..)
                | Op::GetObject(_)
                | Op::ListObjectsV2(..)
        )
    };
    assert!(
        world.calls[before..].iter().all(|call| reads(&call.op)),
        "{:?}",
        &world.calls[before..]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_member_on_the_same_network_gets_a_grant_alone() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    assert_eq!(script.caller(2).add("bob", HOME).await.word(), "already_allowed");
    let world = script.world.lock();
    assert_eq!(
        world.keys("grants/"),
        ["grants/51.44.71.80_32/alice.json", "grants/51.44.71.80_32/bob.json"]
    );
    assert_eq!(world.policy(POLICY).default, 2);
}

#[tokio::test(start_paused = true)]
async fn fourteen_adds_never_meet_the_limit_of_five_versions() {
    let script = Script::new(office());
    for host in 1..=14 {
        let answer = script.caller(host).add("alice", &format!("51.44.71.{host}")).await;
        assert_eq!(answer.word(), "added", "{answer:?}");
        let world = script.world.lock();
        assert!(world.policy(POLICY).versions.len() <= 4);
        assert!(
            !world
                .calls
                .iter()
                .any(|call| call.reply == fakes::world::Reply::Error(409, "LimitExceeded"))
        );
    }
    assert_eq!(script.world.lock().entries(POLICY).len(), 15);
}

#[tokio::test(start_paused = true)]
async fn the_document_in_force_is_the_defaults_not_the_first_listed() {
    let mut world = World::with_policy(&[
        (1, gate(&[OFFICE], &[])),
        (2, gate(&["9.9.9.9/32"], &[])),
        (10, gate(&["8.8.8.8/32"], &[])),
    ]);
    world.set_default(POLICY, 2);
    let script = Script::new(world);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v11");
    assert_eq!(script.world.lock().entries(POLICY), ["51.44.71.80/32", "9.9.9.9/32"]);
}

#[tokio::test(start_paused = true)]
async fn with_five_versions_present_only_the_oldest_goes_before_the_new_one_is_in_force() {
    let versions: Vec<_> = (8..=12).map(|id| (id, gate(&[OFFICE], &[]))).collect();
    let script = Script::new(World::with_policy(&versions));
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    let world = script.world.lock();
    let writes: Vec<_> = world
        .calls
        .iter()
        .filter(|call| matches!(call.op, Op::CreatePolicyVersion(..) | Op::DeletePolicyVersion(..)))
        .collect();
    assert!(
        matches!(writes[0].op, Op::DeletePolicyVersion(_, 8))
            && matches!(writes[1].op, Op::CreatePolicyVersion(..)),
        "{writes:?}"
    );
    assert_eq!(world.policy(POLICY).versions.keys().copied().collect::<Vec<_>>(), [10, 11, 12, 13]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_before_its_successor_is_in_place() {
    let versions: Vec<_> = (1..=4).map(|id| (id, gate(&[OFFICE], &[]))).collect();
    let script = Script::new(World::with_policy(&versions));
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(403, "AccessDenied")));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    assert!(
        answer.body["message"].as_str().unwrap().contains("iam:CreatePolicyVersion"),
        "{answer:?}"
    );
    let world = script.world.lock();
    assert_eq!(world.policy(POLICY).versions.len(), 4);
    assert!(world.keys("grants/").is_empty(), "a definite refusal leaves no grant");
    let lease: Value = serde_json::from_str(&world.objects["lease.json"].body).unwrap();
    assert_eq!((&lease["nonce"], &lease["targets"]), (&Value::Null, &json!({})));
}

/// A gate whose document has exactly `size` characters.
fn gate_of(size: usize) -> String {
    let mut document = gate(&[OFFICE], &[""]);
    let missing = size - document.len();
    document = gate(&[OFFICE], &["x".repeat(missing).as_str()]);
    assert_eq!(document.len(), size);
    document
}

#[tokio::test(start_paused = true)]
async fn a_full_document_is_refused_before_anything_is_put() {
    let added = r#","51.44.71.80/32""#.len();
    let script = Script::new(World::with_policy(&[(1, gate_of(6144 - added))]));
    let log = Log::listen();
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    assert_eq!(script.world.lock().document(POLICY).len(), 6144);
    assert_eq!(log.with_outcome("added")[0]["percent_full"], 100);

    let script = Script::new(World::with_policy(&[(1, gate_of(6145 - added))]));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (409, "policy_full"));
    assert!(answer.body["message"].as_str().unwrap().contains("1 entries"), "{answer:?}");
    let world = script.world.lock();
    assert_eq!((world.policy(POLICY).default, world.keys("grants/").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_may_hold_only_so_many_entries() {
    let script = Script::new(office());
    let config = || add_config(&[("MAX_GRANTS_PER_MEMBER", "2")]);
    for (address, status, word) in [
        ("51.44.71.1", 200, "added"),
        ("51.44.71.2", 200, "added"),
        ("51.44.71.3", 409, "too_many_entries"),
        ("51.44.71.2", 200, "already_allowed"),
    ] {
        let answer = script.caller(1).event(config(), add_event("alice", address)).await;
        assert_eq!((answer.status, answer.word().as_str()), (status, word), "{answer:?}");
    }
    assert_eq!(
        script.caller(1).event(config(), add_event("bob", "51.44.71.3")).await.word(),
        "added"
    );
    assert_eq!(script.world.lock().keys("grants/").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn several_policies_are_changed_together_or_said_to_have_failed_apart() {
    let second = "arn:aws:iam::111122223333:policy/team/a/gate";
    let both = format!("{POLICY},{second}");
    let variables = [("POLICY_ARNS", both.as_str())];
    let mut world = office();
    world.add_policy(second, &[(7, gate(&["9.9.9.9/32", "51.44.71.80"], &[]))]);
    let script = Script::new(world);
    let answer = script.caller(1).event(add_config(&variables), add_event("alice", HOME)).await;
    assert_eq!(
        answer.body["targets"],
        json!([{ "arn": POLICY, "status": "added", "version": "v2" }, { "arn": second, "status": "already_allowed", "version": "v7" }])
    );
    assert_eq!(answer.word(), "added");
    let answer =
        script.caller(1).event(add_config(&variables), add_event("bob", "51.44.71.81")).await;
    assert_eq!(
        answer.body["targets"][1],
        json!({ "arn": second, "status": "added", "version": "v8" })
    );
    assert!(
        script.world.lock().objects.contains_key("baseline/111122223333/policy/team/a/gate.json")
    );

    script.rule(move |_, _, op| {
        matches!(op, Op::CreatePolicyVersion(arn, _) if arn == second)
            .then_some(Act::Fail(403, "AccessDenied"))
    });
    let answer =
        script.caller(1).event(add_config(&variables), add_event("carol", "51.44.71.82")).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    assert_eq!(
        answer.body["targets"],
        json!([{ "arn": POLICY, "status": "added", "version": "v4" }])
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_policy_among_several_leaves_all_of_them_alone() {
    let second = "arn:aws:iam::111122223333:policy/full";
    let both = format!("{POLICY},{second}");
    let mut world = office();
    world.add_policy(second, &[(1, gate_of(6144))]);
    let script = Script::new(world);
    let answer = script
        .caller(1)
        .event(add_config(&[("POLICY_ARNS", both.as_str())]), add_event("alice", HOME))
        .await;
    assert_eq!((answer.status, answer.word().as_str()), (409, "policy_full"));
    let world = script.world.lock();
    assert_eq!(
        (world.policy(POLICY).default, world.policy(second).default, world.keys("grants/").len()),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_exists_is_never_touched_by_an_add() {
    let script = Script::new(office());
    let own = gate(&["7.7.7.7/32"], &[]);
    script.world.lock().put("baseline/111122223333/policy/gate.json", &own);
    script.caller(1).add("alice", HOME).await;
    assert_eq!(script.world.lock().objects["baseline/111122223333/policy/gate.json"].body, own);
}

#[tokio::test(start_paused = true)]
async fn every_known_document_changes_on_its_list_alone() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let script = Script::new(World::with_policy(&[(1, text.clone())]));
        let answer = script.caller(1).add("alice", "62.4.5.6").await;
        assert_eq!(answer.word(), "added", "{path:?} {answer:?}");
        let before = Document::parse(&text).unwrap();
        let after = Document::parse(&script.world.lock().document(POLICY)).unwrap();
        assert_eq!(blank(before.json()), blank(after.json()), "{path:?}");
        assert_eq!(before.json()["Statement"].is_array(), after.json()["Statement"].is_array());
        let (mut expected, now) = (addresses(before.json()), addresses(after.json()));
        expected.push(json!("62.4.5.6/32"));
        assert_eq!(now, expected, "{path:?}");

        let report = script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap();
        assert_eq!(
            (report["status"].as_str(), &report["targets"][0]["removed"]),
            (Some("reset"), &json!(["62.4.5.6/32"]))
        );
        assert_eq!(
            Document::parse(&script.world.lock().document(POLICY)).unwrap(),
            before,
            "{path:?}"
        );
        seen += 1;
    }
    assert!(seen >= 8);
}
