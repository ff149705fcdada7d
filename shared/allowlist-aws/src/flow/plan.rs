//! What an add is going to publish: COUNT and the decision for every target, before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use allowlist::baseline::Baseline;
use allowlist::edit::{Edit, GrantedNetworks};
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{
    Grant, GrantKey, Member, ended_networks, is_void, last_end, newest_of_each_entry,
};
use allowlist::lease_record::LeaseRecord;
use allowlist::network::Network;
use allowlist::notice::Addition;
use allowlist::target::TargetKind;
use allowlist::time::rfc3339;

use super::capture::may_capture;
use super::publication::Publication;
use super::view::{MergeBase, TargetView, counted, networks};
use super::{Context, TargetOutcome};
use crate::aws::lease::Lease;

/// No request lives longer, in seconds: after that nobody waits for a grant any more.
const LONGEST_REQUEST: i64 = 60;

/// What is to be published, decided for every target.
pub(super) struct Plan<'a> {
    pub(super) edit: Edit,
    pub(super) publications: Vec<Publication<'a>>,
    /// Everybody who is on the lists then.
    counted: Vec<Grant>,
    /// Every grant that was listed.
    pub(super) grants: Vec<Grant>,
}

impl<'a> Plan<'a> {
    /// COUNT, and the decision for every target on its base. Refuses what does not fit before anything is put.
    /// `grants` holds the caller's own one.
    ///
    /// # Errors
    /// [`Error::TooManyEntries`], [`Error::PolicyFull`], [`Error::BaselineUnusable`], and what [`Edit::apply`] says;
    /// [`Error::Busy`] when a newer request of the member decides about the network.
    pub(super) fn decide(
        ctx: Context<'a>,
        own: &GrantKey,
        record: &LeaseRecord,
        grants: Vec<Grant>,
        now: i64,
        targets: Vec<(TargetView<'a>, MergeBase)>,
    ) -> Result<Self, Error> {
        let sids = &ctx.config.gate_sids;
        let mut listed: HashSet<Network> = HashSet::new();
        for (view, base) in &targets {
            listed.extend(view.listed(sids));
            listed.extend(networks(&base.document, sids));
        }
        let counted = counted(ctx, record, &grants, now, &listed);
        if !counted.iter().any(|grant| grant.key == *own) {
            return Err(not_counted(ctx, own, &counted));
        }
        let granted = GrantedNetworks::new(&counted, ctx.config.cutoff());
        let cutoff = ctx.config.cutoff();
        let ended = ended_networks(&grants, now, cutoff);
        let edit = Edit::Add { own: own.network, granted, ended };
        let mut publications = Vec::new();
        for (view, base) in targets {
            let arn = view.target.arn();
            let baseline = baseline(ctx, &view, &base, &grants).map_err(|e| e.at(arn))?;
            let rules = ctx.rules(view.target, baseline);
            publications.push(Publication::decide(rules, view, base, &edit, &counted)?);
        }
        Ok(Self { edit, publications, counted, grants })
    }

    /// When the own grant was given.
    pub(super) fn granted_at(&self, own: &GrantKey) -> Option<i64> {
        let grant = self.grants.iter().find(|grant| grant.key == *own);
        grant.map(|grant| grant.granted_at)
    }

    /// The objects to delete when the publications are in force: older ones of the own entry, which its new one replaces,
    /// and what is over its member's share and no request waits for any more.
    pub(super) fn replaced(
        &self,
        own: &GrantKey,
        ctx: Context<'_>,
        lease: &Lease,
    ) -> Vec<GrantKey> {
        let (record, now) = (&lease.record, lease.clock.now());
        let counted: HashSet<&GrantKey> = self.counted.iter().map(|grant| &grant.key).collect();
        let intended = record.intended(&ctx.config.targets);
        let is_over_share = |grant: &&Grant| {
            grant.granted_at.saturating_add(LONGEST_REQUEST) < now
                && !counted.contains(&grant.key)
                && !grant.has_ended(now, ctx.config.cutoff())
                && !is_void(&record.void, grant.key.member.as_ref(), grant.granted_at)
                && !intended.contains(grant.key.object().as_str())
                && !self.is_listed(&grant.key.network, &ctx.config.gate_sids)
        };
        let is_older = |key: &&GrantKey| key.is_same_entry(own) && *key != own;
        let older = self.grants.iter().map(|grant| &grant.key).filter(is_older);
        let over_share = newest_of_each_entry(&self.grants).into_iter().filter(is_over_share);
        older.chain(over_share.map(|grant| &grant.key)).cloned().collect()
    }

    /// Whether a network is on the list of any of the new documents.
    fn is_listed(&self, network: &Network, sids: &[String]) -> bool {
        self.publications
            .iter()
            .any(|publication| networks(&publication.new, sids).contains(network))
    }

    /// What the publications have come to, with whom each new entry belongs to.
    pub(super) fn outcomes(&self, cutoff: Option<i64>) -> Vec<TargetOutcome> {
        let mut grants: BTreeMap<Network, Vec<&Grant>> = BTreeMap::new();
        for grant in &self.counted {
            grants.entry(grant.key.network).or_default().push(grant);
        }
        let listed = |entry: &String| {
            let parsed: Option<Network> = entry.parse().ok();
            let granted = parsed.and_then(|n| grants.get(&n).cloned()).unwrap_or_default();
            let members = granted.iter().filter_map(|grant| grant.key.member.clone());
            let members: BTreeSet<Member> = members.collect();
            let ends = last_end(&granted, cutoff).map(rfc3339);
            Addition { network: entry.clone(), members: members.into_iter().collect(), ends }
        };
        let outcome = |publication: &Publication<'_>| {
            let mut outcome = publication.outcome(&[]);
            if outcome.wrote {
                outcome.listed = outcome.difference.restored.iter().map(listed).collect();
            }
            outcome
        };
        self.publications.iter().map(outcome).collect()
    }

    /// The grants that every target covers now: their owners need no version of their own. A grant with older objects of
    /// its entry beside it is left to its owner, who deletes those.
    pub(super) fn served(&self, own: &GrantKey, sids: &[String]) -> Vec<String> {
        if self.publications.iter().any(Publication::is_unverified) {
            return Vec::new();
        }
        let coverage = |publication: &Publication<'_>| {
            let gate = Gate::find(&publication.new, sids);
            gate.map(|gate| gate.coverage(&publication.new)).unwrap_or_default()
        };
        let lists: Vec<_> = self.publications.iter().map(coverage).collect();
        let is_alone = |key: &&GrantKey| {
            let same = self.grants.iter().filter(|other| other.key.is_same_entry(key));
            *key == own || same.count() == 1
        };
        let is_covered = |key: &&GrantKey| lists.iter().all(|list| list.covers(&key.network));
        let keys = self.counted.iter().map(|grant| &grant.key);
        keys.filter(is_covered).filter(is_alone).map(GrantKey::object).collect()
    }
}

/// Why the own grant does not count: a newer one of the same entry does, or the share is used up.
fn not_counted(ctx: Context<'_>, own: &GrantKey, counted: &[Grant]) -> Error {
    if counted.iter().any(|grant| grant.key.is_same_entry(own)) {
        return Error::Busy("a newer request for the same network was made".to_owned());
    }
    let held = counted.iter().filter(|grant| grant.key.member == own.member).count();
    Error::TooManyEntries { held, limit: ctx.config.max_grants_per_member }
}

/// The baseline that a decision needs: for a policy with a cutoff the stored one, or the one that is about to be
/// captured.
fn baseline(
    ctx: Context<'_>,
    view: &TargetView<'_>,
    base: &MergeBase,
    grants: &[Grant],
) -> Result<Option<Baseline>, Error> {
    let has_cutoff = ctx.config.cutoff().is_some() && view.target.kind() == TargetKind::Policy;
    match view.baseline {
        None => may_capture(ctx, view, &base.document, grants).map(Some),
        Some(_) if has_cutoff => view.usable_baseline(ctx).map(Some),
        Some(_) => Ok(None),
    }
}
