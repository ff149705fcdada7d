//! Role trust policies as targets: no versions, so a baseline before the first write, and a read-back after each.

use allowlist::Document;
use fakes::trust::normal;
use fakes::{Act, Op, POLICY, Script, World, add_config, add_event, gate, reset_config};
use serde_json::{Value, json};

const HOME: &str = "62.4.5.6";
const ROLE: &str = "arn:aws:iam::444455556666:role/team/jump";
const BASELINE: &str = "baseline/444455556666/role/team/jump.json";

fn known(name: &str) -> String {
    std::fs::read_to_string(format!(
        "{}/../examples/policies/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn world(trust: &str) -> Script {
    let mut world = World::default();
    world.add_role(ROLE, trust);
    Script::new(world)
}

const ONLY_ROLE: [(&str, &str); 2] = [("POLICY_ARNS", ""), ("ROLE_ARNS", ROLE)];

async fn add(script: &Script, name: &str, address: &str) -> fakes::Answer {
    script.caller(1).event(add_config(&ONLY_ROLE), add_event(name, address)).await
}

fn writes(op: &Op) -> bool {
    matches!(op, Op::UpdateAssumeRolePolicy(..))
}

/// The entries, in order: IAM keeps none.
fn list(document: &str) -> Vec<String> {
    let document = Document::parse(document).unwrap();
    let gate = allowlist::Gate::find(&document, &[]).unwrap();
    let mut entries: Vec<String> =
        gate.entries(&document).into_iter().map(|entry| entry.text).collect();
    entries.sort();
    entries
}

/// Whether two trust policies are the same to IAM.
fn same(one: &str, other: &str) -> bool {
    Document::parse(&normal(one)).unwrap() == Document::parse(&normal(other)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn both_forms_in_use_are_opened_and_put_back() {
    for form in ["trust-deny", "trust-allow"] {
        let before = known(form);
        let script = world(&before);
        let answer = add(&script, "alice", HOME).await;
        assert_eq!(
            answer.body["targets"],
            json!([{ "arn": ROLE, "status": "added", "version": null }]),
            "{answer:?}"
        );
        assert_eq!(
            list(&script.world.lock().trust("jump")),
            ["198.51.100.10/32", "198.51.100.11/32", "62.4.5.6/32"]
        );
        assert_eq!(add(&script, "alice", HOME).await.word(), "already_allowed");
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let report = script.caller(2).reset(reset_config(&ONLY_ROLE), json!({})).await.unwrap();
        assert_eq!(
            (&report["targets"][0]["removed"], &report["targets"][0]["version"]),
            (&json!(["62.4.5.6/32"]), &Value::Null)
        );
        assert!(same(&script.world.lock().trust("jump"), &before));
        assert_eq!(
            script.caller(2).reset(reset_config(&ONLY_ROLE), json!({})).await.unwrap()["status"],
            "unchanged"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_baseline_is_saved_before_the_first_write_always() {
    let script = world(&known("trust-deny"));
    script.rule(|world, _, op| {
        assert!(
            !writes(op) || world.objects.contains_key(BASELINE),
            "written before the baseline was saved"
        );
        None
    });
    assert_eq!(add(&script, "alice", HOME).await.word(), "added");
    assert_eq!(
        list(&script.world.lock().objects[BASELINE].body),
        ["198.51.100.10/32", "198.51.100.11/32"]
    );

    // If it cannot be saved, nothing is written.
    let script = world(&known("trust-deny"));
    script.rule(|_, _, op| {
        matches!(op, Op::PutObject { key, .. } if key.starts_with("baseline/"))
            .then_some(Act::Fail(403, "AccessDenied"))
    });
    let answer = add(&script, "alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"), "{answer:?}");
    let world = script.world.lock();
    assert!(same(&world.trust("jump"), &known("trust-deny")));
    assert!(world.keys("grants/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_request_opens_targets_in_two_accounts() {
    let script = world(&known("trust-allow"));
    script.world.lock().add_policy(POLICY, &[(1, gate(&["198.51.100.10/32"], &[]))]);
    let both = [("ROLE_ARNS", ROLE)];
    let answer = script.caller(1).event(add_config(&both), add_event("alice", HOME)).await;
    assert_eq!(
        answer.body["targets"],
        json!([{ "arn": POLICY, "status": "added", "version": "v2" }, { "arn": ROLE, "status": "added", "version": null }])
    );
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let report = script.caller(2).reset(reset_config(&both), json!({})).await.unwrap();
    assert_eq!(report["targets"].as_array().unwrap().len(), 2);
    let world = script.world.lock();
    assert_eq!((world.entries(POLICY).len(), list(&world.trust("jump")).len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_has_its_own_limit() {
    let before = known("trust-deny");
    let size = Document::parse(&normal(&before)).unwrap().size() + r#","62.4.5.6/32""#.len();
    for (limit, word) in [(size, "added"), (size - 1, "policy_full")] {
        let script = world(&before);
        // Its shape decides its size by a few characters.
        script.world.lock().shuffles_trust = false;
        let limit = limit.to_string();
        let variables = [ONLY_ROLE[0], ONLY_ROLE[1], ("TRUST_POLICY_LIMIT", limit.as_str())];
        let answer = script.caller(1).event(add_config(&variables), add_event("alice", HOME)).await;
        assert_eq!(answer.word(), word, "{answer:?}");
        assert_eq!(script.world.lock().keys("grants/").is_empty(), word == "policy_full");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_look_at_the_trust_policy_loses_nobody() {
    let script = world(&known("trust-deny"));
    add(&script, "alice", HOME).await;
    // The next three looks are a write behind, then IAM catches up.
    for _ in 0..3 {
        script.once(Act::Stale(1), Op::is_iam_read);
    }
    assert_eq!(add(&script, "bob", "62.4.5.7").await.word(), "added");
    assert_eq!(
        list(&script.world.lock().trust("jump"))[2..],
        ["62.4.5.6/32", "62.4.5.7/32"].map(str::to_owned)
    );
    // A look that never catches up is taken for an edit outside; the grants bring everybody back.
    script.rule(|_, _, op| op.is_iam_read().then_some(Act::Stale(1)));
    assert_eq!(add(&script, "carol", "62.4.5.8").await.word(), "added");
    let mut now = list(&script.world.lock().trust("jump"));
    now.sort();
    assert_eq!(now[2..], ["62.4.5.6/32", "62.4.5.7/32", "62.4.5.8/32"].map(str::to_owned));
}

/// An old answer is not taken for an edit: it would bring back what a removal has taken away.
#[tokio::test(start_paused = true)]
async fn a_stale_look_at_the_trust_policy_revives_nothing() {
    for behind in [1, 2] {
        let script = world(&known("trust-deny"));
        add(&script, "alice", HOME).await;
        let event = fakes::invoke::remove_event("alice", HOME, &[]);
        script.caller(1).event(add_config(&ONLY_ROLE), event).await;
        if behind == 2 {
            add(&script, "bob", "62.4.5.7").await;
        }
        script.rule(move |_, author, op| {
            (author == 2 && matches!(op, Op::GetRole(_))).then_some(Act::Stale(behind))
        });
        let event = add_event("carol", "62.4.5.8");
        let answer = script.caller(2).event(add_config(&ONLY_ROLE), event).await;
        assert_eq!(answer.word(), "added", "{answer:?}");
        let now = list(&script.world.lock().trust("jump"));
        assert!(!now.contains(&"62.4.5.6/32".to_owned()), "{behind} writes behind: {now:?}");
        assert_eq!(now.len(), 2 + behind);
    }
}

/// What was in force before our write, or before that, is an old answer: there is nothing to merge.
#[tokio::test(start_paused = true)]
async fn an_old_answer_after_the_write_is_no_edit() {
    for behind in [1, 2, 3] {
        let script = world(&known("trust-deny"));
        for (name, address) in [("alice", HOME), ("bob", "62.4.5.7")] {
            assert_eq!(add(&script, name, address).await.word(), "added");
        }
        let mut written = false;
        script.rule(move |_, _, op| {
            written |= writes(op);
            (written && matches!(op, Op::GetRole(_))).then_some(Act::Stale(behind))
        });
        let log = fakes::log::Log::listen();
        assert_eq!(add(&script, "carol", "62.4.5.8").await.word(), "added");
        assert!(log.with_outcome("merged").is_empty(), "{behind} writes behind");
        let world = script.world.lock();
        assert_eq!(world.calls.iter().filter(|call| writes(&call.op)).count(), 3);
        assert_eq!(list(&world.trust("jump")).len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_outside_between_the_write_and_its_read_back_is_merged() {
    let script = world(&known("trust-deny"));
    let mut written = false;
    let mut edited = false;
    script.rule(move |world, _, op| {
        if written && !edited && matches!(op, Op::GetRole(_)) {
            edited = true;
            let edit = known("trust-deny").replace("test-user", "new-user");
            world.apply(9, &Op::UpdateAssumeRolePolicy("jump".into(), edit), 0);
        }
        written |= writes(op);
        None
    });
    assert_eq!(add(&script, "alice", HOME).await.word(), "added");
    let now = script.world.lock().trust("jump");
    assert!(now.contains("new-user") && !now.contains("test-user"), "{now}");
    assert!(list(&now).contains(&"62.4.5.6/32".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_role_is_repeated_unless_it_was_refused() {
    let script = world(&known("trust-deny"));
    script.once(Act::Lost, writes);
    script.once(Act::Fail(400, "Throttling"), writes);
    assert_eq!(add(&script, "alice", HOME).await.word(), "added");
    // A write without an answer may still land, so the lease is not given back: it runs out.
    let lease: Value =
        serde_json::from_str(&script.world.lock().objects["lease.json"].body).unwrap();
    assert!(lease["nonce"].is_string(), "{lease}");
    assert_eq!(add(&script, "bob", "62.4.5.7").await.word(), "added");

    let script = world(&known("trust-deny"));
    script.rule(|_, _, op| writes(op).then_some(Act::Fail(400, "MalformedPolicyDocument")));
    let answer = add(&script, "alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "malformed_document"));
    assert!(script.world.lock().keys("grants/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_leaves_what_the_next_add_and_reset_repair() {
    for after in [false, true] {
        for nth in 1..40 {
            let script = world(&known("trust-deny"));
            let mut calls = 0;
            script.rule(move |world, author, op| {
                calls += usize::from(author == 1);
                if author == 1 && calls >= nth {
                    if after && calls == nth {
                        world.apply(author, op, 0);
                    }
                    return Some(Act::Silent);
                }
                None
            });
            let crashed = tokio::time::timeout(
                std::time::Duration::from_millis(900),
                add(&script, "alice", HOME),
            )
            .await
            .is_err();
            tokio::time::sleep(std::time::Duration::from_secs(14)).await;
            let repaired =
                script.caller(2).event(add_config(&ONLY_ROLE), add_event("bob", "62.4.5.7")).await;
            assert_eq!(repaired.word(), "added", "call {nth}, after: {after}: {repaired:?}");
            assert!(list(&script.world.lock().trust("jump")).contains(&"62.4.5.7/32".to_owned()));
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            script.caller(3).reset(reset_config(&ONLY_ROLE), json!({})).await.unwrap();
            assert_eq!(
                list(&script.world.lock().trust("jump")),
                ["198.51.100.10/32", "198.51.100.11/32"],
                "call {nth}, after: {after}"
            );
            if !crashed {
                assert!(nth > 8, "only {nth} calls");
                break;
            }
        }
    }
}
