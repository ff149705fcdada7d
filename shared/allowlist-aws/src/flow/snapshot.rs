//! What is in force on a target, as far as IAM's eventual consistency lets it be seen.

use std::time::Duration;

use super::{Invocation, pause};
use crate::planted::{Fault, planted};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::lease::{Intent, Mark};
use allowlist::target::{Target, TargetKind};
use allowlist::versions::{VersionId, Versions};

/// How often IAM is asked again when its answers are older than what is known.
const LOOKS: u32 = 4;

/// One target at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The document in force.
    pub document: Document,
    /// The policy's versions; `None` for a role.
    pub versions: Option<Versions>,
    /// IAM's answer reaches what the mark says was written last. When it does not, after several looks, either
    /// IAM is slow or a person deleted that version.
    pub fresh: bool,
}

impl Snapshot {
    /// What an intent notes as seen: the newest version listed, or the hash of the trust policy.
    #[must_use]
    pub fn seen(&self) -> String {
        self.versions.as_ref().map_or_else(
            || self.document.sha256(),
            |versions| versions.newest().to_string(),
        )
    }

    /// What an intent notes as base: the default version, or the hash of the trust policy.
    #[must_use]
    pub fn base(&self) -> String {
        self.versions.as_ref().map_or_else(
            || self.document.sha256(),
            |versions| versions.default.to_string(),
        )
    }
}

/// How long to keep looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nobody waits for this look but its caller, who can take the lease instead.
    Little,
    /// A holder of the lease must know.
    Holder,
}

/// Reads what is in force. A list that does not reach the mark, or a default version that is gone, is looked at
/// again, a bounded number of times; then the answer is `fresh: false`, or `None` when no document could be had.
///
/// # Errors
/// [`Error::MalformedDocument`], [`Error::Aws`], [`Error::Throttled`], [`Error::Busy`], naming the target.
pub async fn look(
    call: Invocation<'_>,
    target: &Target,
    mark: &Mark,
    patience: Patience,
) -> Result<Option<Snapshot>, Error> {
    let looks = match patience {
        Patience::Little => 2,
        Patience::Holder => LOOKS,
    };
    let (mut found, mut highest) = (None, None);
    for attempt in 0..looks {
        if attempt > 0 {
            pause(Duration::from_millis(150 << attempt)).await;
        }
        let (newest, snapshot) = call
            .read(once(call, target, mark))
            .await
            .map_err(|e| e.at(target.arn()))?;
        // IAM's answers are not monotonic: a list that is behind an earlier one is stale, whatever the mark says.
        highest = highest.max(newest);
        if let Some(mut snapshot) = snapshot {
            snapshot.fresh &= newest == highest;
            let fresh = snapshot.fresh;
            found = Some(snapshot);
            if fresh {
                break;
            }
        }
    }
    Ok(found)
}

/// What is in force, for a caller that cannot go on without it.
///
/// # Errors
/// As [`look`]; [`Error::Busy`] when no document could be had.
pub async fn in_force(
    call: Invocation<'_>,
    target: &Target,
    mark: &Mark,
) -> Result<Snapshot, Error> {
    let snapshot = look(call, target, mark, Patience::Holder).await?;
    snapshot.ok_or_else(|| Error::Busy("IAM does not show the policy's default version".to_owned()))
}

/// One look, and the newest version that it saw, also where that version's document could not be had.
async fn once(
    call: Invocation<'_>,
    target: &Target,
    mark: &Mark,
) -> Result<(Option<VersionId>, Option<Snapshot>), Error> {
    let iam = call.aws.iam(target);
    if target.kind() == TargetKind::Role {
        let document = iam.trust_policy(target).await?;
        let hash = document.sha256();
        let expected = mark
            .last
            .iter()
            .chain(mark.pending.iter().map(|intent| &intent.sha256));
        let fresh = mark.last.is_none() || expected.into_iter().any(|known| *known == hash);
        return Ok((
            None,
            Some(Snapshot {
                document,
                versions: None,
                fresh,
            }),
        ));
    }
    let (versions, document) = iam.in_force(target.arn()).await?;
    let fresh = last_version(mark)?.is_none_or(|last| versions.newest() >= last)
        || planted(Fault::TrustStaleList);
    Ok((
        Some(versions.newest()),
        document.map(|document| Snapshot {
            document,
            versions: Some(versions),
            fresh,
        }),
    ))
}

/// The newest verified version by the mark of a policy.
///
/// # Errors
/// [`Error::State`] when `lease.json` holds something else.
pub fn last_version(mark: &Mark) -> Result<Option<VersionId>, Error> {
    mark.last.as_deref().map(noted_version).transpose()
}

/// A version id that was noted in `lease.json`.
///
/// # Errors
/// [`Error::State`] when it is none.
pub fn noted_version(text: &str) -> Result<VersionId, Error> {
    text.parse().map_err(|e: Error| Error::State {
        key: "lease.json".to_owned(),
        reason: e.to_string(),
    })
}

/// The document of a version that IAM may not show to everybody yet; `None` when it is deleted.
///
/// # Errors
/// As `Iam::version_document`'s.
pub async fn document_of(
    call: Invocation<'_>,
    policy: &Target,
    id: VersionId,
) -> Result<Option<Document>, Error> {
    for attempt in 0..3 {
        if attempt > 0 {
            pause(Duration::from_millis(100 << attempt)).await;
        }
        if let Some(document) = call
            .read(call.aws.iam(policy).version_document(policy.arn(), id))
            .await?
        {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

/// Whether version `id` with `document` is ours: an intent names its document and was noted before `id` could exist.
///
/// # Errors
/// [`Error::State`] when an intent is malformed.
pub fn is_own(intents: &[Intent], id: VersionId, document: &Document) -> Result<bool, Error> {
    let hash = document.sha256();
    for intent in intents.iter().filter(|intent| intent.sha256 == hash) {
        if noted_version(&intent.seen)? < id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The newest version strictly between `after` and `before` that is not ours, and how many of ours were met.
///
/// # Errors
/// As [`document_of`].
pub async fn foreign(
    call: Invocation<'_>,
    policy: &Target,
    after: VersionId,
    before: VersionId,
    intents: &[Intent],
) -> Result<(Option<(VersionId, Document)>, Vec<Document>), Error> {
    let mut own = Vec::new();
    for id in after.between(before) {
        let Some(document) = document_of(call, policy, id).await? else {
            continue;
        };
        if is_own(intents, id, &document)? {
            own.push(document);
        } else {
            return Ok((Some((id, document)), own));
        }
    }
    Ok((None, own))
}
