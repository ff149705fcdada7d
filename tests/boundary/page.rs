//! The page, and answers for browsers.

use crate::*;

fn as_browser(mut event: Value) -> Value {
    event["headers"]["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8".into();
    event
}

fn on(mut event: Value, resource: &str) -> Value {
    event["resource"] = resource.into();
    event["path"] = resource.into();
    event["requestContext"]["path"] = format!("/gate{resource}").into();
    event["requestContext"]["domainName"] = "a1.execute-api.us-east-1.amazonaws.com".into();
    event["requestContext"]["apiId"] = "a1".into();
    event["stageVariables"] = json!({ "PEER_API_ID": "b2" });
    event
}

#[tokio::test(start_paused = true)]
async fn the_page_asks_aws_for_nothing() {
    let script = Script::new(office());
    let mut event = on(as_browser(add_event("mallory", HOME)), "/");
    event["headers"]["Accept-Language"] = "ja".into();
    let answer =
        script.caller(1).event(add_config(&[("RESET_DESCRIPTION", "<daily>")]), event).await;
    let text = answer.body.as_str().unwrap();
    assert!(
        text.contains(HOME) && text.contains("lang=\"ja\"") && text.contains("&lt;daily&gt;"),
        "{text}"
    );
    assert!(text.contains("action=\"/gate/add\""), "{text}");
    let policy = answer.headers["Content-Security-Policy"].as_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("frame-ancestors 'none'")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        policy.contains("connect-src 'self' https://b2.execute-api.us-east-1.amazonaws.com;"),
        "{policy}"
    );
    for (name, value) in [
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    let calls = &script.world.lock().calls;
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn only_the_peer_may_read_an_answer_from_elsewhere() {
    let script = Script::new(office());
    let answer =
        script.caller(1).event(add_config(&[]), on(add_event("alice", HOME), "/status")).await;
    assert_eq!(
        answer.headers["Access-Control-Allow-Origin"],
        "https://b2.execute-api.us-east-1.amazonaws.com"
    );
    assert_eq!(answer.headers["Vary"], "Origin");
    let alone = script.caller(1).add("alice", HOME).await;
    assert_eq!(alone.headers.get("Access-Control-Allow-Origin"), None);
}

#[tokio::test(start_paused = true)]
async fn status_changes_nothing() {
    let script = Script::new(office());
    let status = |name: &str, address: &str| {
        let event = on(add_event(name, address), "/status");
        let caller = script.caller(7);
        async move { caller.event(add_config(&[]), event).await }
    };
    assert_eq!(status("mallory", HOME).await.word(), "unauthorized");
    assert_eq!(
        status("alice", HOME).await.body,
        json!({ "network": "51.44.71.80/32", "allowed": false, "granted_at": null, "ends": null, "members": [], "entries": [] })
    );
    script.caller(1).add("bob", HOME).await;
    script.caller(1).add("alice", HOME).await;
    let writes = |script: &Script| {
        script
            .world
            .lock()
            .calls
            .iter()
            .filter(|call| matches!(call.op, Op::PutObject { .. } | Op::CreatePolicyVersion(..)))
            .count()
    };
    let before = writes(&script);
    assert_eq!(
        status("alice", HOME).await.body,
        json!({ "network": "51.44.71.80/32", "allowed": true, "granted_at": "2027-01-15T08:00:00Z", "ends": null, "members": ["alice", "bob"], "entries": [{ "network": "51.44.71.80/32", "granted_at": "2027-01-15T08:00:00Z", "ends": null }] })
    );
    assert_eq!(status("alice", "123.123.123.123").await.body["allowed"], true);
    assert_eq!(writes(&script), before);
}

#[tokio::test(start_paused = true)]
async fn browsers_get_every_answer_as_a_page() {
    let script = Script::new(office());
    let config =
        || add_config(&[("MAX_GRANTS_PER_MEMBER", "1"), ("RESET_DESCRIPTION", "every night")]);
    let cases = [
        ("alice", HOME, 200, "You are in"),
        ("alice", HOME, 200, "You are in"),
        ("mallory", HOME, 401, "a valid member key is needed"),
        ("alice", "10.1.2.3", 403, "a private address"),
        ("alice", "51.44.71.81", 409, "you hold 1 entries"),
    ];
    for (name, address, status, part) in cases {
        let answer = script
            .caller(1)
            .event(config(), on(as_browser(add_event(name, address)), "/add"))
            .await;
        let text = answer.body.as_str().unwrap();
        assert_eq!(answer.status, status, "{text}");
        assert!(
            text.contains(part)
                && text.starts_with("<!DOCTYPE html>")
                && answer.headers["Content-Security-Policy"].is_string(),
            "{text}"
        );
        assert!(text.contains("every night"), "{text}");
    }
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(400, "Throttling")));
    let mut event = on(as_browser(add_event("bob", "51.44.71.82")), "/add");
    event["headers"]["Accept-Language"] = "ja".into();
    let busy = script.caller(1).event(config(), event).await;
    assert_eq!((busy.status, busy.headers["Retry-After"].as_str()), (503, Some("5")));
    assert!(busy.body.as_str().unwrap().contains("数秒後に"), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn the_page_takes_get_alone() {
    let script = Script::new(office());
    for method in ["HEAD", "POST"] {
        let mut event = on(add_event("alice", HOME), "/");
        event["httpMethod"] = method.into();
        let answer = script.caller(1).event(add_config(&[]), event).await;
        assert_eq!((answer.status, &answer.headers["Allow"]), (405, &json!("GET")));
    }
}
