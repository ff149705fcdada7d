//! The rules that the algorithm rests on, by name. The code has `// INVARIANT (name):` at each
//! place that keeps a rule. `docs/architecture.md` explains them. The simulation leaves out one
//! rule at a time, to show that this is noticed.
//!
//! Only the tests switch on the feature `planted-faults`. Without it no rule can be left out.

/// A rule of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// A list that does not reach the last known version is stale. The function does not believe
    /// it.
    StaleList,
    /// No answer from reads alone while a cut holds the lease, or died holding it.
    NoAnswerDuringCut,
    /// Before each write a holder notes an intent in `lease.json`. A holder that finds one resolves
    /// it, and publishes.
    IntentFirst,
    /// Under the lease a writer puts its own grant again if the listing does not show it.
    GrantPutAgain,
    /// After a lease write that was refused or not answered, read the object: our nonce in it means
    /// that the lease is ours.
    NonceSettles,
    /// A holder releases the lease only if it knows the outcome of every write; otherwise the lease
    /// runs out.
    AllAccounted,
    /// The whole gap of version ids is read, newest first, and our own versions in it are skipped.
    SkipOwn,
    /// `seen` belongs to the view that the document was decided on; a later list never raises it.
    SeenOfDecision,
    /// A baseline is captured from the verified base of the first publication, after it, and never again.
    CaptureOnce,
    /// A version that a delete did not find is gone, also if a stale list still shows it.
    GoneStaysGone,
    /// A version in the gap that cannot be read does not count as deleted: its intent stays.
    UnreadStays,
    /// A cut publishes first and deletes the grant objects afterwards: no entry is in force without a grant.
    PublishThenDelete,
    /// After it publishes and before it deletes, a cut writes the new version to `lease.json`,
    /// without intents.
    SettleThenDelete,
    /// A cut publishes every live grant as well: its base may be older than what adds have answered.
    CutPublishesGrants,
    /// A removed member's grants do not count, and requests of that name are refused, for a minute.
    VoidMember,
    /// An answer from reads needs the same number of cuts after the reads as before.
    SameCuts,
    /// A release names the grant objects that it published. A waiter is answered only if its own
    /// object is among them.
    ServedByObject,
    /// A request that puts a grant answers under the lease. Only a holder deletes grants, also
    /// older ones of an entry.
    AnswerUnderLease,
    /// Within a member's share, what is on the list already comes first.
    ListedFirst,
    /// Within a member's share, what a pending intent names comes first too.
    IntendedFirst,
    /// An ended entry keeps its place in the share until it is off the list.
    EndedKeepsPlace,
    /// The put of a grant is not repeated after a time-out.
    GrantPutOnce,
    /// After an unanswered delete of a grant the holder does not release the lease: it runs out.
    DeleteFate,
    /// A cut that cannot read a version in the gap fails, and keeps its intent and the grants.
    CutFailsOnUnread,
    /// Only the holder whose ETag still stands may write the lease: no write of it is unconditional.
    ConditionalLease,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static LEFT_OUT: std::cell::Cell<Option<Invariant>> = const { std::cell::Cell::new(None) };
}

/// Leaves a rule out in everything that this thread runs; `None` keeps all rules.
#[cfg(feature = "planted-faults")]
pub fn leave_out(invariant: Option<Invariant>) {
    LEFT_OUT.set(invariant);
}

/// Whether the code is to keep the rule.
#[cfg(feature = "planted-faults")]
#[must_use]
pub fn holds(invariant: Invariant) -> bool {
    LEFT_OUT.get() != Some(invariant)
}

/// Whether the code is to keep the rule: always.
#[cfg(not(feature = "planted-faults"))]
#[must_use]
pub const fn holds(_: Invariant) -> bool {
    true
}
