//! VIEW of one target: what is in force, from reads that may be old.

use std::time::Duration;

use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{NOT_VISIBLE_YET, TargetRecord};
use allowlist::target::Target;
use allowlist::versions::{VersionId, Versions};
use tokio::time::Instant;

use super::{Context, pause};
use crate::aws::lease::Clock;

/// How often IAM is asked again when a version that must exist cannot be seen.
const LOOKS: u32 = 3;

/// How long a holder asks for the document of the default version in the end, well within the lease.
const DEFAULT_UNREAD: Duration = Duration::from_secs(4);

/// What is in force on one target.
#[derive(Clone, Debug)]
pub struct Current {
    /// The document in force.
    pub document: Document,
    /// The policy's versions; `None` for a role.
    pub versions: Option<Versions>,
    /// It reaches what `lease.json` says was written last, and what an earlier look showed. If not, a person has deleted
    /// that version, or IAM does not show the newer one's document yet.
    pub is_certain: bool,
}

impl Current {
    /// What an intent notes as seen: the newest version, or the fingerprint of the trust policy.
    #[must_use]
    pub fn seen(&self, target: &Target) -> String {
        let newest = self.versions.as_ref().map(|versions| versions.newest().to_string());
        newest.unwrap_or_else(|| target.fingerprint(&self.document))
    }

    /// What an intent notes as base: the default version, or the fingerprint of the trust policy.
    #[must_use]
    pub fn base(&self, target: &Target) -> String {
        let default = self.versions.as_ref().map(|versions| versions.default.to_string());
        default.unwrap_or_else(|| target.fingerprint(&self.document))
    }
}

/// VIEW of a policy: list its versions, and read the document in force unless `lease.json` has it.
pub(super) async fn policy(
    ctx: Context<'_>,
    target: &Target,
    record: &TargetRecord,
    clock: Clock,
    holder: bool,
) -> Result<Option<Current>, Error> {
    let iam = ctx.aws.iam(target);
    let last = record.last_version()?;
    let mut shown = None;
    for look in 1..=LOOKS {
        let is_final = look == LOOKS;
        if look > 1 {
            pause(Duration::from_millis(100 << look)).await;
        }
        let versions = ctx.read(iam.versions(target.arn())).await?;
        // Lists do not age in step: one behind an earlier one of these looks is stale.
        let is_behind = shown > Some(versions.newest());
        shown = shown.max(Some(versions.newest()));
        if is_behind && !is_final {
            continue;
        }
        // INVARIANT (StaleList): a list that does not reach the last version known lags, or that version was deleted.
        let missing = last.filter(|last| versions.newest() < *last && holds(Invariant::StaleList));
        if let Some(last) = missing {
            if let Some(document) = last_document(ctx, target, record, last, clock).await? {
                // What a list showed to the last writer beyond its own version was not decided on.
                let known = if record.ids.is_empty() { &versions.ids } else { &record.ids };
                let mut ids: Vec<_> = known.iter().copied().filter(|id| *id < last).collect();
                ids.push(last);
                let versions = Some(Versions { ids, default: last });
                return Ok(Some(Current { document, versions, is_certain: !is_behind }));
            }
            if !holder || !is_final {
                continue;
            }
        }
        let known = if last == Some(versions.default) { record.document()? } else { None };
        let patience = if holder && is_final { DEFAULT_UNREAD } else { Duration::ZERO };
        let document = match known {
            Some(document) => Some(document),
            None => ask_until(ctx, target, versions.default, Instant::now() + patience).await?,
        };
        if let Some(document) = document {
            let (versions, is_certain) = (Some(versions), missing.is_none() && !is_behind);
            return Ok(Some(Current { document, versions, is_certain }));
        }
        if holder && is_final {
            return newest_readable(ctx, target, &versions).await;
        }
    }
    Ok(None)
}

/// The newest version below the default that can be read, as a list from before the default would show it: whoever
/// publishes on it meets the default in the gap, and keeps asking for it.
async fn newest_readable(
    ctx: Context<'_>,
    target: &Target,
    listed: &Versions,
) -> Result<Option<Current>, Error> {
    let mut ids = listed.ids.clone();
    ids.retain(|id| *id < listed.default);
    ids.sort_unstable();
    while let Some(id) = ids.last().copied() {
        if let Some(document) =
            ctx.read(ctx.aws.iam(target).version_document(target.arn(), id)).await?
        {
            let versions = Some(Versions { ids, default: id });
            return Ok(Some(Current { document, versions, is_certain: false }));
        }
        ids.pop();
    }
    Ok(None)
}

/// The document of the last version known, which a list does not show. If that version can be read, it is in force. If
/// not, it was deleted, unless it was written a moment ago: then it cannot be seen yet.
async fn last_document(
    ctx: Context<'_>,
    target: &Target,
    record: &TargetRecord,
    last: VersionId,
    clock: Clock,
) -> Result<Option<Document>, Error> {
    let read = ctx.read(ctx.aws.iam(target).version_document(target.arn(), last)).await?;
    match read {
        Some(document) => Ok(Some(document)),
        None if is_recent(record.last_at, clock) => record.document(),
        None => Ok(None),
    }
}

/// The document of a version that IAM may not show to everybody yet, asked for until then.
pub(super) async fn ask_until(
    ctx: Context<'_>,
    target: &Target,
    id: VersionId,
    until: Instant,
) -> Result<Option<Document>, Error> {
    let iam = ctx.aws.iam(target);
    let mut middle = Duration::from_millis(100);
    loop {
        let read = ctx.read(iam.version_document(target.arn(), id)).await?;
        if read.is_some() || Instant::now() + middle >= until {
            return Ok(read);
        }
        pause(middle).await;
        middle = (middle * 2).min(Duration::from_millis(600));
    }
}

/// Whether something was written so short a time ago that it may not be visible yet.
pub(super) fn is_recent(at: i64, clock: Clock) -> bool {
    clock.now().saturating_sub(at) < NOT_VISIBLE_YET
}

/// VIEW of a role: one read. Shortly after a write of ours, a document that we have replaced is an old answer.
pub(super) async fn role(
    ctx: Context<'_>,
    target: &Target,
    record: &TargetRecord,
    clock: Clock,
) -> Result<Current, Error> {
    let read = ctx.read(ctx.aws.iam(target).trust_policy(target)).await?;
    let fingerprint = target.fingerprint(&read);
    let lags = record.last.as_ref() != Some(&fingerprint)
        && record.replaced.contains(&fingerprint)
        && is_recent(record.last_at, clock);
    let document = match record.document()? {
        Some(known) if lags && holds(Invariant::StaleList) => known,
        _ => read,
    };
    Ok(Current { document, versions: None, is_certain: true })
}
