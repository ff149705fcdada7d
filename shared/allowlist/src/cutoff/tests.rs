//! One table: document in, copies out, and back again.

use super::*;
use crate::edit::{Edit, GrantedNetworks, TargetRules};
use crate::{Grant, GrantKey, Target, baseline::Baseline};

const UNTIL: i64 = 1_800_003_600;

fn parse(text: &str) -> Document {
    Document::parse(text).unwrap()
}

fn gate(sid: &str, list: &str, more: &str) -> String {
    let sid = if sid.is_empty() { String::new() } else { format!(r#""Sid":"{sid}","#) };
    format!(
        r#"{{{sid}"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}}{more}}}}}"#
    )
}

const DATE: &str = r#","DateGreaterThan":{"aws:CurrentTime":"2027-01-15T09:00:00Z"}"#;

/// document, its copy's statements, the name of the case
fn table() -> Vec<(String, String, &'static str)> {
    let (list, permanent) = (r#"["9.9.9.9/32","1.1.1.1/32"]"#, r#"["1.1.1.1"]"#);
    let lifted = r#","DateGreaterThan":{"aws:CurrentTime":"2027-01-16T00:00:00Z"}"#;
    let via = r#","BoolIfExists":{"aws:ViaAWSService":"false"}"#;
    let after = r#","DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}"#;
    let after_both = r#","DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z","aws:CurrentTime":"2027-01-15T09:00:00Z"}"#;
    let other = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let many = |statements: &[String]| format!(r#"{{"Statement":[{}]}}"#, statements.join(","));
    let copy = |more: &str| gate("IpGateCutoff", permanent, more);
    vec![
        (many(&[gate("", list, "")]), many(&[gate("", list, ""), copy(DATE)]), "one statement"),
        (
            format!(r#"{{"Statement":{}}}"#, gate("G", list, via)),
            many(&[
                gate("G", list, via),
                gate("IpGateCutoff1", permanent, &format!("{via}{DATE}")),
            ]),
            "an object becomes a list meanwhile",
        ),
        (
            many(&[gate("A", list, ""), other.into(), gate("B", list, via)]),
            many(&[
                gate("A", list, ""),
                other.into(),
                gate("B", list, via),
                copy(DATE),
                gate("IpGateCutoff2", permanent, &format!("{via}{DATE}")),
            ]),
            "each statement of the gate has a copy",
        ),
        (
            many(&[gate("A", list, lifted)]),
            many(&[gate("A", list, lifted), copy(lifted)]),
            "a gate that is lifted for longer stays lifted",
        ),
        (
            many(&[gate("A", list, after)]),
            many(&[gate("A", list, after), copy(after_both)]),
            "the operator keeps its other keys",
        ),
    ]
}

#[test]
fn each_deny_statement_of_the_gate_gets_a_copy_that_admits_the_permanent_alone() {
    for (before, after, name) in table() {
        let (before, after) = (parse(&before), parse(&after));
        let found = Gate::find(&before, &[]).unwrap();
        let made = with_cutoff(&before, &found, &["1.1.1.1".to_owned()], UNTIL);
        assert_eq!(made, after, "{name}");
    }
}

#[test]
fn taking_the_copies_out_gives_the_document_as_it_was() {
    for (before, after, name) in table() {
        assert_eq!(without_cutoff(&parse(&after)), parse(&before), "{name}");
        assert_eq!(without_cutoff(&parse(&before)), parse(&before), "{name}");
        let found = |text: &str| Gate::find(&parse(text), &[]).unwrap().entries(&parse(text));
        assert_eq!(found(&after), found(&before), "{name}: a copy is never the gate");
    }
}

#[test]
fn a_copy_is_known_by_what_it_equals_when_somebody_has_changed_its_sid() {
    let before = format!(r#"{{"Statement":[{}]}}"#, gate("A", r#"["1.1.1.1"]"#, ""));
    let renamed = format!(
        r#"{{"Statement":[{},{}]}}"#,
        gate("A", r#"["1.1.1.1"]"#, ""),
        gate("Mine", r#""2.2.2.2""#, DATE)
    );
    assert_eq!(without_cutoff(&parse(&renamed)), parse(&before));
    let two_gates = format!(
        r#"{{"Statement":[{},{}]}}"#,
        gate("A", r#"["1.1.1.1"]"#, DATE),
        gate("B", r#"["1.1.1.1"]"#, DATE)
    );
    assert_eq!(without_cutoff(&parse(&two_gates)), parse(&two_gates), "two lifted gates stay");
}

#[test]
fn allow_gates_have_no_cutoff() {
    let text = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"1.1.1.1"}}}]}"#;
    let document = parse(text);
    let found = Gate::find(&document, &[]).unwrap();
    assert_eq!(with_cutoff(&document, &found, &[], UNTIL), document);
}

#[test]
fn near_the_cutoff_only_the_permanent_networks_are_admitted() {
    let (_, after, _) = table().swap_remove(0);
    let document = parse(&after);
    let found = Gate::find(&document, &[]).unwrap();
    let admitted = |network: &str, now| admits(&document, &found, &network.parse().unwrap(), now);
    assert!(admitted("9.9.9.9", UNTIL - MARGIN - 1));
    assert!(!admitted("9.9.9.9", UNTIL - MARGIN));
    assert!(admitted("1.1.1.1", UNTIL + 1));
    assert!(!admitted("2.2.2.2", 0));
}

fn rules(target: &Target) -> TargetRules<'_> {
    let baseline = format!(r#"{{"Statement":[{}]}}"#, gate("A", r#"["1.1.1.1"]"#, ""));
    let baseline = Baseline::check(parse(&baseline), &[], 6144).ok();
    TargetRules { target, sids: &[], limit: 6144, baseline }
}

fn grants(times: &[i64]) -> Vec<Grant> {
    let grant = |(index, granted_at): (usize, &i64)| Grant {
        key: GrantKey {
            network: format!("9.9.9.{index}").parse().unwrap(),
            member: None,
            end: None,
        },
        granted_at: *granted_at,
    };
    times.iter().enumerate().map(grant).collect()
}

#[test]
fn the_cutoff_follows_the_newest_grant_and_goes_with_the_last() {
    let target = Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap();
    let rules = rules(&target);
    let base = parse(&format!(r#"{{"Statement":[{}]}}"#, gate("A", r#"["1.1.1.1"]"#, "")));
    let own = "9.9.9.0".parse().unwrap();
    let add = |times: &[i64], base: &Document| {
        let granted = GrantedNetworks::new(&grants(times), Some(3600));
        Edit::Add { own, granted, ended: Vec::new() }.apply(&rules, base).unwrap()
    };
    let first = add(&[1_800_000_000], &base);
    assert!(first.render().contains("2027-01-15T09:00:00Z"), "{}", first.render());
    let second = add(&[1_800_000_000, 1_800_003_600], &first);
    assert!(second.render().contains("2027-01-15T10:00:00Z"), "{}", second.render());
    assert_eq!(second.render().matches(CUTOFF_SID).count(), 1);
    let none = GrantedNetworks::new(&[], Some(3600));
    let ended = vec!["9.9.9.0".parse().unwrap(), "9.9.9.1".parse().unwrap()];
    let last = Edit::Cut { ended, granted: none }.apply(&rules, &second).unwrap();
    assert_eq!(last, base);
}

#[test]
fn the_size_of_the_copies_counts() {
    let target = Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap();
    let mut rules = rules(&target);
    let base = parse(&format!(r#"{{"Statement":[{}]}}"#, gate("A", r#"["1.1.1.1"]"#, "")));
    let granted = GrantedNetworks::new(&grants(&[1_800_000_000]), Some(3600));
    let edit = Edit::Add { own: "9.9.9.0".parse().unwrap(), granted, ended: Vec::new() };
    rules.limit = edit.apply(&rules, &base).unwrap().size();
    edit.apply(&rules, &base).unwrap();
    rules.limit -= 1;
    assert_eq!(edit.apply(&rules, &base).unwrap_err().kind(), "policy_full");
    rules.baseline = None;
    assert_eq!(edit.apply(&rules, &base).unwrap_err().kind(), "baseline_unusable");
}

#[test]
fn another_statement_with_a_date_is_no_copy() {
    let list = r#"["1.1.1.1/32"]"#;
    let narrow = gate("Narrow", list, DATE).replace(r#""Action":"*""#, r#""Action":"s3:*""#);
    let dated = format!(
        r#"{{"Sid":"Dated","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"Null":{{"aws:MultiFactorAuthPresent":"true"}}{DATE}}}}}"#
    );
    for other in [narrow, dated] {
        let text = format!(r#"{{"Statement":[{},{other}]}}"#, gate("G", list, ""));
        let document = parse(&text);
        assert_eq!(without_cutoff(&document), document, "{other}");
    }
}
