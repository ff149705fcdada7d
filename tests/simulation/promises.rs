//! The promises, as checks on everything that happened, in the order of the README.

use std::collections::BTreeSet;

use fakes::world::{Cause, Moment, Reply, read_gate};
use fakes::{Op, World};

use crate::scenarios::{Actor, Scenario, Start, net};
use crate::schedule::{Ack, Outcome};

/// What does not hold; empty when all is well.
pub fn violations(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    if !outcome.ended {
        found.push("it does not end".to_owned());
    }
    for arn in outcome.policies {
        let history = History::new(&outcome.world, arn, &outcome.acks);
        history.answers_are_true(&mut found);
        history.resets_hold(outcome, &mut found);
        history.edits_survive(outcome, &mut found);
        history.limits_hold(&mut found);
        baseline_is_clean(scenario, outcome, arn, &mut found);
    }
    for author in [90, 91] {
        let ack = outcome.acks.iter().find(|ack| ack.author == author);
        if !ack.is_some_and(|ack| {
            ["added", "already_allowed", "reset", "unchanged"].contains(&ack.word.as_str())
        }) {
            // Without a baseline there is nothing to reset to: the reset has to say so.
            let no_baseline =
                author == 91 && ack.is_some_and(|ack| ack.word == "baseline_unusable");
            if !no_baseline {
                found.push(format!(
                    "repair: the next invocation fails after one lease: {ack:?}"
                ));
            }
        }
    }
    let expected = |ack: &Ack| {
        let words: &[&str] = match ack.actor {
            Actor::Add(_) | Actor::AddBoth(..) => {
                &["added", "already_allowed", "busy", "throttled"]
            }
            Actor::Reset => &[
                "reset",
                "unchanged",
                "busy",
                "throttled",
                "aws_error",
                "baseline_unusable",
            ],
            _ => &["edited"],
        };
        words.contains(&ack.word.as_str())
            // A read that broke off again and again is a failure of AWS, and said to be one.
            || ack.word == "aws_error"
    };
    found.extend(
        outcome
            .acks
            .iter()
            .filter(|ack| !expected(ack))
            .map(|ack| format!("an odd answer: {ack:?}")),
    );
    found.dedup();
    found
}

/// One policy from write to write.
struct History<'a> {
    moments: Vec<View<'a>>,
    acks: &'a [Ack],
    world: &'a World,
    arn: &'a str,
}

/// What somebody saved in the console.
struct Edit {
    step: usize,
    version: u64,
    entries: BTreeSet<String>,
    tags: BTreeSet<String>,
}

struct View<'a> {
    from: usize,
    until: usize,
    moment: &'a Moment,
    entries: BTreeSet<String>,
    tags: BTreeSet<String>,
}

impl<'a> History<'a> {
    fn new(world: &'a World, arn: &'a str, acks: &'a [Ack]) -> Self {
        let history = &world.policies[arn];
        let views = history.iter().enumerate().map(|(index, moment)| {
            let (entries, tags) = read_gate(moment.policy.document());
            View {
                from: moment.step,
                until: history.get(index + 1).map_or(usize::MAX, |next| next.step),
                moment,
                entries,
                tags,
            }
        });
        Self {
            moments: views.collect(),
            acks,
            world,
            arn,
        }
    }

    fn is_reset(&self, view: &View<'_>) -> bool {
        view.moment.cause == Cause::Write && self.resetters().contains(&view.moment.author)
    }

    /// Authors that held the lease as a reset, even if they were told nothing.
    fn resetters(&self) -> BTreeSet<usize> {
        let calls = self.world.calls.iter().filter(
            |call| matches!(&call.op, Op::PutObject { key, body, .. } if key == "lease.json" && body.contains(r#""kind":"reset""#)),
        );
        calls.map(|call| call.author).collect()
    }

    /// Who was told yes was on the list at a moment during the call, and stays until a reset that took the lease after it.
    fn answers_are_true(&self, found: &mut Vec<String>) {
        let resets: BTreeSet<usize> = self
            .resetters()
            .iter()
            .filter_map(|author| self.world.leased.get(author).copied())
            .collect();
        for ack in self
            .acks
            .iter()
            .filter(|ack| ["added", "already_allowed"].contains(&ack.word.as_str()))
        {
            let Actor::Add(name) = ack.actor else {
                continue;
            };
            let stays = |first: usize| {
                let moment = self.moments[first].from.max(ack.start);
                let end = resets
                    .iter()
                    .find(|leased| **leased > moment)
                    .copied()
                    .unwrap_or(usize::MAX);
                self.moments[first + 1..]
                    .iter()
                    .take_while(|view| view.from < end)
                    .all(|view| view.entries.contains(net(name)))
            };
            let during = |view: &View<'_>| {
                view.until > ack.start && view.from <= ack.end && view.entries.contains(net(name))
            };
            if !(0..self.moments.len()).any(|index| during(&self.moments[index]) && stays(index)) {
                found.push(format!(
                    "answers: {} was told `{}` for {name}, which is not in force",
                    ack.author, ack.word
                ));
            }
        }
    }

    /// After a reset the document is the baseline, with what was granted or saved after it took the lease.
    fn resets_hold(&self, outcome: &Outcome, found: &mut Vec<String>) {
        let baseline = BTreeSet::from([net("b0").to_owned()]);
        for reset in self
            .acks
            .iter()
            .filter(|ack| ["reset", "unchanged"].contains(&ack.word.as_str()))
        {
            let Some(leased) = outcome.world.leased.get(&reset.author) else {
                continue;
            };
            for view in self.moments.iter().filter(|view| view.until > reset.end) {
                for extra in view.entries.difference(&baseline) {
                    let granted = self.granted_after(extra, *leased);
                    let edited = self.edits().any(|edit| {
                        (edit.step > *leased || self.unseen(reset, &edit))
                            && edit.entries.contains(extra)
                    });
                    if !granted && !edited {
                        found.push(format!(
                            "reset: after {} the list holds {extra}",
                            reset.author
                        ));
                    }
                }
                if !baseline.is_subset(&view.entries) {
                    found.push(format!(
                        "reset: after {} the baseline's entry is missing",
                        reset.author
                    ));
                }
            }
        }
    }

    /// Whether somebody asked for the entry and had not ended when the lease was taken.
    fn granted_after(&self, entry: &str, leased: usize) -> bool {
        let mut asked = self
            .acks
            .iter()
            .filter(|ack| matches!(ack.actor, Actor::Add(name) if net(name) == entry));
        let key = format!("grants/{}/", entry.replace('/', "_"));
        let put = self.world.calls.iter().any(|call| {
            call.step > leased
                && matches!(&call.op, Op::PutObject { key: put, .. } if put.starts_with(&key))
        });
        put || asked.any(|ack| ack.end > leased)
    }

    /// Whether a reset found nothing to do because no list that it was shown reached the version of the edit. IAM shows
    /// an edit made a moment ago to nobody for sure, and a reset that changes nothing has no version of its own to
    /// find it by: a limit that the README states.
    fn unseen(&self, reset: &Ack, edit: &Edit) -> bool {
        let shown = self
            .world
            .calls
            .iter()
            .filter(|call| call.author == reset.author)
            .filter_map(|call| match (&call.op, &call.reply) {
                (Op::ListPolicyVersions(arn), Reply::Versions { ids, .. }) if arn == self.arn => {
                    ids.iter().max()
                }
                _ => None,
            });
        let wrote = self
            .moments
            .iter()
            .any(|view| view.moment.author == reset.author && view.moment.cause == Cause::Write);
        !wrote && shown.max().is_some_and(|newest| *newest < edit.version)
    }

    /// What people saved.
    fn edits(&self) -> impl Iterator<Item = Edit> {
        self.world
            .calls
            .iter()
            .filter_map(move |call| match (&call.op, &call.reply) {
                (Op::Edit { arn, entries, tags }, Reply::Created(version)) if arn == self.arn => {
                    Some(Edit {
                        step: call.step,
                        version: *version,
                        entries: entries.iter().cloned().collect(),
                        tags: tags.iter().cloned().collect(),
                    })
                }
                _ => None,
            })
    }

    /// What somebody saved after the last reset is in force in the end.
    fn edits_survive(&self, outcome: &Outcome, found: &mut Vec<String>) {
        // The last reset of the schedule itself: the one after it is there to show that it works.
        let repaired = outcome
            .acks
            .iter()
            .find(|ack| ack.author == 91)
            .map_or(usize::MAX, |ack| ack.start);
        let views: Vec<&View<'_>> = self
            .moments
            .iter()
            .filter(|view| view.from < repaired)
            .collect();
        let last_reset = views
            .iter()
            .filter(|view| self.is_reset(view))
            .map(|view| view.from)
            .max()
            .unwrap_or(0);
        let Some(end) = views.last() else { return };
        for Edit {
            step,
            entries,
            tags,
            ..
        } in self.edits()
        {
            let holds =
                |view: &View<'_>| entries.is_subset(&view.entries) && tags.is_subset(&view.tags);
            // Somebody in the console who later saves a document without it has dropped it, not we.
            let dropped = views
                .iter()
                .any(|view| view.moment.cause == Cause::Edit && view.from > step && !holds(view));
            if step > last_reset && !dropped && !holds(end) {
                found.push(format!(
                    "edits: what the console saved at {step} is lost: {entries:?} {tags:?}"
                ));
            }
        }
        let tags: BTreeSet<String> = BTreeSet::from(["s3:Get*".to_owned()]);
        if !self.moments.iter().all(|view| tags.is_subset(&view.tags)) {
            found.push("edits: the other statement was changed".to_owned());
        }
    }

    /// Never more than five versions, and always a default.
    fn limits_hold(&self, found: &mut Vec<String>) {
        for View { moment, .. } in &self.moments {
            let policy = &moment.policy;
            if policy.versions.len() > 5 || !policy.versions.contains_key(&policy.default) {
                found.push(format!(
                    "limits: {} versions, default v{}",
                    policy.versions.len(),
                    policy.default
                ));
            }
        }
        let last = self.moments.last().unwrap();
        let entries: Vec<&String> = last.entries.iter().collect();
        let document = last.moment.policy.document();
        if entries
            .iter()
            .any(|entry| document.matches(&format!("\"{entry}\"")).count() > 1)
        {
            found.push("limits: an entry stands twice".to_owned());
        }
    }
}

/// A baseline that was captured holds nobody's temporary entry.
fn baseline_is_clean(scenario: &Scenario, outcome: &Outcome, arn: &str, found: &mut Vec<String>) {
    let key = format!(
        "baseline/111122223333/policy/{}.json",
        arn.rsplit('/').next().unwrap()
    );
    let Some(object) = outcome.world.objects.get(&key) else {
        return;
    };
    let (entries, _) = read_gate(&object.body);
    let allowed = BTreeSet::from([net("b0").to_owned(), net("n1").to_owned()]);
    if scenario.start == Start::First && !entries.is_subset(&allowed) {
        found.push(format!("baseline: it holds {entries:?}"));
    }
}
