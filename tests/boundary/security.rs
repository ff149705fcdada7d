//! No way around the gate: forged objects under `grants/`, rollbacks, and baselines that are gone.

use fakes::invoke::{revoke_member_event, rollback_event, status_event};

use crate::*;

// Objects that somebody has put under `grants/`.

/// Objects that are no grants: their keys are not canonical, or their networks would not pass a request's checks.
const FORGED: [&str; 13] = [
    "grants/6.6.6.6/mallory.json",
    "grants/1.2.3.4_0/_open.json",
    "grants/0.0.0.0_0/mallory.json",
    "grants/51.44.0.0_16/mallory.json",
    "grants/51.44.72.1_24/mallory.json",
    "grants/10.1.2.3_32/mallory.json",
    "grants/2a05:d018::_32/mallory.json",
    "grants/2A05:D018:1:2::_64/mallory.json",
    "grants/6.6.6.6_32/mallory@01800009999.json",
    "grants/6.6.6.6_32/mallory@.json",
    "grants/6.6.6.6_32/a/mallory.json",
    "grants/6.6.6.6_32/mallory",
    "grants/",
];

/// They were put an hour from now, so that no reset takes them for old.
fn forged() -> Script {
    let mut world = office();
    for object in FORGED {
        world.put_at(object, "{}", EPOCH + 3600);
    }
    Script::new(world)
}

fn left(script: &Script) -> Vec<String> {
    script.world.lock().keys("grants/")
}

fn sorted(objects: &[&str]) -> Vec<String> {
    let mut sorted: Vec<String> = objects.iter().map(|key| (*key).to_owned()).collect();
    sorted.sort();
    sorted
}

#[tokio::test(start_paused = true)]
async fn a_forged_grant_is_never_published() {
    let script = forged();
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE, "51.44.71.80/32"]);
    for event in [
        json!({ "revoke": [HOME] }),
        revoke_member_event("mallory"),
        json!({ "expire": true }),
        json!({}),
    ] {
        command(&script, event.clone()).await;
        let entries = script.world.lock().entries(POLICY);
        assert_eq!(entries, [OFFICE], "{event}");
    }
    assert_eq!(left(&script), sorted(&FORGED), "they stay as objects");
}

#[tokio::test(start_paused = true)]
async fn a_forged_grant_keeps_nothing_in_force() {
    let wanted = ["6.6.6.6/32", "51.44.0.0/16", "10.1.2.3/32"];
    for event in [json!({}), json!({ "revoke": wanted })] {
        let script = forged();
        script.caller(1).add("alice", HOME).await;
        let edit = Op::Edit {
            arn: POLICY.into(),
            entries: wanted.map(str::to_owned).to_vec(),
            tags: Vec::new(),
        };
        script.world.lock().apply(9, &edit, 0);
        pass(2).await;
        command(&script, event.clone()).await;
        let entries = script.world.lock().entries(POLICY);
        let kept = |entry: &&str| entries.iter().any(|left| left == *entry);
        assert!(!wanted.iter().any(kept), "{entries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_grant_takes_nothing_of_its_members_share() {
    let script = Script::new(office());
    for object in ["grants/6.6.6.6/alice.json", "grants/10.1.2.3_32/alice.json"] {
        script.world.lock().put(object, "{}");
    }
    let config = || add_config(&[("MAX_GRANTS_PER_MEMBER", "1")]);
    let add = add_event("alice", HOME);
    assert_eq!(script.caller(1).event(config(), add).await.word(), "added");
    let status = status_event("alice", "6.6.6.6");
    let status = script.caller(1).event(config(), status).await;
    assert_eq!(status.body["members"], json!([]));
    assert_eq!(status.body["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_for_a_private_network_counts_with_the_scope_any_alone() {
    for (scope, expected) in [("public", 2), ("any", 3)] {
        let script = Script::new(office());
        script.world.lock().put("grants/10.1.2.3_32/bob.json", "{}");
        let config = add_config(&[("ADDRESS_SCOPE", scope)]);
        script.caller(1).event(config, add_event("alice", HOME)).await;
        let entries = script.world.lock().entries(POLICY);
        assert_eq!(entries.len(), expected, "{scope}: {entries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_deletes_exactly_the_grants_that_were_listed() {
    let script = Script::new(office());
    let genuine = [
        "grants/51.44.71.80_32/alice.json",
        "grants/51.44.71.80_32/bob@1800009999.json",
        "grants/2a05:d018:1:2::_64/alice.json",
    ];
    let twins = ["grants/51.44.71.80/alice.json", "grants/2a05:d018:1:2:0::_64/alice.json"];
    for object in genuine.iter().chain(&twins) {
        script.world.lock().put(object, "{}");
    }
    let baseline = gate(&[OFFICE], &["s3:Get*"]);
    let object = "baseline/111122223333/policy/gate.json";
    script.world.lock().put(object, &baseline);
    pass(2).await;
    command(&script, json!({})).await;
    assert_eq!(left(&script), sorted(&twins));
}

// Rollbacks, and baselines that are gone.

#[tokio::test(start_paused = true)]
async fn a_rollback_does_not_revive_what_is_gone() {
    let script = Script::new(office());
    script.caller(1).add("alice", "62.4.5.1").await;
    let short = fakes::invoke::add_event_for("alice", "62.4.5.2", "5m");
    script.caller(1).event(add_config(&[]), short).await;
    script.caller(1).add("bob", HOME).await;
    let with_all = script.world.lock().policy(POLICY).default;
    assert_eq!(script.world.lock().entries(POLICY).len(), 4);
    command(&script, json!({ "revoke": ["62.4.5.1"] })).await;
    pass(300).await;
    let version = format!("v{with_all}");
    let report = command(&script, rollback_event(POLICY, &version)).await;
    assert_eq!(report["status"], "rolled_back", "{report}");
    assert_eq!(
        script.world.lock().entries(POLICY),
        [OFFICE, "51.44.71.80/32"],
        "what was revoked is gone, and what has ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_was_deleted_is_not_captured_again() {
    let object = "baseline/111122223333/policy/gate.json";
    for hours in ["0", "2"] {
        let script = Script::new(office());
        let config = || add_config(&[("CUTOFF_HOURS", hours)]);
        let add = |name: &str, address: &str| {
            let (caller, event) = (script.caller(1), add_event(name, address));
            async move { caller.event(config(), event).await }
        };
        assert_eq!(add("alice", HOME).await.word(), "added");
        script.world.lock().objects.remove(object);
        let before = script.world.lock().policy(POLICY).clone();
        let answer = add("bob", "51.44.71.81").await;
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (502, "baseline_unusable"),
            "{answer:?}"
        );
        let world = script.world.lock();
        assert_eq!(world.policy(POLICY), &before);
        assert!(!world.objects.contains_key(object));
        assert_eq!(world.keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
    }
}
