//! Requests: keys, addresses, the order of the checks, settings.

use crate::*;

#[tokio::test(start_paused = true)]
async fn strangers_get_one_answer_and_cause_no_iam_call() {
    let script = Script::new(office());
    let missing = {
        let mut event = add_event("alice", HOME);
        event["headers"] = json!({});
        script.caller(1).event(add_config(&[]), event).await
    };
    let unknown = script.caller(1).add("mallory", HOME).await;
    assert_eq!((missing.status, missing.word().as_str()), (401, "unauthorized"));
    assert_eq!(missing, unknown);
    assert_eq!(iam_calls(&script), 0);
    assert!(script.world.lock().keys("grants/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_members_file_that_names_nobody_lets_nobody_in() {
    for body in ["{}", "", r#"{"name":"a/b"}"#, r#"{"name":"_open"}"#, "[]"] {
        let script = Script::new(office());
        let (object, _) = fakes::invoke::member("alice");
        script.world.lock().put(&object, body);
        assert_eq!(script.caller(1).add("alice", HOME).await.status, 401, "{body}");
        assert_eq!(iam_calls(&script), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_may_come_in_four_ways() {
    let key = fakes::invoke::key("alice");
    let form = "application/x-www-form-urlencoded";
    for event in [
        json!({ "httpMethod": "GET", "headers": { "authorization": format!("bearer {key}") } }),
        json!({ "httpMethod": "POST", "headers": { "X-Api-Key": key } }),
        json!({ "httpMethod": "GET", "queryStringParameters": { "key": key } }),
        json!({ "httpMethod": "POST", "headers": { "Content-Type": form }, "body": format!("key={key}") }),
        json!({ "httpMethod": "POST", "headers": { "Content-Type": form }, "body": "a2V5PWtleS1vZi1hbGljZS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0=", "isBase64Encoded": true }),
    ] {
        let mut event = event;
        event["resource"] = "/add".into();
        event["requestContext"] = json!({ "identity": { "sourceIp": HOME } });
        let script = Script::new(office());
        let answer = script.caller(1).event(add_config(&[]), event.clone()).await;
        assert_eq!(answer.body["member"], "alice", "{event} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn checks_come_in_a_fixed_order() {
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut event = add_event("mallory", "10.0.0.1");
        event["queryStringParameters"] = json!({ "ip": "nonsense" });
        event["headers"]["Sec-Purpose"] = "prefetch".into();
        event["httpMethod"] = "HEAD".into();
        event["resource"] = "/nowhere".into();
        edit(&mut event);
        event
    };
    let steps: Vec<(&str, &str, u16, &str)> = vec![
        ("nothing mended", "", 404, "not_found"),
        ("resource", "/add", 405, "method_not_allowed"),
        ("httpMethod", "POST", 403, "prefetch"),
        ("prefetch", "", 401, "unauthorized"),
        ("key", "", 400, "bad_ip"),
        ("ip", "51.44.0.0/16", 400, "too_wide"),
        ("ip", "10.1.2.3", 403, "address_not_public"),
        ("ip", "51.44.71.80", 200, "added"),
    ];
    let mut mended: Vec<(String, String)> = Vec::new();
    let script = Script::new(office());
    for (what, value, status, word) in steps {
        mended.push((what.to_owned(), value.to_owned()));
        let event = with(&|event| {
            for (what, value) in &mended {
                match what.as_str() {
                    "prefetch" => {
                        event["headers"].as_object_mut().unwrap().remove("Sec-Purpose");
                    }
                    "key" => {
                        event["headers"]["Authorization"] =
                            format!("Bearer {}", fakes::invoke::key("alice")).into()
                    }
                    "ip" => event["queryStringParameters"] = json!({ "ip": value }),
                    "nothing mended" => {}
                    field => event[field] = value.as_str().into(),
                }
            }
        });
        let answer = script.caller(1).event(add_config(&[("EXPLICIT_IP", "true")]), event).await;
        assert_eq!((answer.status, answer.word().as_str()), (status, word), "{answer:?}");
        if status == 405 {
            assert_eq!(answer.headers["Allow"], "GET, POST");
        }
        if status != 200 {
            assert_eq!(iam_calls(&script), 0, "{word}");
            assert!(!answer.body["message"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_address_may_be_named_only_where_that_is_switched_on() {
    let mut event = add_event("alice", HOME);
    event["queryStringParameters"] = json!({ "ip": "51.44.72.0/24" });
    let script = Script::new(office());
    let answer = script.caller(1).event(add_config(&[]), event.clone()).await;
    assert_eq!((answer.status, answer.word().as_str()), (403, "explicit_ip_disabled"));
    let answer = script.caller(1).event(add_config(&[("EXPLICIT_IP", "true")]), event).await;
    assert_eq!(answer.body["network"], "51.44.72.0/24");
}

#[tokio::test(start_paused = true)]
async fn only_the_gateways_word_counts_for_the_address() {
    let mut event = add_event("alice", HOME);
    event["headers"]["X-Forwarded-For"] = "9.9.9.9".into();
    event["headers"]["Forwarded"] = "for=9.9.9.9".into();
    let script = Script::new(office());
    assert_eq!(
        script.caller(1).event(add_config(&[]), event).await.body["network"],
        "51.44.71.80/32"
    );
    let mut absent = add_event("alice", HOME);
    absent["requestContext"] = Value::Null;
    let answer = script.caller(1).event(add_config(&[]), absent).await;
    assert_eq!((answer.status, answer.word().as_str()), (400, "bad_ip"));
}

#[tokio::test(start_paused = true)]
async fn settings_change_what_is_taken() {
    for (variables, address, network) in [
        (&[][..], "2a05:d018:1:2:3:4:5:6", "2a05:d018:1:2::/64"),
        (&[("IPV6_PREFIX_LENGTH", "56")][..], "2a05:d018:1:2:3:4:5:6", "2a05:d018:1::/56"),
        (&[("ADDRESS_SCOPE", "any")][..], "127.0.0.2", "127.0.0.2/32"),
        (&[][..], "::ffff:51.44.71.80", "51.44.71.80/32"),
    ] {
        let script = Script::new(office());
        let answer =
            script.caller(1).event(add_config(variables), add_event("alice", address)).await;
        assert_eq!(answer.body["network"], network, "{answer:?}");
        assert!(script.world.lock().entries(POLICY).contains(&network.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn open_access_asks_for_no_key_and_still_knows_members() {
    let script = Script::new(office());
    let open = [("OPEN_ACCESS", "true")];
    let mut event = add_event("alice", HOME);
    event["headers"] = Value::Null;
    let answer = script.caller(1).event(add_config(&open), event).await;
    assert_eq!((answer.word().as_str(), &answer.body["member"]), ("added", &Value::Null));
    assert_eq!(
        script.caller(1).event(add_config(&open), add_event("mallory", "51.44.71.81")).await.body["member"],
        Value::Null
    );
    assert_eq!(
        script.caller(1).event(add_config(&open), add_event("bob", "51.44.71.82")).await.body["member"],
        "bob"
    );
    assert_eq!(
        script.world.lock().keys("grants/"),
        [
            "grants/51.44.71.80_32/_open.json",
            "grants/51.44.71.81_32/_open.json",
            "grants/51.44.71.82_32/bob.json"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_worked_on_is_left_alone() {
    let differ = r#"{"Statement":[{"Sid":"A","Effect":"Deny","Condition":{"NotIpAddress":{"aws:SourceIp":"1.1.1.1"}}},{"Sid":"B","Effect":"Deny","Condition":{"NotIpAddress":{"aws:SourceIp":"2.2.2.2"}}}]}"#;
    for (document, kind) in [
        (r#"{"Statement":[]}"#.to_owned(), "no_gate"),
        (differ.to_owned(), "ambiguous_gate"),
        (r#"{"Statement":[],"Statement":[]}"#.to_owned(), "malformed_document"),
        ("not JSON".to_owned(), "malformed_document"),
        (gate(&[], &[]), "baseline_unusable"),
        (gate(&["office"], &[]), "baseline_unusable"),
        (gate(&["::/0", OFFICE], &[]), "baseline_unusable"),
    ] {
        let script = Script::new(World::with_policy(&[(1, document.clone())]));
        let answer = script.caller(1).add("alice", HOME).await;
        assert_eq!((answer.status, answer.word().as_str()), (502, kind), "{document} {answer:?}");
        assert!(answer.body["message"].as_str().unwrap().contains(POLICY), "{answer:?}");
        let world = script.world.lock();
        assert_eq!(
            (world.document(POLICY), world.keys("grants/").len(), world.keys("baseline/").len()),
            (document, 0, 0)
        );
    }
    let script = Script::new(World::with_policy(&[(1, differ.to_owned())]));
    let answer =
        script.caller(1).event(add_config(&[("GATE_SIDS", "B")]), add_event("alice", HOME)).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let document = Document::parse(&script.world.lock().document(POLICY)).unwrap();
    assert_eq!(
        document.json()["Statement"][1]["Condition"]["NotIpAddress"]["aws:SourceIp"],
        json!(["2.2.2.2", "51.44.71.80/32"])
    );
    assert_eq!(
        document.json()["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"],
        "1.1.1.1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_removal_needs_a_key_before_anything_else() {
    let script = Script::new(office());
    let mut event = fakes::invoke::remove_event("nobody", "10.0.0.1", &[("ip", "x"), ("for", "x")]);
    event["headers"] = json!({});
    let answer = script.caller(1).event(add_config(&[("OPEN_ACCESS", "true")]), event).await;
    assert_eq!((answer.status, answer.word().as_str()), (401, "unauthorized"));
}

#[tokio::test(start_paused = true)]
async fn the_root_tells_the_callers_own_network() {
    let script = Script::new(office());
    for switch in ["true", "false"] {
        let mut event = add_event("nobody", HOME);
        event["resource"] = "/".into();
        event["headers"] = json!({});
        event["queryStringParameters"] = json!({ "ip": "1.2.3.4" });
        let answer = script.caller(1).event(add_config(&[("EXPLICIT_IP", switch)]), event).await;
        assert_eq!((answer.status, &answer.body), (200, &json!({ "network": "51.44.71.80/32" })));
    }
}
