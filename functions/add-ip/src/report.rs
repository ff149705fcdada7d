//! The reports of a request: the JSON of the answer, the log line, and the notice to the topic.

use allowlist::notice::{Addition, Notice};
use allowlist::time::rfc3339;
use allowlist::{Config, Error, GrantKey, Member, Network};
use allowlist_aws::flow::lease::Release;
use allowlist_aws::flow::reads::AddReport;
use allowlist_aws::flow::remove::RemoveReport;
use allowlist_aws::flow::status::Status;
use allowlist_aws::flow::{Context, PartialFailure, TargetOutcome};
use futures_util::future::join;
use serde_json::{Value, json};

use crate::event::Event;
use crate::http::{self, Answer, Refusal};
use crate::{Caller, RouteResult};

/// When an entry that was granted at that time ends by itself, as answers show it. An entry without
/// a grant has no end.
pub(crate) fn ends(key: &GrantKey, config: &Config, granted_at: Option<i64>) -> Option<String> {
    let grant = allowlist::Grant { key: key.clone(), granted_at: granted_at? };
    grant.ends_at(config.cutoff()).map(rfc3339)
}

/// What was done on each target, as answers show it.
pub(crate) fn targets(outcomes: &[TargetOutcome], done: &str) -> Value {
    let nothing = if done == "added" { "already_allowed" } else { "unchanged" };
    let one = |outcome: &TargetOutcome| {
        let status = if outcome.wrote { done } else { nothing };
        json!({ "arn": outcome.arn, "status": status, "version": outcome.version })
    };
    outcomes.iter().map(one).collect()
}

/// The answer to an add.
pub(crate) async fn added(
    ctx: Context<'_>,
    caller: &Caller,
    report: AddReport,
    ends: Option<String>,
) -> RouteResult {
    let status = if report.added { "added" } else { "already_allowed" };
    let asked = caller.network.to_string();
    log(caller, &asked, &report.targets, ("added", "already_allowed"), ends.as_deref());
    let body = json!({
        "status": status,
        "network": caller.network,
        "member": caller.member,
        "ends": ends,
        "targets": targets(&report.targets, "added"),
    });
    let release = notify(ctx, &report.targets, "added", report.release).await;
    RouteResult::Answer(Answer::ok(body), release.map(Box::new))
}

/// The answer to a removal.
pub(crate) async fn removed(
    ctx: Context<'_>,
    caller: &Caller,
    report: RemoveReport,
) -> RouteResult {
    let status = if report.removed.is_empty() { "unchanged" } else { "removed" };
    let networks: Vec<String> = report.removed.iter().map(Network::to_string).collect();
    let asked = if networks.is_empty() { caller.network.to_string() } else { networks.join(" ") };
    log(caller, &asked, &report.targets, ("removed", "unchanged"), None);
    let kept: Vec<Value> = report
        .kept
        .iter()
        .map(|(network, reason)| json!({ "network": network, "reason": reason.word() }))
        .collect();
    let body = json!({
        "status": status,
        "removed": report.removed,
        "kept": kept,
        "targets": targets(&report.targets, "removed"),
    });
    let release = notify(ctx, &report.targets, "removed", report.release).await;
    RouteResult::Answer(Answer::ok(body), release.map(Box::new))
}

/// The answer to a question.
pub(crate) fn status(network: &Network, status: &Status, cutoff: Option<i64>) -> Answer {
    let entries: Vec<Value> = status
        .entries
        .iter()
        .map(|entry| {
            json!({
                "network": entry.key.network,
                "granted_at": rfc3339(entry.granted_at),
                "ends": entry.ends_at(cutoff).map(rfc3339),
            })
        })
        .collect();
    Answer::ok(json!({
        "network": network,
        "allowed": status.allowed,
        "granted_at": status.granted_at.map(rfc3339),
        "ends": status.ends.map(rfc3339),
        "members": status.members,
        "entries": entries,
    }))
}

/// One line for each target. `network` was added or removed. Of the two words one stands for a
/// change, one for none.
fn log(
    caller: &Caller,
    network: &str,
    outcomes: &[TargetOutcome],
    (done, nothing): (&str, &str),
    ends: Option<&str>,
) {
    let member = caller.member.as_ref().map(Member::as_str);
    let who = member.unwrap_or("somebody without a key");
    for outcome in outcomes {
        let word = if outcome.wrote { done } else { nothing };
        let version = outcome.version.map(String::from);
        let shown = version.clone().unwrap_or_else(|| "the trust policy".to_owned());
        let arn = &outcome.arn;
        let listed = (!outcome.listed.is_empty()).then(|| listed(&outcome.listed));
        tracing::info!(
            outcome = word,
            member,
            source.network = network,
            target.arn = arn,
            target.version = version,
            percent_full = outcome.percent_full,
            ends,
            listed,
            "{word} {network} for {who} on {arn}: {shown}"
        );
    }
}

/// Every entry that a version put on the list, each with its members.
fn listed(entries: &[Addition]) -> String {
    let entry = |Addition { network, members, .. }: &Addition| {
        let names: Vec<&str> = members.iter().map(Member::as_str).collect();
        if names.is_empty() { network.clone() } else { format!("{network} ({})", names.join(", ")) }
    };
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// Notifies the topic, if there is one, of every version that was written. The lease is given back
/// at the same time, so that nobody waits for it until the topic has answered.
async fn notify(
    ctx: Context<'_>,
    outcomes: &[TargetOutcome],
    word: &str,
    release: Option<Release>,
) -> Option<Release> {
    let notice = |outcome| notice(ctx, outcome, word);
    let notices: Vec<Notice<'_>> =
        outcomes.iter().filter(|outcome| outcome.wrote).filter_map(notice).collect();
    if notices.is_empty() || ctx.aws.topic.is_none() {
        return release;
    }
    join(ctx.notify(&notices), async {
        if let Some(release) = release {
            release.run().await;
        }
    })
    .await;
    None
}

fn notice<'a>(ctx: Context<'a>, outcome: &'a TargetOutcome, word: &'a str) -> Option<Notice<'a>> {
    if outcome.listed.is_empty() && outcome.difference.removed.is_empty() {
        return None;
    }
    Some(Notice {
        outcome: word,
        arn: &outcome.arn,
        version: outcome.version,
        added: outcome.listed.clone(),
        removed: outcome.difference.removed.clone(),
        drift: false,
        request: ctx.request_id,
    })
}

/// Logs a refusal that needed no call of AWS except for the member's file.
pub(crate) fn refused(refusal: &Refusal, event: &Event) {
    let (kind, address) = (refusal.kind(), event.source_ip());
    let who = address.unwrap_or("an unknown address");
    tracing::warn!(outcome = kind, source.ip = address, "refused a request from {who}: {kind}");
}

/// Logs that nobody could be identified.
pub(crate) fn unidentified(error: &Error, event: &Event) {
    let address = event.source_ip();
    let who = address.unwrap_or("an unknown address");
    tracing::error!(
        outcome = error.kind(),
        source.ip = address,
        error = error.chain(),
        "the key of a request from {who} could not be checked: {error}"
    );
}

/// Logs that a member's file names nobody.
pub(crate) fn unusable_member_file(error: &Error) {
    tracing::error!(error = error.chain(), "a member's file cannot be used: {error}");
}

/// Logs a request that failed, and notifies the topic of the targets that were written.
pub(crate) async fn failed(ctx: Context<'_>, failure: &PartialFailure, caller: &Caller) {
    let member = caller.member.as_ref().map(Member::as_str);
    let who = member.unwrap_or("somebody without a key");
    let written: Vec<&str> = failure.done.iter().map(|outcome| outcome.arn.as_str()).collect();
    let (kind, network, reason) = (failure.kind(), caller.network, failure.to_string());
    if http::status(kind) >= 500 {
        tracing::error!(
            outcome = kind,
            member,
            source.network = %network,
            target.arn = written.join(","),
            error = reason,
            "could not do what {who} asked for {network}: {reason}"
        );
    } else {
        tracing::warn!(
            outcome = kind,
            member,
            source.network = %network,
            error = reason,
            "refused {network} for {who}: {reason}"
        );
    }
    let written: Vec<TargetOutcome> =
        failure.done.iter().filter(|outcome| outcome.wrote).cloned().collect();
    log(caller, &network.to_string(), &written, (caller.word, caller.word), None);
    notify(ctx, &written, caller.word, None).await;
}
