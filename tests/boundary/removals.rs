//! Members take back their own entries, and learn why something stays.

use fakes::Answer;
use fakes::invoke::{add_event_for, remove_event};

use crate::*;

async fn ask(script: &Script, event: Value) -> Answer {
    script.caller(1).event(add_config(&[]), event).await
}

async fn add_for(script: &Script, name: &str, address: &str, length: &str) -> Answer {
    ask(script, add_event_for(name, address, length)).await
}

async fn remove(script: &Script, name: &str, query: &[(&str, &str)]) -> Answer {
    ask(script, remove_event(name, HOME, query)).await
}

fn entries(script: &Script) -> Vec<String> {
    script.world.lock().entries(POLICY)
}

fn grants(script: &Script) -> Vec<String> {
    script.world.lock().keys("grants/")
}

#[tokio::test(start_paused = true)]
async fn a_member_takes_their_own_network_back() {
    let script = Script::new(office());
    ask(&script, add_event("alice", HOME)).await;
    ask(&script, add_event("alice", "51.44.71.81")).await;
    let answer = remove(&script, "alice", &[]).await;
    assert_eq!(
        (answer.status, &answer.body),
        (
            200,
            &json!({
                "status": "removed", "removed": ["51.44.71.80/32"], "kept": [],
                "targets": [{ "arn": POLICY, "status": "removed", "version": "v4" }],
            })
        )
    );
    assert_eq!(entries(&script), [OFFICE, "51.44.71.81/32"]);
    assert_eq!(grants(&script), ["grants/51.44.71.81_32/alice.json"]);
    let again = remove(&script, "alice", &[]).await;
    assert_eq!(again.word(), "unchanged");
    assert_eq!(again.body["removed"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_member_takes_a_named_network_back() {
    for form in [false, true] {
        let script = Script::new(office());
        add_for(&script, "alice", "51.44.71.81", "2h").await;
        let mut event = remove_event("alice", HOME, &[("network", "51.44.71.81/32")]);
        if form {
            event = remove_event("alice", HOME, &[]);
            event["headers"]["Content-Type"] = "application/x-www-form-urlencoded".into();
            event["body"] = "network=51.44.71.81".into();
        }
        let answer = ask(&script, event).await;
        assert_eq!(answer.body["removed"], json!(["51.44.71.81/32"]), "{answer:?}");
        assert_eq!(entries(&script), [OFFICE]);
        assert_eq!(grants(&script), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_takes_everything_back() {
    let script = Script::new(office());
    for address in [HOME, "51.44.71.81", "2a05:d018:1:2::5"] {
        ask(&script, add_event("alice", address)).await;
    }
    ask(&script, add_event("bob", "51.44.71.81")).await;
    ask(&script, add_event("bob", "51.44.71.82")).await;
    script.world.lock().put("grants/123.123.123.123_32/alice.json", "{}");
    let answer = remove(&script, "alice", &[("all", "true")]).await;
    assert_eq!(
        (answer.word().as_str(), &answer.body["removed"], &answer.body["kept"]),
        (
            "removed",
            &json!(["51.44.71.80/32", "2a05:d018:1:2::/64"]),
            &json!([
                { "network": "51.44.71.81/32", "reason": "granted_to_others" },
                { "network": "123.123.123.123/32", "reason": "permanent" },
            ])
        ),
        "{answer:?}"
    );
    assert_eq!(entries(&script), [OFFICE, "51.44.71.81/32", "51.44.71.82/32"]);
    assert_eq!(
        grants(&script),
        ["grants/51.44.71.81_32/bob.json", "grants/51.44.71.82_32/bob.json"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_member_never_had_is_kept_with_its_reason() {
    let script = Script::new(office());
    ask(&script, add_event("bob", "51.44.71.81")).await;
    for (network, kept) in [
        ("51.44.71.81", json!([{ "network": "51.44.71.81/32", "reason": "granted_to_others" }])),
        ("123.123.123.123", json!([{ "network": "123.123.123.123/32", "reason": "permanent" }])),
        ("9.9.9.9", json!([])),
    ] {
        let answer = remove(&script, "alice", &[("network", network)]).await;
        assert_eq!(answer.word(), "unchanged");
        assert_eq!(answer.body["kept"], kept, "{answer:?}");
    }
    assert_eq!(entries(&script), [OFFICE, "51.44.71.81/32"]);
    assert_eq!(script.world.lock().policy(POLICY).default, 2);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_has_ended_keeps_nothing_of_what_others_take_back() {
    let script = Script::new(office());
    ask(&script, add_event("alice", HOME)).await;
    add_for(&script, "bob", HOME, "5m").await;
    pass(300).await;
    let answer = remove(&script, "alice", &[]).await;
    assert_eq!(entries(&script), [OFFICE]);
    assert_eq!(
        (answer.word().as_str(), &answer.body["kept"]),
        ("removed", &json!([])),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_none_is_not_taken_back() {
    let script = Script::new(office());
    ask(&script, add_event("alice", HOME)).await;
    for network in ["x", "1.2.3.4/33", "51.44.71.80_32"] {
        let answer = remove(&script, "alice", &[("network", network)]).await;
        assert_eq!((answer.status, answer.word().as_str()), (400, "bad_ip"));
    }
    assert_eq!(entries(&script).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn taking_back_needs_a_key_always() {
    let script = Script::new(office());
    let open = || add_config(&[("OPEN_ACCESS", "true")]);
    let mut event = add_event("nobody", HOME);
    event["headers"] = json!({});
    let answer = script.caller(1).event(open(), event.clone()).await;
    assert_eq!(answer.word(), "added");
    event["resource"] = "/remove".into();
    event["httpMethod"] = "POST".into();
    let answer = script.caller(1).event(open(), event).await;
    assert_eq!((answer.status, answer.word().as_str()), (401, "unauthorized"));
    assert_eq!(grants(&script), ["grants/51.44.71.80_32/_open.json"]);
}

#[tokio::test(start_paused = true)]
async fn taking_back_is_a_post() {
    let script = Script::new(office());
    ask(&script, add_event("alice", HOME)).await;
    for method in ["GET", "HEAD", "DELETE"] {
        let mut event = remove_event("alice", HOME, &[]);
        event["httpMethod"] = method.into();
        let answer = ask(&script, event).await;
        assert_eq!((answer.status, answer.headers["Allow"].as_str()), (405, Some("POST")));
    }
    assert_eq!(entries(&script).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_entry_beside_a_wider_one_of_their_own_is_not_others() {
    let script = Script::new(office());
    let named = [("EXPLICIT_IP", "true")];
    for network in ["51.44.71.0/24", "51.44.71.80/32"] {
        let mut event = add_event("alice", "62.4.5.6");
        event["queryStringParameters"]["ip"] = network.into();
        script.caller(1).event(add_config(&named), event).await;
    }
    let answer = remove(&script, "alice", &[("network", "51.44.71.80/32")]).await;
    assert_eq!(answer.body["kept"], json!([]), "{answer:?}");
}
