//! The documents that an administrator's commands make: a new gate, and a gate that is lifted for a while.

use serde_json::{Value, json};

use crate::cutoff::{date_of, is_cutoff_sid, raise_date, set_date};
use crate::document::Document;
use crate::error::Error;
use crate::gate::Gate;
use crate::gate_check::DATA_PLANE_ACTIONS;
use crate::network::Network;

/// Why a new gate cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewGateError {
    /// A gate without a permanent network would lock everybody out.
    #[error("name at least one permanent network, such as your office's")]
    NoNetwork,
    /// The network covers half of all addresses or more.
    #[error("`{0}` covers half of all addresses or more: that is no gate")]
    TooWide(Network),
    /// Ids of VPCs are unique within a region only.
    #[error("name the region of the VPC too: ids of VPCs are unique within a region only")]
    NoRegion,
}

/// What a new gate is to be. Every field that is `false` or empty is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewGate {
    /// The permanent networks.
    pub networks: Vec<Network>,
    /// Refuse what AWS services do on a user's behalf, too.
    pub refuse_services: bool,
    /// Let calls of data planes through that are reached at private addresses.
    pub exempt_data_planes: bool,
    /// VPCs whose calls pass.
    pub vpcs: Vec<String>,
    /// The region of the VPCs.
    pub region: Option<String>,
}

impl NewGate {
    /// The document of the gate.
    ///
    /// ```
    /// use allowlist::new_gate::NewGate;
    /// let networks = vec!["203.0.113.0/24".parse().unwrap()];
    /// let gate = NewGate { networks, ..NewGate::default() }.document().unwrap();
    /// assert!(gate.render().contains(r#""BoolIfExists":{"aws:ViaAWSService":"false"}"#));
    /// ```
    ///
    /// # Errors
    /// [`NewGateError`].
    pub fn document(&self) -> Result<Document, NewGateError> {
        if self.networks.is_empty() {
            return Err(NewGateError::NoNetwork);
        }
        if let Some(wide) = self.networks.iter().find(|n| n.covers_half_a_family()) {
            return Err(NewGateError::TooWide(*wide));
        }
        let statements = match (self.vpcs.as_slice(), &self.region) {
            ([], _) => vec![self.statement("IpGate", None)],
            (_, None) => return Err(NewGateError::NoRegion),
            (vpcs, Some(region)) => vec![
                self.statement("IpGate", Some(("aws:SourceVpc", json!(vpcs)))),
                // In a second statement: in one statement each of the two conditions would exempt
                // calls by itself.
                self.statement("IpGateRegion", Some(("aws:RequestedRegion", json!(region)))),
            ],
        };
        let document = json!({ "Version": "2012-10-17", "Statement": statements });
        Ok(Document::new(document))
    }

    fn statement(&self, sid: &str, unless: Option<(&str, Value)>) -> Value {
        let networks: Vec<String> = self.networks.iter().map(Network::to_string).collect();
        let mut condition = json!({ "NotIpAddress": { "aws:SourceIp": networks } });
        let mut add = |operator: &str, key: &str, value: Value| {
            if let Some(operators) = condition.as_object_mut() {
                operators.insert(operator.to_owned(), json!({ key: value }));
            }
        };
        if let Some((key, value)) = unless {
            add("StringNotEqualsIfExists", key, value);
        }
        if !self.refuse_services {
            add("BoolIfExists", "aws:ViaAWSService", json!("false"));
        }
        let (element, actions) = if self.exempt_data_planes {
            ("NotAction", json!(DATA_PLANE_ACTIONS))
        } else {
            ("Action", json!("*"))
        };
        json!({
            "Sid": sid,
            "Effect": "Deny",
            element: actions,
            "Resource": "*",
            "Condition": condition,
        })
    }
}

/// The document in which the `Deny` statements of the gate, and the copies of a cutoff, deny nothing until `until`
/// (seconds since 1970). IAM joins the conditions of one statement by AND, so the gate closes again by itself. A gate
/// that is lifted already closes at `until` as well, be it sooner or later.
///
/// # Errors
/// [`Error::NoGate`] if no statement of the gate denies; the errors of [`Gate::find`].
pub fn lift(document: &Document, sids: &[String], until: i64) -> Result<Document, Error> {
    let gate = Gate::find(document, sids)?;
    let of_gate: Vec<usize> =
        gate.statements(document).into_iter().map(|(index, _)| index).collect();
    let mut lifted = document.clone();
    let mut changed = false;
    let statements = match lifted.json_mut().get_mut("Statement") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for (index, statement) in statements.into_iter().enumerate() {
        let text = |name: &str| statement.get(name).and_then(Value::as_str);
        let is_copy = text("Sid").is_some_and(is_cutoff_sid);
        let denies = text("Effect") == Some("Deny");
        if denies
            && (is_copy || of_gate.contains(&index))
            && let Some(Value::Object(operators)) = statement.get_mut("Condition")
        {
            if is_copy {
                raise_date(operators, until);
            } else {
                set_date(operators, until);
            }
            changed = true;
        }
    }
    if changed {
        Ok(lifted)
    } else {
        Err(Error::NoGate(
            "no statement denies by address. Where addresses are allowed, allow what is needed in another policy meanwhile"
                .to_owned(),
        ))
    }
}

/// Whether a statement of the gate that denies counts only from a time after `now` (seconds since 1970).
#[must_use]
pub fn is_lifted(document: &Document, sids: &[String], now: i64) -> bool {
    let is_lifted = |statement: &Value| {
        let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        denies && date_of(statement).is_some_and(|until| until > now)
    };
    let gate = Gate::find(document, sids);
    gate.is_ok_and(|gate| gate.statements(document).into_iter().any(|(_, one)| is_lifted(one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate_check::{Facts, check, passes};

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn rules(document: &Document) -> Vec<&'static str> {
        let findings = check(document, &Facts::of_file(0));
        assert!(passes(&findings), "{findings:?}");
        findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_example_is_what_is_made_by_default() {
        let example = include_str!("../../../examples/policies/gate.json");
        let made = NewGate { networks: networks(&["198.51.100.10"]), ..NewGate::default() };
        let made = made.document().unwrap();
        assert_eq!(made, Document::parse(example).unwrap());
        assert_eq!(made.render(), Document::parse(example).unwrap().render());
    }

    #[test]
    fn every_choice_makes_a_gate_that_passes_the_check() {
        let plain = NewGate {
            networks: networks(&["51.44.71.0/24", "2a05:d018::/48"]),
            ..NewGate::default()
        };
        assert_eq!(rules(&plain.document().unwrap()), ["data_planes"]);
        let strict = NewGate { refuse_services: true, ..plain.clone() };
        assert_eq!(rules(&strict.document().unwrap()), ["services_refused", "data_planes"]);
        let exempt = NewGate { exempt_data_planes: true, ..plain.clone() };
        assert_eq!(rules(&exempt.document().unwrap()), ["data_planes"]);
        let vpc = NewGate {
            vpcs: vec!["vpc-0123456789abcdef0".to_owned()],
            region: Some("eu-west-1".to_owned()),
            ..plain
        };
        let vpc = vpc.document().unwrap();
        assert_eq!(rules(&vpc), ["data_planes", "data_planes"]);
        let gate = Gate::find(&vpc, &[]).unwrap();
        assert_eq!(gate.deny_statements(&vpc).len(), 2);
    }

    #[test]
    fn what_would_be_no_gate_is_refused() {
        let gate = |texts: &[&str]| NewGate { networks: networks(texts), ..NewGate::default() };
        assert_eq!(gate(&[]).document(), Err(NewGateError::NoNetwork));
        let wide = gate(&["1.2.3.4", "0.0.0.0/0"]).document().unwrap_err();
        assert!(wide.to_string().contains("`0.0.0.0/0`"), "{wide}");
        let vpc = NewGate { vpcs: vec!["vpc-1".to_owned()], ..gate(&["1.2.3.4"]) };
        assert_eq!(vpc.document(), Err(NewGateError::NoRegion));
    }

    #[test]
    fn a_lift_moves_the_date_of_the_gate_and_of_its_copies_alone() {
        let text = r#"{"Statement":[
            {"Effect":"Deny","Action":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["1.2.3.4","5.6.7.8"]}}},
            {"Effect":"Deny","Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
            {"Sid":"IpGateCutoff","Effect":"Deny","Action":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["1.2.3.4"]},"DateGreaterThan":{"aws:CurrentTime":"2027-01-15T08:00:00Z"}}}]}"#;
        let lifted = lift(&Document::parse(text).unwrap(), &[], 1_800_003_600).unwrap();
        let date = |index: usize| {
            lifted.json()["Statement"][index]["Condition"]["DateGreaterThan"]["aws:CurrentTime"]
                .as_str()
                .map(str::to_owned)
        };
        let until = Some("2027-01-15T09:00:00Z".to_owned());
        assert_eq!([date(0), date(1), date(2)], [until.clone(), None, until]);
    }

    #[test]
    fn a_gate_that_is_lifted_again_closes_when_the_last_lift_says() {
        let document =
            Document::parse(include_str!("../../../examples/policies/gate.json")).unwrap();
        let first = lift(&document, &[], 2000).unwrap();
        for until in [1000, 3000] {
            let again = lift(&first, &[], until).unwrap();
            assert_eq!(again, lift(&document, &[], until).unwrap());
            assert!(is_lifted(&again, &[], until - 1) && !is_lifted(&again, &[], until));
        }
        assert!(!is_lifted(&document, &[], 0));
    }

    #[test]
    fn a_gate_that_allows_cannot_be_lifted() {
        let text = include_str!("../../../examples/policies/allow-scalar-ip.json");
        let error = lift(&Document::parse(text).unwrap(), &[], 0).unwrap_err();
        assert_eq!(error.kind(), "no_gate");
    }
}
