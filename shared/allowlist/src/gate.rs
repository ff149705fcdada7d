//! The gate: the list of networks inside a policy document that decides who gets in, and the only part that changes.
//!
//! A gate is a `Deny` with `NotIpAddress` or an `Allow` with `IpAddress` on `aws:SourceIp` (with or without
//! `IfExists`). The opposite pairs (`Deny` with `IpAddress`, `Allow` with `NotIpAddress`) mean the opposite and are
//! never touched.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress>

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::coverage::Coverage;
use crate::cutoff::is_cutoff_sid;
use crate::document::Document;
use crate::error::Error;
use crate::network::Network;

pub(crate) const SOURCE_IP: &str = "aws:SourceIp";

/// Where the list (or several lists with the same networks, which are one gate) stands in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate(Vec<Place>);

/// One list: `Statement[statement].Condition[operator][key]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    statement: usize,
    operator: String,
    key: String,
}

/// One entry of the list: as written, and as a network if it parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry exactly as it stands in the document.
    pub text: String,
    /// `None` when it is not a network; such an entry stays where it is.
    pub network: Option<Network>,
    /// The JSON.
    value: Value,
}

impl Entry {
    fn new(value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self { text, network: network_of(value), value: value.clone() }
    }

    /// The same value for two spellings of one entry.
    #[must_use]
    pub fn identity(&self) -> String {
        self.network.map_or_else(|| self.text.clone(), |network| network.to_string())
    }
}

fn statements(document: &Document) -> Vec<&Value> {
    match document.json().get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// The network of one item of a list; `None` if the item is not a network.
fn network_of(item: &Value) -> Option<Network> {
    item.as_str()?.parse().ok()
}

fn items_of(list: &Value) -> &[Value] {
    list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice)
}

impl Gate {
    /// Finds the gate of a document. `sids` chooses among statements by their Sid; empty means all.
    ///
    /// # Errors
    /// [`Error::NoGate`] without a candidate, [`Error::AmbiguousGate`] when candidates hold different networks
    /// (adding a home address to the stricter one could open more than meant) or use a set operator,
    /// [`Error::MalformedDocument`] when a list is neither a string nor a list.
    pub fn find(document: &Document, sids: &[String]) -> Result<Self, Error> {
        let mut found: Vec<(Place, String)> = Vec::new();
        let mut passed_over = BTreeSet::new();
        for (index, statement) in statements(document).into_iter().enumerate() {
            let sid = statement.get("Sid").and_then(Value::as_str).unwrap_or_default();
            if is_cutoff_sid(sid) {
                continue;
            }
            let name = if sid.is_empty() {
                format!("statement {} (no Sid)", index + 1)
            } else {
                format!("`{sid}`")
            };
            for place in candidates(statement, index, &name)? {
                if sids.is_empty() || sids.iter().any(|chosen| chosen == sid) {
                    found.push((place, name.clone()));
                } else {
                    passed_over.insert(name.clone());
                }
            }
        }
        let gate = Self(found.iter().map(|(place, _)| place.clone()).collect());
        let Some(first) = gate.0.first() else {
            return Err(Error::NoGate(if passed_over.is_empty() {
                "the document needs a Deny statement with NotIpAddress, or an Allow statement with IpAddress, on aws:SourceIp"
                    .to_owned()
            } else {
                format!("GATE_SIDS names none of {}", join(passed_over))
            }));
        };
        let networks = |place: &Place| -> BTreeSet<String> {
            place
                .list(document)
                .map(items_of)
                .unwrap_or_default()
                .iter()
                .map(|item| Entry::new(item).identity())
                .collect()
        };
        let mut others = gate.0.iter().skip(1).peekable();
        let expected = if others.peek().is_some() { networks(first) } else { BTreeSet::new() };
        if others.any(|place| networks(place) != expected) {
            return Err(Error::AmbiguousGate(format!(
                "the lists of {} differ, set GATE_SIDS to the one that members' addresses belong on",
                join(found.into_iter().map(|(_, name)| name).collect())
            )));
        }
        Ok(gate)
    }

    /// The entries on the list, in the document's order.
    #[must_use]
    pub fn entries(&self, document: &Document) -> Vec<Entry> {
        self.items(document).iter().map(Entry::new).collect()
    }

    /// The items of the list; a scalar is a list of one.
    fn items<'d>(&self, document: &'d Document) -> &'d [Value] {
        self.0.first().and_then(|place| place.list(document)).map(items_of).unwrap_or_default()
    }

    /// How many entries are on the list.
    pub(crate) fn len(&self, document: &Document) -> usize {
        self.items(document).len()
    }

    /// What the list covers.
    #[must_use]
    pub fn coverage(&self, document: &Document) -> Coverage {
        self.items(document).iter().filter_map(network_of).collect()
    }

    /// Whether every address of `network` is on the list.
    #[must_use]
    pub fn covers(&self, document: &Document, network: &Network) -> bool {
        self.coverage(document).covers(network)
    }

    /// The document with the networks appended that its list does not cover yet, in the order given.
    #[must_use]
    pub fn with(&self, document: &Document, networks: &[Network]) -> Document {
        let mut listed = self.coverage(document);
        let missing: Vec<Network> =
            networks.iter().copied().filter(|network| listed.add(*network)).collect();
        let mut changed = document.clone();
        self.append(&mut changed, &missing);
        changed
    }

    /// Appends networks that the list does not cover.
    pub(crate) fn append(&self, document: &mut Document, missing: &[Network]) {
        if !missing.is_empty() {
            self.each_list(document, |items| {
                items.extend(missing.iter().map(|network| Value::from(network.to_string())))
            });
        }
    }

    /// The document without the entries that are exactly one of `networks`.
    #[must_use]
    pub fn without(&self, document: &Document, networks: &[Network]) -> Document {
        let networks: HashSet<&Network> = networks.iter().collect();
        let unwanted =
            |item: &Value| network_of(item).is_some_and(|network| networks.contains(&network));
        let mut changed = document.clone();
        if self.items(document).iter().any(unwanted) {
            self.each_list(&mut changed, |items| items.retain(|item| !unwanted(item)));
        }
        changed
    }

    /// The document with this list instead of its own.
    #[must_use]
    pub fn with_list(&self, document: &Document, entries: &[Entry]) -> Document {
        let mut changed = document.clone();
        let list: Vec<Value> = entries.iter().map(|entry| entry.value.clone()).collect();
        self.each_list(&mut changed, |items| items.clone_from(&list));
        changed
    }

    /// Whether the gate is a `Deny`: then a copy of it can enforce a cutoff.
    pub(crate) fn has_deny(&self, document: &Document) -> bool {
        !self.deny_statements(document).is_empty()
    }

    /// The statements of the gate, each once, with their places in the document.
    pub(crate) fn statements<'d>(&self, document: &'d Document) -> Vec<(usize, &'d Value)> {
        let all = statements(document);
        let mut indexes: Vec<usize> = self.0.iter().map(|place| place.statement).collect();
        indexes.dedup();
        indexes
            .into_iter()
            .filter_map(|index| all.get(index).map(|statement| (index, *statement)))
            .collect()
    }

    /// The `Deny` statements of the gate.
    pub(crate) fn deny_statements<'d>(&self, document: &'d Document) -> Vec<&'d Value> {
        let own = self.statements(document).into_iter();
        own.map(|(_, statement)| statement)
            .filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Deny"))
            .collect()
    }

    /// The characters that listing `network` adds to a document whose list is not empty: the entry in quotation
    /// marks and a comma, on each list of the gate.
    #[must_use]
    pub fn listed_len(&self, network: &Network) -> usize {
        self.0.len() * (network.to_string().len() + 3)
    }

    /// The document with an empty list. This part must be the same in the document that is read and
    /// the one that is written.
    #[must_use]
    pub fn rest(&self, document: &Document) -> Document {
        let mut rest = document.clone();
        self.each_list(&mut rest, Vec::clear);
        rest
    }

    /// Edits every list of the gate; a scalar becomes a list first.
    fn each_list(&self, document: &mut Document, edit: impl Fn(&mut Vec<Value>)) {
        for place in &self.0 {
            if let Some(value) = place.list_mut(document) {
                if !value.is_array() {
                    *value = Value::Array(vec![value.take()]);
                }
                if let Value::Array(items) = value {
                    edit(items);
                }
            }
        }
    }
}

impl Place {
    fn list<'d>(&self, document: &'d Document) -> Option<&'d Value> {
        statements(document)
            .get(self.statement)?
            .get("Condition")?
            .get(&self.operator)?
            .get(&self.key)
    }

    fn list_mut<'d>(&self, document: &'d mut Document) -> Option<&'d mut Value> {
        let statement = match document.json_mut().get_mut("Statement")? {
            Value::Array(list) => list.get_mut(self.statement)?,
            one => one,
        };
        statement.get_mut("Condition")?.get_mut(&self.operator)?.get_mut(&self.key)
    }
}

fn join(names: BTreeSet<String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The lists of one statement that admit the networks on them.
fn candidates(statement: &Value, index: usize, name: &str) -> Result<Vec<Place>, Error> {
    let wanted = match statement.get("Effect").and_then(Value::as_str) {
        Some("Deny") => "NotIpAddress",
        Some("Allow") => "IpAddress",
        _ => return Ok(Vec::new()),
    };
    let mut places = Vec::new();
    let operators = statement.get("Condition").and_then(Value::as_object);
    for (operator, keys) in operators.into_iter().flatten() {
        let (set, plain) = match operator.split_once(':') {
            Some((_, plain)) => (true, plain),
            None => (false, operator.as_str()),
        };
        if plain.strip_suffix("IfExists").unwrap_or(plain) != wanted {
            continue;
        }
        for (key, list) in keys.as_object().into_iter().flatten() {
            // Condition keys are not case-sensitive.
            // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
            if !key.eq_ignore_ascii_case(SOURCE_IP) {
                continue;
            }
            if set {
                return Err(Error::AmbiguousGate(format!(
                    "{name} uses the set operator `{operator}` on aws:SourceIp, which is a single value: write `{plain}`"
                )));
            }
            if !(list.is_string() || list.is_array()) {
                return Err(Error::MalformedDocument(format!(
                    "the list of {name} is neither a string nor a list"
                )));
            }
            places.push(Place { statement: index, operator: operator.clone(), key: key.clone() });
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
