//! The check of a gate: reads the documents, and where they are in use. The rules are in the pure
//! crate.

use std::collections::BTreeSet;
use std::path::Path;

use allowlist::gate_check::{Attachments, Facts, Finding, Severity, check, passes};
use allowlist::{Document, Network, Target, TargetKind};
use serde_json::{Value, json};

use super::entries::{self, Listing};
use super::{now, read_file};
use crate::args::Arn;
use crate::aws::iam::Entities;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// The kind of the problem, and the name of the rule.
const MALFORMED: &str = "malformed_document";

/// What was found in one document.
pub struct DocumentCheck {
    /// The ARN, or the path of a file.
    pub name: String,
    version: Option<String>,
    /// The findings, errors first.
    pub findings: Vec<Finding>,
    /// Why the document was not read, where it was not.
    problem: Option<Problem>,
}

impl DocumentCheck {
    /// Of a document that was not checked by the rules.
    fn without_document(name: &str, problem: Problem) -> Self {
        let is_malformed = problem.kind == MALFORMED;
        let finding = if is_malformed { malformed(&problem) } else { unreadable(&problem) };
        Self {
            name: name.to_owned(),
            version: None,
            findings: vec![finding],
            problem: Some(problem).filter(|_| !is_malformed),
        }
    }
}

/// Checks the document of a file, without a call of AWS.
pub fn file(path: &Path, trust_policy: bool, output: Output) -> Outcome {
    let document = Document::parse(&read_file(path)?)?;
    let mut facts = Facts::of_file(now());
    if trust_policy {
        facts.kind = TargetKind::Role;
        facts.limit = 2048;
    }
    let checked = DocumentCheck {
        name: path.display().to_string(),
        version: None,
        findings: check(&document, &facts),
        problem: None,
    };
    Ok(show(&[checked], output))
}

/// Checks what the stack manages. Where no document of it could be read, nothing was checked: that is a problem.
pub async fn stack(stack: &Stack, arn: &Arn, output: Output) -> Outcome {
    let targets = match &arn.arn {
        Some(_) => vec![stack.target(arn)?],
        None => stack.targets()?,
    };
    if targets.is_empty() {
        let name = &stack.name;
        let message = format!("the stack `{name}` manages no document: is it one of ip-gate?");
        return Err(Problem::new("no_stack", message));
    }
    let checked = {
        let _progress = output.progress("checking");
        // Without the right to invoke the function every entry counts as permanent.
        let listing = entries::ask(stack, output).await.ok();
        all(stack, &targets, listing.as_ref().map(|listing| &listing.read)).await
    };
    if let Some(problem) = nothing_read(&checked) {
        return Err(problem.clone());
    }
    Ok(show(&checked, output))
}

/// The first problem, where every document has one.
fn nothing_read(checked: &[DocumentCheck]) -> Option<&Problem> {
    let problems: Option<Vec<&Problem>> =
        checked.iter().map(|checked| checked.problem.as_ref()).collect();
    problems?.first().copied()
}

/// Checks documents; one that cannot be read is a finding.
pub async fn all(
    stack: &Stack,
    targets: &[Target],
    listing: Option<&Listing>,
) -> Vec<DocumentCheck> {
    let mut checked = Vec::new();
    for target in targets {
        let granted = listing.map(|listing| granted(listing, target.arn()));
        let found = one(stack, target, granted.unwrap_or_default()).await;
        checked.push(
            found.unwrap_or_else(|problem| DocumentCheck::without_document(target.arn(), problem)),
        );
    }
    checked
}

fn malformed(problem: &Problem) -> Finding {
    Finding {
        rule: MALFORMED,
        severity: Severity::Error,
        statement: None,
        reason: problem.message.clone(),
        remedy: "mend the document in the console, or roll back to a version that could be read"
            .to_owned(),
    }
}

fn unreadable(problem: &Problem) -> Finding {
    Finding {
        rule: "not_checked",
        severity: Severity::Warning,
        statement: None,
        reason: format!("the document was not read: {problem}"),
        remedy: "check it with the credentials of its own account, or with `--file`".to_owned(),
    }
}

/// The networks that were granted for a time.
fn granted(listing: &Listing, arn: &str) -> Vec<Network> {
    let target = listing.targets.iter().find(|target| target.arn == arn);
    let entries = target.map(|target| target.entries.as_slice());
    let granted = entries.unwrap_or_default().iter();
    let granted = granted.filter(|entry| entry.standing == "granted");
    granted.filter_map(|entry| entry.entry.parse().ok()).collect()
}

async fn one(
    stack: &Stack,
    target: &Target,
    granted: Vec<Network>,
) -> Result<DocumentCheck, Problem> {
    let (document, version) = stack.aws.iam.in_force(target).await?;
    let attachments = match target.kind() {
        TargetKind::Policy => attachments(stack, target).await,
        TargetKind::Role => Ok(None),
    };
    let (attachments, problem) = match attachments {
        Ok(attachments) => (attachments, None),
        Err(problem) => (None, Some(problem)),
    };
    let facts = Facts {
        kind: target.kind(),
        sids: stack.sids(),
        limit: stack.limit(target.kind()),
        now: now(),
        granted,
        attachments,
    };
    let mut findings = check(&document, &facts);
    if let Some(problem) = problem {
        findings.push(Finding {
            reason: format!("it is not known where the policy is in use: {problem}"),
            remedy: "allow `iam:ListEntitiesForPolicy` and `iam:GetGroup`, and check again"
                .to_owned(),
            ..unreadable(&problem)
        });
        findings.sort_by_key(|finding| finding.severity);
    }
    Ok(DocumentCheck {
        name: target.arn().to_owned(),
        version: version.map(String::from),
        findings,
        problem: None,
    })
}

async fn attachments(stack: &Stack, target: &Target) -> Result<Option<Attachments>, Problem> {
    let iam = &stack.aws.iam;
    let attached = iam.entities(target.arn(), false).await?;
    let bound = iam.entities(target.arn(), true).await?;
    let roles = stack.output("FunctionRoles")?.split(',');
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
    let outside = administrators_outside(stack, target, &attached).await;
    let Entities { users, groups, roles: attached_roles } = attached;
    Ok(Some(Attachments {
        users,
        groups,
        roles: attached_roles,
        boundary_of: bound.roles,
        function_roles: roles.map(name).collect(),
        // Only the rule about a way in needs them.
        administrators_outside: outside.ok(),
    }))
}

/// Users and roles with the policy AdministratorAccess that the gate does not guard.
async fn administrators_outside(
    stack: &Stack,
    target: &Target,
    attached: &Entities,
) -> Result<Vec<String>, Problem> {
    let iam = &stack.aws.iam;
    let partition = target.arn().split(':').nth(1).unwrap_or("aws");
    let policy = format!("arn:{partition}:iam::aws:policy/AdministratorAccess");
    let administrators = iam.entities(&policy, false).await?;
    let mut guarded: BTreeSet<String> = attached.users.iter().cloned().collect();
    guarded.extend(iam.users_of(&attached.groups).await?);
    let mut users: BTreeSet<String> = administrators.users.into_iter().collect();
    users.extend(iam.users_of(&administrators.groups).await?);
    let roles = administrators.roles.into_iter();
    let roles = roles.filter(|role| !attached.roles.contains(role));
    let users = users.into_iter().filter(|user| !guarded.contains(user));
    Ok(users.chain(roles).collect())
}

fn show(checked: &[DocumentCheck], output: Output) -> Exit {
    let passed = checked.iter().all(|checked| passes(&checked.findings));
    let target = |checked: &DocumentCheck| {
        json!({
            "arn": checked.name,
            "version": checked.version,
            "findings": checked.findings,
        })
    };
    let targets: Vec<Value> = checked.iter().map(target).collect();
    let status = if passed { "passed" } else { "failed" };
    output.answer(&json!({ "status": status, "targets": targets }), || {
        let mut lines: Vec<String> =
            checked.iter().flat_map(|checked| describe(checked, output)).collect();
        lines.push(summary(checked));
        lines
    });
    if passed { Exit::Done } else { Exit::Failed }
}

fn describe(checked: &DocumentCheck, output: Output) -> Vec<String> {
    let version = checked.version.as_deref().unwrap_or_default();
    let heading = format!("{}  {version}", checked.name);
    let mut lines = vec![output.paint(Tone::Heading, heading.trim_end())];
    for finding in &checked.findings {
        let tone = match finding.severity {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Warning,
            Severity::Note => Tone::Heading,
        };
        let word = output.paint(tone, finding.severity.word());
        let place = finding.statement.as_deref();
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        lines.push(format!("  {word}: {}{place}", finding.rule));
        lines.push(format!("    {}", finding.reason));
        lines.push(format!("    to do: {}", finding.remedy));
    }
    lines
}

/// How many findings of each kind there are, in words.
pub fn summary(checked: &[DocumentCheck]) -> String {
    let findings = || checked.iter().flat_map(|checked| &checked.findings);
    let count = |severity: Severity| findings().filter(|found| found.severity == severity).count();
    let words = |severity: Severity| {
        let count = count(severity);
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {}{plural}", severity.word())
    };
    let all = [Severity::Error, Severity::Warning, Severity::Note];
    all.map(words).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_document_is_an_error_and_was_read() {
        let problem = Problem::new(MALFORMED, "the document cannot be worked on");
        let checked = DocumentCheck::without_document("arn", problem);
        assert_eq!((checked.findings[0].rule, passes(&checked.findings)), (MALFORMED, false));
        assert_eq!(nothing_read(&[checked]), None);
    }

    #[test]
    fn a_check_that_read_nothing_is_a_problem() {
        let unread = |message: &str| {
            DocumentCheck::without_document("arn", Problem::new("aws_error", message))
        };
        let read = DocumentCheck {
            name: "arn".to_owned(),
            version: None,
            findings: Vec::new(),
            problem: None,
        };
        let checked = [unread("first"), unread("second")];
        assert_eq!(nothing_read(&checked).map(|problem| problem.message.as_str()), Some("first"));
        assert_eq!(nothing_read(&[unread("first"), read]), None);
    }
}
