//! Rules of the algorithm that the simulation shows too seldom to look for them in every run.

use fakes::invoke::add_event_for;

use crate::*;

fn puts_grant(op: &Op) -> bool {
    matches!(op, Op::PutObject { key, .. } if key.starts_with("grants/"))
}

/// `GrantPutOnce`: an earlier attempt could land after a removal.
#[tokio::test(start_paused = true)]
async fn the_put_of_a_grant_is_never_repeated() {
    for act in [Act::Silent, Act::Dropped, Act::Fail(503, "SlowDown")] {
        let script = Script::new(office());
        script.once(act.clone(), puts_grant);
        let answer = script.caller(1).add("alice", HOME).await;
        assert_eq!(answer.status, 503, "{act:?}: {answer:?}");
        let world = script.world.lock();
        assert_eq!(world.calls.iter().filter(|call| puts_grant(&call.op)).count(), 0, "{act:?}");
        assert_eq!(world.entries(POLICY), [OFFICE]);
    }
}

/// `ServedByObject`: an older object of the same entry says nothing about a renewal.
#[tokio::test(start_paused = true)]
async fn a_release_that_served_an_older_object_does_not_answer_a_renewal() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    pass(2).await;
    let held = lease(&script);
    let mut busy = held.clone();
    busy["nonce"] = "bob".into();
    script.world.lock().put("lease.json", &busy.to_string());
    let mut released = held.clone();
    released["served"] = json!(["grants/51.44.71.80_32/alice.json"]);
    let mut reads = 0;
    script.rule(move |world, _, op| {
        reads += usize::from(matches!(op, Op::GetObject(key) if key == "lease.json"));
        if reads == 4 {
            reads += 1;
            world.put("lease.json", &released.to_string());
        }
        None
    });
    let event = add_event_for("alice", HOME, "30m");
    let answer = script.caller(2).event(add_config(&[]), event).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ends = answer.body["ends"].as_str().unwrap();
    let grants = script.world.lock().keys("grants/");
    assert_eq!(
        grants.len(),
        1,
        "the older object is dropped by the renewal's own work: {grants:?}"
    );
    let end = allowlist::time::parse_seconds(ends).unwrap();
    assert_eq!(grants[0], format!("grants/51.44.71.80_32/alice@{end}.json"));
}

/// `IntendedFirst`: a holder that died may have answered for what its intent names.
#[tokio::test(start_paused = true)]
async fn an_intended_entry_keeps_its_place_in_the_share() {
    let script = Script::new(office());
    script.caller(1).add("bob", "51.44.71.81").await;
    let mut record = lease(&script);
    for host in 1..=3 {
        let object = format!("grants/62.4.5.{host}_32/alice.json");
        script.world.lock().put(&object, "{}");
        pass(2).await;
    }
    record["targets"][POLICY]["pending"] = json!([{
        "seen": "v2", "base": "v2", "sha256": "00", "kind": "add",
        "keys": ["grants/62.4.5.3_32/alice.json"], "at": EPOCH,
    }]);
    script.world.lock().put("lease.json", &record.to_string());
    let config = add_config(&[("MAX_GRANTS_PER_MEMBER", "2")]);
    let answer = script.caller(2).event(config, add_event("carol", HOME)).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let mut hers = script.world.lock().entries(POLICY);
    hers.retain(|entry| entry.starts_with("62.4.5."));
    assert_eq!(hers, ["62.4.5.1/32", "62.4.5.3/32"]);
}
