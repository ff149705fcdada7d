//! The lease file and the grants that an older release has left in the bucket.

use fakes::trust::normal;

use crate::*;

const BASELINE: &str = "baseline/111122223333/policy/gate.json";
const CAFE: &str = "51.44.71.1";

/// A lease file of the first release: no documents, no ids, and networks instead of grants.
fn old_lease(targets: &Value) -> String {
    json!({
        "nonce": null, "holder": "r1", "kind": "add", "until": "2026-01-01T00:00:00Z",
        "targets": targets, "networks": ["51.44.71.1/32"],
    })
    .to_string()
}

/// Versions 5 to 8, the last of which lets alice's café in.
fn older(targets: &Value) -> Script {
    let office_alone = gate(&[OFFICE], &["s3:Get*"]);
    let mut versions: Vec<_> = (5..8).map(|id| (id, office_alone.clone())).collect();
    versions.push((8, gate(&[OFFICE, "51.44.71.1/32"], &["s3:Get*"])));
    let mut world = World::with_policy(&versions);
    world.put(BASELINE, &office_alone);
    world.put("grants/51.44.71.1_32/alice.json", "{}");
    world.put("lease.json", &old_lease(targets));
    Script::new(world)
}

fn written_before() -> Script {
    older(&json!({ POLICY: { "last": "v8" } }))
}

#[tokio::test(start_paused = true)]
async fn an_old_lease_file_answers_who_is_in_already() {
    let script = written_before();
    let before = lease(&script);
    for (name, address) in [("alice", CAFE), ("bob", "123.123.123.123")] {
        let answer = script.caller(1).add(name, address).await;
        assert_eq!(answer.word(), "already_allowed", "{answer:?}");
        assert_eq!(answer.body["targets"][0]["version"], "v8");
    }
    assert_eq!(lease(&script), before);
    assert_eq!(writes(&script), []);
}

#[tokio::test(start_paused = true)]
async fn the_first_write_upgrades_an_old_lease_file() {
    let script = written_before();
    let answer = script.caller(1).add("bob", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v9", "{answer:?}");
    let document = gate(&[OFFICE, "51.44.71.1/32", "51.44.71.80/32"], &["s3:Get*"]);
    assert_eq!(script.world.lock().document(POLICY), document);
    let record = lease(&script);
    assert_eq!(
        record["targets"],
        json!({ POLICY: { "last": "v9", "last_at": EPOCH, "doc": document, "ids": ["v6", "v7", "v8", "v9"] } })
    );
    assert_eq!((&record["nonce"], record.get("networks")), (&Value::Null, None));
    // From now on a list that lags costs no wait.
    script.rule(|_, _, op| op.is_iam_read().then_some(Act::Stale(9)));
    let answer = script.caller(2).add("carol", "51.44.71.82").await;
    assert_eq!(answer.body["targets"][0]["version"], "v10", "{answer:?}");
    assert_eq!(script.world.lock().entries(POLICY).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_old_lease_file_is_reset() {
    let script = written_before();
    pass(2).await;
    let report = command(&script, json!({})).await;
    assert_eq!(report["targets"][0]["removed"], json!(["51.44.71.1/32"]));
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE]);
    assert!(script.world.lock().keys("grants/").is_empty());
    assert_eq!(lease(&script)["targets"][POLICY]["last"], "v9");
    assert_eq!(command(&script, json!({})).await["status"], "unchanged");
}

#[tokio::test(start_paused = true)]
async fn an_old_grant_keeps_counting() {
    let script = older(&json!({}));
    {
        let mut world = script.world.lock();
        world.put("grants/2a05:d018:1:2::_64/alice.json", "{}");
        world.put("grants/51.44.71.9_32/_open.json", "{}");
    }
    let answer = script.caller(1).add("bob", HOME).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    assert_eq!(
        script.world.lock().entries(POLICY),
        [OFFICE, "2a05:d018:1:2::/64", "51.44.71.1/32", "51.44.71.80/32", "51.44.71.9/32"]
    );
    let removed = fakes::invoke::remove_event("alice", CAFE, &[("all", "true")]);
    script.caller(2).event(add_config(&[]), removed).await;
    assert_eq!(
        script.world.lock().keys("grants/"),
        ["grants/51.44.71.80_32/bob.json", "grants/51.44.71.9_32/_open.json"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_write_that_was_never_verified_is_settled() {
    for kind in ["add", "reset"] {
        let script = written_before();
        // The dead holder's version 8 has overtaken what a colleague saved as version 7.
        {
            let mut world = script.world.lock();
            let edited = gate(&[OFFICE], &["ec2:*", "s3:Get*"]);
            let written = world.document(POLICY);
            world.add_version(POLICY, 7, &edited);
            world.add_version(POLICY, 8, &written);
            let sha256 = Document::parse(&written).unwrap().sha256();
            let intent = json!({ "seen": "v6", "base": "v6", "sha256": sha256, "kind": kind });
            let lease = old_lease(&json!({ POLICY: { "last": "v6", "pending": [intent] } }));
            world.put("lease.json", &lease);
        }
        let answer = script.caller(1).add("bob", HOME).await;
        assert_eq!(answer.word(), "added", "{kind}: {answer:?}");
        let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
        assert_eq!((entries.len(), tags.len()), (3, 2), "{kind}: {entries:?} {tags:?}");
        assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_cut_that_died_is_not_answered_from_reads() {
    let intent = json!({ "seen": "v8", "base": "v8", "sha256": "00", "kind": "reset" });
    let script = older(&json!({ POLICY: { "last": "v8", "pending": [intent] } }));
    let answer = script.caller(1).add("alice", CAFE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(writes(&script), [], "it took the lease");
    assert_eq!(lease(&script)["targets"][POLICY].get("pending"), None);
}

#[tokio::test(start_paused = true)]
async fn an_old_holder_that_died_is_waited_for() {
    let script = written_before();
    let held = old_lease(&json!({ POLICY: { "last": "v8" } })).replace("null", "\"r1-00\"");
    script.world.lock().put("lease.json", &held);
    let started = tokio::time::Instant::now();
    assert_eq!(script.caller(1).add("bob", HOME).await.word(), "added");
    let waited = started.elapsed().as_secs();
    assert!((12..=15).contains(&waited), "{waited} s");
}

#[tokio::test(start_paused = true)]
async fn an_old_record_of_a_role_is_upgraded() {
    let role = "arn:aws:iam::444455556666:role/team/jump";
    let variables = [("POLICY_ARNS", ""), ("ROLE_ARNS", role)];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    let trust = std::fs::read_to_string(format!("{folder}/trust-deny.json")).unwrap();
    let mut world = World::default();
    world.add_role(role, &trust);
    world.put("baseline/444455556666/role/team/jump.json", &trust);
    let hash = Document::parse(&trust).unwrap().sha256();
    world.put("lease.json", &old_lease(&json!({ role: { "last": hash } })));
    let script = Script::new(world);
    let add = add_event("alice", HOME);
    for word in ["added", "already_allowed"] {
        let config = add_config(&variables);
        let answer = script.caller(1).event(config, add.clone()).await;
        assert_eq!(answer.word(), word, "{answer:?}");
    }
    assert!(lease(&script)["targets"][role]["doc"].is_string());
    pass(2).await;
    let config = reset_config(&variables);
    let report = script.caller(2).reset(config, json!({})).await.unwrap();
    assert_eq!(report["targets"][0]["drift"], false);
    assert_eq!(script.world.lock().trust("jump"), normal(&trust));
}
