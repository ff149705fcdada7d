//! The reports of an event: the JSON of the answer, the log lines, and the notices to the topic.

use allowlist::Error;
use allowlist::notice::{Addition, Notice};
use allowlist::time::rfc3339;
use allowlist_aws::flow::inventory::{BaselineCandidate, Inventory, ListEntry};
use allowlist_aws::flow::{Context, PartialFailure, TargetOutcome};
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use crate::command::Command;

/// The answer to a cut.
pub(crate) fn answer(outcomes: &[TargetOutcome], command: &Command<'_>, dry_run: bool) -> Value {
    let changed = outcomes.iter().any(|outcome| outcome.wrote);
    json!({
        "status": command.word(changed, dry_run),
        "targets": targets(outcomes, command, dry_run),
    })
}

fn targets(outcomes: &[TargetOutcome], command: &Command<'_>, dry_run: bool) -> Value {
    let target = |outcome: &TargetOutcome| {
        json!({
            "arn": outcome.arn,
            "status": command.word(outcome.wrote, dry_run),
            "version": outcome.version,
            "removed": outcome.difference.removed,
            "restored": outcome.difference.restored,
            "drift": outcome.difference.drift,
        })
    };
    outcomes.iter().map(target).collect()
}

/// The answer to a command that cannot be read or does not apply.
pub(crate) fn refused(error: &Error) -> Value {
    let message = error.to_string();
    tracing::warn!(outcome = "refused", error = error.chain(), "refused a command: {message}");
    json!({ "status": "refused", "error": error.kind(), "message": message })
}

/// The answer to a command that was not done, or not everywhere.
pub(crate) fn refused_or_failed(failure: &PartialFailure) -> Value {
    let is_refusal = |error: &Error| {
        let kinds = ["bad_command", "malformed_document", "baseline_unusable", "no_gate"];
        kinds.contains(&error.kind()) || error.kind() == "ambiguous_gate"
    };
    match failure.errors.as_slice() {
        [only] if is_refusal(only) && failure.done.is_empty() => refused(only),
        _ => failed(failure),
    }
}

/// The answer to what was not done, or not everywhere.
pub(crate) fn failed(failure: &PartialFailure) -> Value {
    let message = failure.to_string();
    tracing::error!(
        outcome = "failed",
        error.kind = failure.kind(),
        error = message,
        "could not do what was asked: {message}"
    );
    let done: Vec<&str> = failure.done.iter().map(|outcome| outcome.arn.as_str()).collect();
    json!({ "status": "failed", "error": failure.kind(), "message": message, "done": done })
}

/// The function error of a reset that was not done everywhere.
pub(crate) fn reset_failed(failure: &PartialFailure) -> Diagnostic {
    let message = failure.to_string();
    tracing::error!(
        outcome = "reset_failed",
        error.kind = failure.kind(),
        error = message,
        "the reset failed: {message}"
    );
    Diagnostic { error_type: failure.kind().to_owned(), error_message: message }
}

/// The line that the heartbeat counts.
pub(crate) fn reset_completed(outcomes: &[TargetOutcome]) {
    let changed = outcomes.iter().filter(|outcome| outcome.wrote).count();
    tracing::info!(
        outcome = "reset_completed",
        changed,
        "every target is at its baseline: {changed} of {} were written",
        outcomes.len()
    );
}

/// The answer to `list`.
pub(crate) fn listed(found: &[Inventory]) -> Value {
    let entry = |entry: &ListEntry| {
        json!({
            "entry": entry.text,
            "standing": entry.origin.word(),
            "members": entry.members,
            "granted_at": entry.granted_at.map(rfc3339),
            "ends": entry.ends.map(rfc3339),
        })
    };
    let target = |found: &Inventory| {
        let entries: Vec<Value> = found.entries.iter().map(entry).collect();
        json!({
            "arn": found.arn,
            "version": found.version,
            "baseline": found.has_baseline,
            "entries": entries,
        })
    };
    json!({ "status": "listed", "targets": found.iter().map(target).collect::<Vec<_>>() })
}

/// The answer to `check_baseline`.
pub(crate) fn usable(found: &BaselineCandidate) -> Value {
    let BaselineCandidate { object, baseline, replaces } = found;
    let entries = baseline.gate.entries(&baseline.document);
    let entries: Vec<String> = entries.into_iter().map(|entry| entry.text).collect();
    let replaces = replaces.as_ref().map(|(list, statements)| {
        json!({
            "removed": list.removed,
            "added": list.restored,
            "statements_removed": statements.removed,
            "statements_added": statements.added,
            "drift": list.drift,
        })
    });
    json!({
        "status": "usable",
        "object": object,
        "document": baseline.document.render(),
        "entries": entries,
        "unparsed": baseline.unparsed,
        "replaces": replaces,
    })
}

/// One line for each target.
pub(crate) fn log(outcome: &TargetOutcome, command: &Command<'_>, dry_run: bool) {
    let word = command.word(outcome.wrote, dry_run);
    let difference = &outcome.difference;
    let (removed, restored) = (difference.removed.join(" "), difference.restored.join(" "));
    let version = outcome.version.map(String::from);
    let shown = version.clone().unwrap_or_else(|| "the trust policy".to_owned());
    let arn = &outcome.arn;
    tracing::info!(
        outcome = word,
        target.arn = arn,
        target.version = version,
        removed,
        restored,
        drift = difference.drift,
        "{word} {arn}: {shown}, removed [{removed}], restored [{restored}]"
    );
}

/// Notifies the topic of every document that was written.
pub(crate) async fn notify(ctx: Context<'_>, done: &[TargetOutcome], word: &str) {
    let written = done.iter().filter(|outcome| outcome.wrote);
    let notices: Vec<Notice<'_>> =
        written.map(|outcome| notice(outcome, word, ctx.request_id)).collect();
    ctx.notify(&notices).await;
}

fn notice<'a>(outcome: &'a TargetOutcome, word: &'a str, request: &'a str) -> Notice<'a> {
    let put_back =
        |entry: &String| Addition { network: entry.clone(), members: Vec::new(), ends: None };
    Notice {
        outcome: word,
        arn: &outcome.arn,
        version: outcome.version,
        added: outcome.difference.restored.iter().map(put_back).collect(),
        removed: outcome.difference.removed.clone(),
        drift: outcome.difference.drift,
        request,
    }
}
