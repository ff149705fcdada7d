//! VIEW: what is in force on every target, as far as IAM's eventual consistency lets it be seen. The one loader for
//! everybody.

use std::collections::HashSet;

use allowlist::baseline::Baseline;
use allowlist::cutoff::{admits, without_cutoff};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{CountRules, Grant, count};
use allowlist::lease_record::{LeaseRecord, TargetRecord};
use allowlist::network::Network;
use allowlist::target::{Target, TargetKind};
use allowlist::versions::VersionId;
use futures_util::future::{join, try_join};

use super::current::{Current, policy, role};
use super::{Context, TargetOutcome};
use crate::Boxed;
use crate::aws::lease::Clock;
use crate::join::join_all;

/// Everything that a decision is made on.
#[derive(Debug)]
pub struct View<'a> {
    /// Every target, in the order of the settings, or why it could not be seen.
    pub targets: Vec<Result<TargetView<'a>, Error>>,
    /// Every grant.
    pub grants: Vec<Grant>,
    /// Objects under `grants/` that are no grants.
    pub foreign_objects: Vec<String>,
    /// S3's clock.
    pub clock: Clock,
}

/// One target at one moment.
#[derive(Debug)]
pub struct TargetView<'a> {
    /// The target.
    pub target: &'a Target,
    /// What `lease.json` says about it.
    pub record: TargetRecord,
    /// Its baseline as it is stored, unchecked.
    pub baseline: Option<String>,
    /// What is in force; `None` where IAM shows no document for the default version.
    pub current: Option<Current>,
}

/// The document to build on.
#[derive(Debug)]
pub struct MergeBase {
    /// The document.
    pub document: Document,
    /// The version that has this document, if it is not what is in force.
    pub version: Option<VersionId>,
    /// Publish even when nothing seems to differ: what is in force may not be what IAM showed.
    pub force: bool,
    /// Somebody else's version, if the document is from one that another function has overtaken.
    pub merged: Option<VersionId>,
    /// A version that another function may have overtaken, and that cannot be read yet.
    pub unread: Option<VersionId>,
}

impl<'a> View<'a> {
    /// Reads everything at once, without the lease.
    ///
    /// # Errors
    /// When the grants cannot be listed.
    pub async fn read(ctx: Context<'a>, record: &LeaseRecord, clock: Clock) -> Result<Self, Error> {
        Self::load(ctx, &ctx.config.targets.iter().collect::<Vec<_>>(), record, clock, false).await
    }

    /// Reads everything about these targets at once, for a holder of the lease.
    ///
    /// # Errors
    /// When the grants cannot be listed.
    pub async fn read_as_holder(
        ctx: Context<'a>,
        targets: &[&'a Target],
        record: &LeaseRecord,
        clock: Clock,
    ) -> Result<Self, Error> {
        Self::load(ctx, targets, record, clock, true).await
    }

    fn load<'f>(
        ctx: Context<'a>,
        targets: &'f [&'a Target],
        record: &'f LeaseRecord,
        clock: Clock,
        holder: bool,
    ) -> Boxed<'f, Result<Self, Error>>
    where
        'a: 'f,
    {
        Box::pin(async move {
            let one = async |target: &'a Target| {
                let record = record.target(target.arn());
                let current = async {
                    match target.kind() {
                        TargetKind::Policy => policy(ctx, target, &record, clock, holder).await,
                        TargetKind::Role => role(ctx, target, &record, clock).await.map(Some),
                    }
                };
                let baseline = ctx.read(ctx.aws.state.baseline(target));
                let (current, baseline) =
                    try_join(current, baseline).await.map_err(|e| e.at(target.arn()))?;
                Ok(TargetView { target, record, baseline, current })
            };
            let all = join_all(targets.iter().map(|target| one(target)));
            let (targets, listing) = join(all, ctx.read(ctx.aws.state.grants())).await;
            let listing = listing?;
            Ok(Self {
                targets,
                grants: listing.grants,
                foreign_objects: listing.foreign,
                clock: listing.clock,
            })
        })
    }
}

impl<'a> View<'a> {
    /// The targets, all of which an add needs, and the grants.
    ///
    /// # Errors
    /// Why a target could not be seen.
    pub(super) fn split(self) -> Result<(Vec<TargetView<'a>>, Vec<Grant>), Error> {
        Ok((self.targets.into_iter().collect::<Result<_, _>>()?, self.grants))
    }
}

impl TargetView<'_> {
    /// What is in force.
    ///
    /// # Errors
    /// [`Error::Busy`] where IAM shows no document for the default version.
    pub fn current(&self) -> Result<&Current, Error> {
        let busy = || Error::Busy("IAM does not show the policy's default version".to_owned());
        self.current.as_ref().ok_or_else(busy)
    }

    /// What is in force as the base of a decision; `None` where it could not be seen.
    pub(super) fn with_current_as_base(self) -> Option<(Self, MergeBase)> {
        let document = self.current.as_ref()?.document.clone();
        let base = MergeBase {
            document,
            version: None,
            force: !self.is_settled(),
            merged: None,
            unread: None,
        };
        Some((self, base))
    }

    /// The outcome where nothing was written.
    #[must_use]
    pub fn outcome(&self) -> TargetOutcome {
        let versions = self.current.as_ref().and_then(|current| current.versions.as_ref());
        TargetOutcome::unchanged(self.target, versions.map(|versions| versions.default))
    }

    /// Whether what was seen may be published without another look.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.record.pending.is_empty() && self.current.as_ref().is_some_and(|c| c.is_certain)
    }

    /// The networks on the list that is in force.
    pub fn listed(&self, sids: &[String]) -> HashSet<Network> {
        self.current.as_ref().map(|current| networks(&current.document, sids)).unwrap_or_default()
    }

    /// Whether the document in force admits a network, and whether entries that no grant explains are enough for that.
    ///
    /// # Errors
    /// The errors of [`Gate::find`].
    pub fn admission(
        &self,
        sids: &[String],
        network: &Network,
        grants: &[Grant],
        now: i64,
    ) -> Result<Option<Admission>, Error> {
        let Some(current) = self.current.as_ref().filter(|current| current.is_certain) else {
            return Ok(None);
        };
        let gate = Gate::find(&current.document, sids)?;
        if !admits(&current.document, &gate, network, now) {
            return Ok(None);
        }
        let entries = gate.entries(&current.document);
        let mut covering =
            entries.iter().filter_map(|entry| entry.network).filter(|n| n.covers(network));
        let by_grants_only =
            covering.all(|listed| grants.iter().any(|grant| grant.key.network == listed));
        Ok(Some(if by_grants_only { Admission::ByGrants } else { Admission::Unexplained }))
    }

    /// Checks the stored baseline.
    ///
    /// # Errors
    /// [`Error::BaselineUnusable`] where there is none, or where a reset could not go back to it.
    pub fn usable_baseline(&self, ctx: Context<'_>) -> Result<Baseline, Error> {
        usable_baseline(ctx, self.target, self.baseline.as_deref())
    }
}

/// Checks what is stored as the baseline of a target.
///
/// # Errors
/// [`Error::BaselineUnusable`] where there is none, or where a reset could not go back to it.
pub(super) fn usable_baseline(
    ctx: Context<'_>,
    target: &Target,
    stored: Option<&str>,
) -> Result<Baseline, Error> {
    let missing = || {
        let object = target.baseline_object();
        Error::BaselineUnusable(format!("`{object}` does not exist: save one"))
    };
    let text = stored.ok_or_else(missing)?;
    let document = Document::parse(text).map_err(|e| Error::BaselineUnusable(e.to_string()))?;
    Baseline::check(document, &ctx.config.gate_sids, ctx.config.limit(target))
}

/// Why a network is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Every entry that covers it belongs to a grant.
    ByGrants,
    /// It is permanent, or somebody put it there by hand.
    Unexplained,
}

/// The networks on a document's list; none where there is no gate.
#[must_use]
pub fn networks(document: &Document, sids: &[String]) -> HashSet<Network> {
    let document = without_cutoff(document);
    let entries = Gate::find(&document, sids).map(|gate| gate.entries(&document));
    entries.unwrap_or_default().into_iter().filter_map(|entry| entry.network).collect()
}

/// COUNT: which of `grants` belong on the lists, where `listed` stands on them already.
#[must_use]
pub fn counted(
    ctx: Context<'_>,
    record: &LeaseRecord,
    grants: &[Grant],
    now: i64,
    listed: &HashSet<Network>,
) -> Vec<Grant> {
    let rules = CountRules {
        share: ctx.config.max_grants_per_member,
        now,
        cutoff: ctx.config.cutoff(),
        void: &record.void,
        intended: record.intended(&ctx.config.targets),
    };
    count(grants, &rules, |network| listed.contains(network))
}
