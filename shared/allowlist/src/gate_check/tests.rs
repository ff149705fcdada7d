use super::*;

const NOW: i64 = 1_800_000_000; // 2027-01-15T08:00:00Z

/// A gate with these networks and further conditions.
fn deny(list: &str, conditions: &str) -> String {
    format!(
        r#"{{"Statement":[{{"Sid":"Gate","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}},{SERVICES}{conditions}}}}}]}}"#
    )
}

const SERVICES: &str = r#""BoolIfExists":{"aws:ViaAWSService":"false"}"#;
const OFFICE: &str = r#"["51.44.71.0/24","2a05:d018::/48"]"#;

fn gate() -> String {
    deny(OFFICE, "")
}

fn attached(change: impl FnOnce(&mut Attachments)) -> Facts {
    let mut attachments = Attachments {
        groups: vec!["staff".to_owned()],
        function_roles: vec!["add-ip".to_owned()],
        administrators: Some(Administrators { count: 2, outside: vec!["break-glass".to_owned()] }),
        ..Attachments::default()
    };
    change(&mut attachments);
    Facts { attachments: Some(attachments), ..Facts::of_file(NOW) }
}

fn facts() -> Facts {
    attached(|_| {})
}

fn role() -> Facts {
    Facts { kind: TargetKind::Role, limit: 2048, attachments: None, ..facts() }
}

fn granted(network: &str) -> Facts {
    Facts { granted: vec![network.parse().unwrap()], ..facts() }
}

fn rules(text: &str, facts: &Facts) -> Vec<&'static str> {
    let findings = check(&Document::parse(text).unwrap(), facts);
    for finding in &findings {
        assert!(!finding.reason.is_empty() && !finding.remedy.is_empty());
        assert!(!finding.remedy.ends_with('.'), "{}", finding.remedy);
    }
    findings.iter().map(|finding| finding.rule).collect()
}

/// A document, with what is known beside it.
type Example = (String, Facts);

/// For each rule a document (with facts) in which it finds something, and one in which it does not.
fn examples() -> Vec<(&'static str, Example, Example)> {
    let with = |conditions: &str| deny(OFFICE, &format!(",{conditions}"));
    let vpc = r#""StringNotEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#;
    let region = r#""StringNotEqualsIfExists":{"aws:RequestedRegion":"eu-west-1"}"#;
    let both =
        r#""StringNotEqualsIfExists":{"aws:SourceVpc":"vpc-1","aws:RequestedRegion":"eu-west-1"}"#;
    let two = |first: &str, second: &str| {
        let statement = |text: &str| {
            let text = with(text);
            let inner = text.strip_prefix(r#"{"Statement":["#).unwrap();
            inner.strip_suffix("]}").unwrap().to_owned()
        };
        format!(r#"{{"Statement":[{},{}]}}"#, statement(first), statement(second))
    };
    let date = |text: &str| with(&format!(r#""DateGreaterThan":{{"aws:CurrentTime":"{text}"}}"#));
    let (past, future) = ("2027-01-15T07:00:00Z", "2027-01-15T09:00:00Z");
    let cutoff = |time: &str| {
        two("\"x\":{}", &format!(r#""DateGreaterThan":{{"aws:CurrentTime":"{time}"}}"#))
            .replacen(r#""Sid":"Gate""#, r#""Sid":"IpGateCutoff""#, 2)
            .replacen(r#""Sid":"IpGateCutoff""#, r#""Sid":"Gate""#, 1)
    };
    let many = |count: usize| {
        let networks: Vec<String> =
            (0..count).map(|n| format!("\"51.44.{}.{}/32\"", n / 256, n % 256)).collect();
        deny(&format!("[{},\"2a05:d018::/48\"]", networks.join(",")), "")
    };
    let allow = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"51.44.71.80"}}}}"#;
    let narrow = gate().replace(r#""Action":"*""#, r#""Action":"s3:*""#);
    let without_services = gate().replace(&format!(",{SERVICES}"), "");
    let agent = r#""StringNotLike":{"aws:UserAgent":"*exec-env/CloudShell*"}"#;
    vec![
        ("no_gate", (r#"{"Statement":[]}"#.to_owned(), facts()), (gate(), facts())),
        (
            "ambiguous_gate",
            (two("\"x\":{}", "\"y\":{}").replacen("51.44.71.0/24", "51.44.72.0/24", 1), facts()),
            (two("\"x\":{}", "\"y\":{}"), facts()),
        ),
        ("malformed_document", (deny("7", ""), facts()), (gate(), facts())),
        ("empty_list", (deny("[]", ""), facts()), (gate(), facts())),
        ("half_a_family", (deny(r#"["128.0.0.0/1"]"#, ""), facts()), (gate(), facts())),
        (
            "guards_the_functions",
            (gate(), attached(|a| a.roles.push("add-ip".to_owned()))),
            (gate(), attached(|a| a.roles.push("another".to_owned()))),
        ),
        (
            "guards_the_functions",
            (gate(), attached(|a| a.boundary_of.push("add-ip".to_owned()))),
            (gate(), attached(|a| a.boundary_of.push("another".to_owned()))),
        ),
        ("forgeable_user_agent", (with(agent), facts()), (gate(), facts())),
        ("vpc_or_region", (with(both), facts()), (two(vpc, region), facts())),
        ("attached_to_nobody", (gate(), attached(|a| a.groups.clear())), (gate(), facts())),
        (
            "no_way_in",
            (gate(), attached(|a| a.administrators = Some(Administrators::default()))),
            (gate(), attached(|a| a.administrators = None)),
        ),
        (
            "no_way_in",
            (
                gate(),
                attached(|a| {
                    a.administrators = Some(Administrators { count: 2, outside: Vec::new() })
                }),
            ),
            (gate(), facts()),
        ),
        ("services_refused", (without_services, facts()), (gate(), facts())),
        (
            "services_if_exists",
            (gate().replace("BoolIfExists", "Bool"), facts()),
            (gate(), facts()),
        ),
        ("vpc_without_region", (with(vpc), facts()), (two(vpc, region), facts())),
        (
            "no_ipv6",
            (deny(r#"["51.44.71.0/24","2a05:d018:1::/64"]"#, ""), granted("2a05:d018:1::/64")),
            (
                deny(r#"["51.44.71.0/24","2a05:d018:1::/64","2a05:d018::/48"]"#, ""),
                granted("2a05:d018:1::/64"),
            ),
        ),
        (
            "not_public",
            (deny(r#"["10.0.0.0/8","51.44.71.0/24"]"#, ""), facts()),
            (deny(r#"["10.0.0.0/8","51.44.71.0/24"]"#, ""), granted("10.0.0.0/8")),
        ),
        ("not_a_network", (deny(r#"["office","51.44.71.0/24"]"#, ""), facts()), (gate(), facts())),
        ("nearly_full", (many(320), facts()), (many(200), facts())),
        ("trust_policy_nearly_full", (many(100), role()), (many(60), role())),
        ("lifted", (date(future), facts()), (date(past), facts())),
        ("cutoff_is_over", (cutoff(past), facts()), (cutoff(future), facts())),
        ("lift_is_over", (date(past), facts()), (date(future), facts())),
        ("data_planes", (gate(), facts()), (narrow, facts())),
        ("no_cutoff", (allow.to_owned(), facts()), (gate(), facts())),
        ("no_cutoff", (gate(), role()), (gate(), facts())),
    ]
}

/// The notes that sound gates get, too: a broad `Deny` that of the data planes, other gates that of the cutoff.
const COMMON_NOTES: [&str; 2] = ["data_planes", "no_cutoff"];

#[test]
fn every_rule_finds_its_bad_example_alone() {
    for (rule, (bad, bad_facts), (good, good_facts)) in examples() {
        let mut found = rules(&bad, &bad_facts);
        found.retain(|name| *name == rule || !COMMON_NOTES.contains(name));
        assert_eq!(found, [rule], "{bad}");
        let found = rules(&good, &good_facts);
        assert!(!found.contains(&rule), "{rule}: {found:?} in {good}");
    }
}

#[test]
fn half_a_family_in_pieces_is_half_a_family() {
    let found = |list: &str| rules(&deny(list, ""), &facts()).contains(&"half_a_family");
    assert!(found(r#"["0.0.0.0/2","64.0.0.0/2"]"#));
    assert!(!found(r#"["0.0.0.0/2","64.0.0.0/3","8.0.0.0/5","::/2"]"#));
}

#[test]
fn every_rule_has_an_example() {
    let examples = examples();
    for rule in &RULES {
        assert!(examples.iter().any(|(name, ..)| *name == rule.name), "{}", rule.name);
    }
}

#[test]
fn errors_come_first_and_decide() {
    let document = deny(r#"["office","0.0.0.0/0"]"#, "");
    let findings = check(&Document::parse(&document).unwrap(), &facts());
    assert_eq!(findings[0].severity, Severity::Error);
    assert!(findings.is_sorted_by_key(|finding| finding.severity));
    assert!(!passes(&findings));
    let findings = check(&Document::parse(&gate()).unwrap(), &facts());
    assert!(passes(&findings) && !findings.is_empty());
}

#[test]
fn a_finding_names_its_statement() {
    let without_sid = gate().replace(r#""Sid":"Gate","#, "");
    for (text, name) in [(gate(), "Gate"), (without_sid, "statement 1")] {
        let findings = check(&Document::parse(&text).unwrap(), &facts());
        assert_eq!(findings[0].statement.as_deref(), Some(name));
    }
}

/// What is found in each example that docs and tests speak of.
#[test]
fn the_example_policies_have_no_surprises() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies");
    let mut told = Vec::new();
    for file in std::fs::read_dir(examples).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let facts = if name.starts_with("trust") { role() } else { Facts::of_file(NOW) };
        let found = rules(&std::fs::read_to_string(&path).unwrap(), &facts);
        told.push(format!("{name}: {}", found.join(" ")));
    }
    told.sort();
    assert_eq!(
        told,
        [
            "allow-scalar-ip: no_cutoff",
            "deny-bare-ip: services_refused data_planes",
            "deny-office: services_refused data_planes",
            "deny-via-kms: services_refused not_public not_public not_public data_planes",
            "deny-vpc: vpc_without_region not_public data_planes",
            "gate: not_public data_planes",
            "jump-single-statement: services_if_exists not_public not_public data_planes",
            "trust-allow: not_public not_public no_cutoff",
            "trust-deny: not_public not_public no_cutoff",
        ]
    );
}

#[test]
fn patterns_of_actions_are_those_of_iam() {
    for (pattern, text, covered) in [
        ("*", "es:ESHttpGet", true),
        ("es:*", "ES:x", true),
        ("es:ESHttp?et", "es:ESHttpGet", true),
        ("*Get", "es:ESHttpGet", true),
        ("es:*Get*", "es:ESHttpGet", true),
        ("es:*Put", "es:ESHttpGet", false),
        ("", "es:x", false),
        ("es:x", "es:xy", false),
    ] {
        assert_eq!(conditions::covers(pattern, text), covered, "{pattern}");
    }
}

#[test]
fn data_planes_are_exempt_all_or_none_or_some() {
    let not = |actions: &str| {
        let json = format!(r#"{{"Effect":"Deny","NotAction":{actions}}}"#);
        exempts_data_planes(&serde_json::from_str(&json).unwrap())
    };
    assert_eq!(not(r#""iam:ChangePassword""#), Some(false));
    assert_eq!(not(r#"["dax:*","rds-db:connect"]"#), None);
    let all = serde_json::to_string(&DATA_PLANE_ACTIONS).unwrap();
    assert_eq!(not(&all), Some(true));
}
