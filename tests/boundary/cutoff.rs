//! The cutoff: IAM itself ends temporary entries, also if the functions never run again.

use fakes::Answer;
use fakes::invoke::{add_event_for, expire_event, remove_event, rollback_event, status_event};

use crate::*;

const CUTOFF: (&str, &str) = ("CUTOFF_HOURS", "2");
const HOURS: u64 = 2 * 3600;
const BASELINE: &str = "baseline/111122223333/policy/gate.json";

async fn add(script: &Script, name: &str, address: &str) -> Answer {
    ask(script, add_event(name, address)).await
}

async fn ask(script: &Script, event: Value) -> Answer {
    script.caller(1).event(add_config(&[CUTOFF]), event).await
}

async fn reset(script: &Script, event: Value) -> Value {
    let config = reset_config(&[CUTOFF]);
    script.caller(2).reset(config, event).await.unwrap()
}

fn in_force(script: &Script) -> Value {
    let document = script.world.lock().document(POLICY);
    Document::parse(&document).unwrap().json().clone()
}

fn statements(json: &Value) -> Vec<Value> {
    match &json["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

fn is_copy(statement: &Value) -> bool {
    let sid = statement["Sid"].as_str().unwrap_or_default();
    sid.starts_with("IpGateCutoff")
}

/// The copies in a document.
fn copies(json: &Value) -> Vec<Value> {
    statements(json).into_iter().filter(is_copy).collect()
}

/// From when on IAM refuses what is temporary; `None` without a copy.
fn date(script: &Script) -> Option<String> {
    let copy = copies(&in_force(script)).into_iter().next()?;
    let date = &copy["Condition"]["DateGreaterThan"]["aws:CurrentTime"];
    Some(date.as_str().unwrap().to_owned())
}

/// The `Deny` statements with a list of addresses that are let in.
fn gates(json: &Value) -> Vec<Value> {
    let is_gate = |statement: &Value| {
        let operators = statement["Condition"].as_object();
        let names = |name: &String| name.starts_with("NotIpAddress");
        statement["Effect"] == "Deny" && operators.is_some_and(|all| all.keys().any(names))
    };
    statements(json).into_iter().filter(is_gate).collect()
}

fn policies() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    let files = std::fs::read_dir(folder).unwrap();
    let read = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(file.path()).unwrap())
    };
    files.map(|file| read(file.unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_known_policy_gets_its_copies() {
    let mut with_copies = 0;
    for (name, text) in policies() {
        let script = Script::new(World::with_policy(&[(1, text.clone())]));
        let before = Document::parse(&text).unwrap().json().clone();
        assert_eq!(add(&script, "alice", "62.4.5.6").await.word(), "added");
        let after = in_force(&script);
        let (originals, copies) = (gates(&before), copies(&after));
        assert_eq!(copies.len(), originals.len(), "{name}");
        with_copies += copies.len();
        for (original, copy) in originals.iter().zip(&copies) {
            assert_eq!(addresses(copy), addresses(original), "{name}");
            let mut rest = blank(copy);
            let dates = rest["Condition"].as_object_mut().unwrap();
            assert_eq!(
                dates.remove("DateGreaterThan"),
                Some(json!({ "aws:CurrentTime": "2027-01-15T10:00:00Z" }))
            );
            rest["Sid"] = Value::Null;
            let mut expected = blank(original);
            expected["Sid"] = Value::Null;
            assert_eq!(rest, expected, "{name}");
        }
        let rest: Vec<String> = statements(&after)
            .iter()
            .filter(|statement| !is_copy(statement))
            .map(|statement| blank(statement).to_string())
            .collect();
        let expected: Vec<String> =
            statements(&before).iter().map(|statement| blank(statement).to_string()).collect();
        assert_eq!(rest, expected, "{name}: nothing is lost, down to the order");
    }
    assert!(with_copies >= 7, "{with_copies}");
}

#[tokio::test(start_paused = true)]
async fn a_reset_takes_the_copies_out_of_every_known_policy() {
    for (name, text) in policies() {
        let script = Script::new(World::with_policy(&[(1, text.clone())]));
        let before = Document::parse(&text).unwrap().render();
        add(&script, "alice", "62.4.5.6").await;
        add(&script, "bob", "62.4.5.7").await;
        pass(2).await;
        let report = reset(&script, json!({})).await;
        let target = &report["targets"][0];
        assert_eq!(
            (&report["status"], &target["drift"], &target["removed"]),
            (&json!("reset"), &json!(false), &json!(["62.4.5.6/32", "62.4.5.7/32"])),
            "{name}"
        );
        assert_eq!(script.world.lock().document(POLICY), before, "{name}");
        let report = reset(&script, json!({})).await;
        assert_eq!(
            (&report["status"], &report["targets"][0]["drift"]),
            (&json!("unchanged"), &json!(false)),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_statement_of_a_gate_has_a_copy_of_its_own() {
    let statement = |sid: &str, action: &str, more: &str| {
        format!(
            r#"{{"Sid":"{sid}","Effect":"Deny","Action":"{action}","Resource":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":["{OFFICE}"]}}{more}}}}}"#
        )
    };
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{},{}]}}"#,
        statement("A", "s3:*", ""),
        statement(
            "B",
            "ec2:*",
            r#","DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}"#
        ),
    );
    let script = Script::new(World::with_policy(&[(1, text.clone())]));
    assert_eq!(add(&script, "alice", HOME).await.word(), "added");
    let copies = copies(&in_force(&script));
    let facts: Vec<_> = copies.iter().map(|copy| (&copy["Sid"], &copy["Action"])).collect();
    assert_eq!(
        facts,
        [(&json!("IpGateCutoff"), &json!("s3:*")), (&json!("IpGateCutoff2"), &json!("ec2:*"))]
    );
    assert_eq!(
        copies[1]["Condition"]["DateGreaterThan"],
        json!({ "aws:TokenIssueTime": "2020-01-01T00:00:00Z", "aws:CurrentTime": "2027-01-15T10:00:00Z" }),
        "an operator that is there keeps its other keys"
    );
    pass(2).await;
    reset(&script, json!({})).await;
    assert_eq!(script.world.lock().document(POLICY), text);
}

#[tokio::test(start_paused = true)]
async fn the_date_is_that_of_the_newest_grant() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(600).await;
    add(&script, "bob", "51.44.71.81").await;
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T10:10:00Z"));
    pass(600).await;
    reset(&script, json!({ "revoke": ["51.44.71.81"] })).await;
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T10:00:00Z"));
    reset(&script, json!({ "revoke": [HOME] })).await;
    assert_eq!(date(&script), None, "nothing temporary is left");
}

#[tokio::test(start_paused = true)]
async fn a_copys_list_is_the_baselines() {
    let script = Script::new(office());
    let baseline = gate(&[OFFICE, "9.9.9.0/24"], &["s3:Get*"]);
    script.world.lock().put(BASELINE, &baseline);
    add(&script, "alice", HOME).await;
    add(&script, "bob", "51.44.71.81").await;
    let copies = copies(&in_force(&script));
    assert_eq!(addresses(&copies[0]), [json!(OFFICE), json!("9.9.9.0/24")]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_names_the_earlier_end() {
    let script = Script::new(office());
    for (length, ends) in [
        ("", "2027-01-15T10:00:00Z"),
        ("1h", "2027-01-15T09:00:00Z"),
        ("3h", "2027-01-15T10:00:00Z"),
    ] {
        let answer = ask(&script, add_event_for("alice", HOME, length)).await;
        assert_eq!(answer.body["ends"], ends, "{length}");
        let status = ask(&script, status_event("alice", HOME)).await;
        assert_eq!(status.body["ends"], ends, "{length}");
        let listed = reset(&script, json!({ "list": true })).await;
        assert_eq!(listed["targets"][0]["entries"][1]["ends"], ends, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_there_already_keeps_its_end() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(3600).await;
    let answer = add(&script, "alice", HOME).await;
    assert_eq!(answer.word(), "already_allowed");
    assert_eq!(answer.body["ends"], "2027-01-15T10:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn near_the_cutoff_nobody_is_told_that_they_are_in_already() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(HOURS - 61).await;
    assert_eq!(add(&script, "alice", HOME).await.word(), "already_allowed");
    pass(1).await;
    let status = ask(&script, status_event("alice", HOME)).await;
    assert_eq!(status.body["allowed"], false);
    let permanent = ask(&script, status_event("alice", "123.123.123.123")).await;
    assert_eq!(permanent.body["allowed"], true);
    let answer = add(&script, "alice", HOME).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    assert_eq!(answer.body["ends"], "2027-01-15T11:59:00Z");
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T11:59:00Z"));
}

/// The gate's own date moves on with everybody's adds, an entry's end does not.
#[tokio::test(start_paused = true)]
async fn an_entry_is_renewed_in_its_last_minute_also_when_others_came_later() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(1800).await;
    add(&script, "bob", "51.44.71.90").await;
    pass(HOURS - 1800 - 61).await;
    assert_eq!(add(&script, "alice", HOME).await.word(), "already_allowed");
    pass(1).await;
    let answer = add(&script, "alice", HOME).await;
    assert_eq!(answer.word(), "added", "{answer:?}");
    assert_eq!(answer.body["ends"], "2027-01-15T11:59:00Z");
}

#[tokio::test(start_paused = true)]
async fn the_permanent_entries_never_notice() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(HOURS + 5).await;
    let answer = add(&script, "bob", "123.123.123.123").await;
    assert_eq!(answer.word(), "already_allowed");
}

#[tokio::test(start_paused = true)]
async fn without_a_usable_baseline_nothing_is_put() {
    for body in ["nonsense", &gate(&["::/0"], &[]), &gate(&[], &[])] {
        let script = Script::new(office());
        script.world.lock().put(BASELINE, body);
        let answer = add(&script, "alice", HOME).await;
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (502, "baseline_unusable"),
            "{body}: {answer:?}"
        );
        assert_eq!(writes(&script), [], "{body}");
        let off = add_config(&[]);
        let answer = script.caller(1).event(off, add_event("alice", HOME)).await;
        assert_eq!(answer.word(), "added", "without a cutoff it is not needed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_older_than_the_cutoff_does_not_count() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(HOURS).await;
    let status = ask(&script, status_event("bob", HOME)).await;
    assert_eq!((&status.body["members"], &status.body["granted_at"]), (&json!([]), &Value::Null));
    let status = ask(&script, status_event("alice", HOME)).await;
    assert_eq!(status.body["entries"], json!([]));
    let report = reset(&script, expire_event()).await;
    assert_eq!(report["status"], "expired");
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE]);
    assert_eq!(date(&script), None);
}

#[tokio::test(start_paused = true)]
async fn an_old_grant_is_not_published_again() {
    let script = Script::new(office());
    script.world.lock().put_at("grants/51.44.71.80_32/alice.json", "{}", EPOCH - 2 * 3600);
    add(&script, "bob", "51.44.71.81").await;
    let entries = script.world.lock().entries(POLICY);
    assert_eq!(entries, [OFFICE, "51.44.71.81/32"]);
}

#[tokio::test(start_paused = true)]
async fn the_next_add_ends_what_is_over() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(HOURS).await;
    assert_eq!(add(&script, "bob", "51.44.71.81").await.word(), "added");
    // Its date has moved on: what stayed on the list would be let in again.
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T12:00:00Z"));
    let entries = script.world.lock().entries(POLICY);
    assert_eq!(entries, [OFFICE, "51.44.71.81/32"]);
}

#[tokio::test(start_paused = true)]
async fn what_administrators_see_holds_no_copies() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    let listed = reset(&script, json!({ "list": true })).await;
    let entries = listed["targets"][0]["entries"].as_array().unwrap().clone();
    let facts: Vec<_> = entries.iter().map(|e| (&e["entry"], &e["standing"])).collect();
    assert_eq!(
        facts,
        [(&json!(OFFICE), &json!("permanent")), (&json!("51.44.71.80/32"), &json!("granted"))]
    );
    let found = reset(&script, json!({ "check_baseline": POLICY })).await;
    let expected = gate(&[OFFICE], &["s3:Get*"]);
    assert_eq!(found["document"], expected);
    assert_eq!(
        found["replaces"],
        json!({ "removed": [], "added": [], "statements_removed": [], "statements_added": [], "drift": false })
    );
    let given = script.world.lock().document(POLICY);
    let found = reset(&script, json!({ "check_baseline": POLICY, "document": given })).await;
    assert_eq!(found["document"], gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"]));
}

#[tokio::test(start_paused = true)]
async fn a_captured_baseline_holds_no_copies() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    let with_copy = script.world.lock().document(POLICY);
    // A new stack on the same policy.
    let script = Script::new(World::with_policy(&[(7, with_copy)]));
    add(&script, "bob", "51.44.71.81").await;
    let world = script.world.lock();
    assert_eq!(world.objects[BASELINE].body, gate(&[OFFICE, "51.44.71.80/32"], &["s3:Get*"]));
}

#[tokio::test(start_paused = true)]
async fn a_baseline_with_copies_is_reset_without_them() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    let with_copy = script.world.lock().document(POLICY);
    script.world.lock().put(BASELINE, &with_copy);
    pass(2).await;
    let report = reset(&script, json!({})).await;
    assert_eq!(report["targets"][0]["drift"], false, "{report}");
    assert_eq!(date(&script), None);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_brings_no_older_date_back() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(600).await;
    add(&script, "bob", "51.44.71.81").await;
    let report = reset(&script, rollback_event(POLICY, "v2")).await;
    assert_eq!(report["status"], "unchanged", "{report}");
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T10:10:00Z"));
    assert_eq!(copies(&in_force(&script)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_is_merged_keeps_one_copy() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    pass(600).await;
    script.before(creates, |world| {
        let document = world.document(POLICY).replace("s3:Get*", "ec2:*");
        world.apply(9, &Op::Save(POLICY.to_owned(), document), 0);
    });
    assert_eq!(add(&script, "bob", "51.44.71.81").await.word(), "added");
    let json = in_force(&script);
    assert!(json.to_string().contains("ec2:*"));
    assert_eq!(copies(&json).len(), 1);
    assert_eq!(date(&script).as_deref(), Some("2027-01-15T10:10:00Z"));
    assert_eq!(script.world.lock().entries(POLICY).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_add_after_the_cutoff_was_switched_off_takes_the_copies_out() {
    let script = Script::new(office());
    add(&script, "alice", HOME).await;
    let off = add_config(&[]);
    let answer = script.caller(1).event(off, add_event("bob", "51.44.71.81")).await;
    assert_eq!(answer.word(), "added");
    assert_eq!(date(&script), None);
    assert_eq!(script.world.lock().entries(POLICY).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_size_of_the_copies_counts() {
    let resources = "arn:aws:s3:::bucket".repeat(170);
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"*","Resource":"{resources}","Condition":{{"NotIpAddress":{{"aws:SourceIp":["{OFFICE}"]}}}}}}]}}"#
    );
    let script = Script::new(World::with_policy(&[(1, text)]));
    let answer = add(&script, "alice", HOME).await;
    assert_eq!((answer.status, answer.word().as_str()), (409, "policy_full"));
    assert_eq!(writes(&script), []);
    let off = add_config(&[]);
    let answer = script.caller(1).event(off, add_event("alice", HOME)).await;
    assert_eq!(answer.word(), "added");
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_gets_no_copy() {
    let role = "arn:aws:iam::444455556666:role/team/jump";
    for (name, trust) in policies() {
        if !name.starts_with("trust-") {
            continue;
        }
        let mut world = World::default();
        world.add_role(role, &trust);
        let script = Script::new(world);
        let config = add_config(&[("POLICY_ARNS", ""), ("ROLE_ARNS", role), CUTOFF]);
        let answer = script.caller(1).event(config, add_event("alice", HOME)).await;
        assert_eq!(answer.word(), "added", "{name}: {answer:?}");
        let trust = script.world.lock().trust("jump");
        assert!(trust.contains("51.44.71.80/32") && !trust.contains("DateGreaterThan"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_ends_what_is_over_as_well() {
    let script = Script::new(office());
    add(&script, "alice", "62.4.5.6").await;
    pass(HOURS - 60).await;
    add(&script, "bob", "62.4.5.7").await;
    pass(120).await;
    let removed = ask(&script, remove_event("bob", "62.4.5.7", &[])).await;
    assert_eq!(removed.word(), "removed");
    // Without anybody who is granted an entry there is no copy: nothing temporary may stay.
    assert_eq!(copies(&in_force(&script)), Vec::<Value>::new());
    assert_eq!(script.world.lock().entries(POLICY), [OFFICE]);
}
