//! The administrator's acts: reset, revoke, list, baseline, roll back.

use crate::*;

#[tokio::test(start_paused = true)]
async fn a_reset_goes_back_to_the_baseline_and_reports_what_it_found() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    script.world.lock().apply(
        9,
        &Op::Edit {
            arn: POLICY.into(),
            entries: vec!["7.7.7.7/32".into()],
            tags: vec!["ec2:*".into()],
        },
        0,
    );
    let dry = script.caller(2).reset(reset_config(&[]), json!({ "dry_run": true })).await.unwrap();
    let calls = script.world.lock().calls.len();
    assert_eq!(script.world.lock().policy(POLICY).default, 3, "a dry run writes nothing");
    let report = script
        .caller(2)
        .reset(reset_config(&[]), json!({ "source": "aws.scheduler" }))
        .await
        .unwrap();
    let target = |status: &str, version: &str| json!({ "arn": POLICY, "status": status, "version": version, "removed": ["51.44.71.80/32", "7.7.7.7/32"], "restored": [], "drift": true });
    assert_eq!(dry, json!({ "status": "would_reset", "targets": [target("would_reset", "v3")] }));
    assert_eq!(report, json!({ "status": "reset", "targets": [target("reset", "v4")] }));
    assert!(script.world.lock().calls.len() > calls);
    let again = script.caller(2).reset(reset_config(&[]), Value::Null).await.unwrap();
    assert_eq!(again["status"], "unchanged");
    let world = script.world.lock();
    assert_eq!(world.document(POLICY), gate(&[OFFICE], &["s3:Get*"]));
    assert_eq!((world.policy(POLICY).default, world.keys("grants/").len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn entries_that_somebody_took_out_are_put_back() {
    let script = Script::new(World::with_policy(&[(1, gate(&["7.7.7.7/32"], &[]))]));
    script
        .world
        .lock()
        .put("baseline/111122223333/policy/gate.json", &gate(&[OFFICE, "7.7.7.7"], &[]));
    let report = script.caller(1).reset(reset_config(&[]), json!({})).await.unwrap();
    assert_eq!(
        (&report["targets"][0]["restored"], &report["targets"][0]["drift"]),
        (&json!([OFFICE]), &json!(false))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_names_the_target_that_has_no_usable_baseline() {
    let second = "arn:aws:iam::111122223333:policy/second";
    let both = format!("{POLICY},{second}");
    for (baseline, why) in [
        (None, "does not exist"),
        (Some("nonsense".to_owned()), "not valid JSON"),
        (Some(gate(&["0.0.0.0/0"], &[])), "0.0.0.0/0"),
        (Some(r#"{"Statement":[],"Statement":[]}"#.to_owned()), "stands twice"),
    ] {
        let script = Script::new(office());
        script.caller(1).add("alice", HOME).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        {
            let mut world = script.world.lock();
            world.add_policy(second, &[(3, gate(&["9.9.9.9/32", "51.44.71.80/32"], &[]))]);
            if let Some(body) = baseline {
                world.put("baseline/111122223333/policy/second.json", &body);
            }
        }
        let error = script
            .caller(2)
            .reset(reset_config(&[("POLICY_ARNS", both.as_str())]), json!({}))
            .await
            .unwrap_err();
        assert_eq!(error.error_type, "baseline_unusable");
        assert!(
            error.error_message.contains(second) && error.error_message.contains(why),
            "{error:?}"
        );
        let world = script.world.lock();
        assert_eq!(
            (world.entries(POLICY), world.policy(second).default),
            (vec![OFFICE.to_owned()], 3)
        );
        assert!(world.keys("grants/").is_empty());
    }
    let script = Script::new(office());
    script.world.lock().put("grants/1.2.3.4_32/alice.json", "{}");
    script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap_err();
    assert_eq!(
        script.world.lock().keys("grants/").len(),
        1,
        "without any usable baseline the grants stay"
    );
    assert!(!script.world.lock().objects.contains_key("lease.json"));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_changes_nothing_else() {
    let script = Script::new(office());
    for (name, address) in
        [("alice", HOME), ("bob", HOME), ("alice", "51.44.71.81"), ("carol", "51.44.71.82")]
    {
        script.caller(1).add(name, address).await;
    }
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec![] },
        0,
    );
    let revoke = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    let dry = revoke(json!({ "revoke_member": "alice", "dry_run": true })).await.unwrap();
    assert_eq!(
        (dry["status"].as_str(), &dry["targets"][0]["removed"]),
        (Some("would_revoke"), &json!(["51.44.71.81/32"]))
    );
    let report = revoke(json!({ "revoke_member": "alice" })).await.unwrap();
    assert_eq!(
        (report["status"].as_str(), &report["targets"][0]["removed"]),
        (Some("revoked"), &json!(["51.44.71.81/32"]))
    );
    assert_eq!(
        script.world.lock().keys("grants/"),
        ["grants/51.44.71.80_32/bob.json", "grants/51.44.71.82_32/carol.json"],
        "bob's network stays, for they were granted it too"
    );
    let report = revoke(json!({ "revoke": [HOME, "7.7.7.7", "123.123.123.123"] })).await.unwrap();
    assert_eq!(
        report["targets"][0]["removed"],
        json!(["51.44.71.80/32", "7.7.7.7/32"]),
        "the baseline's entry stays"
    );
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE, "51.44.71.82/32"]);
    assert_eq!(revoke(json!({ "revoke": [HOME] })).await.unwrap()["status"], "unchanged");
    let before = script.world.lock().calls.len();
    for wrong in [
        json!({ "revoke": HOME }),
        json!({ "revoke": [] }),
        json!({ "revoke": ["x"] }),
        json!({ "revoke": [7] }),
        json!({ "revoke_member": 7 }),
    ] {
        let error = revoke(wrong.clone()).await.unwrap();
        assert_eq!(error["status"], "refused", "{wrong}");
        let kind = error["error"].as_str().unwrap();
        assert!(["bad_ip", "bad_command"].contains(&kind), "{wrong} {error:?}");
    }
    assert_eq!(script.world.lock().calls.len(), before, "what cannot be read is no reset");
}

#[tokio::test(start_paused = true)]
async fn the_list_tells_permanent_granted_and_hand_made_entries_apart() {
    let script = Script::new(office());
    for name in ["bob", "alice"] {
        script.caller(1).add(name, HOME).await;
    }
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec![] },
        0,
    );
    let report = script.caller(2).reset(reset_config(&[]), json!({ "list": true })).await.unwrap();
    let entry = |text: &str, standing: &str, members: Value, at: Value| json!({ "entry": text, "standing": standing, "members": members, "granted_at": at, "ends": null });
    assert_eq!(
        report["targets"],
        json!([{ "arn": POLICY, "version": "v3", "baseline": true, "entries": [
            entry(OFFICE, "permanent", json!([]), Value::Null),
            entry("51.44.71.80/32", "granted", json!(["alice", "bob"]), "2027-01-15T08:00:00Z".into()),
            entry("7.7.7.7/32", "by_hand", json!([]), Value::Null),
        ] }])
    );
    assert_eq!(script.world.lock().policy(POLICY).default, 3);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_is_checked_before_it_is_saved() {
    let other = |actions: &[&str]| json!({ "Sid": "Other", "Effect": "Allow", "Action": actions, "Resource": "*" });
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    script.world.lock().apply(
        9,
        &Op::Edit {
            arn: POLICY.into(),
            entries: vec!["7.7.7.7/32".into()],
            tags: vec!["ec2:*".into()],
        },
        0,
    );
    let before = script.world.lock().objects.clone();
    let check = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    let found = check(json!({ "check_baseline": POLICY })).await.unwrap();
    assert_eq!(
        (found["status"].as_str(), &found["object"]),
        (Some("usable"), &json!("baseline/111122223333/policy/gate.json"))
    );
    assert_eq!(
        found["entries"],
        json!([OFFICE, "7.7.7.7/32"]),
        "without anybody's temporary entries"
    );
    assert_eq!(
        found["replaces"],
        json!({
            "removed": [], "added": ["7.7.7.7/32"], "drift": true,
            "statements_removed": [other(&["s3:Get*"])],
            "statements_added": [other(&["ec2:*", "s3:Get*"])],
        })
    );
    let given =
        check(json!({ "check_baseline": POLICY, "document": gate(&["1.2.3.4", "x"], &[]) }))
            .await
            .unwrap();
    assert_eq!(
        (&given["document"], &given["unparsed"]),
        (&json!(gate(&["1.2.3.4", "x"], &[])), &json!(["x"]))
    );
    for (event, kind) in [
        (
            json!({ "check_baseline": POLICY, "document": gate(&["0.0.0.0/0"], &[]) }),
            "baseline_unusable",
        ),
        (json!({ "check_baseline": POLICY, "document": "nonsense" }), "malformed_document"),
        (json!({ "check_baseline": "arn:aws:iam::111122223333:policy/other" }), "bad_command"),
    ] {
        let refused = check(event).await.unwrap();
        assert_eq!((&refused["status"], &refused["error"]), (&json!("refused"), &json!(kind)));
    }
    assert_eq!(script.world.lock().objects, before, "checking writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_older_version_comes_back_with_everybody_who_is_in() {
    let script = Script::new(office());
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec![], tags: vec!["ec2:*".into()] },
        0,
    );
    script.caller(1).add("alice", HOME).await;
    let roll = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    assert_eq!(
        roll(json!({ "rollback": "v1", "dry_run": true })).await.unwrap()["status"],
        "would_roll_back"
    );
    let report = roll(json!({ "rollback": "v1" })).await.unwrap();
    assert_eq!(
        (report["status"].as_str(), &report["targets"][0]["version"]),
        (Some("rolled_back"), &json!("v4"))
    );
    assert_eq!(
        script.world.lock().document(POLICY),
        gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"])
    );
    for wrong in [
        json!({ "rollback": "v9" }),
        json!({ "rollback": 1 }),
        json!({ "rollback": "v1", "arn": "x" }),
    ] {
        assert_eq!(roll(wrong).await.unwrap()["error"], "bad_command");
    }
    assert_eq!(script.world.lock().policy(POLICY).default, 4);
}

#[tokio::test(start_paused = true)]
async fn a_member_who_adds_during_a_revocation_keeps_no_entry() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let late = |world: &mut World| {
        world.put("grants/51.44.71.9_32/alice.json", "{}");
        world.apply(
            7,
            &Op::Edit {
                arn: POLICY.to_owned(),
                entries: vec!["51.44.71.9/32".to_owned()],
                tags: Vec::new(),
            },
            0,
        );
    };
    script.before(Op::writes_lease, late);
    let report = script
        .caller(2)
        .reset(reset_config(&[]), json!({ "revoke_member": "alice" }))
        .await
        .unwrap();
    assert_eq!(report["status"], "revoked");
    let world = script.world.lock();
    assert_eq!(world.entries(POLICY), [OFFICE]);
    assert!(world.keys("grants/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_not_said_right_changes_nothing() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    for event in [
        json!({ "dry_run": "true" }),
        json!({ "revoke": [HOME], "dry_run": 1 }),
        json!({ "rollback": "v1", "arn": ["x"] }),
        json!({ "check_baseline": 5 }),
    ] {
        let refused = command(&script, event.clone()).await;
        assert_eq!(
            (&refused["status"], &refused["error"]),
            (&json!("refused"), &json!("bad_command")),
            "{event}"
        );
    }
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE, "51.44.71.80/32"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_no_longer_managed_stops_no_answer() {
    let script = Script::new(office());
    let gone = "arn:aws:iam::111122223333:policy/gone";
    let lease = json!({
        "nonce": null, "holder": "r0", "kind": "reset", "until": "",
        "targets": { gone: { "last": "v4", "pending": [{ "seen": "v4", "base": "v4", "sha256": "ab", "kind": "reset" }] } },
    });
    script.world.lock().put("lease.json", &lease.to_string());
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "already_allowed");
}
