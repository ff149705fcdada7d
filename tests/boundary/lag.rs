//! IAM as it is: reads that lag in time, and trust policies that do not read back as they were written.

use fakes::log::Log;
use fakes::trust::normal;
use fakes::world::Cause;
use fakes::{Answer, Replicas};
use tokio::time::Instant;

use crate::*;

const MEMBERS: [&str; 8] = ["anna", "ben", "cleo", "dan", "eve", "finn", "gus", "hana"];

fn seconds(number: f64) -> Duration {
    Duration::from_secs_f64(number)
}

/// A world with the members, whose lists and gets lag so long.
fn lagging(lists: Duration, gets: Duration) -> Script {
    let mut world = office();
    for name in MEMBERS {
        let (object, body) = fakes::invoke::member(name);
        world.put(&object, &body);
    }
    world.replicas = Replicas::lagging(1, &[lists], &[gets]);
    Script::new(world)
}

/// An add by a process of its own; -> the answer, and how many serial round trips to IAM it took.
async fn add(script: &Script, author: usize, name: &str, address: &str) -> (Answer, u128) {
    let caller = Caller::new(author, Arc::new(Distance(script.clone())));
    let function = caller.function(add_config(&[])).await;
    let started = Instant::now();
    let (answer, rest) = function.answer(add_event(name, address)).await;
    let trips = started.elapsed().as_millis() / FAR.as_millis();
    rest.run().await;
    (answer, trips)
}

/// The versions that functions made.
fn made(script: &Script) -> usize {
    let world = script.world.lock();
    world.policies[POLICY].iter().filter(|moment| moment.cause == Cause::Write).count()
}

#[tokio::test(start_paused = true)]
async fn eight_adds_in_a_row_under_a_lag_of_ten_seconds_are_all_added_at_once() {
    let script = lagging(seconds(10.0), seconds(10.0));
    let started = Instant::now();
    for (author, name) in MEMBERS.iter().enumerate() {
        let (answer, trips) = add(&script, author, name, &format!("51.44.71.{author}")).await;
        assert_eq!(answer.word(), "added", "{author}: {answer:?}");
        // The first add of all has one more, and every other one more than without lag.
        assert!(trips <= 3, "{author}: {trips} round trips to IAM");
    }
    assert!(
        started.elapsed() < seconds(8.0),
        "the whole row lies within the lag: {:?}",
        started.elapsed()
    );
    let versions = made(&script);
    assert!(versions <= 10, "{versions} versions");
    let world = script.world.lock();
    assert_eq!(world.entries(POLICY).len(), 1 + MEMBERS.len());
    let most = world.policies[POLICY].iter().map(|moment| moment.policy.versions.len());
    assert!(most.max().unwrap() <= 5);
    let refused = world.calls.iter().filter(|call| {
        matches!(call.op, Op::CreatePolicyVersion(..)) && matches!(call.reply, Reply::Error(..))
    });
    assert_eq!(refused.count(), 0, "room is made before it is needed");
}

#[tokio::test(start_paused = true)]
async fn a_list_older_than_gets_costs_one_round_trip() {
    let script = lagging(seconds(2.0), seconds(1.0));
    for (author, name) in MEMBERS.iter().enumerate() {
        let (answer, trips) = add(&script, author, name, &format!("51.44.71.{author}")).await;
        assert_eq!(answer.word(), "added", "{author}: {answer:?}");
        assert!(trips <= 3, "{author}: {trips} round trips to IAM");
    }
    let (answer, trips) = add(&script, 20, "anna", "51.44.71.0").await;
    assert_eq!(answer.word(), "already_allowed");
    assert!(trips <= 2, "{trips} round trips to IAM");
    assert_eq!(made(&script), MEMBERS.len());
}

#[tokio::test(start_paused = true)]
async fn replicas_that_disagree_from_read_to_read_lose_nobody() {
    for seed in 0..20 {
        let script = lagging(Duration::ZERO, Duration::ZERO);
        script.world.lock().replicas = Replicas::spread(seed, 3, seconds(10.0));
        for (author, name) in MEMBERS.iter().enumerate() {
            let (answer, _) = add(&script, author, name, &format!("51.44.71.{author}")).await;
            assert_eq!(answer.word(), "added", "seed {seed}, {author}: {answer:?}");
            tokio::time::sleep(seconds(0.7)).await;
        }
        let entries = script.world.lock().entries(POLICY);
        assert_eq!(entries.len(), 1 + MEMBERS.len(), "seed {seed}: {entries:?}");
        assert!(made(&script) <= 10, "seed {seed}: {}", made(&script));
    }
}

/// Lets a person save an edit just before the next version is created; `GetPolicyVersion` does not find it for so long.
fn edit_that_is_unreadable_for(script: &Script, time: Duration) {
    let mut edited = None;
    script.rule(move |world, _, op| match op {
        Op::CreatePolicyVersion(arn, _) if edited.is_none() => {
            let edit = Op::Edit {
                arn: arn.clone(),
                entries: vec!["7.7.7.7/32".into()],
                tags: vec!["ec2:*".into()],
            };
            if let Reply::Created(id) = world.apply(99, &edit, 0) {
                edited = Some((id, world.elapsed() + time));
            }
            None
        }
        Op::GetPolicyVersion(_, id) => edited
            .filter(|(edit, until)| id == edit && world.elapsed() < *until)
            .map(|_| Act::Fail(404, "NoSuchEntity")),
        _ => None,
    });
}

fn holds_the_edit(script: &Script) -> bool {
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    entries.contains("7.7.7.7/32") && tags.contains("ec2:*")
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_becomes_readable_after_some_seconds_is_merged() {
    let script = lagging(Duration::ZERO, Duration::ZERO);
    assert_eq!(add(&script, 1, "anna", "51.44.71.1").await.0.word(), "added");
    edit_that_is_unreadable_for(&script, seconds(2.5));
    assert_eq!(add(&script, 2, "ben", "51.44.71.2").await.0.word(), "added");
    assert!(holds_the_edit(&script));
    assert_eq!(script.world.lock().entries(POLICY).len(), 4);
    assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_stays_unreadable_is_merged_by_the_next_add() {
    let script = lagging(Duration::ZERO, Duration::ZERO);
    assert_eq!(add(&script, 1, "anna", "51.44.71.1").await.0.word(), "added");
    edit_that_is_unreadable_for(&script, seconds(40.0));
    let started = Instant::now();
    let (answer, _) = add(&script, 2, "ben", "51.44.71.2").await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    // Until six seconds of the lease are left.
    let asked = started.elapsed();
    assert!(asked > seconds(5.0) && asked < seconds(7.0), "{asked:?}");
    let pending = lease(&script)["targets"][POLICY]["pending"].clone();
    assert_eq!(pending.as_array().map(Vec::len), Some(1), "{pending}");
    assert!(!holds_the_edit(&script), "it cannot be read yet");

    tokio::time::sleep(seconds(40.0)).await;
    let log = Log::listen();
    assert_eq!(add(&script, 3, "cleo", "51.44.71.3").await.0.word(), "added");
    assert!(holds_the_edit(&script));
    let merged = log.with_outcome("merged");
    assert_eq!(merged.len(), 1);
    assert_eq!(
        (&merged[0]["merged.version"], &merged[0]["target.version"]),
        (&json!("v3"), &json!("v5"))
    );
    assert_eq!(script.world.lock().entries(POLICY).len(), 5);
    assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None);
}

/// The default version is on every list, and no replica has its document.
#[tokio::test(start_paused = true)]
async fn a_default_that_stays_unreadable_is_merged_by_the_next_add() {
    let script = lagging(Duration::ZERO, Duration::ZERO);
    for tag in ["sqs:*", "ec2:*"] {
        edit(&mut script.world.lock(), &["7.7.7.7/32"], tag);
    }
    hide_version(&script, 3, seconds(40.0));
    let started = Instant::now();
    let (answer, _) = add(&script, 1, "anna", "51.44.71.1").await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    assert!(started.elapsed() < seconds(20.0), "{:?}", started.elapsed());
    let tags = read_gate(&script.world.lock().document(POLICY)).1;
    assert!(tags.contains("sqs:*"), "the newest version that can be read is built on: {tags:?}");
    assert_eq!(lease(&script)["targets"][POLICY]["pending"].as_array().map(Vec::len), Some(1));

    tokio::time::sleep(seconds(40.0)).await;
    assert_eq!(add(&script, 2, "ben", "51.44.71.2").await.0.word(), "added");
    assert!(holds_the_edit(&script));
    assert_eq!(script.world.lock().entries(POLICY).len(), 4);
    assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_cannot_read_what_it_overtook_fails_with_the_grants_kept() {
    let script = lagging(Duration::ZERO, Duration::ZERO);
    assert_eq!(add(&script, 1, "anna", "51.44.71.1").await.0.word(), "added");
    tokio::time::sleep(seconds(2.0)).await;
    edit_that_is_unreadable_for(&script, seconds(150.0));
    let reset = async |author| script.caller(author).reset(reset_config(&[]), json!({})).await;
    reset(2).await.unwrap_err();
    let pending = lease(&script)["targets"][POLICY]["pending"].clone();
    assert_eq!(pending.as_array().map(Vec::len), Some(1), "{pending}");
    assert_eq!(script.world.lock().keys("grants/"), ["grants/51.44.71.1_32/anna.json"]);

    tokio::time::sleep(seconds(150.0)).await;
    assert_eq!(reset(3).await.unwrap()["status"], "reset");
    let world = script.world.lock();
    assert_eq!(world.document(POLICY), gate(&[OFFICE], &["s3:Get*"]));
    assert!(world.keys("grants/").is_empty());
}

// Trust policies.

const ROLE: &str = "arn:aws:iam::444455556666:role/team/jump";

/// Two principals, two services, two actions, one condition of one value.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/ann"],"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com"]},"Action":["sts:AssumeRole","sts:TagSession"]},
    {"Effect":"Deny","Principal":"*","Action":["sts:AssumeRole"],"Condition":{"NotIpAddress":{"aws:SourceIp":["198.51.100.10/32","198.51.100.11/32"]},"StringNotEquals":{"aws:PrincipalTag/team":["ops"]}}}
]}"#;

const ONLY_ROLE: [(&str, &str); 2] = [("POLICY_ARNS", ""), ("ROLE_ARNS", ROLE)];

fn role() -> Script {
    let mut world = World::default();
    world.add_role(ROLE, TRUST);
    Script::new(world)
}

fn without_list(trust: &str) -> Value {
    let mut json: Value = serde_json::from_str(&normal(trust)).unwrap();
    json["Statement"][1]["Condition"]["NotIpAddress"]["aws:SourceIp"] = Value::Null;
    json
}

#[tokio::test(start_paused = true)]
async fn a_role_that_reads_back_in_another_order_is_opened_and_reset() {
    let script = role();
    let add = async |author, name: &str, address: &str| {
        script.caller(author).event(add_config(&ONLY_ROLE), add_event(name, address)).await
    };
    for (author, (name, address)) in
        [("alice", "62.4.5.6"), ("bob", "62.4.5.7")].into_iter().enumerate()
    {
        let answer = add(author, name, address).await;
        assert_eq!(answer.word(), "added", "{answer:?}");
    }
    let reads = script.world.lock().calls.len();
    assert_eq!(add(3, "alice", "62.4.5.6").await.word(), "already_allowed");
    {
        let world = script.world.lock();
        let iam = world.calls[reads..].iter().filter(|call| call.op.is_iam());
        assert_eq!(iam.count(), 1, "one read is enough");
        assert_eq!(
            without_list(&world.trust("jump")),
            without_list(TRUST),
            "nothing but the list has changed"
        );
        assert!(normal(&world.trust("jump")).contains("62.4.5.7/32"));
    }
    tokio::time::sleep(seconds(2.0)).await;
    let reset = async || script.caller(9).reset(reset_config(&ONLY_ROLE), json!({})).await.unwrap();
    let report = reset().await;
    assert_eq!(
        (report["status"].as_str(), &report["targets"][0]["drift"]),
        (Some("reset"), &json!(false)),
        "{report}"
    );
    assert_eq!(script.world.lock().trust("jump"), normal(TRUST));
    let written = script.world.lock().roles["jump"].history.len();
    let report = reset().await;
    assert_eq!(
        (report["status"].as_str(), &report["targets"][0]["drift"]),
        (Some("unchanged"), &json!(false)),
        "{report}"
    );
    assert_eq!(script.world.lock().roles["jump"].history.len(), written);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_of_a_role_that_an_administrator_wrote_in_another_form_is_no_drift() {
    let script = role();
    script.world.lock().put("baseline/444455556666/role/team/jump.json", TRUST);
    for _ in 0..3 {
        let report = script.caller(9).reset(reset_config(&ONLY_ROLE), json!({})).await.unwrap();
        assert_eq!(
            (report["status"].as_str(), &report["targets"][0]["drift"]),
            (Some("unchanged"), &json!(false)),
            "{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_is_what_stands_differs_in_no_statement() {
    let script = role();
    script.caller(1).event(add_config(&ONLY_ROLE), add_event("alice", HOME)).await;
    for _ in 0..5 {
        let event = json!({ "check_baseline": ROLE });
        let found = script.caller(2).reset(reset_config(&ONLY_ROLE), event).await.unwrap();
        assert_eq!(
            found["replaces"],
            json!({ "removed": [], "added": [], "statements_removed": [], "statements_added": [], "drift": false }),
        );
    }
}
