//! What an add leaves behind that is refused, or whose fate is not known.

use allowlist::error::Error;
use allowlist::grant::GrantKey;
use allowlist::invariant::{Invariant, holds};

use super::Context;
use super::lease::{Release, renew};
use super::plan::Plan;
use super::publication::{Publication, targets_after};
use crate::aws::lease::Lease;

/// One add after READS.
#[derive(Clone, Copy)]
pub(super) struct Adder<'a> {
    pub(super) ctx: Context<'a>,
    pub(super) key: &'a GrantKey,
    /// The very grant was there before.
    pub(super) had_grant: bool,
}

impl Adder<'_> {
    /// The fate of a delete is not known: the lease runs out by itself, so that nobody works while it may land.
    pub(super) async fn keep_lease(&self, mut lease: Lease, plan: &Plan<'_>) -> Error {
        // INVARIANT (DeleteFate): a delete that lands later may take away a grant that was put meanwhile.
        let targets = targets_after(&lease, &plan.publications);
        if let Err(e) = renew(self.ctx, &mut lease, targets).await {
            tracing::warn!(error = e.chain(), "what was written was not noted in lease.json: {e}");
        }
        Error::Busy("S3 did not say whether it deleted an entry".to_owned())
    }

    /// Gives the lease back without having written, and without the intents of `planned`. The grant of a definite refusal
    /// is deleted before that.
    pub(super) async fn refuse(
        &self,
        lease: Lease,
        planned: &[Publication<'_>],
        error: Error,
    ) -> Error {
        if self.leaves_no_grant(&error) && !self.take_back().await {
            // INVARIANT (DeleteFate): the lease runs out before anybody else works.
            return Error::Busy("S3 did not say whether it deleted an entry".to_owned());
        }
        Release::new(self.ctx, lease, planned, Vec::new()).run().await;
        error
    }

    /// A definite refusal leaves no new grant behind, and what is over the share is always taken back. A removed
    /// member's grant does not count; only a holder of the lease may delete it.
    pub(super) fn leaves_no_grant(&self, error: &Error) -> bool {
        match error {
            Error::TooManyEntries { .. } => true,
            Error::Unauthorized => false,
            error => !error.is_transient() && !self.had_grant,
        }
    }

    /// Deletes the own grant of a refused request; `false` when it may still be deleted later.
    pub(super) async fn take_back(&self) -> bool {
        let network = self.key.network;
        let deleted = self.ctx.aws.state.delete_grants([self.key]).await;
        let Err(e) = deleted else { return true };
        tracing::warn!(
            source.network = %network,
            error = e.chain(),
            "the grant of a refused request for {network} was not deleted: {e}"
        );
        !matches!(e, Error::Busy(_)) || !holds(Invariant::DeleteFate)
    }
}
