//! `lease.json`: our own functions write it, and older versions of them did; who may write to the bucket can, too.

use std::collections::BTreeMap;

use allowlist::lease_record::{LEASE_OBJECT, LeaseRecord, TargetRecord};
use allowlist::{Document, Gate};
use fakes::{POLICY, Script, add_event, reset_config};
use serde_json::{Value, json};

use super::{account, run, writes};

#[rustfmt::skip]
pub const WORDS: [&str; 32] = [
    "\"nonce\"", "\"kind\"", "\"reset\"", "\"add\"", "\"until\"", "\"cuts\"", "\"served\"", "\"void\"", "\"targets\"", "\"last\"", "\"last_at\"", "\"doc\"",
    "\"ids\"", "\"pending\"", "\"replaced\"", "\"seen\"", "\"base\"", "\"at\"", "\"keys\"", "\"v1\"", "\"v2\"", "\"v18446744073709551615\"", "\"v0\"",
    "18446744073709551615", "-9223372036854775808", "9223372036854775807", "null", "[]", "{}", "\"alice\"", "1800000000",
    "\"arn:aws:iam::111122223333:policy/gate\"",
];

/// What can be read is written again without a change, and the functions work with it. What cannot be read stops them
/// before they write.
pub fn check(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let read: Result<LeaseRecord, _> = serde_json::from_str(&text);
    if let Ok(record) = &read {
        stable(record);
        if let Ok(json) = serde_json::from_str(&text) {
            survives(&json, &serde_json::to_value(record).unwrap());
        }
    }
    run(async {
        let script = account();
        script.world.lock().put(LEASE_OBJECT, &text);
        let answer =
            script.caller(1).event(fakes::add_config(&[]), add_event("alice", "51.44.71.81")).await;
        let (status, word) = (answer.status, answer.word());
        assert!(matches!(status, 200 | 401 | 502 | 503), "{answer:?}");
        assert!(status != 200 || lets_in(&script), "{answer:?}");
        let reset = script.caller(2).reset(reset_config(&[]), json!({})).await;
        let Ok(record) = read else {
            assert_eq!((status, writes(&script)), (502, Vec::new()), "{answer:?}");
            assert!(reset.is_err());
            return "unreadable".to_owned();
        };
        let after: LeaseRecord =
            serde_json::from_str(&script.world.lock().objects[LEASE_OBJECT].body).unwrap();
        assert_eq!(others(&after), others(&record), "what belongs to other targets stays");
        assert!(after.cuts >= record.cuts);
        let calls = script.world.lock().calls.len();
        format!("{status} {word} {} {calls}", reset.is_ok())
    })
}

/// Whether alice's address is on the list. What else is there may come from `doc`, which is trusted: only our functions
/// and administrators may write to the bucket.
fn lets_in(script: &Script) -> bool {
    let document = Document::parse(&script.world.lock().document(POLICY)).unwrap();
    let gate = Gate::find(&document, &[]).unwrap();
    gate.covers(&document, &"51.44.71.81".parse().unwrap())
}

fn others(record: &LeaseRecord) -> BTreeMap<&String, &TargetRecord> {
    record.targets.iter().filter(|(arn, _)| *arn != POLICY).collect()
}

/// Every field that `docs/architecture.md` lists comes back as it was, but for those that hold nothing.
fn survives(before: &Value, after: &Value) {
    let top = ["nonce", "holder", "kind", "until", "cuts", "served", "void", "reset_at"];
    same(before, after, &top);
    for (arn, before) in before["targets"].as_object().into_iter().flatten() {
        let after = &after["targets"][arn];
        same(before, after, &["last", "last_at", "doc", "ids", "replaced"]);
        let intents = |target: &Value| target["pending"].as_array().cloned().unwrap_or_default();
        let (before, after) = (intents(before), intents(after));
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            same(before, after, &["seen", "base", "sha256", "kind", "keys", "at"]);
        }
    }
}

fn same(before: &Value, after: &Value, fields: &[&str]) {
    let is_nothing = |value: &&Value| [json!(null), json!([]), json!({}), json!(0)].contains(value);
    for field in fields {
        if let Some(value) = before.get(field).filter(|value| !is_nothing(value)) {
            assert_eq!(after.get(field), Some(value), "{field}");
        }
    }
}

fn stable(record: &LeaseRecord) {
    let written = serde_json::to_string(record).unwrap();
    let again: LeaseRecord = serde_json::from_str(&written).unwrap();
    assert_eq!(&again, record);
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    let mut later = record.clone();
    later.forget_void(i64::MAX);
    later.forget_void(i64::MIN);
    for target in record.targets.values() {
        for error in [target.last_version().err(), target.document().err()].into_iter().flatten() {
            assert!(error.to_string().contains("restore"), "{error}");
        }
    }
}
