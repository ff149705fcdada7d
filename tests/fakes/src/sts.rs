//! STS: credentials of roles in other accounts.
//!
//! What the real service does, and how the fake does it:
//! - a role whose trust policy does not name the caller is `AccessDenied` ([`World::refused_roles`]);
//! - a session lasts from 15 minutes to 12 hours, and an unknown length is an hour; other lengths are refused;
//! - a session policy is at most 2,048 characters; what was asked for is in the record of the calls.

use serde_json::Value;

use crate::op::{Op, Reply};
use crate::world::World;

impl World {
    pub(crate) fn sts(&mut self, op: &Op) -> Reply {
        let Op::AssumeRole { role, duration, policy, .. } = op else {
            panic!("{op:?} is none of STS's");
        };
        if self.refused_roles.contains(role) {
            return Reply::Error(403, "AccessDenied");
        }
        if duration.is_some_and(|seconds| !(900..=43_200).contains(&seconds)) {
            return Reply::Error(400, "ValidationError");
        }
        if let Some(policy) = policy
            && (policy.len() > 2048 || serde_json::from_str::<Value>(policy).is_err())
        {
            return Reply::Error(400, "MalformedPolicyDocument");
        }
        let account = role.split(':').nth(4).unwrap_or_default();
        Reply::Assumed(format!("ASIA{account}"))
    }
}
