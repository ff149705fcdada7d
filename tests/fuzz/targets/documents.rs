//! Policy documents: administrators write them, and IAM and S3 hand them to us as text.

use allowlist::baseline::Baseline;
use allowlist::cutoff::without_cutoff;
use allowlist::edit::{GrantedNetworks, TargetRules};
use allowlist::{Document, Edit, Network, Target};
use fakes::POLICY;
use serde_json::Value;

use crate::python::Python;

#[rustfmt::skip]
pub const WORDS: [&str; 40] = [
    "\"aws:SourceIp\"", "\"AWS:SOURCEIP\"", "\"NotIpAddress\"", "\"IpAddress\"", "\"NotIpAddressIfExists\"", "\"ForAnyValue:NotIpAddress\"", "\"Deny\"",
    "\"Allow\"", "\"Statement\"", "\"Condition\"", "\"Effect\"", "\"Sid\"", "\"IpGateCutoff\"", "\"51.44.71.80/32\"", "\"51.44.71.80\"", "\"0.0.0.0/0\"",
    "\"$serde_json::private::Number\"", "\"$serde_json::private::RawValue\"", "\\u0024", "\\ud800", "\\ud83d\\ude00", "\\u0000", "\\/", "\\\"", "\\:",
    "1e400", "-0", "-0.0", "0.10", "1E+2", "01", "12345678901234567890123", "NaN", "-Infinity", "\u{feff}", "\u{a0}", "\u{1f600}", "//", "null", "true",
];

/// How large a document may be here: what does not fit is tested elsewhere.
const LIMIT: usize = 1 << 20;

/// What we accept means the same to Python, in every key, string and number. What Python accepts and we do not has a
/// reason. After an edit nothing but the list of the gate differs.
pub fn check(python: &Python, input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let answer = python.ask("json", &text);
    let (marks, theirs) = answer.split_once(' ').unwrap_or((&answer, ""));
    match Document::parse(&text) {
        Ok(document) => {
            // `deep`: close to the depth at which we stop. `token`: serde_json's own name for a number, and not where it
            // would be taken for one.
            let allowed = ["plain", "deep", "token", "deep+token"];
            assert!(allowed.contains(&marks), "accepted, but {marks}");
            assert_eq!(meaning(document.json()), theirs);
            written_as_read(&document);
            let shape: Vec<usize> = lists(&document).iter().map(Vec::len).collect();
            format!("{marks} {} {shape:?}", edits(&document))
        }
        Err(error) => {
            assert_ne!(marks, "plain", "{error}");
            assert_eq!(error.kind(), "malformed_document");
            let words = error.to_string().replace(|c: char| c.is_ascii_digit(), "");
            format!("{marks} {:.60}", words.escape_debug().to_string())
        }
    }
}

/// The same form of a document that `oracle.py` makes.
fn meaning(value: &Value) -> String {
    let text =
        |text: &str| text.bytes().fold("\"".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
    match value {
        Value::Null => "z".to_owned(),
        Value::Bool(true) => "t".to_owned(),
        Value::Bool(false) => "f".to_owned(),
        Value::Number(number) => format!("#{number}"),
        Value::String(string) => text(string),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(meaning).collect::<Vec<_>>().join(","))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}:{}", text(key), meaning(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    }
}

fn written_as_read(document: &Document) {
    let text = document.render();
    assert_eq!(document.size(), text.chars().count());
    let again = Document::parse(&text).unwrap();
    assert_eq!(
        (&again, again.render(), again.sha256()),
        (document, text.clone(), document.sha256())
    );
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(Document::from_iam(&encoded).unwrap().render(), text);
    let normal = document.normal_form();
    assert_eq!(normal.normal_form(), normal);
}

/// Adds a network and takes it away again, where the document has a gate.
fn edits(document: &Document) -> &'static str {
    let own: Network = "51.44.71.99".parse().unwrap();
    let target = Target::policy(POLICY).unwrap();
    let before = without_cutoff(document);
    let baseline = Baseline::check(before.clone(), &[], LIMIT).ok();
    let has_baseline = baseline.is_some();
    let rules = TargetRules { target: &target, sids: &[], limit: LIMIT, baseline };
    let add = Edit::Add { own, granted: GrantedNetworks::default(), ended: Vec::new() };
    let Ok(after) = add.apply(&rules, document) else { return "no gate" };
    assert_eq!(rest(&after), rest(&before));
    let (old, new) = (lists(&before), lists(&after));
    assert_eq!(old.len(), new.len());
    let own_text = Value::from(own.to_string());
    for (old, new) in old.iter().zip(&new) {
        let more = new.strip_prefix(old.as_slice()).expect("nothing is taken away");
        assert!(more.is_empty() || more == [own_text.clone()], "{more:?}");
    }
    assert_eq!(add.apply(&rules, &after).unwrap(), after);
    if !has_baseline {
        return "a gate";
    }
    let cut = Edit::Cut { ended: vec![own], granted: GrantedNetworks::default() };
    let cut = cut.apply(&rules, &after).expect("the baseline has a list");
    assert_eq!((rest(&cut), lists(&cut)), (rest(&before), old));
    if after == before { "covered" } else { "added" }
}

/// The document's text without the lists that may be a gate: a `Deny` with `NotIpAddress`, an `Allow` with `IpAddress`.
fn rest(document: &Document) -> String {
    let mut json = document.json().clone();
    each_list(&mut json, &mut |list| *list = Value::Null);
    json.to_string()
}

fn lists(document: &Document) -> Vec<Vec<Value>> {
    let mut lists = Vec::new();
    each_list(&mut document.json().clone(), &mut |list| {
        lists.push(list.as_array().cloned().unwrap_or_else(|| vec![list.clone()]));
    });
    lists
}

fn each_list(json: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    let statements = match json.get_mut("Statement") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in statements {
        let operators = match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => ["NotIpAddress", "NotIpAddressIfExists"],
            Some("Allow") => ["IpAddress", "IpAddressIfExists"],
            _ => continue,
        };
        for operator in operators {
            let keys = statement.get_mut("Condition").and_then(|all| all.get_mut(operator));
            for (key, list) in keys.and_then(Value::as_object_mut).into_iter().flatten() {
                if key.eq_ignore_ascii_case("aws:sourceip") {
                    act(list);
                }
            }
        }
    }
}
