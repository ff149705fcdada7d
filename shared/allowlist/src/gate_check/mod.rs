//! The check of a gate: what is wrong with it, why that matters, and what to do about it.
//!
//! Each rule is a pure function over a document and over facts about where it is in use. Reading the document and the
//! facts is the caller's business. A finding of severity [`Severity::Error`] means that the gate does not do its work;
//! [`Severity::Warning`] that it probably does not do what its owner expects; [`Severity::Note`] is worth to know.

mod attachments;
mod conditions;
mod list;
mod time;

use serde::Serialize;
use serde_json::Value;

use crate::cutoff::without_cutoff;
use crate::document::{Document, MANAGED_POLICY_LIMIT};
use crate::error::Error;
use crate::gate::{Entry, Gate};
use crate::network::Network;
use crate::target::TargetKind;

pub use conditions::{DATA_PLANE_ACTIONS, exempts_data_planes};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The gate does not do its work.
    Error,
    /// The gate probably does not do what its owner expects.
    Warning,
    /// Worth to know.
    Note,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What a rule has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable name of the rule.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The statement that it is about: its Sid, or its place if it has none.
    pub statement: Option<String>,
    /// What is wrong, and why that matters.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What is known about a gate beside its document.
#[derive(Clone, Debug)]
pub struct Facts {
    /// A managed policy or a trust policy.
    pub kind: TargetKind,
    /// The Sids of the statements that are the gate; empty for all that could be.
    pub sids: Vec<String>,
    /// Characters that IAM allows in the document.
    pub limit: usize,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// The networks on the list that were granted for a time; the others are permanent.
    pub granted: Vec<Network>,
    /// Where the policy is in use; `None` if that is not known, and for trust policies.
    pub attachments: Option<Attachments>,
}

impl Facts {
    /// What is known about a document from a file.
    #[must_use]
    pub fn of_file(now: i64) -> Self {
        Self {
            kind: TargetKind::Policy,
            sids: Vec::new(),
            limit: MANAGED_POLICY_LIMIT,
            now,
            granted: Vec::new(),
            attachments: None,
        }
    }
}

/// Where a policy is in use. All names are those of IAM, without paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachments {
    /// The users that it is attached to.
    pub users: Vec<String>,
    /// The groups that it is attached to.
    pub groups: Vec<String>,
    /// The roles that it is attached to.
    pub roles: Vec<String>,
    /// The roles that it is the permissions boundary of.
    pub boundary_of: Vec<String>,
    /// The roles of the two functions.
    pub function_roles: Vec<String>,
    /// Who could mend the gate; `None` if that is not known.
    pub administrators: Option<Administrators>,
}

/// Users and roles with the policy `AdministratorAccess`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Administrators {
    /// How many there are.
    pub count: usize,
    /// The names of those that no gate guards.
    pub outside: Vec<String>,
}

/// What the rules look at.
struct Subject<'a> {
    /// As it was read, with the copies of a cutoff.
    document: &'a Document,
    /// The statements of the gate, with their names.
    statements: Vec<Statement<'a>>,
    /// The entries on the list.
    entries: Vec<Entry>,
    facts: &'a Facts,
}

/// One statement of the gate.
struct Statement<'a> {
    name: String,
    json: &'a Value,
}

impl Statement<'_> {
    fn is_deny(&self) -> bool {
        self.json.get("Effect").and_then(Value::as_str) == Some("Deny")
    }
}

impl Subject<'_> {
    fn is_policy(&self) -> bool {
        self.facts.kind == TargetKind::Policy
    }

    /// The `Deny` statements of a managed policy: those that refuse calls.
    fn refusing(&self) -> impl Iterator<Item = &Statement<'_>> {
        let refuses = |statement: &&Statement<'_>| self.is_policy() && statement.is_deny();
        self.statements.iter().filter(refuses)
    }

    /// The entries that were not granted for a time.
    fn permanent(&self) -> impl Iterator<Item = &Entry> {
        let is_granted = |entry: &Entry| {
            let network = entry.network.as_ref();
            network.is_some_and(|network| self.facts.granted.contains(network))
        };
        self.entries.iter().filter(move |entry| !is_granted(entry))
    }
}

/// What a rule says of one place.
struct Hit {
    statement: Option<String>,
    reason: String,
    remedy: String,
}

impl Hit {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { statement: None, reason: reason.into(), remedy: remedy.into() }
    }

    fn at(statement: &Statement<'_>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { statement: Some(statement.name.clone()), ..Self::new(reason, remedy) }
    }
}

/// One rule.
struct Rule {
    name: &'static str,
    severity: Severity,
    find: fn(&Subject<'_>) -> Vec<Hit>,
}

const fn rule(name: &'static str, severity: Severity, find: fn(&Subject<'_>) -> Vec<Hit>) -> Rule {
    Rule { name, severity, find }
}

/// Every rule about a document that has a gate.
const RULES: [Rule; 20] = [
    rule("empty_list", Severity::Error, list::empty_list),
    rule("half_a_family", Severity::Error, list::half_a_family),
    rule("guards_the_functions", Severity::Error, attachments::guards_the_functions),
    rule("forgeable_user_agent", Severity::Error, conditions::forgeable_user_agent),
    rule("vpc_or_region", Severity::Error, conditions::vpc_or_region),
    rule("attached_to_nobody", Severity::Warning, attachments::attached_to_nobody),
    rule("no_way_in", Severity::Warning, attachments::no_way_in),
    rule("services_refused", Severity::Warning, conditions::services_refused),
    rule("services_if_exists", Severity::Warning, conditions::services_if_exists),
    rule("vpc_without_region", Severity::Warning, conditions::vpc_without_region),
    rule("no_ipv6", Severity::Warning, list::no_ipv6),
    rule("not_public", Severity::Warning, list::not_public),
    rule("not_a_network", Severity::Warning, list::not_a_network),
    rule("nearly_full", Severity::Warning, list::nearly_full),
    rule("trust_policy_nearly_full", Severity::Warning, list::trust_policy_nearly_full),
    rule("lifted", Severity::Warning, time::lifted),
    rule("cutoff_is_over", Severity::Warning, time::cutoff_is_over),
    rule("lift_is_over", Severity::Note, time::lift_is_over),
    rule("data_planes", Severity::Note, conditions::data_planes),
    rule("no_cutoff", Severity::Note, time::no_cutoff),
];

/// Checks a document. The findings come with the errors first.
#[must_use]
pub fn check(document: &Document, facts: &Facts) -> Vec<Finding> {
    let bare = without_cutoff(document);
    let gate = match Gate::find(&bare, &facts.sids) {
        Ok(gate) => gate,
        Err(error) => return vec![no_gate(&error)],
    };
    let subject = Subject {
        document,
        statements: statements(&gate, &bare),
        entries: gate.entries(&bare),
        facts,
    };
    let found = |rule: &Rule| {
        let (name, severity) = (rule.name, rule.severity);
        let finding = move |hit: Hit| Finding {
            rule: name,
            severity,
            statement: hit.statement,
            reason: hit.reason,
            remedy: hit.remedy,
        };
        (rule.find)(&subject).into_iter().map(finding)
    };
    RULES.iter().flat_map(found).collect()
}

/// Whether a gate with these findings passes the check.
#[must_use]
pub fn passes(findings: &[Finding]) -> bool {
    !findings.iter().any(|finding| finding.severity == Severity::Error)
}

fn statements<'a>(gate: &Gate, document: &'a Document) -> Vec<Statement<'a>> {
    let named = |(index, json): (usize, &'a Value)| {
        let sid = json.get("Sid").and_then(Value::as_str);
        let name = match sid {
            Some(sid) if !sid.is_empty() => sid.to_owned(),
            _ => format!("statement {}", index + 1),
        };
        Statement { name, json }
    };
    gate.statements(document).into_iter().map(named).collect()
}

/// The only finding about a document in which no gate is found.
fn no_gate(error: &Error) -> Finding {
    let remedy = match error.kind() {
        "no_gate" => "make one with `ip-gate gate create`, or see docs/recipes.md for other kinds",
        "ambiguous_gate" => {
            "give the lists the same networks, or choose the statements with the parameter GateSids"
        }
        _ => "mend the document in the console, or roll back to a version that could be read",
    };
    Finding {
        rule: error.kind(),
        severity: Severity::Error,
        statement: None,
        reason: error.to_string(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests;
