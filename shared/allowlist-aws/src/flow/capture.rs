//! Saving what was in force before us as the baseline, by the first add: create-only, never over the administrator's.

use allowlist::baseline::Baseline;
use allowlist::cutoff::without_cutoff;
use allowlist::document::Document;
use allowlist::edit::networks_by_age;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::Grant;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::recorded_version;
use allowlist::target::{Target, TargetKind};
use allowlist::versions::VersionId;

use super::Context;
use super::current::is_recent;
use super::gap::is_own;
use super::publication::{Publication, PublicationResult};
use super::view::TargetView;
use crate::aws::lease::Clock;
use crate::join::{join_all, try_join_all};

/// Whether a baseline may be captured from `before`, and which one it would be: without anybody's temporary entries.
/// Where versions of ours exist already, somebody has deleted the baseline: what is in force now is none.
///
/// # Errors
/// [`Error::BaselineUnusable`].
pub(super) fn may_capture(
    ctx: Context<'_>,
    view: &TargetView<'_>,
    before: &Document,
    grants: &[Grant],
) -> Result<Baseline, Error> {
    if view.record.last.is_some() {
        let object = view.target.baseline_object();
        return Err(Error::BaselineUnusable(format!(
            "`{object}` was deleted: restore its previous version, or save another one"
        )));
    }
    captured(ctx, view.target, before, grants)
}

fn captured(
    ctx: Context<'_>,
    target: &Target,
    before: &Document,
    grants: &[Grant],
) -> Result<Baseline, Error> {
    let sids = &ctx.config.gate_sids;
    let before = without_cutoff(before);
    let permanent = Gate::find(&before, sids)?.without(&before, &networks_by_age(grants));
    Baseline::check(permanent, sids, ctx.config.limit(target))
}

/// Saves the baseline of a policy whose first version of ours was published and verified.
///
/// # Errors
/// [`Error::BaselineUnusable`], [`Error::Busy`] when the document cannot be read; as
/// [`crate::aws::state_bucket::StateBucket::create_baseline`].
async fn capture(
    ctx: Context<'_>,
    publication: &Publication<'_>,
    grants: &[Grant],
    clock: Clock,
) -> Result<(), Error> {
    let Some(Ok(PublicationResult::Verified(Some(version)))) = publication.result else {
        return Ok(());
    };
    // INVARIANT (CaptureOnce): what a look shows may hold entries of a function that died.
    if !holds(Invariant::CaptureOnce) {
        let current = &publication.current.document;
        return save(ctx, publication.target(), current, &[]).await;
    }
    let before = before_us(ctx, publication, version, clock).await?;
    save(ctx, publication.target(), &before, grants).await
}

/// The newest foreign document below our first version.
async fn before_us(
    ctx: Context<'_>,
    publication: &Publication<'_>,
    version: VersionId,
    clock: Clock,
) -> Result<Document, Error> {
    let Some(first) = publication.intents.first() else {
        return Ok(publication.base.clone());
    };
    let (target, seen) = (publication.target(), recorded_version(&first.seen)?);
    if publication.intents.len() == 1 && seen.next() == version {
        return Ok(publication.base.clone());
    }
    let read = async |id| {
        let known = publication.known.iter().find(|(known, _)| *known == id);
        match known {
            Some((_, document)) => Ok(Some(document.clone())),
            None => ctx.read(ctx.aws.iam(target).version_document(target.arn(), id)).await,
        }
    };
    let mut before = read(recorded_version(&first.base)?).await?;
    let mut gap: Vec<VersionId> = seen.between(version).collect();
    gap.reverse();
    for id in gap {
        match read(id).await? {
            Some(document) if is_own(&publication.intents, id, target, &document)? => break,
            Some(document) => before = Some(document),
            // INVARIANT (UnreadStays): what an older version holds is not the baseline in its place.
            None if is_recent(first.at, clock) && holds(Invariant::UnreadStays) => {
                return Err(Error::Busy(format!("version {id} cannot be read yet")));
            }
            None => {}
        }
    }
    before.ok_or_else(|| Error::Busy("the version before ours cannot be read".to_owned()))
}

/// A trust policy has no versions to look back to: its baseline is saved before the first write.
///
/// # Errors
/// As [`capture`].
pub(super) async fn capture_roles(
    ctx: Context<'_>,
    publications: &[Publication<'_>],
    grants: &[Grant],
) -> Result<(), Error> {
    let is_first = |publication: &&Publication<'_>| {
        let is_role = publication.target().kind() == TargetKind::Role;
        is_role && publication.captures && publication.result.is_none()
    };
    let saves = publications.iter().filter(is_first);
    let saves = saves.map(|p| save(ctx, p.target(), &p.base, grants));
    try_join_all(saves).await.map(drop)
}

/// Saves the baselines of policies whose first version of ours this is. Until that is done the write stays noted: the
/// next add saves it.
pub(super) async fn capture_policies(
    ctx: Context<'_>,
    publications: &mut [Publication<'_>],
    grants: &[Grant],
    clock: Clock,
) {
    let firsts = publications.iter_mut().filter(|publication| publication.captures);
    join_all(firsts.map(async |publication| {
        if let Err(e) = capture(ctx, publication, grants, clock).await {
            let arn = publication.target().arn();
            tracing::error!(
                outcome = "baseline_not_captured",
                target.arn = arn,
                error = e.chain(),
                "the baseline of {arn} was not saved: the next add tries again"
            );
            publication.leave_unverified();
        }
    }))
    .await;
}

async fn save(
    ctx: Context<'_>,
    target: &Target,
    before: &Document,
    grants: &[Grant],
) -> Result<(), Error> {
    let baseline = captured(ctx, target, before, grants)?;
    if ctx.aws.state.create_baseline(target, &baseline.document).await? {
        let entries = baseline.gate.entries(&baseline.document);
        let entries: Vec<String> = entries.into_iter().map(|entry| entry.text).collect();
        tracing::warn!(
            outcome = "baseline_captured",
            target.arn = target.arn(),
            entries = entries.join(" "),
            unparsed = baseline.unparsed.join(" "),
            "saved what was in force on {} as its baseline: check that {} are the permanent entries",
            target.arn(),
            entries.join(", ")
        );
    }
    Ok(())
}
