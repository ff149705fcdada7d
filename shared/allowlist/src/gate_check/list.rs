//! Rules about the entries of a gate's list, and about the room that is left for more.

use super::{Hit, Subject};
use crate::network::cover_half_a_family;

/// From how many percent of the characters on a document is nearly full; the alarm NearlyFull has the same number.
const NEARLY_FULL_PERCENT: usize = 80;

/// An empty list admits nobody.
pub(super) fn empty_list(subject: &Subject<'_>) -> Vec<Hit> {
    let hit = || {
        Hit::new(
            "its list is empty, so it lets nobody through",
            "put at least one permanent network on it, such as your office's",
        )
    };
    let is_empty = subject.entries.is_empty();
    is_empty.then(hit).into_iter().collect()
}

/// An entry as wide as half the internet is no gate.
pub(super) fn half_a_family(subject: &Subject<'_>) -> Vec<Hit> {
    let is_wide = |network: &crate::Network| network.covers_half_a_family();
    let wide: Vec<_> = subject
        .entries
        .iter()
        .filter(|entry| entry.network.as_ref().is_some_and(is_wide))
        .collect();
    let networks = subject.entries.iter().filter_map(|entry| entry.network);
    if wide.is_empty() && cover_half_a_family(networks) {
        let reason =
            "its entries together cover half of all addresses or more, so the gate stops nobody";
        return vec![Hit::new(
            reason,
            "take the widest entries off the list, and save the baseline again",
        )];
    }
    let hit = |entry: &crate::gate::Entry| {
        Hit::new(
            format!(
                "`{}` covers half of all addresses or more, so the gate stops nobody",
                entry.text
            ),
            "take it off the list, and save the baseline again",
        )
    };
    wide.into_iter().map(hit).collect()
}

/// Homes with IPv6 reach some endpoints of AWS by it.
pub(super) fn no_ipv6(subject: &Subject<'_>) -> Vec<Hit> {
    let granted = subject.facts.granted.iter();
    let callers = granted.filter(|network| !network.is_ipv4()).count();
    let permanent =
        subject.permanent().filter_map(|entry| entry.network).any(|network| !network.is_ipv4());
    let hit = || {
        Hit::new(
            format!(
                "callers come by IPv6 ({callers} granted entries), and no permanent network is one: endpoints that answer by IPv6 refuse the permanent places after each reset"
            ),
            "add the IPv6 networks of your offices to the list, and save the baseline again",
        )
    };
    (callers > 0 && !permanent).then(hit).into_iter().collect()
}

/// IAM sees the public address of a caller only.
pub(super) fn not_public(subject: &Subject<'_>) -> Vec<Hit> {
    let hit = |entry: &crate::gate::Entry| {
        let error = entry.network?.check_public().err()?;
        let crate::network::NetworkError::NotPublic { reason, .. } = error else {
            return None;
        };
        let reason = format!(
            "`{}` is {reason}: IAM sees only public addresses, so the entry lets nobody in",
            entry.text
        );
        let remedy = "put the public address there from which these machines reach the internet; for callers through a VPC endpoint exempt the VPC";
        Some(Hit::new(reason, remedy))
    };
    // Half a family holds private ranges too, and has a finding of its own.
    let narrow = |entry: &&crate::gate::Entry| {
        entry.network.is_some_and(|network| !network.covers_half_a_family())
    };
    subject.permanent().filter(narrow).filter_map(hit).collect()
}

/// What is no network admits nobody.
pub(super) fn not_a_network(subject: &Subject<'_>) -> Vec<Hit> {
    let unparsed = subject.entries.iter().filter(|entry| entry.network.is_none());
    let hit = |entry: &crate::gate::Entry| {
        Hit::new(
            format!("`{}` is not an IP address or CIDR, so it lets nobody in", entry.text),
            "write it like `51.44.71.80/32`, or take it off the list",
        )
    };
    unparsed.map(hit).collect()
}

fn percent_full(subject: &Subject<'_>) -> Option<usize> {
    let percent = subject.document.size() * 100 / subject.facts.limit.max(1);
    (percent > NEARLY_FULL_PERCENT).then_some(percent)
}

/// A full policy takes no more members.
pub(super) fn nearly_full(subject: &Subject<'_>) -> Vec<Hit> {
    let percent = percent_full(subject).filter(|_| subject.is_policy());
    let hit = |percent| {
        Hit::new(
            format!(
                "it takes {percent} % of the {} characters that IAM allows: soon no member can add an address",
                subject.facts.limit
            ),
            "take entries off the baseline, or put one wider network in the place of several",
        )
    };
    percent.map(hit).into_iter().collect()
}

/// Trust policies are a third as long, and their limit is a quota.
pub(super) fn trust_policy_nearly_full(subject: &Subject<'_>) -> Vec<Hit> {
    let percent = percent_full(subject).filter(|_| !subject.is_policy());
    let hit = |percent| {
        Hit::new(
            format!(
                "it takes {percent} % of the {} characters that the quota of the account allows in a trust policy",
                subject.facts.limit
            ),
            "ask AWS to raise the quota \"Role trust policy length\" and set the parameter TrustPolicyLimit, or take entries off the baseline",
        )
    };
    percent.map(hit).into_iter().collect()
}
