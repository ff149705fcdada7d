//! What to write: the decisions of both functions, as pure functions from documents to documents.

use std::collections::HashSet;

use crate::baseline::Baseline;
use crate::coverage::Coverage;
use crate::document::Document;
use crate::error::Error;
use crate::gate::{Entry, Gate};
use crate::grant::{Grant, Member, networks_by_age};
use crate::network::Network;

/// `base` with `own` on its list, and every grant's network that is not covered yet, oldest first, as long as they
/// fit under `limit` characters. Nothing but the list changes.
///
/// # Errors
/// [`Error::PolicyFull`] when `own` does not fit; the errors of [`Gate::find`].
pub fn admit(
    base: &Document,
    sids: &[String],
    limit: usize,
    own: &Network,
    grants: &[Grant],
) -> Result<Document, Error> {
    let gate = Gate::find(base, sids)?;
    let mut listed = gate.coverage(base);
    let mut new = base.clone();
    let missing = listed.add(*own);
    if missing {
        gate.append(&mut new, &[*own]);
    }
    let size = new.size();
    if missing && size > limit {
        return Err(Error::PolicyFull {
            entries: gate.entries(base).len(),
            size,
            limit,
        });
    }
    gate.append(
        &mut new,
        &fitting(&gate, listed, grants, limit.saturating_sub(size)),
    );
    Ok(new)
}

/// The baseline with every grant's network that fits: what a reset writes.
#[must_use]
pub fn restore(baseline: &Baseline, grants: &[Grant], limit: usize) -> Document {
    let Baseline { document, gate, .. } = baseline;
    let mut new = document.clone();
    gate.append(
        &mut new,
        &fitting(
            gate,
            gate.coverage(document),
            grants,
            limit.saturating_sub(document.size()),
        ),
    );
    new
}

/// `base` without the `revoked` networks, but for those that are permanent or that somebody was granted too.
///
/// # Errors
/// [`Error::MalformedDocument`] when the list would be empty, which would lock everybody out; the errors of [`Gate::find`].
pub fn withdraw(
    base: &Document,
    sids: &[String],
    limit: usize,
    revoked: &[Network],
    permanent: &[Network],
    remaining: &[Grant],
) -> Result<Document, Error> {
    let gate = Gate::find(base, sids)?;
    let stay: HashSet<&Network> = permanent
        .iter()
        .chain(remaining.iter().map(|grant| &grant.network))
        .collect();
    let gone: Vec<Network> = revoked
        .iter()
        .filter(|network| !stay.contains(network))
        .copied()
        .collect();
    let mut new = gate.without(base, &gone);
    let more = fitting(
        &gate,
        gate.coverage(&new),
        remaining,
        limit.saturating_sub(new.size()),
    );
    gate.append(&mut new, &more);
    if gate.entries(&new).is_empty() {
        return Err(Error::MalformedDocument(
            "its list would be empty, add a permanent network first".to_owned(),
        ));
    }
    Ok(new)
}

/// The networks of the grants, oldest first, that are not `listed` yet and fit into `room` characters.
fn fitting(gate: &Gate, mut listed: Coverage, grants: &[Grant], mut room: usize) -> Vec<Network> {
    let mut networks = networks_by_age(grants);
    networks.retain(|network| {
        if listed.covers(network) {
            return false;
        }
        let needed = gate.listed_len(network);
        let fits = needed <= room;
        if fits {
            room -= needed;
            listed.insert(*network);
        }
        fits
    });
    networks
}

/// Refuses one entry more than a member may hold. Without a member there is no limit.
///
/// # Errors
/// [`Error::TooManyEntries`].
pub fn check_share(
    grants: &[Grant],
    member: Option<&Member>,
    own: &Network,
    limit: usize,
) -> Result<(), Error> {
    let held = grants
        .iter()
        .filter(|grant| {
            grant.member.is_some() && grant.member.as_ref() == member && grant.network != *own
        })
        .count();
    if held >= limit {
        Err(Error::TooManyEntries { held, limit })
    } else {
        Ok(())
    }
}

/// How a reset changes a document, for the report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Entries that are on the list and will not be.
    pub removed: Vec<String>,
    /// Entries that are not on the list and will be.
    pub restored: Vec<String>,
    /// Something outside the list differs.
    pub drift: bool,
    /// Entries among `removed` that no grant explains: somebody edited the list by hand.
    pub by_hand: Vec<String>,
}

/// Compares what is in force with what a reset would write. `grants` are all that there were before the reset.
#[must_use]
pub fn difference(
    current: &Document,
    new: &Document,
    sids: &[String],
    grants: &[Grant],
) -> Difference {
    let list = |document: &Document| {
        Gate::find(document, sids).map(|gate| (gate.entries(document), gate.rest(document)))
    };
    let Ok((after, rest_after)) = list(new) else {
        return Difference::default();
    };
    let (before, rest_before) = match list(current) {
        Ok((entries, rest)) => (entries, Some(rest)),
        Err(_) => (Vec::new(), None),
    };
    let identities =
        |entries: &[Entry]| entries.iter().map(Entry::identity).collect::<HashSet<_>>();
    let (known_before, known_after) = (identities(&before), identities(&after));
    let texts = |entries: Vec<&Entry>| {
        entries
            .into_iter()
            .map(|entry| entry.text.clone())
            .collect::<Vec<_>>()
    };
    let removed: Vec<&Entry> = before
        .iter()
        .filter(|entry| !known_after.contains(&entry.identity()))
        .collect();
    let granted: HashSet<Network> = grants.iter().map(|grant| grant.network).collect();
    let by_hand = |entry: &&Entry| {
        entry
            .network
            .is_none_or(|network| !granted.contains(&network))
    };
    Difference {
        by_hand: texts(removed.iter().copied().filter(by_hand).collect()),
        removed: texts(removed),
        restored: texts(
            after
                .iter()
                .filter(|entry| !known_before.contains(&entry.identity()))
                .collect(),
        ),
        drift: rest_before.as_ref() != Some(&rest_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MANAGED_POLICY_LIMIT;

    fn document(list: &[&str]) -> Document {
        let list = serde_json::to_string(list).unwrap();
        Document::parse(&format!(
            r#"{{"Statement":[{{"Effect":"Deny","Action":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}}}}}}]}}"#
        ))
        .unwrap()
    }

    fn entries(document: &Document) -> Vec<String> {
        Gate::find(document, &[])
            .unwrap()
            .entries(document)
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    }

    fn net(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn grant(network: &str, member: &str, granted_at: i64) -> Grant {
        Grant {
            network: net(network),
            member: Some(member.parse().unwrap()),
            granted_at,
        }
    }

    #[test]
    fn the_own_network_comes_first_and_the_others_by_age() {
        let grants = [
            grant("3.3.3.3", "c", 3),
            grant("2.2.2.2", "b", 2),
            grant("9.9.9.9", "a", 4),
            grant("1.1.1.0", "x", 1),
        ];
        let new = admit(
            &document(&["1.1.1.0/24"]),
            &[],
            MANAGED_POLICY_LIMIT,
            &net("9.9.9.9"),
            &grants,
        )
        .unwrap();
        assert_eq!(
            entries(&new),
            ["1.1.1.0/24", "9.9.9.9/32", "2.2.2.2/32", "3.3.3.3/32"]
        );
    }

    #[test]
    fn at_the_limit_the_own_network_goes_before_the_grants_and_one_too_many_is_refused_with_the_count()
     {
        let base = document(&["1.1.1.1/32", "1.1.1.2/32"]);
        let one_more = base.size() + r#","9.9.9.9/32""#.len();
        let grants = [grant("8.8.8.8", "b", 1)];
        let new = admit(&base, &[], one_more, &net("9.9.9.9"), &grants).unwrap();
        assert_eq!((entries(&new).len(), new.size()), (3, one_more));
        let error = admit(&base, &[], one_more - 1, &net("9.9.9.9"), &grants).unwrap_err();
        assert_eq!(error.kind(), "policy_full");
        assert!(error.to_string().contains("2 entries"), "{error}");
        assert_eq!(
            admit(&base, &[], 10, &net("1.1.1.1"), &[]).unwrap(),
            base,
            "covered already: nothing to refuse"
        );
    }

    #[test]
    fn a_grant_that_does_not_fit_gives_way_to_a_shorter_one() {
        let base = document(&["1.1.1.1/32"]);
        let room = base.size() + r#","9.9.9.9/32","8.8.8.8/32""#.len();
        let grants = [
            grant("2a05:d018:1:2::/64", "b", 1),
            grant("8.8.8.8", "c", 2),
        ];
        assert_eq!(
            entries(&admit(&base, &[], room, &net("9.9.9.9"), &grants).unwrap()),
            ["1.1.1.1/32", "9.9.9.9/32", "8.8.8.8/32"]
        );
    }

    #[test]
    fn a_member_holds_no_more_than_the_limit_and_may_repeat_what_he_holds() {
        let grants = [
            grant("2.2.2.2", "b", 2),
            grant("3.3.3.3", "b", 3),
            grant("4.4.4.4", "c", 3),
        ];
        let check = |member: &str, own: &str| {
            check_share(&grants, Some(&member.parse().unwrap()), &net(own), 2)
        };
        assert_eq!(
            check("b", "5.5.5.5").unwrap_err().kind(),
            "too_many_entries"
        );
        check("b", "2.2.2.2").unwrap();
        check("c", "5.5.5.5").unwrap();
        check_share(&grants, None, &net("5.5.5.5"), 1).unwrap();
    }

    #[test]
    fn what_is_revoked_goes_unless_it_is_permanent_or_somebody_elses_and_the_list_is_never_emptied()
    {
        let base = document(&["1.1.1.1/32", "2.2.2.2/32", "3.3.3.3", "4.4.4.0/24"]);
        let revoke = |revoked: &[&str], remaining: &[Grant]| {
            let revoked: Vec<Network> = revoked.iter().map(|text| net(text)).collect();
            withdraw(
                &base,
                &[],
                MANAGED_POLICY_LIMIT,
                &revoked,
                &[net("1.1.1.1")],
                remaining,
            )
        };
        let new = revoke(
            &["1.1.1.1", "2.2.2.2", "3.3.3.3", "9.9.9.9"],
            &[grant("2.2.2.2", "b", 1)],
        )
        .unwrap();
        assert_eq!(entries(&new), ["1.1.1.1/32", "2.2.2.2/32", "4.4.4.0/24"]);
        // What another's wider entry had covered comes back when that is taken off.
        let new = revoke(&["4.4.4.0/24"], &[grant("4.4.4.4", "b", 1)]).unwrap();
        assert_eq!(
            entries(&new),
            ["1.1.1.1/32", "2.2.2.2/32", "3.3.3.3", "4.4.4.4/32"]
        );
        let lone = document(&["2.2.2.2"]);
        assert!(
            withdraw(
                &lone,
                &[],
                MANAGED_POLICY_LIMIT,
                &[net("2.2.2.2")],
                &[],
                &[]
            )
            .unwrap_err()
            .to_string()
            .contains("empty")
        );
    }

    #[test]
    fn a_reset_reports_what_it_takes_off_puts_back_and_finds_changed() {
        let baseline =
            Baseline::check(document(&["1.1.1.1", "5.5.5.5"]), &[], MANAGED_POLICY_LIMIT).unwrap();
        let grants = [grant("2.2.2.2", "b", 2)];
        let current = document(&["1.1.1.1/32", "2.2.2.2/32", "office", "7.7.7.7"]);
        let new = restore(&baseline, &[], MANAGED_POLICY_LIMIT);
        assert_eq!(
            difference(&current, &new, &[], &grants),
            Difference {
                removed: vec!["2.2.2.2/32".into(), "office".into(), "7.7.7.7".into()],
                restored: vec!["5.5.5.5".into()],
                drift: false,
                by_hand: vec!["office".into(), "7.7.7.7".into()],
            }
        );
        let edited = Document::parse(
            &current
                .render()
                .replace("\"Action\":\"*\"", "\"Action\":\"s3:*\""),
        )
        .unwrap();
        assert!(difference(&edited, &new, &[], &grants).drift);
        let gone = Document::parse(r#"{"Statement":[]}"#).unwrap();
        let all = difference(&gone, &new, &[], &grants);
        assert_eq!((all.restored.len(), all.drift), (2, true));
        assert_eq!(
            entries(&restore(&baseline, &grants, MANAGED_POLICY_LIMIT)),
            ["1.1.1.1", "5.5.5.5", "2.2.2.2/32"]
        );
    }
}
