//! FOREIGN and BASE: what other people have written between two versions of ours, and the document to build on.

use std::time::Duration;

use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{Intent, recorded_version};
use allowlist::target::Target;
use allowlist::versions::VersionId;
use tokio::time::Instant;

use super::Context;
use super::current::{ask_until, is_recent};
use super::view::{MergeBase, TargetView};
use crate::aws::lease::Clock;

/// How long a version in a gap that another function left is asked for.
const INHERITED_GAP: Duration = Duration::from_secs(1);

impl TargetView<'_> {
    /// BASE: what is in force, or, where a function died or could not verify its write, what stood before that write.
    ///
    /// # Errors
    /// As [`foreign`]; [`Error::Busy`] as [`TargetView::current`].
    pub async fn base(&self, ctx: Context<'_>, clock: Clock) -> Result<MergeBase, Error> {
        let current = self.current()?;
        let force = !current.is_certain || !self.record.pending.is_empty();
        let document = current.document.clone();
        let (Some(versions), Some(first)) = (&current.versions, self.record.pending.first()) else {
            return Ok(MergeBase { document, version: None, force, merged: None, unread: None });
        };
        let gap = Gap {
            target: self.target,
            after: recorded_version(&first.seen)?,
            before: versions.newest().next(),
            intents: &self.record.pending,
            ask_until: Instant::now() + INHERITED_GAP,
            is_old: !is_recent(first.at, clock),
        };
        let (merged, unread) = match foreign(ctx, &gap).await?.found {
            GapContent::Foreign(id, document) => {
                let (version, merged) = (Some(id), Some(id));
                return Ok(MergeBase { document, version, force, merged, unread: None });
            }
            GapContent::Nothing => (None, None),
            GapContent::Unread(id) => (None, Some(id)),
        };
        let (document, version) = self.before(ctx, first, &gap).await?;
        Ok(MergeBase { document, version, force, merged, unread })
    }

    /// The document that an intent was decided on, with its version, or what is in force if that version is gone.
    async fn before(
        &self,
        ctx: Context<'_>,
        intent: &Intent,
        gap: &Gap<'_>,
    ) -> Result<(Document, Option<VersionId>), Error> {
        let base = recorded_version(&intent.base)?;
        let known =
            if self.record.last_version()? == Some(base) { self.record.document()? } else { None };
        let read = match known {
            Some(known) => Some(known),
            None => ask(ctx, gap, base).await?,
        };
        match read {
            Some(document) => Ok((document, Some(base))),
            // What is in force may hold entries that a cut has taken away meanwhile.
            None if !gap.is_old => Err(Error::Busy(format!("version {base} cannot be read yet"))),
            None => Ok((self.current()?.document.clone(), None)),
        }
    }
}

/// The version ids strictly between two that are known, with what tells our own versions apart.
#[derive(Debug)]
pub struct Gap<'g> {
    /// The policy.
    pub target: &'g Target,
    /// The lower end, not part of the gap.
    pub after: VersionId,
    /// The upper end, not part of the gap.
    pub before: VersionId,
    /// Our own intents.
    pub intents: &'g [Intent],
    /// Until when a version that cannot be read is asked for again.
    pub ask_until: Instant,
    /// The writes are so long ago that a version that cannot be read was deleted.
    pub is_old: bool,
}

/// What FOREIGN finds.
#[derive(Debug)]
pub enum GapContent {
    /// The newest version in the gap that is not ours.
    Foreign(VersionId, Document),
    /// A version that cannot be read comes before any foreign one.
    Unread(VersionId),
    /// No foreign version.
    Nothing,
}

/// What FOREIGN met in a gap.
#[derive(Debug)]
pub struct GapReading {
    /// The result.
    pub found: GapContent,
    /// Documents of our own versions that were met.
    pub own: Vec<Document>,
}

/// FOREIGN: the newest version in the gap that is not ours. One that cannot be read stops the search: nothing older is
/// merged in its place.
///
/// # Errors
/// As [`crate::aws::Iam::version_document`].
pub async fn foreign(ctx: Context<'_>, gap: &Gap<'_>) -> Result<GapReading, Error> {
    let mut own = Vec::new();
    for id in gap.after.between(gap.before) {
        match ask(ctx, gap, id).await? {
            // INVARIANT (SkipOwn): a version of ours hides the colleague's edit below it.
            Some(document) if is_own(gap.intents, id, gap.target, &document)? => own.push(document),
            Some(document) => {
                return Ok(GapReading { found: GapContent::Foreign(id, document), own });
            }
            // INVARIANT (UnreadStays): it is most likely not deleted but not visible yet.
            None if gap.is_old || !holds(Invariant::UnreadStays) => {}
            None => {
                return Ok(GapReading { found: GapContent::Unread(id), own });
            }
        }
        if !holds(Invariant::SkipOwn) {
            break;
        }
    }
    Ok(GapReading { found: GapContent::Nothing, own })
}

/// The document of a version in a gap, asked for as long as the gap says.
async fn ask(ctx: Context<'_>, gap: &Gap<'_>, id: VersionId) -> Result<Option<Document>, Error> {
    let until = if gap.is_old { Instant::now() } else { gap.ask_until };
    ask_until(ctx, gap.target, id, until).await
}

/// Whether version `id` with `document` is ours: an intent names its document and was noted before `id` could exist.
///
/// # Errors
/// [`Error::State`] when an intent is malformed.
pub fn is_own(
    intents: &[Intent],
    id: VersionId,
    target: &Target,
    document: &Document,
) -> Result<bool, Error> {
    let fingerprint = target.fingerprint(document);
    for intent in intents.iter().filter(|intent| intent.sha256 == fingerprint) {
        if recorded_version(&intent.seen)? < id && holds(Invariant::SkipOwn) {
            return Ok(true);
        }
    }
    Ok(false)
}
