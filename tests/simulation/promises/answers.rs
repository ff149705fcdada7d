//! An entry that was answered yes was in force at a moment during the call, and stays until a
//! reset, its end, or its removal.

use crate::actors::Actor;
use crate::outcome::{Request, second};
use crate::start::net;

use super::history::{History, View};
use super::{Add, Case};

pub fn hold(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    for (request, add) in case.adds().filter(|(request, _)| request.is_yes()) {
        let (Some(start), Some(told)) = (request.start, request.told) else {
            continue;
        };
        let network = net(add.net);
        let during = |view: &View<'_>| {
            view.until > start && view.from <= told && view.entries.contains(network)
        };
        let stays = |first: usize| {
            let Some(gone) =
                history.views[first..].iter().position(|view| !view.entries.contains(network))
            else {
                return true;
            };
            // A person who saves a document that was read earlier, or makes an older one the default, removes it.
            let by_hand = history.views[first..=first + gone]
                .iter()
                .any(|view| History::is_by_hand(view) && !view.entries.contains(network));
            by_hand
                || may_end(
                    case,
                    (request, add),
                    &history.views[first],
                    &history.views[first + gone],
                )
        };
        if !(0..history.views.len()).any(|index| during(&history.views[index]) && stays(index)) {
            found.push(format!(
                "answers: {} was told `{}` for {}, which is not in force",
                request.author,
                request.word.as_deref().unwrap_or_default(),
                add.net
            ));
        }
    }
}

/// Whether something may have taken the entry away between the two.
fn may_end(
    case: &Case<'_>,
    (request, add): (&Request, Add),
    first: &View<'_>,
    gone: &View<'_>,
) -> bool {
    let start = request.start.unwrap_or_default();
    let now = second(gone.at);
    let ends = |request: &Request, add: Add| {
        case.end(request, add).flatten().is_some_and(|end| now >= end)
    };
    if ends(request, add) || case.is_over(request, add, now) {
        return true;
    }
    case.requests.iter().filter(|other| other.author != request.author).any(|other| {
        let leased = case.lease(other).filter(|leased| *leased <= gone.from);
        match other.actor {
            Actor::Reset => leased.is_some_and(|leased| leased > first.from.max(start)),
            Actor::Remove { member, net } => {
                member == add.member
                    && net.is_none_or(|name| name == add.net)
                    && leased.is_some()
                    && other.over_at() > start
            }
            Actor::RevokeMember(member) => {
                member == add.member && leased.is_some() && other.over_at() > start
            }
            // A newer request of the same member for the same network decides.
            Actor::Add(newer) => {
                newer.member == add.member
                    && newer.net == add.net
                    && other.start.is_some()
                    && !other.word_is(&["unauthorized", "too_many_entries"])
                    && other.over_at() > start
                    && ends(other, newer)
            }
            _ => false,
        }
    })
}
