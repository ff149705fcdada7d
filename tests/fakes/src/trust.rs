//! Trust policies as IAM keeps them and gives them back.
//!
//! The real service does not give back the text that was written:
//! - the elements of a list come in another order, now and then in another order in two reads in a row
//!   (boto/boto3#1178, aws-controllers-k8s/community#2875, hashicorp/terraform-provider-aws#20665);
//! - a list of one element may become a string, and a string a list;
//! - an account id as a principal becomes the ARN of the account's root;
//! - a principal that is deleted later reads back as its unique id (`AIDA…`, `AROA…`), and a document that names one
//!   cannot be written.
//!
//! The fake keeps the normal form, and gives it back shuffled anew at every read: every list of strings in another
//! order, and every list of one as a list or as a string.

use fastrand::Rng;
use serde_json::Value;

/// The keys whose values are lists of strings, one string being the same as a list of one.
const LISTS: [&str; 6] = ["Action", "NotAction", "AWS", "Service", "Federated", "CanonicalUser"];

/// What IAM keeps: lists sorted, a list of one as a string, an account id as the ARN of its root.
pub fn normal(document: &str) -> String {
    let mut json: Value = serde_json::from_str(document).unwrap();
    visit(&mut json, &mut |texts| {
        texts.sort_unstable();
        texts.dedup();
        texts.len() == 1
    });
    json.to_string()
}

/// What one read gives back.
pub fn shuffled(document: &str, rng: &mut Rng) -> String {
    let mut json: Value = serde_json::from_str(document).unwrap();
    visit(&mut json, &mut |texts| {
        rng.shuffle(texts);
        texts.len() == 1 && rng.bool()
    });
    json.to_string()
}

/// Whether a principal is the unique id of one that was deleted.
pub fn names_a_deleted_principal(document: &str) -> bool {
    document.contains(r#""AIDA"#) || document.contains(r#""AROA"#)
}

/// Visits every list of strings; `arrange` changes it, and says whether a list of one is written as a string.
fn visit(json: &mut Value, arrange: &mut impl FnMut(&mut Vec<String>) -> bool) {
    let statements = match json.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.as_mut_slice(),
        Some(statement) => std::slice::from_mut(statement),
        None => return,
    };
    for statement in statements {
        let Value::Object(fields) = statement else {
            continue;
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("Condition", Value::Object(operators)) => {
                    for keys in operators.values_mut().filter_map(Value::as_object_mut) {
                        keys.values_mut().for_each(|value| list(value, arrange));
                    }
                }
                ("Principal" | "NotPrincipal", Value::Object(kinds)) => {
                    for (kind, value) in kinds {
                        if kind == "AWS" {
                            accounts(value);
                        }
                        list(value, arrange);
                    }
                }
                (name, value) if LISTS.contains(&name) => list(value, arrange),
                _ => {}
            }
        }
    }
}

fn list(value: &mut Value, arrange: &mut impl FnMut(&mut Vec<String>) -> bool) {
    let texts: Option<Vec<String>> = match &*value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let Some(mut texts) = texts.filter(|texts| !texts.is_empty()) else {
        return;
    };
    *value = if arrange(&mut texts) { texts.remove(0).into() } else { texts.into() };
}

fn accounts(value: &mut Value) {
    let items = match value {
        Value::Array(items) => items.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for item in items {
        let account = item
            .as_str()
            .filter(|text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(account) = account {
            *item = format!("arn:aws:iam::{account}:root").into();
        }
    }
}
