//! The versions of a policy, each with what it changed against the one before.

use allowlist::baseline::statement_difference;
use allowlist::edit::{TargetRules, difference};
use allowlist::time::rfc3339;
use allowlist::{Document, TargetKind};
use serde_json::{Value, json};

use crate::args::Arn;
use crate::aws::iam::Version;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// What is shown of a version.
enum Shown {
    /// It is the oldest one.
    Oldest,
    /// What it changed against the one before.
    Changed(Change),
    /// Why its document was not read.
    Unread(String),
}

struct Change {
    added: Vec<String>,
    removed: Vec<String>,
    statements_added: Vec<Value>,
    statements_removed: Vec<Value>,
}

/// Shows the versions, newest first.
pub async fn run(stack: &Stack, arn: &Arn, output: Output) -> Outcome {
    let target = stack.target(arn)?;
    if target.kind() == TargetKind::Role {
        let message = format!("`{target}` is a role: trust policies have no versions");
        return Err(Problem::usage(message));
    }
    let (sids, limit) = (stack.sids(), stack.limit(target.kind()));
    let rules = TargetRules { target: &target, sids: &sids, limit, baseline: None };
    let mut told: Vec<(Version, Shown)> = Vec::new();
    let mut before: Option<Document> = None;
    {
        let _progress = output.progress("reading the versions");
        for version in stack.aws.iam.versions(target.arn()).await? {
            let document = match stack.aws.iam.version(target.arn(), version.id).await {
                Ok(Some(document)) => document,
                // A function deleted it since it was listed.
                Ok(None) => continue,
                Err(problem) if problem.is_malformed_document() => {
                    told.push((version, Shown::Unread(problem.message)));
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            let shown = before.as_ref().map_or(Shown::Oldest, |before| {
                let list = difference(&rules, before, &document, &[]);
                let statements = statement_difference(before, &document, &sids);
                Shown::Changed(Change {
                    added: list.restored,
                    removed: list.removed,
                    statements_added: statements.added,
                    statements_removed: statements.removed,
                })
            });
            told.push((version, shown));
            before = Some(document);
        }
    }
    told.reverse();
    let json: Vec<Value> = told.iter().map(|(version, shown)| as_json(version, shown)).collect();
    let answer = json!({ "arn": target.arn(), "versions": json });
    output.answer(&answer, || {
        let mut lines = vec![output.paint(Tone::Heading, target.arn())];
        for (version, shown) in &told {
            let in_force = if version.is_default { "  in force" } else { "" };
            lines.push(format!("  {}  {}{in_force}", version.id, rfc3339(version.created)));
            lines.extend(describe(shown));
        }
        lines
    });
    Ok(Exit::Done)
}

fn as_json(version: &Version, shown: &Shown) -> Value {
    let (changed, problem) = match shown {
        Shown::Oldest => (None, None),
        Shown::Unread(reason) => (None, Some(reason)),
        Shown::Changed(changed) => {
            let json = json!({
                "added": changed.added,
                "removed": changed.removed,
                "statements_added": changed.statements_added,
                "statements_removed": changed.statements_removed,
            });
            (Some(json), None)
        }
    };
    json!({
        "version": version.id,
        "created": rfc3339(version.created),
        "in_force": version.is_default,
        "changed": changed,
        "problem": problem,
    })
}

fn describe(shown: &Shown) -> Vec<String> {
    let changed = match shown {
        Shown::Oldest => return vec!["      the oldest that is kept".to_owned()],
        Shown::Unread(reason) => return vec![format!("      not read: {reason}")],
        Shown::Changed(changed) => changed,
    };
    let entries = changed.added.iter().map(|entry| format!("      + {entry}"));
    let entries = entries.chain(changed.removed.iter().map(|entry| format!("      - {entry}")));
    let added = changed.statements_added.iter();
    let removed = changed.statements_removed.iter();
    let statements = added
        .map(|statement| format!("      + statement {statement}"))
        .chain(removed.map(|statement| format!("      - statement {statement}")));
    let lines: Vec<String> = entries.chain(statements).collect();
    if lines.is_empty() {
        vec!["      no entry and no statement differs".to_owned()]
    } else {
        lines
    }
}
