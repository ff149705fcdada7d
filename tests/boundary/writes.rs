//! Writes to IAM: how often they are made again, what is asked for afterwards, and what is remembered of it.

use std::sync::Mutex;

use crate::*;

const ROLE: &str = "arn:aws:iam::444455556666:role/team/jump";

fn writes_document(op: &Op) -> bool {
    matches!(op, Op::CreatePolicyVersion(..) | Op::UpdateAssumeRolePolicy(..))
}

fn takes_lease(op: &Op) -> bool {
    matches!(op, Op::PutObject { key, .. } if key == "lease.json")
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_is_tried_four_times() {
    let trust = gate(&[OFFICE], &["sts:AssumeRole"]);
    for variables in [vec![], vec![("POLICY_ARNS", ""), ("ROLE_ARNS", ROLE)]] {
        let mut world = office();
        world.add_role(ROLE, &trust);
        let script = Script::new(world);
        let tries = Arc::new(Mutex::new(0));
        let counted = tries.clone();
        script.rule(move |_, _, op| {
            writes_document(op).then(|| *counted.lock().unwrap() += 1).map(|()| Act::Dropped)
        });
        let answer = script.caller(1).event(add_config(&variables), add_event("alice", HOME)).await;
        assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
        assert_eq!(*tries.lock().unwrap(), 4, "{variables:?}");
        assert_eq!(script.world.lock().keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
    }
}

/// The six-second rule: whatever is sent under the lease lands before it is over.
#[tokio::test(start_paused = true)]
async fn a_write_after_silence_starts_under_a_renewed_lease() {
    let script = Script::new(office());
    let (taken, left) = (Arc::new(Mutex::new(Duration::ZERO)), Arc::new(Mutex::new(Vec::new())));
    let (took, noted) = (taken.clone(), left.clone());
    script.rule(move |world, _, op| {
        if takes_lease(op) {
            *took.lock().unwrap() = world.elapsed();
        }
        if !creates(op) {
            return None;
        }
        let mut left = noted.lock().unwrap();
        left.push(Duration::from_secs(12) - (world.elapsed() - *took.lock().unwrap()));
        (left.len() < 4).then_some(Act::Silent)
    });
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    let left = left.lock().unwrap();
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|left| *left > Duration::from_millis(5990)), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_version_that_is_met_in_the_gap_is_no_loose_end() {
    let script = Script::new(office());
    pass(5).await;
    script.once(Act::Lost, creates);
    // The first list is the view's; the second does not show the lost version.
    let mut lists = 0;
    script.rule(move |_, _, op| {
        lists += usize::from(lists_versions(op));
        (lists_versions(op) && lists == 2).then_some(Act::Stale(1))
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v3", "{answer:?}");
    let lease = lease(&script);
    assert_eq!(
        (&lease["nonce"], lease["targets"][POLICY].get("pending")),
        (&Value::Null, None),
        "both writes are accounted for"
    );
}

/// A list that was read on the way shows an edit; the next one, which is older, does not.
#[tokio::test(start_paused = true)]
async fn an_edit_that_only_the_last_writers_list_showed_is_merged() {
    let script = Script::new(office());
    script.once(Act::Lost, creates);
    let mut lists = 0;
    script.rule(move |world, author, op| {
        if author == 1 && lists_versions(op) {
            lists += 1;
            if lists == 2 {
                edit(world, &["7.7.7.7/32"], "ec2:*");
            }
        }
        // The next writer's lists are from before the first one's version.
        (author == 2 && lists_versions(op)).then_some(Act::Stale(2))
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v2", "{answer:?}");
    pass(5).await;
    let answer = script.caller(2).add("bob", "51.44.71.81").await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert!(entries.contains("7.7.7.7/32") && tags.contains("ec2:*"), "{entries:?} {tags:?}");
    assert_eq!(entries.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_was_served_is_told_what_a_writer_is_told() {
    let script = Script::new(office());
    script.caller(1).add("bob", "51.44.71.81").await;
    let released = lease(&script);
    let mut held = released.clone();
    held["nonce"] = "carol".into();
    held["holder"] = "add-9".into();
    script.world.lock().put("lease.json", &held.to_string());
    let mut served = released;
    served["served"] = json!(["grants/51.44.71.80_32/alice.json"]);
    let mut reads = 0;
    script.rule(move |world, _, op| {
        reads += usize::from(matches!(op, Op::GetObject(key) if key == "lease.json"));
        if reads == 4 {
            world.put("lease.json", &served.to_string());
        }
        None
    });
    let answer = script.caller(2).add("alice", HOME).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let target = json!({ "arn": POLICY, "status": "added", "version": "v2" });
    assert_eq!(answer.body["targets"], json!([target]));
}

/// Somebody else's entry comes with a grant that the listing of the grants did not show yet.
#[tokio::test(start_paused = true)]
async fn an_entry_whose_grant_was_not_listed_yet_is_no_permanent_one() {
    let script = Script::new(office());
    script.caller(1).add("carol", "51.44.71.1").await;
    let before = script.world.lock().objects["lease.json"].body.clone();
    script.caller(1).add("bob", HOME).await;
    let after = script.world.lock().objects["lease.json"].body.clone();
    let grant = "grants/51.44.71.80_32/bob.json";
    let (mut hides_lease, mut hides_grant) = (true, true);
    script.rule(move |world, author, op| {
        if author != 2 {
            return None;
        }
        match op {
            Op::GetObject(key) if key == "lease.json" && hides_lease => {
                hides_lease = false;
                world.put("lease.json", &before);
            }
            Op::ListObjectsV2(prefix, _) if prefix == "grants/" && hides_grant => {
                hides_grant = false;
                world.objects.remove(grant);
            }
            _ => {
                world.put("lease.json", &after);
                if !hides_grant {
                    world.put(grant, "{}");
                }
            }
        }
        None
    });
    let answer = script.caller(2).add("alice", HOME).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        script
            .world
            .lock()
            .keys("grants/")
            .contains(&"grants/51.44.71.80_32/alice.json".to_owned()),
        "the entry must stay when the other member takes theirs away"
    );
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_in_a_gap_is_asked_for_once() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    script.before(creates, |world| edit(world, &["7.7.7.7/32"], "ec2:*"));
    assert_eq!(script.caller(2).add("bob", "51.44.71.81").await.word(), "added");
    let world = script.world.lock();
    let asked = world.calls.iter().filter(|call| call.op == Op::GetPolicyVersion(POLICY.into(), 3));
    assert_eq!(asked.count(), 1);
}

/// A grant with older objects of its entry beside it is left to its owner, who deletes those.
#[tokio::test(start_paused = true)]
async fn a_release_serves_its_own_entry_and_those_that_stand_alone() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let later = EPOCH + 7200;
    for object in ["bob.json", "carol.json", &format!("carol@{later}.json")] {
        let network = if object.starts_with("bob") { "62.4.5.1_32" } else { "62.4.5.2_32" };
        script.world.lock().put(&format!("grants/{network}/{object}"), "{}");
    }
    pass(1).await;
    let event = fakes::invoke::add_event_for("alice", HOME, "2h");
    let answer = script.caller(1).event(add_config(&[]), event).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let record = lease(&script);
    let mut served: Vec<&str> = record["served"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object.as_str().unwrap())
        .collect();
    served.sort_unstable();
    let own = format!("grants/51.44.71.80_32/alice@{}.json", later + 1);
    assert_eq!(served, [own.as_str(), "grants/62.4.5.1_32/bob.json"]);
}

#[tokio::test(start_paused = true)]
async fn people_can_read_when_a_lease_ends() {
    let script = Script::new(office());
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = told.clone();
    script.rule(move |_, _, op| {
        if let Op::PutObject { key, body, .. } = op
            && key == "lease.json"
        {
            let record: Value = serde_json::from_str(body).unwrap();
            let until = record["until"].as_str().map(str::to_owned).unwrap_or_default();
            noted.lock().unwrap().push(allowlist::time::parse_seconds(&until));
        }
        None
    });
    // The lease is taken, renewed with the intent, and given back.
    script.world.lock().put("grants/62.4.5.1_32/bob.json", "{}");
    script.caller(1).add("alice", HOME).await;
    pass(1).await;
    script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let expected = i64::try_from(before + 12).unwrap()..=i64::try_from(now + 12).unwrap();
    let told = told.lock().unwrap();
    assert!(told.len() >= 5, "{told:?}");
    assert!(told.iter().all(|until| until.is_some_and(|until| expected.contains(&until))));
}

#[tokio::test(start_paused = true)]
async fn a_writer_whose_lease_somebody_else_has_stops() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let mut tries = 0;
    script.rule(move |world, _, op| {
        tries += usize::from(creates(op));
        if tries == 2 {
            let mut record: Value =
                serde_json::from_str(&world.objects["lease.json"].body).unwrap();
            record["nonce"] = "carol".into();
            world.put("lease.json", &record.to_string());
        }
        creates(op).then_some(Act::Silent)
    });
    let before = script.world.lock().policy(POLICY).clone();
    let answer = script.caller(2).add("bob", "51.44.71.81").await;
    assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
    assert_eq!(script.world.lock().policy(POLICY), &before);
    assert_eq!(lease(&script)["nonce"], "carol", "it is not given back for somebody else");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_stops_saving_is_not_written_over() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let mut edits = 0;
    script.rule(move |world, _, op| {
        if creates(op) {
            edits += 1;
            world.apply(99, &Op::DeleteNewest(POLICY.to_owned()), 0);
            edit(world, &[&format!("7.7.7.{edits}/32")], &format!("ec2:{edits}"));
        }
        None
    });
    let answer = script.caller(2).add("bob", "51.44.71.81").await;
    assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
    assert!(answer.body["message"].as_str().unwrap().contains("keeps changing"), "{answer:?}");
    let pending = lease(&script)["targets"][POLICY]["pending"].clone();
    assert_eq!(pending.as_array().map(Vec::len), Some(4), "the next writer merges: {pending}");
}

#[tokio::test(start_paused = true)]
async fn room_for_a_version_is_made_six_times_and_no_more() {
    let script = Script::new(office());
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    script.rule(move |_, _, op| {
        let is_full = creates(op).then(|| *counted.lock().unwrap() += 1);
        is_full.map(|()| Act::Fail(409, "LimitExceeded"))
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (503, "busy"), "{answer:?}");
    assert!(answer.body["message"].as_str().unwrap().contains("fill up"), "{answer:?}");
    assert_eq!(*tries.lock().unwrap(), 7, "the first one, and one after each deletion");
}

/// What the reset would make of the edit stands already.
#[tokio::test(start_paused = true)]
async fn a_reset_that_overtakes_an_entry_by_hand_makes_one_version() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    pass(2).await;
    script.before(creates, |world| {
        let entries = vec!["7.7.7.7/32".to_owned()];
        world.apply(99, &Op::Edit { arn: POLICY.to_owned(), entries, tags: Vec::new() }, 0);
    });
    let report = script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap();
    assert_eq!(report["targets"][0]["version"], "v4", "v3 is the edit: {report}");
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE]);
}
