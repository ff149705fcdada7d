//! Faults that the simulation plants on purpose, to show that it would find them. Without the feature
//! `planted-faults`, which only the tests switch on, none of this is compiled in.

/// A rule of the algorithm that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Take every new version for verified, whatever its id.
    SkipLineage,
    /// Trust a list that does not reach the last version known.
    TrustStaleList,
    /// Answer `already_allowed` from reads while a reset is at work.
    AnswerDuringReset,
    /// Release the lease without a condition, again when the answer was lost.
    ReleaseUnconditionally,
    /// Keep no note of what is about to be written.
    ForgetIntent,
    /// A warm function goes on with the document it knows, whatever version the list names.
    KeepOldDocument,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault for everything that this thread runs.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether the fault is planted.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether the fault is planted: never.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}
