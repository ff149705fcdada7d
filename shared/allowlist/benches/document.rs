//! What one request costs in pure code: parse a document, find its gate, decide, and render the new one.

#![expect(clippy::unwrap_used, reason = "a benchmark whose input is wrong may end")]

use allowlist::document::MANAGED_POLICY_LIMIT;
use allowlist::edit::{GrantedNetworks, TargetRules};
use allowlist::{Document, Edit, Gate, Grant, GrantKey, Network, Target};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Numbers of members' entries. With the last one a document is full.
const ENTRIES: [usize; 4] = [0, 80, 160, 320];

fn network(index: usize) -> Network {
    format!("51.44.{}.{}", index / 200, index % 200).parse().unwrap()
}

/// A policy with so many entries on its list, as IAM returns it.
fn policy(entries: usize) -> String {
    let list: Vec<String> = (0..entries).map(|index| format!("\"{}\"", network(index))).collect();
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Gate","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":["198.51.100.0/24"{}{}]}},"BoolIfExists":{{"aws:ViaAWSService":"false"}}}}}}]}}"#,
        if entries == 0 { "" } else { "," },
        list.join(",")
    );
    assert!(document.len() + 30 < MANAGED_POLICY_LIMIT, "{} characters", document.len());
    percent_encoding::utf8_percent_encode(&document, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn grants(count: usize) -> Vec<Grant> {
    let key = |index| GrantKey {
        network: network(index),
        member: Some("alice".parse().unwrap()),
        end: None,
    };
    (0..count).map(|index| Grant { key: key(index), granted_at: 1 }).collect()
}

fn decide(document: &Document, own: Network, grants: &[Grant]) -> String {
    let target = Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap();
    let rules =
        TargetRules { target: &target, sids: &[], limit: MANAGED_POLICY_LIMIT, baseline: None };
    let edit = Edit::Add { own, granted: GrantedNetworks::new(grants, None), ended: Vec::new() };
    edit.apply(&rules, document).unwrap().render()
}

/// An add: everybody on the list has a grant, and one more comes.
#[divan::bench(args = ENTRIES)]
fn add(bencher: Bencher<'_, '_>, entries: usize) {
    let (text, grants, own) = (policy(entries), grants(entries), network(entries + 1));
    bencher.bench(|| {
        let document = Document::from_iam(black_box(&text)).unwrap();
        decide(&document, own, &grants)
    });
}

/// The first add after a reset that many wait for: the list is empty, and every grant goes on it.
#[divan::bench(args = ENTRIES)]
fn add_everybody(bencher: Bencher<'_, '_>, entries: usize) {
    let (text, grants, own) = (policy(0), grants(entries), network(entries + 1));
    bencher.bench(|| {
        let document = Document::from_iam(black_box(&text)).unwrap();
        decide(&document, own, &grants)
    });
}

/// The look of somebody who is in already.
#[divan::bench(args = ENTRIES)]
fn look(bencher: Bencher<'_, '_>, entries: usize) {
    let (text, own) = (policy(entries), network(entries));
    bencher.bench(|| {
        let document = Document::from_iam(black_box(&text)).unwrap();
        Gate::find(&document, &[]).unwrap().covers(&document, &own)
    });
}

/// The hash that an intent notes.
#[divan::bench(args = ENTRIES)]
fn hash(bencher: Bencher<'_, '_>, entries: usize) {
    let document = Document::from_iam(&policy(entries)).unwrap();
    bencher.bench(|| black_box(&document).sha256());
}
