//! The check of a gate: reads the documents, and where they are in use. The rules are in the pure
//! crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use allowlist::gate_check::{Administrators, Attachments, Facts, Finding, Severity, check, passes};
use allowlist::{Document, Network, Target, TargetKind};
use serde_json::{Value, json};

use super::entries::{self, Listing};
use super::{now, read_file};
use crate::args::Arn;
use crate::aws::iam::Entities;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

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
        let is_malformed = problem.is_malformed_document();
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
        let listing = entries::ask(stack).await;
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
    listing: Result<&Listing, &Problem>,
) -> Vec<DocumentCheck> {
    let usage = Usage::find(stack).await;
    let mut checked = Vec::new();
    for target in targets {
        let found = one(stack, target, listing, &usage).await;
        checked.push(
            found.unwrap_or_else(|problem| DocumentCheck::without_document(target.arn(), problem)),
        );
    }
    checked
}

fn malformed(problem: &Problem) -> Finding {
    Finding {
        rule: "malformed_document",
        severity: Severity::Error,
        statement: None,
        reason: problem.message.clone(),
        remedy: "mend the document in the console, or roll back to a version that could be read"
            .to_owned(),
    }
}

fn unreadable(problem: &Problem) -> Finding {
    let remedy = "save the document to a file, and check it with `ip-gate gate check --file`";
    not_checked(Severity::Warning, "the document was not read", problem, remedy)
}

fn not_checked(severity: Severity, what: &str, problem: &Problem, remedy: &str) -> Finding {
    Finding {
        rule: "not_checked",
        severity,
        statement: None,
        reason: format!("{what}: {problem}"),
        remedy: remedy.to_owned(),
    }
}

/// The networks that were granted for a time.
fn granted(listing: &Listing, arn: &str) -> Vec<Network> {
    let entries = listing.target(arn).map(|target| target.entries.as_slice());
    let granted = entries.unwrap_or_default().iter();
    let granted = granted.filter(|entry| entry.standing == "granted");
    granted.filter_map(|entry| entry.entry.parse().ok()).collect()
}

async fn one(
    stack: &Stack,
    target: &Target,
    listing: Result<&Listing, &Problem>,
    usage: &Usage,
) -> Result<DocumentCheck, Problem> {
    let (document, version) = stack.aws.iam.in_force(target).await?;
    let mut unknown = Vec::new();
    let granted = match listing {
        Ok(listing) => granted(listing, target.arn()),
        Err(problem) => {
            let what = "it is not known which entries are temporary, so all count as permanent";
            let remedy = "make `ip-gate entries` work, and check again";
            unknown.push(not_checked(Severity::Note, what, problem, remedy));
            Vec::new()
        }
    };
    let facts = Facts {
        kind: target.kind(),
        sids: stack.sids(),
        limit: stack.limit(target.kind()),
        now: now(),
        granted,
        attachments: usage.attachments(target, &mut unknown),
    };
    let mut findings = check(&document, &facts);
    findings.extend(unknown);
    findings.sort_by_key(|finding| finding.severity);
    Ok(DocumentCheck {
        name: target.arn().to_owned(),
        version: version.map(String::from),
        findings,
        problem: None,
    })
}

/// Where the policies of the stack are in use, and who could mend them.
struct Usage {
    policies: BTreeMap<String, Result<InUse, Problem>>,
    administrators: Result<Administrators, Problem>,
    function_roles: Vec<String>,
}

/// Where one policy is in use.
struct InUse {
    attached: Entities,
    /// The roles whose permissions boundary it is.
    boundary_of: Vec<String>,
}

impl Usage {
    async fn find(stack: &Stack) -> Self {
        let iam = &stack.aws.iam;
        let mut policies = BTreeMap::new();
        for target in stack.targets().unwrap_or_default() {
            if target.kind() == TargetKind::Policy {
                let in_use = async {
                    let attached = iam.entities(target.arn(), false).await?;
                    let bound = iam.entities(target.arn(), true).await?;
                    Ok(InUse { attached, boundary_of: bound.roles })
                };
                policies.insert(target.arn().to_owned(), in_use.await);
            }
        }
        let administrators = administrators(stack, &policies).await;
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let roles = stack.output("FunctionRoles").unwrap_or_default();
        let function_roles = roles.split(',').map(name).collect();
        Self { policies, administrators, function_roles }
    }

    /// Where a policy is in use, as far as that is known; what is not is told as findings.
    fn attachments(&self, target: &Target, unknown: &mut Vec<Finding>) -> Option<Attachments> {
        let remedy = "allow `iam:ListEntitiesForPolicy` and `iam:GetGroup`, and check again";
        let mut tell = |what: &str, problem: &Problem| {
            unknown.push(not_checked(Severity::Warning, what, problem, remedy));
        };
        let InUse { attached, boundary_of } = match self.policies.get(target.arn())? {
            Ok(in_use) => in_use,
            Err(problem) => {
                tell("it is not known where the policy is in use", problem);
                return None;
            }
        };
        if let Err(problem) = &self.administrators {
            tell("it is not known who could mend the gate when its list is wrong", problem);
        }
        let Entities { users, groups, roles } = attached.clone();
        Some(Attachments {
            users,
            groups,
            roles,
            boundary_of: boundary_of.clone(),
            function_roles: self.function_roles.clone(),
            administrators: self.administrators.as_ref().ok().cloned(),
        })
    }
}

/// Users and roles with the policy AdministratorAccess, and those of them that no gate of the stack guards.
async fn administrators(
    stack: &Stack,
    policies: &BTreeMap<String, Result<InUse, Problem>>,
) -> Result<Administrators, Problem> {
    let Some(arn) = policies.keys().next() else {
        return Ok(Administrators::default());
    };
    let iam = &stack.aws.iam;
    let partition = arn.split(':').nth(1).unwrap_or("aws");
    let policy = format!("arn:{partition}:iam::aws:policy/AdministratorAccess");
    let all = iam.entities(&policy, false).await?;
    let mut users: BTreeSet<String> = all.users.into_iter().collect();
    users.extend(iam.users_of(&all.groups).await?);
    let mut guarded_users = BTreeSet::new();
    let mut guarded_roles = BTreeSet::new();
    for in_use in policies.values().flatten() {
        guarded_users.extend(in_use.attached.users.iter().cloned());
        guarded_users.extend(iam.users_of(&in_use.attached.groups).await?);
        guarded_roles.extend(in_use.attached.roles.iter().cloned());
    }
    let count = users.len() + all.roles.len();
    let users = users.into_iter().filter(|user| !guarded_users.contains(user));
    let roles = all.roles.into_iter().filter(|role| !guarded_roles.contains(role));
    Ok(Administrators { count, outside: users.chain(roles).collect() })
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
        let problem = Problem::new("malformed_document", "the document cannot be worked on");
        let checked = DocumentCheck::without_document("arn", problem);
        let finding = &checked.findings[0];
        assert_eq!((finding.rule, finding.severity), ("malformed_document", Severity::Error));
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
