//! Entries that a cut took away stay away: resets, ends, removals, removed members.

use std::collections::BTreeSet;

use fakes::Op;
use fakes::world::{Cause, Reply};

use crate::actors::Actor;
use crate::outcome::Request;
use crate::start::net;

use super::Case;
use super::history::{Edit, History};

/// After a reset the document is the baseline, with what was granted or saved after it took the lease.
pub fn reset_holds(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    let baseline = BTreeSet::from([net("b0").to_owned()]);
    let resets = case.requests.iter().filter(|request| {
        request.actor == Actor::Reset && request.word_is(&["reset", "unchanged"])
    });
    for reset in resets {
        let (Some(leased), Some(told)) = (case.lease(reset), reset.told) else {
            continue;
        };
        // A person who puts an older document in force brings its entries back, or does what no look shows for a while.
        if history.is_restored_by_hand() {
            continue;
        }
        for view in history.views.iter().filter(|view| view.until > told) {
            for extra in view.entries.difference(&baseline) {
                let edited = history.edits().any(|edit| {
                    (edit.step > leased || unseen(history, reset, &edit))
                        && edit.entries.contains(extra)
                });
                if !edited && !granted_after(case, extra, leased) {
                    found.push(format!("reset: after {} the list holds {extra}", reset.author));
                }
            }
        }
    }
    let by_hand = history.views.iter().any(History::is_by_hand);
    let missing = |entries: &BTreeSet<String>| !baseline.is_subset(entries);
    if !by_hand && history.views.iter().any(|view| missing(&view.entries)) {
        found.push("reset: the baseline's entry is missing".to_owned());
    }
}

/// Whether somebody asked for the entry and had not ended when the lease was taken.
fn granted_after(case: &Case<'_>, entry: &str, leased: usize) -> bool {
    let asked = case.requests.iter().any(|request| {
        matches!(request.actor, Actor::Add(add) if net(add.net) == entry)
            && request.over_at() > leased
    });
    let key = format!("grants/{}/", entry.replace('/', "_"));
    let put = case.outcome.world.calls.iter().any(|call| {
        call.step > leased
            && matches!(&call.op, Op::PutObject { key: put, .. } if put.starts_with(&key))
    });
    asked || put
}

/// Whether a reset found nothing to do because no list that it was shown reached the version of the
/// edit. IAM shows an edit made a moment ago to nobody for sure, and a reset that changes nothing
/// has no version of its own to find it by: a limit that `docs/architecture.md` states.
fn unseen(history: &History<'_>, reset: &Request, edit: &Edit) -> bool {
    let shown = history.calls(reset.author).filter_map(|call| match (&call.op, &call.reply) {
        (Op::ListPolicyVersions(arn), Reply::Versions { ids, .. }) if arn == history.arn => {
            ids.iter().max()
        }
        _ => None,
    });
    let wrote = history
        .views
        .iter()
        .any(|view| view.moment.author == reset.author && view.moment.cause == Cause::Write);
    !wrote && shown.max().is_some_and(|newest| *newest < edit.version)
}

/// What ended, was removed or belonged to a removed member is not in force once that was answered.
pub fn what_went_stays_away(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    let free = case.free(history);
    if history.is_restored_by_hand() {
        return;
    }
    for request in case.requests {
        let (Some(start), Some(told)) = (request.start, request.told) else {
            continue;
        };
        for (entry, members) in case.who.iter().filter(|(entry, _)| !free.contains(**entry)) {
            let asked = |after: usize| {
                case.adds().any(|(other, add)| net(add.net) == *entry && other.over_at() > after)
            };
            let what = match request.actor {
                Actor::Expire if request.word_is(&["expired", "unchanged"]) => {
                    let ended = members.iter().all(|member| {
                        let ends = case.newest_ends(&((*entry).to_owned(), member));
                        let mut ends = ends.into_iter();
                        ends.all(|end| end.is_some_and(|end| end <= request.start_second()))
                            || case.is_cut_off(entry, member, request.start_second())
                    });
                    (ended && !asked(start)).then_some("what has ended")
                }
                Actor::Remove { member, net: name }
                    if request.word_is(&["removed", "unchanged"]) =>
                {
                    let all_of_it = name.is_none_or(|name| net(name) == *entry)
                        && *members == BTreeSet::from([member]);
                    (all_of_it && !asked(start)).then_some("what was removed")
                }
                Actor::RevokeMember(member) if request.word_is(&["revoked", "unchanged"]) => {
                    let with_another_key =
                        case.adds().any(|(_, add)| net(add.net) == *entry && add.file != member);
                    (*members == BTreeSet::from([member]) && !with_another_key)
                        .then_some("the removed member's entry")
                }
                _ => None,
            };
            let Some(what) = what else { continue };
            let there = |view: &super::history::View<'_>| {
                view.until > told && view.entries.contains(*entry)
            };
            if history.views.iter().any(there) {
                found.push(format!(
                    "cuts: {what}, {entry}, is in force after {} was told so",
                    request.author
                ));
            }
        }
    }
}
