//! The promises, as checks on everything that happened.
//!
//! A check says `None`, or what does not hold. What the model of the algorithm excuses, the checks
//! excuse too, and say why.

mod answers;
mod cuts;
mod history;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use fakes::Op;
use fakes::world::Reply;

use crate::actors::{Actor, Add};
use crate::outcome::{Outcome, Request};
use crate::scenarios::Scenario;
use crate::schedule::REPAIR;
use crate::start::{Begun, net};

use history::History;

/// What does not hold; empty when all is well.
pub fn violations(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    if !outcome.ended {
        return vec!["it does not end".to_owned()];
    }
    let case = Case::new(scenario, outcome);
    let mut found = Vec::new();
    for arn in outcome.policies {
        let history = History::new(&outcome.world, arn);
        answers::hold(&case, &history, &mut found);
        cuts::reset_holds(&case, &history, &mut found);
        cuts::what_went_stays_away(&case, &history, &mut found);
        state::edits_survive(&case, &history, &mut found);
        state::limits_hold(&history, &mut found);
        state::shares_hold(&case, &history, &mut found);
        state::grants_decide(&case, &history, &mut found);
        state::cutoff_holds(&case, &history, &mut found);
        state::baseline_is_clean(&case, arn, &mut found);
    }
    case.repairs_work(&mut found);
    case.answers_are_expected(&mut found);
    found.sort();
    found.dedup();
    found
}

/// How long an entry is in force where there is a cutoff, in seconds.
const CUTOFF: i64 = 3600;

/// One entry of one member.
type Entry = (String, &'static str);

/// A schedule as the checks see it.
pub struct Case<'o> {
    scenario: &'o Scenario,
    outcome: &'o Outcome,
    requests: &'o [Request],
    /// Who has or ever asked for a network, by the network.
    who: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl<'o> Case<'o> {
    fn new(scenario: &'o Scenario, outcome: &'o Outcome) -> Self {
        let mut who: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for grant in scenario.start.grants() {
            who.entry(net(grant.net)).or_default().insert(grant.member);
        }
        for request in &outcome.requests {
            if let Actor::Add(add) = request.actor {
                who.entry(net(add.net)).or_default().insert(add.member);
            }
        }
        Self { scenario, outcome, requests: &outcome.requests, who }
    }

    /// The adds that began, except those that were refused.
    fn adds(&self) -> impl Iterator<Item = (&'o Request, Add)> {
        self.requests
            .iter()
            .filter_map(|request| match request.actor {
                Actor::Add(add) => Some((request, add)),
                _ => None,
            })
            .filter(|(request, _)| {
                request.start.is_some() && !request.word_is(&["unauthorized", "too_many_entries"])
            })
    }

    /// When a request took the lease first.
    fn lease(&self, request: &Request) -> Option<usize> {
        self.outcome.world.leased.get(&request.author).copied()
    }

    /// When the entry ends that a request asked for: its key says it. `None` if it asked for an end
    /// and put nothing.
    fn end(&self, request: &Request, add: Add) -> Option<Option<i64>> {
        if add.minutes.is_none() {
            return Some(None);
        }
        let prefix = format!("grants/{}/{}@", net(add.net).replace('/', "_"), add.member);
        let calls = self.outcome.world.calls.iter();
        let own = calls.filter(|call| call.author == request.author);
        let (mut put, mut seen) = (None, None);
        for call in own {
            match (&call.op, &call.reply) {
                (Op::PutObject { key, .. }, _) => put = put.or(key.strip_prefix(&prefix)),
                // Nothing is put if the very same entry is there already, from a request in the
                // same second.
                (_, Reply::Listing { objects, .. }) if request.word_is(&["already_allowed"]) => {
                    let mut keys = objects.iter().map(|(key, _)| key);
                    seen = keys.find_map(|key| key.strip_prefix(&prefix));
                }
                _ => {}
            }
        }
        let end = put.or(seen)?.strip_suffix(".json")?.parse().ok()?;
        Some(Some(end))
    }

    /// The ends of which one must be the one of the newest request for an entry; `None` is for ever.
    fn newest_ends(&self, entry: &Entry) -> Vec<Option<i64>> {
        let mine: Vec<(&Request, Add)> = self
            .adds()
            .filter(|(_, add)| net(add.net) == entry.0 && add.member == entry.1)
            .collect();
        let overtaken = |over_at: usize| {
            mine.iter().any(|(other, _)| other.is_yes() && other.start > Some(over_at))
        };
        let mut ends: Vec<Option<i64>> = mine
            .iter()
            .filter(|(request, _)| !overtaken(request.over_at()))
            .filter_map(|(request, add)| self.end(request, *add))
            .collect();
        if !mine.iter().any(|(request, _)| request.is_yes()) {
            let begun = self.scenario.start.grants().iter();
            ends.extend(
                begun
                    .filter(|grant| net(grant.net) == entry.0 && grant.member == entry.1)
                    .map(|grant| self.begun_end(grant.net, grant.member)),
            );
        }
        ends
    }

    /// When a grant ends that was there at the start.
    fn begun_end(&self, name: &str, member: &str) -> Option<i64> {
        let mut begun = self.scenario.start.grants().iter();
        let grant = begun.find(|grant| grant.net == name && grant.member == member)?;
        let minutes = i64::try_from(grant.ends?).unwrap();
        Some(self.outcome.began + 60 * minutes)
    }

    /// Whether a grant that was there at the start is over by the cutoff, and its member asked for no other.
    fn is_cut_off(&self, entry: &str, member: &str, now: i64) -> bool {
        let mut begun = self.scenario.start.grants().iter();
        let grant = begun.find(|grant| net(grant.net) == entry && grant.member == member);
        let asked = self.adds().any(|(_, add)| net(add.net) == entry && add.member == member);
        let over = |grant: &Begun| now >= self.given(grant) + CUTOFF;
        self.scenario.cutoff && !asked && grant.is_some_and(over)
    }

    /// Whether the cutoff may have ended what a request was answered for: its own grant, or the one it found.
    fn is_over(&self, request: &Request, add: Add, now: i64) -> bool {
        let mut begun = self.scenario.start.grants().iter();
        let found = begun.find(|grant| grant.net == add.net);
        let found = found.filter(|_| request.word_is(&["already_allowed"]));
        let given = found.map_or_else(|| request.start_second(), |grant| self.given(grant));
        self.scenario.cutoff && now >= given + CUTOFF
    }

    /// When a grant was given that was there at the start.
    fn given(&self, grant: &Begun) -> i64 {
        self.outcome.began - i64::try_from(grant.age).unwrap()
    }

    /// The entries that need no grant: the baseline's, and what people wrote.
    fn free(&self, history: &History<'_>) -> BTreeSet<String> {
        let mut free: BTreeSet<String> = history.start_entries();
        for grant in self.scenario.start.grants() {
            free.remove(net(grant.net));
        }
        free.extend(history.edits().flat_map(|edit| edit.entries));
        free
    }

    /// After one lease the next add and the next reset succeed.
    fn repairs_work(&self, found: &mut Vec<String>) {
        for author in [REPAIR.0, REPAIR.1] {
            let request = self.requests.iter().find(|other| other.author == author);
            let words: &[&str] = match author == REPAIR.1 {
                true => &["reset", "unchanged"],
                false => &["added", "already_allowed"],
            };
            let baseline_missing = author == REPAIR.1
                && !self.outcome.bucket.keys().any(|key| key.starts_with("baseline/"))
                && request.is_some_and(|request| request.word_is(&["baseline_unusable"]));
            if !baseline_missing && !request.is_some_and(|request| request.word_is(words)) {
                found.push(format!(
                    "repair: the next invocation fails after one lease: {request:?}"
                ));
            }
        }
    }

    /// Nobody is told a word that does not belong to what they asked.
    fn answers_are_expected(&self, found: &mut Vec<String>) {
        const FOR_NOW: [&str; 3] = ["busy", "throttled", "aws_error"];
        let removed = |member: &str| {
            let mut actors = self.scenario.actors.iter();
            actors.any(|actor| matches!(actor, Actor::RevokeMember(name) if *name == member))
        };
        for request in self.requests {
            let words: &[&str] = match request.actor {
                Actor::Add(add) if removed(add.member) => {
                    &["added", "already_allowed", "unauthorized"]
                }
                Actor::Add(_) if self.scenario.share < 20 => {
                    &["added", "already_allowed", "too_many_entries"]
                }
                Actor::Add(_) => &["added", "already_allowed"],
                Actor::Remove { .. } => &["removed", "unchanged", "baseline_unusable"],
                Actor::Reset => &["reset", "unchanged", "baseline_unusable"],
                Actor::Expire => &["expired", "unchanged", "failed"],
                Actor::RevokeMember(_) => &["revoked", "unchanged", "failed"],
                Actor::Rollback(_) => &["rolled_back", "unchanged", "refused", "failed"],
                _ => &["done"],
            };
            let adds_alone = is_adds_alone(self.scenario) && !self.scenario.start.is_old();
            if self.outcome.calm && adds_alone && request.word_is(&FOR_NOW) {
                found.push(format!("lag alone is no error: {request:?}"));
            }
            let odd =
                request.word.is_some() && !request.word_is(words) && !request.word_is(&FOR_NOW);
            if odd {
                found.push(format!("an odd answer: {request:?}"));
            }
        }
    }
}

/// Whether all that happens is adds.
fn is_adds_alone(scenario: &Scenario) -> bool {
    let mut actors = scenario.actors.iter();
    actors.all(|actor| matches!(actor, Actor::Add(_) | Actor::AddBoth(..)))
}
