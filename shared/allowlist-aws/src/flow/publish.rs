//! PUBLISH: putting new documents in force under the lease, and making sure that nothing was overtaken on the way.
//!
//! IAM has no compare-and-swap, but version ids only grow: when the id that `CreatePolicyVersion` returns is not the
//! one after the newest that was decided on, somebody outside wrote in between. Then the versions in the gap are read
//! and the change is made again on top of the newest foreign one. That is fencing by version id.

use std::collections::BTreeMap;

use allowlist::edit::Edit;
use allowlist::error::Error;
use allowlist::lease_record::Writer;

use super::Context;
use super::lease::{must_renew, renew};
use super::publication::{Publication, PublicationResult, with_intents, with_noted};
use super::write::Attempt;
use crate::Boxed;
use crate::aws::lease::Lease;
use crate::join::join_all;

/// How often a change is made again on top of an outsider's before the request is given up with 503.
const MERGES: usize = 3;

/// PUBLISH: applies the decisions, and merges what they overtake. With `noted` the intents are in `lease.json` already.
/// Afterwards every publication has a result.
pub fn publish<'f, 'a: 'f>(
    ctx: Context<'f>,
    lease: &'f mut Lease,
    publications: &'f mut [Publication<'a>],
    edit: &'f Edit,
    writer: Writer,
    noted: bool,
) -> Boxed<'f, ()> {
    Box::pin(async move {
        report_missing_cutoffs(ctx, publications);
        let mut to_note = !noted && publications.iter().any(|p| p.result.is_none());
        if to_note {
            let _ = with_intents(&BTreeMap::new(), publications, writer, lease.clock.now());
        }
        let mut merges = 0;
        while publications.iter().any(|p| p.result.is_none()) {
            if to_note || must_renew(lease.ends) {
                let targets = with_noted(&lease.record.targets, publications);
                if let Err(e) = renew(ctx, lease, targets).await {
                    give_up(publications, &e.to_string());
                    break;
                }
            }
            to_note = false;
            let (ends, now) = (lease.ends, lease.clock.now());
            let attempts =
                publications.iter_mut().filter(|p| p.result.is_none()).map(async |publication| {
                    let outcome = publication.attempt(ctx, ends).await;
                    (publication, outcome)
                });
            for (publication, outcome) in join_all(attempts).await {
                let arn = publication.target().arn();
                publication.result = match outcome {
                    Ok(Attempt::LeaseShort) => None,
                    Ok(Attempt::Verified(version)) => Some(Ok(publication.verified(version))),
                    Ok(Attempt::Unread(made)) => Some(Ok(PublicationResult::Unverified(made))),
                    Ok(Attempt::Overtook(document)) => {
                        match edit.apply(&publication.rules, &document) {
                            Ok(merged)
                                if publication.target().is_same(&merged, &publication.new) =>
                            {
                                Some(Ok(publication.verified(publication.seen)))
                            }
                            Ok(merged) => {
                                publication.merge(merged, writer, now);
                                to_note = true;
                                None
                            }
                            Err(e) => Some(Err(e.at(arn))),
                        }
                    }
                    Err(e) => Some(Err(e.at(arn))),
                };
            }
            merges += usize::from(to_note);
            if merges == MERGES {
                give_up(publications, "somebody else keeps changing the policy");
            }
        }
        report_inherited(publications);
    })
}

/// Ends what has no result yet with 503.
fn give_up(publications: &mut [Publication<'_>], reason: &str) {
    for publication in publications.iter_mut().filter(|p| p.result.is_none()) {
        publication.result = Some(Err(Error::Busy(reason.to_owned())));
    }
}

/// Says which versions of other people are merged now that another function had overtaken.
fn report_inherited(publications: &[Publication<'_>]) {
    for publication in publications.iter().filter(|publication| publication.wrote()) {
        let (Some(merged), Some(version)) = (publication.merged, publication.version()) else {
            continue;
        };
        let arn = publication.target().arn();
        tracing::warn!(
            outcome = "merged",
            target.arn = arn,
            target.version = %version,
            merged.version = %merged,
            "version {merged} of {arn} was made by somebody else before: {version} has it now"
        );
    }
}

/// Says once a run which targets IAM cannot guard with a cutoff.
fn report_missing_cutoffs(ctx: Context<'_>, publications: &[Publication<'_>]) {
    if ctx.config.cutoff().is_none() {
        return;
    }
    let missing = publications.iter().filter(|p| !p.rules.can_have_cutoff(&p.base));
    let arns: Vec<&str> = missing.map(|publication| publication.target().arn()).collect();
    if !arns.is_empty() {
        tracing::warn!(
            outcome = "no_cutoff",
            target.arn = arns.join(","),
            "CUTOFF_HOURS cannot end entries of {}: IAM has no cutoff for trust policies and Allow gates",
            arns.join(", ")
        );
    }
}
