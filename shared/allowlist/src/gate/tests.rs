use super::*;
use proptest::prelude::*;

fn document(text: &str) -> Document {
    Document::parse(text).unwrap()
}

fn net(text: &str) -> Network {
    text.parse().unwrap()
}

fn statement(effect: &str, operator: &str, key: &str, list: &str) -> String {
    format!(
        r#"{{"Sid":"{effect}{operator}","Effect":"{effect}","Action":"*","Resource":"*","Condition":{{"{operator}":{{"{key}":{list}}}}}}}"#
    )
}

fn policy(statements: &[String]) -> Document {
    document(&format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(",")))
}

fn texts(gate: &Gate, document: &Document) -> Vec<String> {
    gate.entries(document).into_iter().map(|entry| entry.text).collect()
}

#[test]
fn every_way_of_writing_a_gate_is_found() {
    for (effect, operator) in [
        ("Deny", "NotIpAddress"),
        ("Deny", "NotIpAddressIfExists"),
        ("Allow", "IpAddress"),
        ("Allow", "IpAddressIfExists"),
    ] {
        for key in ["aws:SourceIp", "AWS:SOURCEIP", "aws:sourceip"] {
            let document = policy(&[statement(effect, operator, key, r#"["1.2.3.4"]"#)]);
            let gate = Gate::find(&document, &[]).unwrap();
            assert!(gate.covers(&document, &net("1.2.3.4/32")));
            let after = gate.with(&document, &[net("5.6.7.8")]);
            assert_eq!(texts(&gate, &after), ["1.2.3.4", "5.6.7.8/32"]);
        }
    }
}

#[test]
fn statements_that_mean_the_opposite_are_never_a_gate() {
    for (effect, operator) in [
        ("Deny", "IpAddress"),
        ("Allow", "NotIpAddress"),
        ("Deny", "IpAddressIfExists"),
        ("Allow", "NotIpAddressIfExists"),
    ] {
        let lone = policy(&[statement(effect, operator, "aws:SourceIp", r#"["1.2.3.4"]"#)]);
        assert_eq!(Gate::find(&lone, &[]).unwrap_err().kind(), "no_gate");
        let beside = policy(&[
            statement(effect, operator, "aws:SourceIp", r#"["1.2.3.4"]"#),
            statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["9.9.9.9"]"#),
        ]);
        let after = Gate::find(&beside, &[]).unwrap().with(&beside, &[net("5.6.7.8")]);
        assert_eq!(after.json()["Statement"][0], beside.json()["Statement"][0]);
        assert_eq!(
            after.json()["Statement"][1]["Condition"]["NotIpAddress"]["aws:SourceIp"][1],
            "5.6.7.8/32"
        );
    }
}

#[test]
fn other_keys_and_documents_without_statements_are_no_gate() {
    for text in [
        r#"{"Version":"2012-10-17"}"#.to_owned(),
        r#"{"Statement":"x"}"#.to_owned(),
        policy(&[statement("Deny", "NotIpAddress", "aws:VpcSourceIp", r#"["1.2.3.4"]"#)]).render(),
        policy(&[statement("Deny", "StringNotEquals", "aws:SourceIp", r#"["1.2.3.4"]"#)]).render(),
    ] {
        assert_eq!(Gate::find(&document(&text), &[]).unwrap_err().kind(), "no_gate", "{text}");
    }
}

#[test]
fn a_set_operator_is_refused_even_beside_a_plain_gate() {
    let document = policy(&[
        statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["1.2.3.4"]"#),
        statement("Deny", "ForAnyValue:NotIpAddress", "aws:SourceIp", r#"["1.2.3.4"]"#),
    ]);
    let error = Gate::find(&document, &[]).unwrap_err();
    assert!(error.to_string().contains("ForAnyValue:NotIpAddress"), "{error}");
}

#[test]
fn gates_with_the_same_networks_are_edited_together_however_they_are_written() {
    let before = policy(&[
        statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["1.2.3.4/32","5.6.7.8"]"#),
        statement("Allow", "IpAddress", "aws:SourceIp", r#"["5.6.7.8/32","1.2.3.4"]"#),
    ]);
    let gate = Gate::find(&before, &[]).unwrap();
    let after = gate.with(&before, &[net("9.9.9.9")]);
    assert_eq!(
        after.json()["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"].to_string(),
        r#"["1.2.3.4/32","5.6.7.8","9.9.9.9/32"]"#
    );
    assert_eq!(
        after.json()["Statement"][1]["Condition"]["IpAddress"]["aws:SourceIp"].to_string(),
        r#"["5.6.7.8/32","1.2.3.4","9.9.9.9/32"]"#
    );
}

#[test]
fn gates_that_differ_are_refused_by_name_until_one_is_chosen() {
    let before = policy(&[
        statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["1.2.3.4"]"#),
        statement("Allow", "IpAddress", "aws:SourceIp", r#"["5.6.7.8"]"#),
    ]);
    let error = Gate::find(&before, &[]).unwrap_err();
    assert_eq!(error.kind(), "ambiguous_gate");
    assert!(error.to_string().contains("`AllowIpAddress`, `DenyNotIpAddress`"), "{error}");

    let chosen = Gate::find(&before, &["DenyNotIpAddress".to_owned()]).unwrap();
    let after = chosen.with(&before, &[net("9.9.9.9")]);
    assert_eq!(after.json()["Statement"][1], before.json()["Statement"][1]);
    assert_eq!(texts(&chosen, &after), ["1.2.3.4", "9.9.9.9/32"]);

    let error = Gate::find(&before, &["Typo".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), "no_gate");
    assert!(error.to_string().contains("GATE_SIDS"), "{error}");
}

#[test]
fn a_scalar_becomes_a_list() {
    let before = document(&format!(
        r#"{{"Statement":{}}}"#,
        statement("Deny", "NotIpAddress", "aws:SourceIp", r#""1.2.3.4""#)
    ));
    let gate = Gate::find(&before, &[]).unwrap();
    let after = gate.with(&before, &[net("5.6.7.8")]);
    assert_eq!(
        after.json()["Statement"]["Condition"]["NotIpAddress"]["aws:SourceIp"].to_string(),
        r#"["1.2.3.4","5.6.7.8/32"]"#
    );
}

#[test]
fn entries_that_are_no_networks_stay_where_they_are() {
    let before = policy(&[statement(
        "Deny",
        "NotIpAddress",
        "aws:SourceIp",
        r#"["office?","1.2.3.4 ",7,"0.0.0.0.0"]"#,
    )]);
    let gate = Gate::find(&before, &[]).unwrap();
    assert!(!gate.covers(&before, &net("1.2.3.4")));
    let after = gate.with(&before, &[net("1.2.3.4")]);
    assert_eq!(
        after.json()["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"].to_string(),
        r#"["office?","1.2.3.4 ",7,"0.0.0.0.0","1.2.3.4/32"]"#
    );
}

#[test]
fn what_is_covered_is_not_added_again() {
    let before =
        policy(&[statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["51.44.71.0/24"]"#)]);
    let gate = Gate::find(&before, &[]).unwrap();
    assert_eq!(gate.with(&before, &[net("51.44.71.80"), net("51.44.71.0/25")]), before);
    assert_eq!(
        texts(&gate, &gate.with(&before, &[net("51.44.72.1"), net("51.44.72.1/32")])),
        ["51.44.71.0/24", "51.44.72.1/32"]
    );
}

#[test]
fn taking_networks_out_takes_exactly_those() {
    let before = policy(&[statement(
        "Deny",
        "NotIpAddress",
        "aws:SourceIp",
        r#"["51.44.71.0/24","51.44.71.80","x"]"#,
    )]);
    let gate = Gate::find(&before, &[]).unwrap();
    assert_eq!(
        texts(&gate, &gate.without(&before, &[net("51.44.71.80/32")])),
        ["51.44.71.0/24", "x"]
    );
    assert_eq!(gate.without(&before, &[net("9.9.9.9")]).render(), before.render());
}

#[test]
fn the_rest_differs_when_anything_but_the_list_differs() {
    let one = policy(&[statement("Deny", "NotIpAddress", "aws:SourceIp", r#"["1.2.3.4"]"#)]);
    let two = policy(&[statement("Deny", "NotIpAddress", "aws:SourceIp", r#""5.6.7.8""#)]);
    let gate = Gate::find(&one, &[]).unwrap();
    assert_eq!(gate.rest(&one), gate.rest(&two));
    let edited = document(&two.render().replace("\"Action\":\"*\"", "\"Action\":\"s3:*\""));
    assert_ne!(gate.rest(&one), gate.rest(&edited));
}

fn networks() -> impl Strategy<Value = Network> {
    (any::<u32>(), 8u8..=32)
        .prop_map(|(bits, length)| net(&format!("{}/{length}", std::net::Ipv4Addr::from(bits))))
}

proptest! {
    #[test]
    fn adding_is_idempotent_drops_nothing_and_changes_nothing_else(
        listed in proptest::collection::vec(prop_oneof![networks().prop_map(|n| n.to_string()), "[a-z0-9./:]{0,12}"], 0..20),
        added in proptest::collection::vec(networks(), 1..5),
    ) {
        let before = policy(&[
            statement("Deny", "NotIpAddress", "aws:SourceIp", &serde_json::to_string(&listed).unwrap()),
            statement("Allow", "NumericLessThan", "aws:MultiFactorAuthAge", "3600.50"),
        ]);
        let gate = Gate::find(&before, &[]).unwrap();
        let after = gate.with(&before, &added);
        prop_assert_eq!(gate.rest(&before).render(), gate.rest(&after).render());
        prop_assert_eq!(&texts(&gate, &after)[..listed.len()], &listed[..]);
        for network in &added {
            prop_assert!(gate.covers(&after, network));
        }
        prop_assert_eq!(gate.with(&after, &added).render(), after.render());
    }
}
