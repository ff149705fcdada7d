//! No way in: odd events, keys that count for nothing, and what strangers and other sites are told.

use fakes::Answer;
use fakes::invoke::{key, member, member_until, member_with_key};

use crate::*;

// Events that no gateway should send.

#[tokio::test(start_paused = true)]
async fn an_odd_event_is_an_answer() {
    let token = r#""$serde_json::private::Number""#;
    let deep = format!(r#"{{"resource":"/add","body":{}{}}}"#, "[".repeat(300), "]".repeat(300));
    let add = |more: &str| {
        format!(
            r#"{{"resource":"/add","httpMethod":"GET",{more}"requestContext":{{"identity":{{"sourceIp":"{HOME}"}}}}}}"#
        )
    };
    let cases = [
        (String::new(), 404),
        ("null".to_owned(), 404),
        ("7".to_owned(), 404),
        (r#""text""#.to_owned(), 404),
        ("[]".to_owned(), 404),
        ("[1,{}]".to_owned(), 404),
        ("{}".to_owned(), 404),
        ("{".to_owned(), 404),
        (format!(r#"{{{token}:"x"}}"#), 404),
        (format!(r#"{{{token}:"1"}}"#), 404),
        (deep, 404),
        (r#"{"resource":"\ud800"}"#.to_owned(), 404),
        (add(r#""headers":{"X":"\udfff"},"#), 404),
        (r#"{"resource":7,"path":{},"httpMethod":[]}"#.to_owned(), 404),
        (r#"{"resource":"/add","httpMethod":7}"#.to_owned(), 405),
        (r#"{"resource":"/add","httpMethod":""}"#.to_owned(), 405),
        (add(r#""headers":7,"queryStringParameters":"x","#), 401),
        (add(r#""headers":[[]],"multiValueHeaders":{"Authorization":[]},"#), 401),
        (add(&format!(r#""queryStringParameters":{{{token}:"x"}},"#)), 401),
        (add(&format!(r#""headers":{{{token}:"x"}},"stageVariables":{{{token}:{{}}}},"#)), 401),
        (add(r#""headers":{"Authorization":{"Bearer":"x"}},"#), 401),
        (add(r#""headers":{"Authorization":1e999},"#), 401),
        (add(r#""queryStringParameters":{"key":["x"]},"body":7,"isBase64Encoded":"true","#), 401),
        (r#"{"resource":"/add","httpMethod":"GET","requestContext":[]}"#.to_owned(), 401),
    ];
    let script = Script::new(office());
    for (payload, status) in cases {
        let function = script.caller(1).function(add_config(&[])).await;
        let (answer, _) = function.payload(&payload).await;
        assert_eq!(answer.status, status, "{payload}: {answer:?}");
        assert!(answer.body["message"].is_string(), "{payload}: {answer:?}");
    }
    assert_eq!(script.world.lock().calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_number_token_in_a_query_changes_nothing_about_the_request() {
    let script = Script::new(office());
    let mut event = add_event("alice", HOME);
    event["queryStringParameters"] = json!({ "$serde_json::private::Number": "x" });
    let answer = script.caller(1).event(add_config(&[]), event.clone()).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    event["resource"] = "/".into();
    let root = script.caller(1).event(add_config(&[]), event).await;
    assert_eq!(root.body, json!({ "network": "51.44.71.80/32" }));
}

// Keys.

/// Everything that lets nobody in, each with an event that brings it.
fn strangers(script: &Script) -> Vec<(&'static str, Value)> {
    let short = "k".repeat(31);
    let mut world = script.world.lock();
    for (object, body) in [
        member_with_key("", "mallory"),
        member_with_key(&short, "mallory"),
        member_until("bob", "2027-01-15T08:00:00Z"),
        member_until("carol", "tomorrow"),
    ] {
        world.put(&object, &body);
    }
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut event = add_event("alice", HOME);
        edit(&mut event);
        event
    };
    let bearer = |value: &str| with(&|event| event["headers"]["Authorization"] = value.into());
    vec![
        ("no key", with(&|event| event["headers"] = json!({}))),
        ("an unknown key", add_event("nobody", HOME)),
        ("an empty bearer", bearer("Bearer ")),
        ("a bearer without a key", bearer("Bearer")),
        ("a key of 31 characters", bearer(&format!("Bearer {short}"))),
        ("a key that has expired", add_event("bob", HOME)),
        ("a file whose end cannot be read", add_event("carol", HOME)),
        (
            "an empty bearer before a good key",
            with(&|event| {
                event["headers"]["Authorization"] = "Bearer ".into();
                event["headers"]["x-api-key"] = key("alice").into();
                event["queryStringParameters"] = json!({ "key": key("alice") });
            }),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_stranger_gets_the_same_answer() {
    let script = Script::new(office());
    let mut answers: Vec<Answer> = Vec::new();
    for (what, event) in strangers(&script) {
        for resource in ["/add", "/status", "/remove"] {
            let mut event = event.clone();
            event["resource"] = resource.into();
            event["httpMethod"] = "POST".into();
            let answer = script.caller(1).event(add_config(&[]), event).await;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            answers.push(answer);
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(iam_calls(&script), 0);
    assert_eq!(writes(&script), []);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_too_short_is_never_looked_up() {
    let script = Script::new(office());
    for (what, event) in strangers(&script) {
        if what.contains("31") || what.contains("bearer") || what == "no key" {
            script.caller(1).event(add_config(&[]), event).await;
        }
    }
    assert_eq!(script.world.lock().calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_32_characters_is_long_enough() {
    let script = Script::new(office());
    let key = "k".repeat(32);
    let (object, body) = member_with_key(&key, "dora");
    script.world.lock().put(&object, &body);
    let mut event = add_event("alice", HOME);
    event["headers"]["Authorization"] = format!("Bearer {key}").into();
    let answer = script.caller(1).event(add_config(&[]), event).await;
    assert_eq!(answer.body["member"], "dora");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_until_its_end_by_the_clock_of_s3() {
    let script = Script::new(office());
    let (object, body) = member_until("alice", "2027-01-15T08:01:00Z");
    script.world.lock().put(&object, &body);
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    pass(59).await;
    assert_eq!(script.caller(1).add("alice", HOME).await.status, 200);
    pass(1).await;
    assert_eq!(script.caller(1).add("alice", HOME).await.status, 401);
}

// What strangers are told when S3 is broken.

fn reads(op: &Op, prefix: &str) -> bool {
    matches!(op, Op::GetObject(key) if key.starts_with(prefix))
}

fn names_nothing(answer: &Answer, name: &str) {
    let body = answer.body.to_string();
    let (object, _) = member(name);
    let hash = &object["members/".len()..][..16];
    for word in ["members", "s3:", "state", "lease", "bucket", "GetObject", hash] {
        assert!(!body.contains(word), "`{word}` in {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_502_names_nothing_of_ours() {
    for html in [false, true] {
        for act in [
            Act::Fail(403, "AccessDenied"),
            Act::Fail(404, "NoSuchBucket"),
            Act::Fail(500, "InternalError"),
            Act::Dropped,
        ] {
            let script = Script::new(office());
            let rule = act.clone();
            script.rule(move |_, _, op| reads(op, "members/").then(|| rule.clone()));
            for name in ["alice", "nobody"] {
                let mut event = add_event(name, HOME);
                if html {
                    event["headers"]["Accept"] = "text/html".into();
                }
                let answer = script.caller(1).event(add_config(&[]), event).await;
                assert_eq!(answer.status, 502, "{act:?}: {answer:?}");
                if !html {
                    names_nothing(&answer, name);
                }
                assert!(!answer.body.to_string().contains("GetObject"));
            }
            assert_eq!(iam_calls(&script), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_judged_is_told_nothing_of_ours() {
    for (status, code) in [(403, "AccessDenied"), (500, "InternalError")] {
        let script = Script::new(office());
        let (object, body) = member_until("bob", "2020-01-01T00:00:00Z");
        script.world.lock().put(&object, &body);
        script.rule(move |_, _, op| reads(op, "lease.json").then_some(Act::Fail(status, code)));
        let stranger = script.caller(1).add("nobody", HOME).await;
        assert_eq!(stranger.status, 401, "{stranger:?}");
        let expired = script.caller(1).add("bob", HOME).await;
        assert_eq!(expired.status, 502, "{expired:?}");
        names_nothing(&expired, "bob");
        let open = add_config(&[("OPEN_ACCESS", "true")]);
        let open = script.caller(1).event(open, add_event("nobody", HOME)).await;
        assert_eq!(open.status, 502, "{open:?}");
        names_nothing(&open, "nobody");
    }
}

// Browsers, and hosts.

#[tokio::test(start_paused = true)]
async fn a_request_that_another_site_made_changes_nothing() {
    let event = |method: &str, resource: &str, headers: &[(&str, &str)]| {
        let mut event = add_event("alice", HOME);
        event["httpMethod"] = method.into();
        event["resource"] = resource.into();
        for (name, value) in headers {
            event["headers"][*name] = (*value).into();
        }
        event
    };
    let image = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
    ];
    let form = [
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Origin", "https://evil.example"),
    ];
    let script = Script::new(office());
    for (method, headers) in [("GET", &image[..]), ("POST", &form[..])] {
        for resource in ["/add", "/status", "/remove"] {
            if (method, resource) == ("GET", "/remove") {
                continue;
            }
            let event = event(method, resource, headers);
            let answer = script.caller(1).event(add_config(&[]), event).await;
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (403, "cross_site"),
                "{method} {resource}"
            );
        }
    }
    let link = event("GET", "/add", &form[..3]);
    let page = script.caller(1).event(add_config(&[]), link).await;
    let text = page.body.as_str().unwrap();
    assert!(page.status == 200 && text.starts_with("<!DOCTYPE html>"));
    assert_eq!(script.world.lock().calls.len(), 0);
    let own = event("POST", "/add", &[("Sec-Fetch-Site", "same-origin")]);
    let own = script.caller(1).event(add_config(&[]), own).await;
    assert_eq!(own.word(), "added");
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_named_on_the_gateways_own_hosts_alone() {
    let amazon = "a1.execute-api.us-east-1.amazonaws.com";
    for (host, api, peer) in [
        (amazon, "a1", Some("https://b2.execute-api.us-east-1.amazonaws.com")),
        ("a1.execute-api.localhost:4566", "a1", Some("https://b2.execute-api.localhost:4566")),
        ("gate.example.com", "a1", None),
        ("a1.example.com", "a1", None),
        (amazon, "c3", None),
        ("a1.execute-api.eu-west-1.amazonaws.com", "a1", None),
        ("a1.execute-api.us-east-1.amazonaws.com.evil.example", "a1", None),
        ("a1.execute-api.us-east-1.amazonaws.com:8443", "a1", None),
        ("a1.evillocalhost", "a1", None),
    ] {
        let script = Script::new(office());
        let mut event = add_event("alice", HOME);
        event["resource"] = "/".into();
        event["headers"]["Accept"] = "text/html".into();
        event["requestContext"]["domainName"] = host.into();
        event["requestContext"]["apiId"] = api.into();
        event["stageVariables"] = json!({ "PEER_API_ID": "b2" });
        let page = script.caller(1).event(add_config(&[]), event.clone()).await;
        let origin = page.headers.get("Access-Control-Allow-Origin");
        assert_eq!(origin.and_then(Value::as_str), peer, "{host}");
        let text = page.body.as_str().unwrap();
        assert_eq!(text.contains("b2."), peer.is_some(), "{host}");
        let policy = page.headers["Content-Security-Policy"].as_str().unwrap();
        assert_eq!(policy.contains("b2."), peer.is_some(), "{host}: {policy}");
        // A script of the host's parent is another site.
        if peer.is_none() {
            event["resource"] = "/add".into();
            event["headers"]["Sec-Fetch-Site"] = "same-site".into();
            event["headers"]["Origin"] = "https://b2.execute-api.us-east-1.amazonaws.com".into();
            let answer = script.caller(1).event(add_config(&[]), event).await;
            assert_eq!(answer.status, 403, "{host}");
        }
    }
}
