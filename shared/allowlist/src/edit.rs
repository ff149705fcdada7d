//! What to write: every decision is a value, and a pure function from a document to a document.
//!
//! The same value makes the decision, shows it in a dry run, and makes the change again on an
//! overtaken document.

use std::collections::HashSet;

use crate::baseline::Baseline;
use crate::coverage::Coverage;
use crate::cutoff::{with_cutoff, without_cutoff};
use crate::document::Document;
use crate::error::Error;
use crate::gate::{Entry, Gate};
use crate::grant::Grant;
use crate::network::Network;
use crate::target::{Target, TargetKind};

/// What a decision needs to know about one target.
#[derive(Clone, Debug)]
pub struct TargetRules<'a> {
    /// The target.
    pub target: &'a Target,
    /// The Sids of the statements that are the gate; empty for all that could be.
    pub sids: &'a [String],
    /// Characters that IAM allows in its document.
    pub limit: usize,
    /// Its baseline, if it is known and usable.
    pub baseline: Option<Baseline>,
}

/// The networks of the grants that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedNetworks {
    /// The networks, oldest grant first, each once.
    networks: Vec<Network>,
    /// When IAM itself is to refuse all of them, in seconds since 1970; `None` without a cutoff.
    cutoff: Option<i64>,
}

impl GrantedNetworks {
    /// The networks of `grants`. With a cutoff of so many seconds they end that long after the newest was given.
    #[must_use]
    pub fn new(grants: &[Grant], cutoff: Option<i64>) -> Self {
        let newest = grants.iter().map(|grant| grant.granted_at).max();
        Self {
            networks: networks_by_age(grants),
            cutoff: newest.zip(cutoff).map(|(at, seconds)| at.saturating_add(seconds)),
        }
    }
}

/// The networks of the grants, oldest first, each once.
#[must_use]
pub fn networks_by_age(grants: &[Grant]) -> Vec<Network> {
    let mut sorted: Vec<&Grant> = grants.iter().collect();
    sorted.sort_by_key(|grant| (grant.granted_at, grant.key.network));
    let mut seen = HashSet::with_capacity(sorted.len());
    let networks = sorted.into_iter().map(|grant| grant.key.network);
    networks.filter(|network| seen.insert(*network)).collect()
}

/// A change of a document. Outside the gate's list and the cutoff, only a reset and a rollback
/// change anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Puts one network on the list, and every granted network that is missing there.
    Add {
        /// The caller's own network.
        own: Network,
        /// The networks of all grants that count, `own` included.
        granted: GrantedNetworks,
        /// Networks whose grants have ended. With a cutoff they go off the list: IAM would let them
        /// in until the new date.
        ended: Vec<Network>,
    },
    /// The whole document goes back to the baseline, with the granted networks on its list.
    Reset {
        /// What was granted since the reset began.
        granted: GrantedNetworks,
    },
    /// Takes networks off the list, except permanent and granted ones.
    Cut {
        /// What is taken away.
        ended: Vec<Network>,
        /// What remains granted.
        granted: GrantedNetworks,
    },
    /// An older document comes back with the baseline's list and the granted networks on it.
    Rollback {
        /// The older document.
        older: Document,
        /// What is granted.
        granted: GrantedNetworks,
    },
}

impl Edit {
    /// The document to put in force on a target whose document is `base`.
    ///
    /// # Errors
    /// [`Error::PolicyFull`] when an add does not fit; [`Error::MalformedDocument`] when the list
    /// would be empty, which would lock everybody out; [`Error::BaselineUnusable`] if a baseline is
    /// needed and not known; the errors of [`Gate::find`].
    pub fn apply(&self, rules: &TargetRules<'_>, base: &Document) -> Result<Document, Error> {
        match self {
            Self::Add { own, granted, ended } => add(rules, base, own, granted, ended),
            Self::Reset { granted } => {
                let Baseline { document, gate, .. } = rules.baseline()?;
                rules.finish(document.clone(), gate, granted)
            }
            Self::Cut { ended, granted } => cut(rules, base, ended, granted),
            Self::Rollback { older, granted } => {
                let baseline = rules.baseline()?;
                let older = without_cutoff(older);
                let gate = Gate::find(&older, rules.sids)?;
                let document = gate.with_list(&older, &baseline.gate.entries(&baseline.document));
                rules.finish(document, &gate, granted)
            }
        }
    }
}

fn add(
    rules: &TargetRules<'_>,
    base: &Document,
    own: &Network,
    granted: &GrantedNetworks,
    ended: &[Network],
) -> Result<Document, Error> {
    let mut new = without_cutoff(base);
    let gate = Gate::find(&new, rules.sids)?;
    if granted.cutoff.is_some() && rules.baseline.is_some() {
        new = gate.without(&new, &rules.unneeded(ended, granted)?);
    }
    let entries = gate.len(&new);
    let mut listed = gate.coverage(&new);
    let is_missing = listed.add(*own);
    if is_missing {
        gate.append(&mut new, &[*own]);
    }
    let size = rules.size_with_copies(&new, &gate, granted)?;
    if is_missing && size > rules.limit {
        return Err(Error::PolicyFull { entries, size, limit: rules.limit });
    }
    rules.fill(new, &gate, listed, size, granted)
}

fn cut(
    rules: &TargetRules<'_>,
    base: &Document,
    ended: &[Network],
    granted: &GrantedNetworks,
) -> Result<Document, Error> {
    let base = without_cutoff(base);
    let gate = Gate::find(&base, rules.sids)?;
    let gone = rules.unneeded(ended, granted)?;
    let new = rules.finish(gate.without(&base, &gone), &gate, granted)?;
    if gate.entries(&new).is_empty() {
        return Err(Error::MalformedDocument(
            "its list would be empty: add a permanent network first".to_owned(),
        ));
    }
    Ok(new)
}

impl TargetRules<'_> {
    /// Whether IAM itself could end the entries of this document: only a managed policy whose gate denies has a cutoff.
    #[must_use]
    pub fn can_have_cutoff(&self, document: &Document) -> bool {
        Gate::find(document, self.sids).is_ok_and(|gate| self.is_guarded_by(&gate, document))
    }

    fn is_guarded_by(&self, gate: &Gate, document: &Document) -> bool {
        self.target.kind() == TargetKind::Policy && gate.has_deny(document)
    }

    fn baseline(&self) -> Result<&Baseline, Error> {
        self.baseline
            .as_ref()
            .ok_or_else(|| Error::BaselineUnusable("it is not known: save one".to_owned()))
    }

    /// The ended networks that are not permanent and not granted.
    fn unneeded(
        &self,
        ended: &[Network],
        granted: &GrantedNetworks,
    ) -> Result<Vec<Network>, Error> {
        let Baseline { document, gate: permanent, .. } = self.baseline()?;
        let permanent = permanent.entries(document);
        let permanent = permanent.iter().filter_map(|entry| entry.network.as_ref());
        let stay: HashSet<&Network> = permanent.chain(&granted.networks).collect();
        Ok(ended.iter().filter(|network| !stay.contains(network)).copied().collect())
    }

    /// The document with the granted networks on its list as far as they fit, oldest first, and with the cutoff.
    fn finish(
        &self,
        document: Document,
        gate: &Gate,
        granted: &GrantedNetworks,
    ) -> Result<Document, Error> {
        let listed = gate.coverage(&document);
        let size = self.size_with_copies(&document, gate, granted)?;
        self.fill(document, gate, listed, size, granted)
    }

    /// [`Self::finish`] for a document of which it is known what is `listed` and which `size` it has with the cutoff.
    fn fill(
        &self,
        mut document: Document,
        gate: &Gate,
        listed: Coverage,
        size: usize,
        granted: &GrantedNetworks,
    ) -> Result<Document, Error> {
        let room = self.limit.saturating_sub(size);
        gate.append(&mut document, &fitting(gate, listed, &granted.networks, room));
        Ok(self.with_copies(&document, gate, granted)?.unwrap_or(document))
    }

    fn size_with_copies(
        &self,
        document: &Document,
        gate: &Gate,
        granted: &GrantedNetworks,
    ) -> Result<usize, Error> {
        Ok(self.with_copies(document, gate, granted)?.as_ref().unwrap_or(document).size())
    }

    /// The document with the cutoff; `None` without one, or if nothing is granted.
    fn with_copies(
        &self,
        document: &Document,
        gate: &Gate,
        granted: &GrantedNetworks,
    ) -> Result<Option<Document>, Error> {
        let Some(until) = granted.cutoff.filter(|_| self.is_guarded_by(gate, document)) else {
            return Ok(None);
        };
        let Baseline { document: baseline, gate: permanent, .. } = self.baseline()?;
        let permanent: Vec<String> =
            permanent.entries(baseline).into_iter().map(|entry| entry.text).collect();
        Ok(Some(with_cutoff(document, gate, &permanent, until)))
    }
}

/// The networks that are not `listed` yet and fit into `room` characters.
fn fitting(
    gate: &Gate,
    mut listed: Coverage,
    networks: &[Network],
    mut room: usize,
) -> Vec<Network> {
    let fits = |network: &&Network| {
        if listed.covers(network) {
            return false;
        }
        let needed = gate.listed_len(network);
        let fits = needed <= room;
        if fits {
            room -= needed;
            listed.insert(**network);
        }
        fits
    };
    networks.iter().filter(fits).copied().collect()
}

/// How a change differs from what was in force, for the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Entries that are on the list now, and not afterwards.
    pub removed: Vec<String>,
    /// Entries that are not on the list now, but afterwards.
    pub restored: Vec<String>,
    /// Something outside the list differs; the cutoff does not count.
    pub drift: bool,
    /// Entries among `removed` that no grant explains: somebody edited the list by hand.
    pub by_hand: Vec<String>,
}

/// Compares the document in force with the one that would be written. `grants` are all grants that
/// existed before.
#[must_use]
pub fn difference(
    rules: &TargetRules<'_>,
    current: &Document,
    new: &Document,
    grants: &[Grant],
) -> Difference {
    let list = |document: &Document| {
        let document = without_cutoff(document);
        let gate = Gate::find(&document, rules.sids).ok()?;
        Some((gate.entries(&document), gate.rest(&document)))
    };
    let Some((after, rest_after)) = list(new) else {
        return Difference::default();
    };
    let (before, rest_before) = list(current).unzip();
    let before = before.unwrap_or_default();
    let identities =
        |entries: &[Entry]| entries.iter().map(Entry::identity).collect::<HashSet<_>>();
    let (known_before, known_after) = (identities(&before), identities(&after));
    let texts = |entries: Vec<&Entry>| entries.into_iter().map(|e| e.text.clone()).collect();
    let removed: Vec<&Entry> =
        before.iter().filter(|entry| !known_after.contains(&entry.identity())).collect();
    let granted: HashSet<Network> = grants.iter().map(|grant| grant.key.network).collect();
    let by_hand = |entry: &&Entry| entry.network.is_none_or(|network| !granted.contains(&network));
    let restored = after.iter().filter(|entry| !known_before.contains(&entry.identity()));
    Difference {
        by_hand: texts(removed.iter().copied().filter(by_hand).collect()),
        removed: texts(removed),
        restored: texts(restored.collect()),
        drift: !rest_before.is_some_and(|rest| rules.target.is_same(&rest, &rest_after)),
    }
}

#[cfg(test)]
mod tests;
