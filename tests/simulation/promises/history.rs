//! One policy from write to write.

use std::collections::BTreeSet;
use std::time::Duration;

use fakes::world::{Call, Cause, Moment, Reply, read_gate};
use fakes::{Op, World};

/// What is in force from one write to the next.
pub struct View<'w> {
    pub from: usize,
    pub until: usize,
    pub at: Duration,
    pub moment: &'w Moment,
    pub entries: BTreeSet<String>,
    pub tags: BTreeSet<String>,
}

/// What somebody saved in the console.
pub struct Edit {
    pub step: usize,
    pub version: u64,
    pub entries: BTreeSet<String>,
    pub tags: BTreeSet<String>,
}

pub struct History<'w> {
    pub views: Vec<View<'w>>,
    pub arn: &'w str,
    world: &'w World,
}

impl<'w> History<'w> {
    pub fn new(world: &'w World, arn: &'w str) -> Self {
        let moments = &world.policies[arn];
        let views = moments.iter().enumerate().map(|(index, moment)| {
            let (entries, tags) = read_gate(moment.policy.document());
            View {
                from: moment.step,
                until: moments.get(index + 1).map_or(usize::MAX, |next| next.step),
                at: moment.at,
                moment,
                entries,
                tags,
            }
        });
        Self { views: views.collect(), arn, world }
    }

    /// What is in force after so many steps.
    pub fn at(&self, step: usize) -> &View<'w> {
        let mut views = self.views.iter().rev();
        views.find(|view| view.from <= step).unwrap()
    }

    /// The entries of the first and of the last document at the start.
    pub fn start_entries(&self) -> BTreeSet<String> {
        let start: Vec<&View<'_>> =
            self.views.iter().filter(|view| view.moment.cause == Cause::Start).collect();
        let ends = [start.first(), start.last()];
        ends.into_iter().flatten().flat_map(|view| view.entries.clone()).collect()
    }

    /// Whether a person wrote what is in force then, and no function does since.
    pub fn is_by_hand(view: &View<'_>) -> bool {
        matches!(view.moment.cause, Cause::Edit | Cause::SetDefault)
    }

    /// Whether a person ever puts a document in force that is not what was in force with something added.
    pub fn is_restored_by_hand(&self) -> bool {
        let is_edit = |step: usize| self.edits().any(|edit| edit.step == step);
        self.views.iter().any(|view| Self::is_by_hand(view) && !is_edit(view.from))
    }

    /// What people saved.
    pub fn edits(&self) -> impl Iterator<Item = Edit> {
        let arn = self.arn;
        self.world.calls.iter().filter_map(move |call| match (&call.op, &call.reply) {
            (Op::Edit { arn: edited, entries, tags }, Reply::Created(version)) if edited == arn => {
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

    /// The calls of one author.
    pub fn calls(&self, author: usize) -> impl Iterator<Item = &'w Call> {
        let calls = self.world.calls.iter();
        calls.filter(move |call| call.author == author)
    }
}
