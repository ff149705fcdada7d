//! The cutoff: copies of the gate's `Deny` statements that admit only the permanent networks, from
//! a certain time on. With them IAM itself refuses every temporary entry in the end, also if the
//! functions never run again.
//!
//! A copy has a Sid of its own (`IpGateCutoff`, `IpGateCutoff2`, …), the baseline's entries on its
//! list, and the condition `"DateGreaterThan":{"aws:CurrentTime":"…"}`. The functions take such
//! statements out of every document that they read.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-currenttime>

use serde_json::{Map, Value};

use crate::document::Document;
use crate::gate::{Gate, SOURCE_IP};
use crate::network::Network;
use crate::time::{parse_seconds, rfc3339};

/// How the Sid of a copy begins. Digits or nothing follow.
pub const CUTOFF_SID: &str = "IpGateCutoff";

/// The Sid of the only copy in a document whose `Statement` was an object before it became a list.
const SID_OF_OBJECT: &str = "IpGateCutoff1";

const OPERATOR: &str = "DateGreaterThan";
const CURRENT_TIME: &str = "aws:CurrentTime";

/// In the last seconds before the cutoff no answer says that a temporary entry is in force. So many
/// seconds.
pub const MARGIN: i64 = 60;

/// Whether a Sid is that of a copy.
#[must_use]
pub fn is_cutoff_sid(sid: &str) -> bool {
    sid.strip_prefix(CUTOFF_SID).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

fn sid(statement: &Value) -> &str {
    statement.get("Sid").and_then(Value::as_str).unwrap_or_default()
}

/// The date condition of a statement: the operator's object, the name of the key as it is written, and the time.
fn date(statement: &Value) -> Option<(&String, &Value)> {
    let keys = statement.get("Condition")?.get(OPERATOR)?.as_object()?;
    keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(CURRENT_TIME))
}

/// The statement without its Sid, its lists of addresses and its date: what a copy has in common with its original.
fn common(statement: &Value) -> Value {
    let mut rest = statement.clone();
    let Some(map) = rest.as_object_mut() else {
        return rest;
    };
    map.remove("Sid");
    if let Some(Value::Object(operators)) = map.get_mut("Condition") {
        for keys in operators.values_mut().filter_map(Value::as_object_mut) {
            for (key, value) in keys.iter_mut() {
                if key.eq_ignore_ascii_case(SOURCE_IP) {
                    *value = Value::Null;
                }
            }
            keys.retain(|key, _| !key.eq_ignore_ascii_case(CURRENT_TIME));
        }
        operators.retain(|name, keys| {
            name != OPERATOR || keys.as_object().is_none_or(|keys| !keys.is_empty())
        });
    }
    rest
}

/// The document without copies. A copy is a statement with a copy's Sid, or one that equals another
/// statement except for its Sid, its list, and a date that the other one does not have.
#[must_use]
pub fn without_cutoff(document: &Document) -> Document {
    let Some(Value::Array(statements)) = document.json().get("Statement") else {
        return document.clone();
    };
    let is_deny = |s: &&Value| s.get("Effect").and_then(Value::as_str) == Some("Deny");
    let is_copy = |statement: &Value| {
        is_cutoff_sid(sid(statement))
            || (date(statement).is_some()
                && is_deny(&statement)
                && statements
                    .iter()
                    .filter(|other| is_deny(other) && date(other).is_none())
                    .any(|other| common(other) == common(statement)))
    };
    if !statements.iter().any(is_copy) {
        return document.clone();
    }
    let was_object = statements.iter().any(|statement| sid(statement) == SID_OF_OBJECT);
    let mut kept: Vec<Value> =
        statements.iter().filter(|statement| !is_copy(statement)).cloned().collect();
    let mut stripped = document.clone();
    if let Some(place) = stripped.json_mut().get_mut("Statement") {
        *place = match kept.pop() {
            Some(only) if kept.is_empty() && was_object => only,
            last => {
                kept.extend(last);
                Value::Array(kept)
            }
        };
    }
    stripped
}

/// The document with a copy of each `Deny` statement of its gate: from `until` on (seconds since 1970) only `permanent`
/// is admitted. The document has no copies yet.
#[must_use]
pub fn with_cutoff(document: &Document, gate: &Gate, permanent: &[String], until: i64) -> Document {
    let originals = gate.deny_statements(document);
    if originals.is_empty() {
        return document.clone();
    }
    let was_object = document.json().get("Statement").is_some_and(Value::is_object);
    let list: Value = permanent.iter().map(String::as_str).collect();
    let copies: Vec<Value> = originals
        .into_iter()
        .enumerate()
        .map(|(index, original)| {
            let name = match index {
                0 if was_object => SID_OF_OBJECT.to_owned(),
                0 => CUTOFF_SID.to_owned(),
                _ => format!("{CUTOFF_SID}{}", index + 1),
            };
            copy(original, &name, &list, until)
        })
        .collect();
    let mut extended = document.clone();
    if let Some(place) = extended.json_mut().get_mut("Statement") {
        let mut statements = match place.take() {
            Value::Array(statements) => statements,
            only => vec![only],
        };
        statements.extend(copies);
        *place = Value::Array(statements);
    }
    extended
}

fn copy(original: &Value, name: &str, list: &Value, until: i64) -> Value {
    let Some(source) = original.as_object() else {
        return original.clone();
    };
    let mut copied = Map::new();
    copied.insert("Sid".to_owned(), name.into());
    let rest = source.iter().filter(|(key, _)| *key != "Sid");
    copied.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
    if let Some(Value::Object(operators)) = copied.get_mut("Condition") {
        for keys in operators.values_mut().filter_map(Value::as_object_mut) {
            for (key, value) in keys.iter_mut() {
                if key.eq_ignore_ascii_case(SOURCE_IP) {
                    *value = list.clone();
                }
            }
        }
        raise_date(operators, until);
    }
    Value::Object(copied)
}

/// Moves the date from which a statement counts to `until` (seconds since 1970). If it has a later
/// date, that one stays: a gate that is lifted meanwhile stays lifted.
pub(crate) fn raise_date(operators: &mut Map<String, Value>, until: i64) {
    let Some(place) = date_place(operators) else { return };
    let stays = match place {
        Value::Null => false,
        Value::String(text) => parse_seconds(text).is_none_or(|theirs| theirs >= until),
        _ => true,
    };
    if !stays {
        *place = rfc3339(until).into();
    }
}

/// Sets the date from which a statement counts to `until` (seconds since 1970), whatever it was.
pub(crate) fn set_date(operators: &mut Map<String, Value>, until: i64) {
    if let Some(place) = date_place(operators) {
        *place = rfc3339(until).into();
    }
}

/// Where the date of a statement is, or is to be: `null` then.
fn date_place(operators: &mut Map<String, Value>) -> Option<&mut Value> {
    let dates = operators.entry(OPERATOR).or_insert_with(|| Value::Object(Map::new()));
    let dates = dates.as_object_mut()?;
    let known = dates.keys().find(|key| key.eq_ignore_ascii_case(CURRENT_TIME)).cloned();
    Some(dates.entry(known.unwrap_or_else(|| CURRENT_TIME.to_owned())).or_insert(Value::Null))
}

/// From when on a statement counts, in seconds since 1970; `None` without such a condition, or with one that cannot be
/// read.
pub(crate) fn date_of(statement: &Value) -> Option<i64> {
    date(statement).and_then(|(_, time)| parse_seconds(time.as_str()?))
}

/// Whether a document in force admits `network` at `now` (seconds since 1970): the network is on
/// the list, and if the cutoff is near or over, also on the copies' lists.
#[must_use]
pub fn admits(document: &Document, gate: &Gate, network: &Network, now: i64) -> bool {
    let statements = match document.json().get("Statement") {
        Some(Value::Array(list)) => list.as_slice(),
        _ => &[],
    };
    let strikes = |statement: &&Value| {
        let time = date(statement).and_then(|(_, time)| time.as_str());
        is_cutoff_sid(sid(statement))
            && time.and_then(parse_seconds).is_none_or(|time| now >= time.saturating_sub(MARGIN))
    };
    let mut copies = statements.iter().filter(strikes).flat_map(source_addresses);
    let listed = |networks: &Vec<Network>| networks.iter().any(|listed| listed.covers(network));
    gate.covers(document, network) && copies.all(|networks| listed(&networks))
}

/// The lists of source addresses of one statement, as networks.
fn source_addresses(statement: &Value) -> Vec<Vec<Network>> {
    let operators = statement.get("Condition").and_then(Value::as_object);
    let keys = operators.into_iter().flatten().filter_map(|(_, keys)| keys.as_object()).flatten();
    keys.filter(|(key, _)| key.eq_ignore_ascii_case(SOURCE_IP))
        .map(|(_, list)| {
            let items = list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice);
            items.iter().filter_map(|item| item.as_str()?.parse().ok()).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests;
