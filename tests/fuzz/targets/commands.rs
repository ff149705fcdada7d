//! Events of reset-policy: administrators and schedules send them.

use fakes::reset_config;
use fakes::world::Op;
use serde_json::Value;

use super::{account, listed, run, writes};

#[rustfmt::skip]
pub const WORDS: [&str; 24] = [
    "\"revoke\"", "\"revoke_member\"", "\"rollback\"", "\"check_baseline\"", "\"document\"", "\"list\"", "\"expire\"", "\"dry_run\"", "\"arn\"", "true",
    "false", "null", "{}", "[]", "0", "\"v1\"", "\"v01\"", "\"v99999999999999999999\"", "\"alice\"", "\"51.44.71.80/32\"", "\"51.44.71.80\"",
    "\"arn:aws:iam::111122223333:policy/gate\"", "$serde_json::private::Number", "\"0.0.0.0/0\"",
];

/// What names a command is one, or is refused and changes nothing; it never falls back to a reset.
pub fn check(input: &[u8]) -> String {
    // What is no JSON is refused by the runtime, and never comes to us.
    let Ok(event) = serde_json::from_slice::<Value>(input) else { return "no JSON".to_owned() };
    let named = ["revoke", "revoke_member", "rollback", "check_baseline"];
    let asks = |name: &str| event.get(name).is_some_and(|value| *value != Value::Bool(false));
    // Nobody who wants to be told what a reset would do gets a reset.
    let odd_dry_run = event.get("dry_run").is_some_and(|dry| !dry.is_boolean() && !dry.is_null());
    let is_command = odd_dry_run
        || named.iter().any(|name| event.get(name).is_some())
        || asks("list")
        || asks("expire");
    let is_dry = event.get("dry_run") == Some(&Value::Bool(true));
    run(async {
        let script = account();
        let answer = script.caller(1).reset(reset_config(&[]), event).await;
        let answer = answer.expect("nothing hinders a reset here");
        let (entries, writes) = (listed(&script), writes(&script));
        let has_reset = script
            .world
            .lock()
            .objects
            .get("lease.json")
            .is_some_and(|lease| lease.body.contains("reset_at"));
        let status = answer.get("status").and_then(Value::as_str).unwrap_or_default();
        assert!(!(is_command && has_reset), "a reset instead of a command: {answer}");
        assert_eq!(has_reset, !is_command && !is_dry, "{answer}");
        if is_dry || status == "refused" {
            assert!(writes.iter().all(Op::writes_lease), "{answer}: {writes:?}");
        }
        if status == "refused" {
            assert_eq!(writes, [], "{answer}");
            assert!(answer["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
        }
        format!("{status} {} {}", answer.get("error").unwrap_or(&Value::Null), entries.len())
    })
}
