//! Events in, the account's final state out: the real handlers on stateful fakes of IAM and S3.

use std::collections::BTreeSet;

use allowlist::Document;
use fakes::world::read_gate;
use fakes::{Act, OFFICE, Op, POLICY, Script, World, add_config, add_event, gate, office, reset_config};
use serde_json::{Value, json};

const HOME: &str = "51.44.71.80";

fn creates(op: &Op) -> bool {
    matches!(op, Op::Create(..))
}

fn iam_calls(script: &Script) -> usize {
    script.world.lock().calls.iter().filter(|call| call.op.is_iam()).count()
}

#[tokio::test(start_paused = true)]
async fn the_first_add_lets_the_caller_in_and_saves_what_was_in_force_as_the_baseline() {
    let script = Script::new(office());
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body,
        json!({
            "status": "added", "network": "51.44.71.80/32", "member": "alice",
            "targets": [{ "arn": POLICY, "status": "added", "version": "v2" }],
        })
    );
    assert_eq!(answer.headers["Cache-Control"], "no-store");
    assert_eq!(answer.headers["Content-Type"], "application/json");
    let world = script.world.lock();
    assert_eq!(world.document(POLICY), gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"]));
    assert_eq!(world.objects["baseline/111122223333/policy/gate.json"].body, gate(&[OFFICE], &["s3:Get*"]));
    assert_eq!(world.keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
    let lease: Value = serde_json::from_str(&world.objects["lease.json"].body).unwrap();
    assert_eq!((&lease["nonce"], &lease["targets"][POLICY]), (&Value::Null, &json!({ "last": "v2" })));
}

#[tokio::test(start_paused = true)]
async fn who_is_in_already_is_told_so_by_reads_alone() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let before = script.world.lock().calls.len();
    for (name, address) in [("alice", HOME), ("bob", "123.123.123.123")] {
        let answer = script.caller(2).add(name, address).await;
        assert_eq!((answer.status, answer.word().as_str()), (200, "already_allowed"), "{answer:?}");
        assert_eq!(answer.body["targets"][0], json!({ "arn": POLICY, "status": "already_allowed", "version": "v2" }));
    }
    let world = script.world.lock();
    let reads = |op: &Op| matches!(op, Op::ListVersions(_) | Op::GetVersion(..) | Op::Get(_) | Op::List(_));
    assert!(world.calls[before..].iter().all(|call| reads(&call.op)), "{:?}", &world.calls[before..]);
}

#[tokio::test(start_paused = true)]
async fn a_second_member_on_the_same_network_gets_a_grant_of_his_own_and_no_version() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    assert_eq!(script.caller(2).add("bob", HOME).await.word(), "already_allowed");
    let world = script.world.lock();
    assert_eq!(world.keys("grants/"), ["grants/51.44.71.80_32/alice.json", "grants/51.44.71.80_32/bob.json"]);
    assert_eq!(world.policy(POLICY).default, 2);
}

#[tokio::test(start_paused = true)]
async fn fourteen_adds_never_meet_the_limit_of_five_versions() {
    let script = Script::new(office());
    for host in 1..=14 {
        let answer = script.caller(host).add("alice", &format!("51.44.71.{host}")).await;
        assert_eq!(answer.word(), "added", "{answer:?}");
        let world = script.world.lock();
        assert!(world.policy(POLICY).versions.len() <= 4);
        assert!(!world.calls.iter().any(|call| call.reply == fakes::world::Reply::Error(409, "LimitExceeded")));
    }
    assert_eq!(script.world.lock().entries(POLICY).len(), 15);
}

#[tokio::test(start_paused = true)]
async fn the_document_in_force_is_the_defaults_not_the_first_listed() {
    let mut world =
        World::with_policy(&[(1, gate(&[OFFICE], &[])), (2, gate(&["9.9.9.9/32"], &[])), (10, gate(&["8.8.8.8/32"], &[]))]);
    world.set_default(POLICY, 2);
    let script = Script::new(world);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v11");
    assert_eq!(script.world.lock().entries(POLICY), ["51.44.71.80/32", "9.9.9.9/32"]);
}

#[tokio::test(start_paused = true)]
async fn with_five_versions_present_only_the_oldest_goes_before_the_new_one_is_in_force() {
    let versions: Vec<_> = (8..=12).map(|id| (id, gate(&[OFFICE], &[]))).collect();
    let script = Script::new(World::with_policy(&versions));
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    let world = script.world.lock();
    let writes: Vec<_> = world.calls.iter().filter(|call| matches!(call.op, Op::Create(..) | Op::Delete(..))).collect();
    assert!(matches!(writes[0].op, Op::Delete(_, 8)) && matches!(writes[1].op, Op::Create(..)), "{writes:?}");
    assert_eq!(world.policy(POLICY).versions.keys().copied().collect::<Vec<_>>(), [10, 11, 12, 13]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_before_its_successor_is_in_place() {
    let versions: Vec<_> = (1..=4).map(|id| (id, gate(&[OFFICE], &[]))).collect();
    let script = Script::new(World::with_policy(&versions));
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(403, "AccessDenied")));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    assert!(answer.body["message"].as_str().unwrap().contains("iam:CreatePolicyVersion"), "{answer:?}");
    let world = script.world.lock();
    assert_eq!(world.policy(POLICY).versions.len(), 4);
    assert!(world.keys("grants/").is_empty(), "a definite refusal leaves no grant");
    let lease: Value = serde_json::from_str(&world.objects["lease.json"].body).unwrap();
    assert_eq!((&lease["nonce"], &lease["targets"][POLICY]), (&Value::Null, &json!({})));
}

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
        json!({ "httpMethod": "POST", "headers": { "Content-Type": form }, "body": "a2V5PWtleS1vZi1hbGljZQ==", "isBase64Encoded": true }),
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
async fn checks_come_in_the_order_of_the_design_and_change_nothing() {
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
                    "key" => event["headers"]["Authorization"] = format!("Bearer {}", fakes::invoke::key("alice")).into(),
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
    assert_eq!(script.caller(1).event(add_config(&[]), event).await.body["network"], "51.44.71.80/32");
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
        let answer = script.caller(1).event(add_config(variables), add_event("alice", address)).await;
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
    assert_eq!(script.caller(1).event(add_config(&open), add_event("mallory", "51.44.71.81")).await.body["member"], Value::Null);
    assert_eq!(script.caller(1).event(add_config(&open), add_event("bob", "51.44.71.82")).await.body["member"], "bob");
    assert_eq!(
        script.world.lock().keys("grants/"),
        ["grants/51.44.71.80_32/_open.json", "grants/51.44.71.81_32/_open.json", "grants/51.44.71.82_32/bob.json"]
    );
}

#[tokio::test(start_paused = true)]
async fn documents_that_cannot_be_worked_on_are_refused_and_left_alone() {
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
        assert_eq!((world.document(POLICY), world.keys("grants/").len(), world.keys("baseline/").len()), (document, 0, 0));
    }
    let script = Script::new(World::with_policy(&[(1, differ.to_owned())]));
    let answer = script.caller(1).event(add_config(&[("GATE_SIDS", "B")]), add_event("alice", HOME)).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    let document = Document::parse(&script.world.lock().document(POLICY)).unwrap();
    assert_eq!(
        document.json()["Statement"][1]["Condition"]["NotIpAddress"]["aws:SourceIp"],
        json!(["2.2.2.2", "51.44.71.80/32"])
    );
    assert_eq!(document.json()["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"], "1.1.1.1");
}

/// A gate whose document has exactly `size` characters.
fn gate_of(size: usize) -> String {
    let mut document = gate(&[OFFICE], &[""]);
    let missing = size - document.len();
    document = gate(&[OFFICE], &["x".repeat(missing).as_str()]);
    assert_eq!(document.len(), size);
    document
}

#[tokio::test(start_paused = true)]
async fn a_full_document_is_refused_with_the_count_and_nothing_is_put() {
    let added = r#","51.44.71.80/32""#.len();
    let script = Script::new(World::with_policy(&[(1, gate_of(6144 - added))]));
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");
    assert_eq!(script.world.lock().document(POLICY).len(), 6144);

    let script = Script::new(World::with_policy(&[(1, gate_of(6145 - added))]));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (409, "policy_full"));
    assert!(answer.body["message"].as_str().unwrap().contains("1 entries"), "{answer:?}");
    let world = script.world.lock();
    assert_eq!((world.policy(POLICY).default, world.keys("grants/").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_may_hold_only_so_many_entries() {
    let script = Script::new(office());
    let config = || add_config(&[("MAX_GRANTS_PER_MEMBER", "2")]);
    for (address, status, word) in [
        ("51.44.71.1", 200, "added"),
        ("51.44.71.2", 200, "added"),
        ("51.44.71.3", 409, "too_many_entries"),
        ("51.44.71.2", 200, "already_allowed"),
    ] {
        let answer = script.caller(1).event(config(), add_event("alice", address)).await;
        assert_eq!((answer.status, answer.word().as_str()), (status, word), "{answer:?}");
    }
    assert_eq!(script.caller(1).event(config(), add_event("bob", "51.44.71.3")).await.word(), "added");
    assert_eq!(script.world.lock().keys("grants/").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn several_policies_are_changed_together_or_said_to_have_failed_apart() {
    let second = "arn:aws:iam::111122223333:policy/team/a/gate";
    let both = format!("{POLICY},{second}");
    let variables = [("POLICY_ARNS", both.as_str())];
    let mut world = office();
    world.add_policy(second, &[(7, gate(&["9.9.9.9/32", "51.44.71.80"], &[]))]);
    let script = Script::new(world);
    let answer = script.caller(1).event(add_config(&variables), add_event("alice", HOME)).await;
    assert_eq!(
        answer.body["targets"],
        json!([{ "arn": POLICY, "status": "added", "version": "v2" }, { "arn": second, "status": "already_allowed", "version": "v7" }])
    );
    assert_eq!(answer.word(), "added");
    let answer = script.caller(1).event(add_config(&variables), add_event("bob", "51.44.71.81")).await;
    assert_eq!(answer.body["targets"][1], json!({ "arn": second, "status": "added", "version": "v8" }));
    assert!(script.world.lock().objects.contains_key("baseline/111122223333/policy/team/a/gate.json"));

    script.rule(move |_, _, op| matches!(op, Op::Create(arn, _) if arn == second).then_some(Act::Fail(403, "AccessDenied")));
    let answer = script.caller(1).event(add_config(&variables), add_event("carol", "51.44.71.82")).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"));
    assert_eq!(answer.body["targets"], json!([{ "arn": POLICY, "status": "added", "version": "v4" }]));
    assert!(!script.world.lock().keys("grants/").contains(&"grants/51.44.71.82_32/carol.json".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_full_policy_among_several_leaves_all_of_them_alone() {
    let second = "arn:aws:iam::111122223333:policy/full";
    let both = format!("{POLICY},{second}");
    let mut world = office();
    world.add_policy(second, &[(1, gate_of(6144))]);
    let script = Script::new(world);
    let answer = script.caller(1).event(add_config(&[("POLICY_ARNS", both.as_str())]), add_event("alice", HOME)).await;
    assert_eq!((answer.status, answer.word().as_str()), (409, "policy_full"));
    let world = script.world.lock();
    assert_eq!((world.policy(POLICY).default, world.policy(second).default, world.keys("grants/").len()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_exists_is_never_touched_by_an_add() {
    let script = Script::new(office());
    let own = gate(&["7.7.7.7/32"], &[]);
    script.world.lock().put("baseline/111122223333/policy/gate.json", &own);
    script.caller(1).add("alice", HOME).await;
    assert_eq!(script.world.lock().objects["baseline/111122223333/policy/gate.json"].body, own);
}

#[tokio::test(start_paused = true)]
async fn every_known_document_goes_through_add_and_reset_and_changes_nowhere_but_on_its_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let script = Script::new(World::with_policy(&[(1, text.clone())]));
        let answer = script.caller(1).add("alice", "62.4.5.6").await;
        assert_eq!(answer.word(), "added", "{path:?} {answer:?}");
        let before = Document::parse(&text).unwrap();
        let after = Document::parse(&script.world.lock().document(POLICY)).unwrap();
        assert_eq!(blank(before.json()), blank(after.json()), "{path:?}");
        assert_eq!(before.json()["Statement"].is_array(), after.json()["Statement"].is_array());
        let (mut expected, now) = (addresses(before.json()), addresses(after.json()));
        expected.push(json!("62.4.5.6/32"));
        assert_eq!(now, expected, "{path:?}");

        let report = script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap();
        assert_eq!((report["status"].as_str(), &report["targets"][0]["removed"]), (Some("reset"), &json!(["62.4.5.6/32"])));
        assert_eq!(Document::parse(&script.world.lock().document(POLICY)).unwrap(), before, "{path:?}");
        seen += 1;
    }
    assert!(seen >= 8);
}

/// The lists of source addresses in a document, taken out.
fn blank(json: &Value) -> Value {
    match json {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), if key.eq_ignore_ascii_case("aws:SourceIp") { Value::Null } else { blank(value) }))
            .collect(),
        Value::Array(items) => items.iter().map(blank).collect(),
        other => other.clone(),
    }
}

/// What the lists of source addresses hold; a scalar counts as a list of one.
fn addresses(json: &Value) -> Vec<Value> {
    match json {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                (key, Value::Array(items)) if key.eq_ignore_ascii_case("aws:SourceIp") => items.clone(),
                (key, one) if key.eq_ignore_ascii_case("aws:SourceIp") => vec![one.clone()],
                (_, other) => addresses(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(addresses).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_goes_back_to_the_baseline_and_reports_what_it_found() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec!["ec2:*".into()] },
        0,
    );
    let dry = script.caller(2).reset(reset_config(&[]), json!({ "dry_run": true })).await.unwrap();
    let calls = script.world.lock().calls.len();
    assert_eq!(script.world.lock().policy(POLICY).default, 3, "a dry run writes nothing");
    let report = script.caller(2).reset(reset_config(&[]), json!({ "source": "aws.scheduler" })).await.unwrap();
    let target = |status: &str, version: &str| json!({ "arn": POLICY, "status": status, "version": version, "removed": ["51.44.71.80/32", "7.7.7.7/32"], "restored": [], "drift": true });
    assert_eq!(dry, json!({ "status": "would_reset", "targets": [target("would_reset", "v3")] }));
    assert_eq!(report, json!({ "status": "reset", "targets": [target("reset", "v4")] }));
    assert!(script.world.lock().calls.len() > calls);
    let again = script.caller(2).reset(reset_config(&[]), Value::Null).await.unwrap();
    assert_eq!(again["status"], "unchanged");
    let world = script.world.lock();
    assert_eq!(world.document(POLICY), gate(&[OFFICE], &["s3:Get*"]));
    assert_eq!((world.policy(POLICY).default, world.keys("grants/").len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn entries_that_somebody_took_out_are_put_back() {
    let script = Script::new(World::with_policy(&[(1, gate(&["7.7.7.7/32"], &[]))]));
    script.world.lock().put("baseline/111122223333/policy/gate.json", &gate(&[OFFICE, "7.7.7.7"], &[]));
    let report = script.caller(1).reset(reset_config(&[]), json!({})).await.unwrap();
    assert_eq!((&report["targets"][0]["restored"], &report["targets"][0]["drift"]), (&json!([OFFICE]), &json!(false)));
}

#[tokio::test(start_paused = true)]
async fn a_target_without_a_usable_baseline_stays_untouched_and_the_reset_fails_naming_it() {
    let second = "arn:aws:iam::111122223333:policy/second";
    let both = format!("{POLICY},{second}");
    for (baseline, why) in [
        (None, "does not exist"),
        (Some("nonsense".to_owned()), "not valid JSON"),
        (Some(gate(&["0.0.0.0/0"], &[])), "0.0.0.0/0"),
        (Some(r#"{"Statement":[],"Statement":[]}"#.to_owned()), "stands twice"),
    ] {
        let script = Script::new(office());
        script.caller(1).add("alice", HOME).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        {
            let mut world = script.world.lock();
            world.add_policy(second, &[(3, gate(&["9.9.9.9/32", "51.44.71.80/32"], &[]))]);
            if let Some(body) = baseline {
                world.put("baseline/111122223333/policy/second.json", &body);
            }
        }
        let error = script.caller(2).reset(reset_config(&[("POLICY_ARNS", both.as_str())]), json!({})).await.unwrap_err();
        assert_eq!(error.error_type, "baseline_unusable");
        assert!(error.error_message.contains(second) && error.error_message.contains(why), "{error:?}");
        let world = script.world.lock();
        assert_eq!((world.entries(POLICY), world.policy(second).default), (vec![OFFICE.to_owned()], 3));
        assert!(world.keys("grants/").is_empty());
    }
    let script = Script::new(office());
    script.world.lock().put("grants/1.2.3.4_32/alice.json", "{}");
    script.caller(2).reset(reset_config(&[]), json!({})).await.unwrap_err();
    assert_eq!(script.world.lock().keys("grants/").len(), 1, "without any usable baseline the grants stay");
    assert!(!script.world.lock().objects.contains_key("lease.json"));
}

#[tokio::test(start_paused = true)]
async fn single_entries_are_revoked_with_their_grants_and_nothing_else_changes() {
    let script = Script::new(office());
    for (name, address) in [("alice", HOME), ("bob", HOME), ("alice", "51.44.71.81"), ("carol", "51.44.71.82")] {
        script.caller(1).add(name, address).await;
    }
    script.world.lock().apply(9, &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec![] }, 0);
    let revoke = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    let dry = revoke(json!({ "revoke_member": "alice", "dry_run": true })).await.unwrap();
    assert_eq!((dry["status"].as_str(), &dry["targets"][0]["removed"]), (Some("would_revoke"), &json!(["51.44.71.81/32"])));
    let report = revoke(json!({ "revoke_member": "alice" })).await.unwrap();
    assert_eq!((report["status"].as_str(), &report["targets"][0]["removed"]), (Some("revoked"), &json!(["51.44.71.81/32"])));
    assert_eq!(
        script.world.lock().keys("grants/"),
        ["grants/51.44.71.80_32/bob.json", "grants/51.44.71.82_32/carol.json"],
        "bob's network stays, for it is his too"
    );
    let report = revoke(json!({ "revoke": [HOME, "7.7.7.7", "123.123.123.123"] })).await.unwrap();
    assert_eq!(report["targets"][0]["removed"], json!(["51.44.71.80/32", "7.7.7.7/32"]), "the baseline's entry stays");
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE, "51.44.71.82/32"]);
    assert_eq!(revoke(json!({ "revoke": [HOME] })).await.unwrap()["status"], "unchanged");
    let before = script.world.lock().calls.len();
    for wrong in [
        json!({ "revoke": HOME }),
        json!({ "revoke": [] }),
        json!({ "revoke": ["x"] }),
        json!({ "revoke": [7] }),
        json!({ "revoke_member": 7 }),
    ] {
        let error = revoke(wrong.clone()).await.unwrap_err();
        assert!(["bad_ip", "aws_error"].contains(&error.error_type.as_str()), "{wrong} {error:?}");
    }
    assert_eq!(script.world.lock().calls.len(), before, "what cannot be read is no reset");
}

#[tokio::test(start_paused = true)]
async fn the_list_tells_permanent_granted_and_hand_made_entries_apart() {
    let script = Script::new(office());
    for name in ["bob", "alice"] {
        script.caller(1).add(name, HOME).await;
    }
    script.world.lock().apply(9, &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec![] }, 0);
    let report = script.caller(2).reset(reset_config(&[]), json!({ "list": true })).await.unwrap();
    let entry = |text: &str, standing: &str, members: Value, at: Value| json!({ "entry": text, "standing": standing, "members": members, "granted_at": at });
    assert_eq!(
        report["targets"],
        json!([{ "arn": POLICY, "version": "v3", "baseline": true, "entries": [
            entry(OFFICE, "permanent", json!([]), Value::Null),
            entry("51.44.71.80/32", "granted", json!(["alice", "bob"]), "2027-01-15T08:00:00Z".into()),
            entry("7.7.7.7/32", "by_hand", json!([]), Value::Null),
        ] }])
    );
    assert_eq!(script.world.lock().policy(POLICY).default, 3);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_is_checked_before_it_is_saved() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec!["ec2:*".into()] },
        0,
    );
    let before = script.world.lock().objects.clone();
    let check = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    let found = check(json!({ "check_baseline": POLICY })).await.unwrap();
    assert_eq!((found["status"].as_str(), &found["object"]), (Some("usable"), &json!("baseline/111122223333/policy/gate.json")));
    assert_eq!(found["entries"], json!([OFFICE, "7.7.7.7/32"]), "without anybody's temporary entries");
    assert_eq!(found["replaces"], json!({ "removed": [], "added": ["7.7.7.7/32"], "drift": true }));
    let given = check(json!({ "check_baseline": POLICY, "document": gate(&["1.2.3.4", "x"], &[]) })).await.unwrap();
    assert_eq!((&given["document"], &given["unparsed"]), (&json!(gate(&["1.2.3.4", "x"], &[])), &json!(["x"])));
    for (event, kind) in [
        (json!({ "check_baseline": POLICY, "document": gate(&["0.0.0.0/0"], &[]) }), "baseline_unusable"),
        (json!({ "check_baseline": POLICY, "document": "nonsense" }), "malformed_document"),
        (json!({ "check_baseline": "arn:aws:iam::111122223333:policy/other" }), "malformed_document"),
    ] {
        assert_eq!(check(event).await.unwrap_err().error_type, kind);
    }
    assert_eq!(script.world.lock().objects, before, "checking writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_older_version_comes_back_with_everybody_who_is_in() {
    let script = Script::new(office());
    script.world.lock().apply(9, &Op::Edit { arn: POLICY.into(), entries: vec![], tags: vec!["ec2:*".into()] }, 0);
    script.caller(1).add("alice", HOME).await;
    let roll = async |event: Value| script.caller(2).reset(reset_config(&[]), event).await;
    assert_eq!(roll(json!({ "rollback": "v1", "dry_run": true })).await.unwrap()["status"], "would_roll_back");
    let report = roll(json!({ "rollback": "v1" })).await.unwrap();
    assert_eq!((report["status"].as_str(), &report["targets"][0]["version"]), (Some("rolled_back"), &json!("v4")));
    assert_eq!(script.world.lock().document(POLICY), gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"]));
    for wrong in [json!({ "rollback": "v9" }), json!({ "rollback": 1 }), json!({ "rollback": "v1", "arn": "x" })] {
        assert_eq!(roll(wrong).await.unwrap_err().error_type, "malformed_document");
    }
    assert_eq!(script.world.lock().policy(POLICY).default, 4);
}

// The faults of the program that did this before.

#[tokio::test(start_paused = true)]
async fn an_edit_made_in_the_console_while_we_write_is_merged_not_overwritten() {
    let script = Script::new(office());
    script.before(creates, |world| {
        world.apply(9, &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec!["ec2:*".into()] }, 0);
    });
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.word().as_str(), &answer.body["targets"][0]["version"]), ("added", &json!("v4")));
    let (entries, tags) = read_gate(&script.world.lock().document(POLICY));
    assert_eq!(entries, BTreeSet::from(["123.123.123.123/32", "51.44.71.80/32", "7.7.7.7/32"].map(str::to_owned)));
    assert_eq!(tags, BTreeSet::from(["ec2:*", "s3:Get*"].map(str::to_owned)));
    let world = script.world.lock();
    assert_eq!(
        read_gate(&world.objects["baseline/111122223333/policy/gate.json"].body).0.len(),
        2,
        "the edit came before our first version"
    );
}

#[tokio::test(start_paused = true)]
async fn two_callers_at_once_are_both_let_in() {
    let script = Script::new(office());
    let (alice, bob) = (script.caller(1), script.caller(2));
    let (a, b) = tokio::join!(alice.add("alice", HOME), bob.add("bob", "51.44.71.81"));
    assert_eq!((a.word().as_str(), b.word().as_str()), ("added", "added"));
    assert_eq!(script.world.lock().entries(POLICY), ["123.123.123.123/32", "51.44.71.80/32", "51.44.71.81/32"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_found_by_looking_and_nothing_is_created_twice() {
    let script = Script::new(office());
    script.once(Act::Lost, creates);
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!(answer.body["targets"][0]["version"], "v2", "{answer:?}");
    assert_eq!(script.world.lock().policy(POLICY).next, 3);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_in_the_end_reported_with_the_grant_left() {
    let script = Script::new(office());
    for _ in 0..3 {
        script.once(Act::Fail(400, "Throttling"), creates);
    }
    assert_eq!(script.caller(1).add("alice", HOME).await.word(), "added");

    let script = Script::new(office());
    script.rule(|_, _, op| creates(op).then_some(Act::Fail(400, "Throttling")));
    let answer = script.caller(1).add("alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str(), answer.headers["Retry-After"].as_str()), (503, "throttled", Some("5")));
    assert_eq!(script.world.lock().keys("grants/"), ["grants/51.44.71.80_32/alice.json"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_never_eats_the_whole_invocation() {
    for iam in [true, false] {
        let script = Script::new(office());
        script.rule(move |_, _, op| (op.is_iam() == iam).then_some(Act::Silent));
        let started = tokio::time::Instant::now();
        let answer = script.caller(1).add("alice", HOME).await;
        assert!(answer.status >= 500, "{answer:?}");
        assert!(started.elapsed() < std::time::Duration::from_secs(28), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_behind_the_last_known_write_is_not_believed() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    script.rule(|_, _, op| op.is_iam_read().then_some(Act::Stale(2)));
    let answer = script.caller(2).add("bob", "123.123.123.123").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(script.world.lock().entries(POLICY), ["123.123.123.123/32", "51.44.71.80/32"]);
}

// The page, and answers for browsers.

fn as_browser(mut event: Value) -> Value {
    event["headers"]["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8".into();
    event
}

fn on(mut event: Value, resource: &str) -> Value {
    event["resource"] = resource.into();
    event["path"] = resource.into();
    event["requestContext"]["path"] = format!("/gate{resource}").into();
    event["requestContext"]["domainName"] = "a1.execute-api.eu-west-1.amazonaws.com".into();
    event["stageVariables"] = json!({ "PEER_API_ID": "b2" });
    event
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_the_address_asks_aws_for_nothing_and_holds_strict_headers() {
    let script = Script::new(office());
    let mut event = on(as_browser(add_event("mallory", HOME)), "/");
    event["headers"]["Accept-Language"] = "ja".into();
    let answer = script.caller(1).event(add_config(&[("RESET_DESCRIPTION", "<daily>")]), event).await;
    let text = answer.body.as_str().unwrap();
    assert!(text.contains(HOME) && text.contains("lang=\"ja\"") && text.contains("&lt;daily&gt;"), "{text}");
    assert!(text.contains("action=\"https://a1.execute-api.eu-west-1.amazonaws.com/gate/add\""), "{text}");
    let policy = answer.headers["Content-Security-Policy"].as_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(policy.contains("connect-src 'self' https://b2.execute-api.eu-west-1.amazonaws.com;"), "{policy}");
    for (name, value) in
        [("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]
    {
        assert_eq!(answer.headers[name], value);
    }
    let calls = &script.world.lock().calls;
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn only_the_peer_may_read_an_answer_from_elsewhere() {
    let script = Script::new(office());
    let answer = script.caller(1).event(add_config(&[]), on(add_event("alice", HOME), "/status")).await;
    assert_eq!(answer.headers["Access-Control-Allow-Origin"], "https://b2.execute-api.eu-west-1.amazonaws.com");
    assert_eq!(answer.headers["Vary"], "Origin");
    let alone = script.caller(1).add("alice", HOME).await;
    assert_eq!(alone.headers.get("Access-Control-Allow-Origin"), None);
}

#[tokio::test(start_paused = true)]
async fn status_tells_whether_since_when_and_by_whom_and_changes_nothing() {
    let script = Script::new(office());
    let status = |name: &str, address: &str| {
        let event = on(add_event(name, address), "/status");
        let caller = script.caller(7);
        async move { caller.event(add_config(&[]), event).await }
    };
    assert_eq!(status("mallory", HOME).await.word(), "unauthorized");
    assert_eq!(
        status("alice", HOME).await.body,
        json!({ "network": "51.44.71.80/32", "allowed": false, "granted_at": null, "members": [] })
    );
    script.caller(1).add("bob", HOME).await;
    script.caller(1).add("alice", HOME).await;
    let writes = |script: &Script| {
        script.world.lock().calls.iter().filter(|call| matches!(call.op, Op::Put { .. } | Op::Create(..))).count()
    };
    let before = writes(&script);
    assert_eq!(
        status("alice", HOME).await.body,
        json!({ "network": "51.44.71.80/32", "allowed": true, "granted_at": "2027-01-15T08:00:00Z", "members": ["alice", "bob"] })
    );
    assert_eq!(status("alice", "123.123.123.123").await.body["allowed"], true);
    assert_eq!(writes(&script), before);
}

#[tokio::test(start_paused = true)]
async fn browsers_get_every_answer_as_a_page() {
    let script = Script::new(office());
    let config = || add_config(&[("MAX_GRANTS_PER_MEMBER", "1"), ("RESET_DESCRIPTION", "every night")]);
    let cases = [
        ("alice", HOME, 200, "is allowed now"),
        ("alice", HOME, 200, "is allowed"),
        ("mallory", HOME, 401, "a valid member key is needed"),
        ("alice", "10.1.2.3", 403, "a private address"),
        ("alice", "51.44.71.81", 409, "you hold 1 entries"),
    ];
    for (name, address, status, part) in cases {
        let answer = script.caller(1).event(config(), on(as_browser(add_event(name, address)), "/add")).await;
        let text = answer.body.as_str().unwrap();
        assert_eq!(answer.status, status, "{text}");
        assert!(
            text.contains(part) && text.starts_with("<!DOCTYPE html>") && answer.headers["Content-Security-Policy"].is_string(),
            "{text}"
        );
        assert_eq!(status == 200, text.contains("every night"));
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

#[tokio::test(start_paused = true)]
async fn a_member_who_adds_while_he_is_revoked_keeps_no_entry() {
    let script = Script::new(office());
    script.caller(1).add("alice", HOME).await;
    let late = |world: &mut World| {
        world.put("grants/51.44.71.9_32/alice.json", "{}");
        world.apply(7, &Op::Edit { arn: POLICY.to_owned(), entries: vec!["51.44.71.9/32".to_owned()], tags: Vec::new() }, 0);
    };
    script.before(Op::writes_lease, late);
    let report = script.caller(2).reset(reset_config(&[]), json!({ "revoke_member": "alice" })).await.unwrap();
    assert_eq!(report["status"], "revoked");
    let world = script.world.lock();
    assert_eq!(world.entries(POLICY), [OFFICE]);
    assert!(world.keys("grants/").is_empty());
}
