//! Members and grants: who may add, and one temporary entry of one member, as they are named in the state bucket.
//!
//! Everything about a grant is in the listing (network, member and end in the key, the time in `LastModified`).
//! Reading all grants costs one call, and no two writers share an object. This module also decides which grants count.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::sha256_hex;
use crate::invariant::{Invariant, holds};
use crate::network::Network;

/// Where grants are kept in the state bucket.
pub const GRANTS: &str = "grants/";

/// Stands for the member in the name of a grant that was given without a member key
/// (`OPEN_ACCESS`).
const OPEN: &str = "_open";

/// For how many seconds after the removal of a member their grants do not count: longer than any
/// request lives.
pub const VOID_SECONDS: i64 = 60;

/// The text is not a member's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a member's name: use 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct MemberError(String);

/// A member's name: `[A-Za-z0-9._-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Member(String);

impl Member {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=64).contains(&text.len()) && text != OPEN && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            let shown: String = text.chars().take(64).collect();
            Err(MemberError(shown.escape_debug().to_string()))
        }
    }
}

impl TryFrom<String> for Member {
    type Error = MemberError;

    fn try_from(text: String) -> Result<Self, MemberError> {
        text.parse()
    }
}

impl From<Member> for String {
    fn from(member: Member) -> Self {
        member.0
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The object in which the member with this key is looked up. The key itself is stored nowhere.
#[must_use]
pub fn member_object(key: &str) -> String {
    format!("members/{}.json", sha256_hex(key.as_bytes()))
}

/// The name of a grant: one network for one member, until a certain time or until the next reset.
///
/// ```
/// use allowlist::grant::GrantKey;
/// let network = "51.44.71.80".parse().unwrap();
/// let key = GrantKey { network, member: Some("alice".parse().unwrap()), end: Some(1_800_000_000) };
/// assert_eq!(key.object(), "grants/51.44.71.80_32/alice@1800000000.json");
/// assert_eq!(GrantKey::parse(&key.object()), Some(key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrantKey {
    /// The entry.
    pub network: Network,
    /// `None` for an entry that was given without a key.
    pub member: Option<Member>,
    /// When it ends, in seconds since 1970 by S3's clock; `None`: with the next reset.
    pub end: Option<i64>,
}

impl GrantKey {
    /// The object that the grant is kept in.
    #[must_use]
    pub fn object(&self) -> String {
        let network = self.network.to_string().replace('/', "_");
        let member = self.member.as_ref().map_or(OPEN, Member::as_str);
        let end = self.end.map(|end| format!("@{end}")).unwrap_or_default();
        format!("{GRANTS}{network}/{member}{end}.json")
    }

    /// Reads a key; `None` when it is not the one key that [`GrantKey::object`] gives to this grant.
    #[must_use]
    pub fn parse(object: &str) -> Option<Self> {
        let name = object.strip_prefix(GRANTS)?.strip_suffix(".json")?;
        let (network, member) = name.split_once('/')?;
        let (member, end) = match member.split_once('@') {
            Some((member, end)) => (member, Some(end.parse().ok()?)),
            None => (member, None),
        };
        let member = if member == OPEN { None } else { Some(member.parse().ok()?) };
        let network = network.replace('_', "/").parse().ok()?;
        let key = Self { network, member, end };
        (key.object() == object).then_some(key)
    }

    /// Whether both are the same entry of the same member. Their ends may differ.
    #[must_use]
    pub fn is_same_entry(&self, other: &Self) -> bool {
        self.network == other.network && self.member == other.member
    }
}

/// One temporary entry of one member, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is granted.
    pub key: GrantKey,
    /// When S3 took the object in (`LastModified`), in whole seconds since 1970.
    pub granted_at: i64,
}

impl Grant {
    /// Reads a grant from the listing; `None` for an object that is none: its key is not canonical, or its network would
    /// not pass the checks of a request. With `any_address` networks that are not public pass too.
    #[must_use]
    pub fn from_listing(object: &str, granted_at: i64, any_address: bool) -> Option<Self> {
        let key = GrantKey::parse(object)?;
        key.network.check_width().ok()?;
        if !any_address {
            key.network.check_public().ok()?;
        }
        Some(Self { key, granted_at })
    }

    /// The newest object of an entry decides. Of two objects in the same second the one with the
    /// later end decides.
    fn recency(&self) -> (i64, i64) {
        (self.granted_at, self.key.end.unwrap_or(i64::MAX))
    }

    /// When the grant ends by itself: at its own end or, with a cutoff of so many seconds, that long after it was given.
    #[must_use]
    pub fn ends_at(&self, cutoff: Option<i64>) -> Option<i64> {
        let cutoff = cutoff.map(|seconds| self.granted_at.saturating_add(seconds));
        match (self.key.end, cutoff) {
            (Some(end), Some(cutoff)) => Some(end.min(cutoff)),
            (end, cutoff) => end.or(cutoff),
        }
    }

    /// Whether the grant has ended by `now`, in seconds since 1970 by S3's clock.
    #[must_use]
    pub fn has_ended(&self, now: i64, cutoff: Option<i64>) -> bool {
        self.ends_at(cutoff).is_some_and(|end| end <= now)
    }
}

/// Members that were removed a moment ago, with the second of their removal by S3's clock.
pub type VoidMembers = BTreeMap<Member, i64>;

/// Whether what `member` put at `second` does not count, because the member was removed.
#[must_use]
pub fn is_void(void: &VoidMembers, member: Option<&Member>, second: i64) -> bool {
    // INVARIANT (VoidMember): a request that was on its way when its member was removed brings nothing back.
    let removed = member.and_then(|member| void.get(member));
    removed.is_some_and(|removed| second <= removed.saturating_add(VOID_SECONDS))
        && holds(Invariant::VoidMember)
}

/// The newest object of each entry of each member.
#[must_use]
pub fn newest_of_each_entry(grants: &[Grant]) -> Vec<&Grant> {
    let mut newest: HashMap<(&Network, Option<&Member>), &Grant> = HashMap::new();
    for grant in grants {
        let entry = (&grant.key.network, grant.key.member.as_ref());
        let known = newest.entry(entry).or_insert(grant);
        if grant.recency() > known.recency() {
            *known = grant;
        }
    }
    let mut newest: Vec<&Grant> = newest.into_values().collect();
    newest.sort_by_cached_key(|grant| (grant.granted_at, grant.key.object()));
    newest
}

/// The newest object of each entry that has ended by `now`, in seconds since 1970.
#[must_use]
pub fn ended_entries(grants: &[Grant], now: i64, cutoff: Option<i64>) -> Vec<&Grant> {
    let newest = newest_of_each_entry(grants).into_iter();
    newest.filter(|grant| grant.has_ended(now, cutoff)).collect()
}

/// The networks of [`ended_entries`]; some may be granted to others.
#[must_use]
pub fn ended_networks(grants: &[Grant], now: i64, cutoff: Option<i64>) -> Vec<Network> {
    ended_entries(grants, now, cutoff).into_iter().map(|grant| grant.key.network).collect()
}

/// When the last of the grants of an entry ends by itself; `None` when one of them has no end, or
/// when there is none.
#[must_use]
pub fn last_end(grants: &[&Grant], cutoff: Option<i64>) -> Option<i64> {
    let ends: Option<Vec<i64>> = grants.iter().map(|grant| grant.ends_at(cutoff)).collect();
    ends.and_then(|ends| ends.into_iter().max())
}

/// What decides which grants count.
#[derive(Clone, Debug)]
pub struct CountRules<'a> {
    /// How many entries one member may have on the list.
    pub share: usize,
    /// The time by S3's clock, in seconds since 1970.
    pub now: i64,
    /// How long a grant counts at most, in seconds.
    pub cutoff: Option<i64>,
    /// Members that were removed a moment ago.
    pub void: &'a VoidMembers,
    /// Objects that a pending intent names.
    pub intended: HashSet<&'a str>,
}

/// The place of a grant within its member's share: late ones after others, then by age, then by object.
type Rank = (bool, i64, String);

/// COUNT: the grants that belong on the list, oldest first. Of each entry the newest object counts, if it lives and its
/// member was not removed; of each member as many as the share allows: first what is `listed` already, then by age.
#[must_use]
pub fn count(
    grants: &[Grant],
    rules: &CountRules<'_>,
    listed: impl Fn(&Network) -> bool,
) -> Vec<Grant> {
    let mut members: BTreeMap<Option<&Member>, Vec<(Rank, &Grant)>> = BTreeMap::new();
    for grant in newest_of_each_entry(grants) {
        let member = grant.key.member.as_ref();
        if is_void(rules.void, member, grant.granted_at) {
            continue;
        }
        let (is_listed, object) = (listed(&grant.key.network), grant.key.object());
        // INVARIANT (EndedKeepsPlace): an ended entry that is still on the list counts against the share.
        let keeps_place = is_listed && holds(Invariant::EndedKeepsPlace);
        if grant.has_ended(rules.now, rules.cutoff) && !keeps_place {
            continue;
        }
        // INVARIANT (IntendedFirst): a dead holder may have answered for what its intent names.
        let intended = rules.intended.contains(object.as_str()) && holds(Invariant::IntendedFirst);
        // INVARIANT (ListedFirst): a member who is in stays in, also if others ask.
        let late = !is_listed && !intended && holds(Invariant::ListedFirst);
        members.entry(member).or_default().push(((late, grant.granted_at, object), grant));
    }
    let mut counted: Vec<&Grant> = Vec::new();
    for (_, mut ranked) in members {
        ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
        let share = ranked.into_iter().take(rules.share).map(|(_, grant)| grant);
        counted.extend(share.filter(|grant| !grant.has_ended(rules.now, rules.cutoff)));
    }
    counted.sort_by_cached_key(|grant| (grant.granted_at, grant.key.object()));
    counted.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests;
