//! Rules about whom a gate guards.

use super::{Administrators, Attachments, Hit, Subject};

fn attachments<'a>(subject: &'a Subject<'_>) -> Option<&'a Attachments> {
    subject.facts.attachments.as_ref().filter(|_| subject.is_policy())
}

fn guards_somebody(attachments: &Attachments) -> bool {
    let Attachments { users, groups, roles, .. } = attachments;
    !(users.is_empty() && groups.is_empty() && roles.is_empty())
}

/// A policy that is attached to nobody refuses nobody.
pub(super) fn attached_to_nobody(subject: &Subject<'_>) -> Vec<Hit> {
    let unused = attachments(subject).filter(|attachments| !guards_somebody(attachments));
    let hit = |_| {
        Hit::new(
            "it is attached to no user, group or role, so it guards nobody",
            "attach it to one user first, and to a group when that works: `aws iam attach-user-policy`",
        )
    };
    unused.map(hit).into_iter().collect()
}

/// A function that is locked out cannot let anybody in.
pub(super) fn guards_the_functions(subject: &Subject<'_>) -> Vec<Hit> {
    let Some(attachments) = attachments(subject) else {
        return Vec::new();
    };
    let is_ours = |role: &&String| attachments.function_roles.contains(role);
    let attached = attachments.roles.iter().filter(is_ours).map(|role| {
        Hit::new(
            format!(
                "it is attached to `{role}`, the role of a function: a function that the gate refuses cannot let anybody in"
            ),
            format!("detach it: `aws iam detach-role-policy --role-name {role}`"),
        )
    });
    let bound = attachments.boundary_of.iter().filter(is_ours).map(|role| {
        Hit::new(
            format!(
                "it is the permissions boundary of `{role}`, the role of a function: a gate allows nothing, so the function may do nothing"
            ),
            "deploy again with another PermissionsBoundaryArn",
        )
    });
    attached.chain(bound).collect()
}

/// Somebody must be able to repair the gate from another address.
pub(super) fn no_way_in(subject: &Subject<'_>) -> Vec<Hit> {
    let attachments = attachments(subject).filter(|attachments| guards_somebody(attachments));
    let administrators = attachments.and_then(|attachments| attachments.administrators.as_ref());
    let locked = administrators.filter(|administrators| administrators.outside.is_empty());
    let hit = |administrators: &Administrators| {
        let reason = match administrators.count {
            0 => {
                "nobody has the policy AdministratorAccess, so perhaps only the root user can mend the gate when its list is wrong"
            }
            _ => {
                "the gates of this stack guard everybody who has the policy AdministratorAccess: when a list is wrong, only the root user can mend it"
            }
        };
        let remedy = "keep a role that no gate guards, with MFA in its trust policy, for emergencies (a break-glass role)";
        Hit::new(reason, remedy)
    };
    locked.map(hit).into_iter().collect()
}
