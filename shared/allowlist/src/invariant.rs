//! The rules that the algorithm rests on, by name. Each one is marked `// INVARIANT (name):` where the code keeps it,
//! explained in `docs/architecture.md`, and left out on purpose by the simulation, to show that it would be noticed.
//!
//! Without the feature `planted-faults`, which only the tests switch on, no rule can be left out.

/// A rule of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// A list that does not reach the last version known is stale: it is not believed.
    StaleList,
    /// No answer from reads alone while a cut holds the lease, or died holding it.
    NoAnswerDuringCut,
    /// Before each write an intent stands in `lease.json`; who finds one resolves it, and publishes in any case.
    IntentFirst,
    /// Under the lease a writer puts its own grant again if the listing does not show it.
    GrantPutAgain,
    /// A lease write that was refused or not answered is settled by reading: our nonce means that it is ours.
    NonceSettles,
    /// The lease is released only when the fate of every write is known; otherwise it runs out.
    AllAccounted,
    /// The whole gap of version ids is read, newest first, and our own versions in it are skipped.
    SkipOwn,
    /// `seen` belongs to the view that the document was decided on; a later list never raises it.
    SeenOfDecision,
    /// A baseline is captured from the verified base of the first publication, after it, and never again.
    CaptureOnce,
    /// A version that a delete did not find is gone, whatever a stale list says.
    GoneStaysGone,
    /// A version in the gap that cannot be read is not taken for deleted: its intent stays.
    UnreadStays,
    /// A cut publishes first and deletes the grant objects afterwards: no entry is in force without a grant.
    PublishThenDelete,
    /// Between the two a cut writes the new version to `lease.json`, without intents.
    SettleThenDelete,
    /// A cut publishes every live grant as well: its base may be older than what adds have answered.
    CutPublishesGrants,
    /// A removed member's grants do not count, and requests of that name are refused, for a minute.
    VoidMember,
    /// An answer from reads needs the same number of cuts after the reads as before.
    SameCuts,
    /// A release names the grant objects that it published; a waiter is answered only for its own object.
    ServedByObject,
    /// Who puts a grant answers under the lease; only a holder deletes grants, older ones of an entry included.
    AnswerUnderLease,
    /// Within a member's share, what is on the list already comes first.
    ListedFirst,
    /// Within a member's share, what a pending intent names comes first too.
    IntendedFirst,
    /// An ended entry keeps its place in the share until it is off the list.
    EndedKeepsPlace,
    /// The put of a grant is not repeated after a time-out.
    GrantPutOnce,
    /// After a delete of a grant that was not answered the lease is not released: it runs out.
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
