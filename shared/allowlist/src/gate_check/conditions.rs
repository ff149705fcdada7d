//! Rules about the other conditions of a gate, and about the actions that it covers.

use serde_json::Value;

use super::{Hit, Statement, Subject};

/// Actions of data planes that are reached at private addresses, which a gate refuses from everywhere.
/// <https://github.com/aws-samples/data-perimeter-policy-examples>
pub const DATA_PLANE_ACTIONS: [&str; 16] = [
    "dax:BatchGetItem",
    "dax:BatchWriteItem",
    "dax:ConditionCheckItem",
    "dax:DeleteItem",
    "dax:GetItem",
    "dax:PutItem",
    "dax:Query",
    "dax:Scan",
    "dax:UpdateItem",
    "elasticfilesystem:ClientMount",
    "elasticfilesystem:ClientRootAccess",
    "elasticfilesystem:ClientWrite",
    "es:ESHttp*",
    "kafka-cluster:*",
    "neptune-db:*",
    "rds-db:connect",
];

/// One condition of a statement.
struct Condition<'a> {
    operator: &'a str,
    values: Vec<&'a str>,
}

impl Condition<'_> {
    /// Whether the statement still applies if the key is absent.
    fn applies_without_key(&self) -> bool {
        self.operator.ends_with("IfExists") || self.operator.contains("Not")
    }
}

/// The conditions of a statement on a key, whose case does not matter.
fn conditions<'a>(statement: &Statement<'a>, wanted: &str) -> Vec<Condition<'a>> {
    let operators = statement.json.get("Condition").and_then(Value::as_object);
    let mut found = Vec::new();
    for (operator, keys) in operators.into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            if key.eq_ignore_ascii_case(wanted) {
                let values = texts(values);
                found.push(Condition { operator, values });
            }
        }
    }
    found
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Bool(true) => vec!["true"],
        Value::Bool(false) => vec!["false"],
        other => other.as_str().into_iter().collect(),
    }
}

/// The conditions that exempt calls of services: the deny applies only if no service made the call.
fn service_exemptions<'a>(statement: &Statement<'a>) -> Vec<Condition<'a>> {
    let mut found = conditions(statement, "aws:ViaAWSService");
    found.retain(|condition| condition.values == ["false"]);
    found
}

/// Services act on the user's behalf from addresses of their own.
pub(super) fn services_refused(subject: &Subject<'_>) -> Vec<Hit> {
    let bare = subject.refusing().filter(|statement| service_exemptions(statement).is_empty());
    let hit = |statement: &Statement<'_>| {
        Hit::at(
            statement,
            "it refuses what AWS services do on the user's behalf (CloudFormation, Athena and others), because they call from addresses of their own",
            "add `\"BoolIfExists\": {\"aws:ViaAWSService\": \"false\"}` to the conditions of the statement",
        )
    };
    bare.map(hit).collect()
}

/// Without `IfExists` a call that lacks the key passes.
pub(super) fn services_if_exists(subject: &Subject<'_>) -> Vec<Hit> {
    let open = subject.refusing().filter(|statement| {
        let exemptions = service_exemptions(statement);
        exemptions.iter().any(|exemption| !exemption.applies_without_key())
    });
    let hit = |statement: &Statement<'_>| {
        Hit::at(
            statement,
            "`Bool` does not match a call without the key aws:ViaAWSService, so such a call passes the gate from every address",
            "write `BoolIfExists` in place of `Bool`",
        )
    };
    open.map(hit).collect()
}

/// A caller chooses their user agent.
pub(super) fn forgeable_user_agent(subject: &Subject<'_>) -> Vec<Hit> {
    let hit = |statement: &Statement<'_>| {
        let agents = conditions(statement, "aws:UserAgent");
        let values: Vec<&str> = agents.iter().flat_map(|found| found.values.clone()).collect();
        let first = values.first()?;
        let reason = format!(
            "it depends on the user agent (`{first}`), and every program can send that: a leaked key passes the gate with it"
        );
        let remedy = if values.iter().any(|value| value.contains("CloudShell")) {
            "take the condition out; for CloudShell use an environment in a VPC of yours and exempt the VPC with its region, or let people assume a role with MFA that the gate does not guard"
        } else {
            "take the condition out, and put the networks of these callers on the list"
        };
        Some(Hit::at(statement, reason, remedy))
    };
    subject.statements.iter().filter_map(hit).collect()
}

fn names_vpc(statement: &Statement<'_>) -> bool {
    !conditions(statement, "aws:SourceVpc").is_empty()
}

fn names_region(statement: &Statement<'_>) -> bool {
    !conditions(statement, "aws:RequestedRegion").is_empty()
}

/// Conditions of one statement are joined by AND, so each of the two exempts by itself.
pub(super) fn vpc_or_region(subject: &Subject<'_>) -> Vec<Hit> {
    let both =
        subject.refusing().filter(|statement| names_vpc(statement) && names_region(statement));
    let hit = |statement: &Statement<'_>| {
        Hit::at(
            statement,
            "it names a VPC and a region in one statement: every call to that region passes, from every address",
            "put `aws:RequestedRegion` into a second Deny statement with the same list",
        )
    };
    both.map(hit).collect()
}

/// VPC ids are unique within a region only.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourcevpc>
pub(super) fn vpc_without_region(subject: &Subject<'_>) -> Vec<Hit> {
    if subject.refusing().any(names_region) {
        return Vec::new();
    }
    let hit = |statement: &Statement<'_>| {
        Hit::at(
            statement,
            "it exempts a VPC by its id, and ids of VPCs are unique within a region only: somebody else's VPC in another region may have the same",
            "add a second Deny statement with the same list and `\"StringNotEqualsIfExists\": {\"aws:RequestedRegion\": \"<your region>\"}`",
        )
    };
    let named = subject.refusing().filter(|statement| names_vpc(statement));
    named.map(hit).collect()
}

/// Whether a pattern of IAM (`*` and `?`, no case) covers a text.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern.get(1..).unwrap_or_default();
            let mut tails = text.char_indices().map(|(index, _)| index);
            covers(rest, "")
                || tails.any(|index| covers(rest, text.get(index..).unwrap_or_default()))
        }
        (Some(wanted), Some(found)) if wanted == '?' || wanted.eq_ignore_ascii_case(&found) => {
            let rest = |text: &str, first: char| text.get(first.len_utf8()..).map(str::to_owned);
            let (pattern, text) = (rest(pattern, wanted), rest(text, found));
            covers(&pattern.unwrap_or_default(), &text.unwrap_or_default())
        }
        _ => false,
    }
}

/// Whether the gate lets calls of data planes at private addresses through: all, none (`Some`), or some (`None`).
#[must_use]
pub fn exempts_data_planes(statement: &Value) -> Option<bool> {
    let list = |name: &str| statement.get(name).map(texts);
    let covered = |patterns: &[&str], action: &str| {
        patterns
            .iter()
            .any(|pattern| covers(pattern, action.trim_end_matches('*')) || covers(pattern, action))
    };
    let exempt = |action: &&&str| match (list("NotAction"), list("Action")) {
        (Some(patterns), _) => covered(&patterns, action),
        (None, Some(patterns)) => !covered(&patterns, action),
        (None, None) => false,
    };
    match DATA_PLANE_ACTIONS.iter().filter(exempt).count() {
        0 => Some(false),
        all if all == DATA_PLANE_ACTIONS.len() => Some(true),
        _ => None,
    }
}

/// Some data planes are reached at private addresses. Both to refuse them and to let them through
/// has a price.
pub(super) fn data_planes(subject: &Subject<'_>) -> Vec<Hit> {
    let hit = |statement: &Statement<'_>| match exempts_data_planes(statement.json) {
        Some(false) => Some(Hit::at(
            statement,
            "it refuses data planes at private addresses from everywhere (OpenSearch in a VPC, DAX, Neptune, MSK, EFS, rds-db:connect), because no list can name a private address",
            "if you use none of them, this is right; otherwise exempt them with `NotAction`, as `ip-gate gate create --exempt-data-planes` does",
        )),
        Some(true) if statement.json.get("NotAction").is_some() => Some(Hit::at(
            statement,
            "it lets the data planes of OpenSearch, DAX, Neptune, MSK, EFS and rds-db:connect through: a leaked key reaches those with a public address from everywhere",
            "exempt only the services that you use at private addresses",
        )),
        _ => None,
    };
    subject.refusing().filter_map(hit).collect()
}
