//! Events of API Gateway: a stranger decides what is in them.

use allowlist::Network;
use fakes::invoke::Answer;
use fakes::world::Op;
use fakes::{Script, add_config};
use serde_json::Value;

use super::{HOME, account, listed, run, writes};

/// The key of alice, and marks that would mean something in HTML if they came out as they are.
#[rustfmt::skip]
pub const WORDS: [&str; 42] = [
    "\"key-of-alice----------------------------\"", "\"Bearer key-of-alice----------------------------\"", "<zz>", "\\\"zz=", "'zz", "&zz;",
    "\\r\\nzz: 1", "\\u0000", "\\ud800", "\\u003czz", "$serde_json::private::Number", "null", "true", "1e999", "{}", "[]", "\"GET\"", "\"POST\"",
    "\"/add\"", "\"/remove\"", "\"/status\"", "\"/\"", "\"text/html\"", "\"Accept\"", "\"body\"", "\"ip\"", "\"for\"", "\"all\"", "\"network\"",
    "\"Origin\"", "\"Sec-Fetch-Site\"", "\"PEER_API_ID\"", "\"domainName\"", "\"2a05:d018:1:2::3\"", "\"::ffff:10.0.0.1\"", "\"51.44.0.0/16\"", "\"2h\"",
    "\"application/x-www-form-urlencoded\"", "\"a1.execute-api.us-east-1.amazonaws.com\"", "\"::1%<zz>\"", ".localhost", "a1.",
];

/// The headers that an answer may have.
const HEADERS: [&str; 10] = [
    "Access-Control-Allow-Origin",
    "Allow",
    "Cache-Control",
    "Content-Security-Policy",
    "Content-Type",
    "Referrer-Policy",
    "Retry-After",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
];

/// Whatever comes is answered; the answer is one that API Gateway takes and a browser can trust; and only who has a key
/// changes anything. Nothing is wrong with the account, so no answer says that something is.
pub fn check(input: &[u8]) -> String {
    let payload = String::from_utf8_lossy(input);
    // The length decides whether the function asks for a key, so that a kept input always meets the same settings.
    let open = input.len().is_multiple_of(4);
    run(async {
        let script = account();
        let config = add_config(&[("OPEN_ACCESS", &open.to_string()), ("EXPLICIT_IP", "true")]);
        let function = script.caller(1).function(config).await;
        let (answer, rest) = function.payload(&payload).await;
        rest.run().await;
        well_formed(&answer);
        let calls = script.world.lock().calls.len();
        keeps_its_promises(&answer, &script, open);
        format!(
            "{} {} {calls} {}",
            answer.status,
            answer.word(),
            answer.headers.as_object().unwrap().len()
        )
    })
}

fn well_formed(answer: &Answer) {
    let headers = answer.headers.as_object().unwrap();
    for (name, value) in headers {
        assert!(HEADERS.contains(&name.as_str()), "the header {name}");
        let text = value.as_str().unwrap();
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{name}: {text:?}");
        assert!(!text.contains("zz"), "{name}: {text:?}");
    }
    let header = |name: &str| headers.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(header("Cache-Control"), "no-store");
    assert_eq!(header("X-Content-Type-Options"), "nosniff");
    assert_eq!(header("Referrer-Policy"), "no-referrer");
    assert!(matches!(answer.status, 200 | 400 | 401 | 403 | 404 | 405), "{answer:?}");
    match &answer.body {
        Value::Object(body) => {
            assert_eq!(header("Content-Type"), "application/json");
            assert!(answer.status == 200 || body["message"].is_string(), "{body:?}");
        }
        Value::String(page) => {
            assert_eq!(header("Content-Type"), "text/html; charset=utf-8");
            assert!(header("Content-Security-Policy").starts_with("default-src 'none'; "));
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
            for (mark, times) in
                [("<zz", 0), ("\"zz", 0), ("&zz", 0), ("<script", 2), ("<style", 1)]
            {
                assert_eq!(page.matches(mark).count(), times, "{mark} in {page}");
            }
        }
        other => panic!("neither JSON nor a page: {other}"),
    }
}

fn keeps_its_promises(answer: &Answer, script: &Script, open: bool) {
    let calls: Vec<Op> = script.world.lock().calls.iter().map(|call| call.op.clone()).collect();
    for op in &calls {
        let Op::GetObject(key) = op else { continue };
        let Some(name) = key.strip_prefix("members/") else { continue };
        let hash = name.strip_suffix(".json").unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
    }
    let found_out =
        calls.iter().any(|op| matches!(op, Op::GetObject(key) if key.starts_with("members/")));
    if answer.status != 200 {
        assert_eq!(writes(script), [], "{answer:?}");
    }
    if !open && !found_out {
        assert!(calls.is_empty(), "a stranger costs {calls:?}");
    }
    for entry in listed(script).iter().filter(|entry| *entry != HOME && *entry != fakes::OFFICE) {
        let network: Network = entry.parse().unwrap();
        network.check_width().unwrap();
        network.check_public().unwrap();
        assert!(answer.status == 200 && answer.body.to_string().contains(entry), "{answer:?}");
    }
}
