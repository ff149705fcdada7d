//! What is known about a network, for its member: reads only.

use super::Invocation;
use super::seen::Seen;
use crate::aws::lease::Reading;
use allowlist::error::Error;
use allowlist::grant::{Grant, Member};
use allowlist::network::Network;

/// What is known about a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Every target lets it in.
    pub allowed: bool,
    /// When it was first granted, in seconds since 1970; `None` without a grant.
    pub granted_at: Option<i64>,
    /// Who was granted it, sorted; those without a key are not named.
    pub members: Vec<Member>,
}

/// Looks a network up.
///
/// # Errors
/// As [`Seen::read`] and [`Seen::allowed`].
pub async fn status(
    call: Invocation<'_>,
    reading: &Reading,
    network: &Network,
) -> Result<Status, Error> {
    let seen = Seen::read(call, reading).await?;
    let allowed = seen.allowed(call, reading, network)?.is_some();
    let grants: Vec<&Grant> = seen
        .grants
        .iter()
        .filter(|grant| grant.network.covers(network))
        .collect();
    let mut members: Vec<Member> = grants
        .iter()
        .filter_map(|grant| grant.member.clone())
        .collect();
    members.sort_unstable();
    members.dedup();
    Ok(Status {
        allowed,
        granted_at: grants.iter().map(|grant| grant.granted_at).min(),
        members,
    })
}
