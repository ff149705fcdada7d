//! Members' files: an administrator writes them, maybe by hand.

use allowlist::grant::member_object;
use allowlist::member_file::MemberFile;
use allowlist::time::rfc3339;
use fakes::invoke::key;
use fakes::{add_config, add_event};
use serde_json::Value;

use super::{account, run, writes};

#[rustfmt::skip]
pub const WORDS: [&str; 24] = [
    "\"name\"", "\"expires\"", "\"alice\"", "\"_open\"", "\"\"", "\"a b\"", "\"../x\"", "null", "true", "7", "{}", "[]", "\"2027-01-15T08:00:00Z\"",
    "\"2027-01-15T08:00:01Z\"", "9223372036854775807", "-9223372036854775808", "99999999999", "-00", "+1", "24:60:60", "\\u0061", "\\ud800", "T", "Z",
];

/// A file lets in whom it names, until its end. Any other text lets nobody in, and the error says what a file is like.
pub fn check(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let file = MemberFile::parse(&text);
    match &file {
        Ok(file) => {
            assert_eq!(MemberFile::parse(&file.render()).as_ref(), Ok(file));
            let name = file.name.as_str();
            assert!((1..=64).contains(&name.len()) && name != "_open", "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                "{name}"
            );
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["name"], name);
            assert_eq!(
                json.get("expires").and_then(Value::as_str),
                file.expires.map(rfc3339).as_deref()
            );
        }
        Err(reason) => assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}"),
    }
    run(async {
        let script = account();
        let object = member_object(&key("alice"));
        script.world.lock().put(&object, &text);
        let now = script.world.lock().now();
        let answer =
            script.caller(1).event(add_config(&[]), add_event("alice", "51.44.71.81")).await;
        match &file {
            Ok(file) if file.expires.is_none_or(|expires| expires > now) => {
                assert_eq!(
                    (answer.status, &answer.body["member"]),
                    (200, &file.name.as_str().into())
                );
                format!("in {}", file.expires.is_some())
            }
            _ => {
                assert_eq!((answer.status, writes(&script)), (401, Vec::new()), "{answer:?}");
                let reason = file.err().unwrap_or_default();
                let start = reason.split(['`', ':']).next().unwrap_or_default();
                start.replace(|c: char| c.is_ascii_digit(), "")
            }
        }
    })
}
