//! Rules about times: lifts, and cutoffs.

use serde_json::Value;

use super::{Hit, Subject};
use crate::cutoff::{date_of, is_cutoff_sid};
use crate::time::rfc3339;

/// The gate denies nothing now.
pub(super) fn lifted(subject: &Subject<'_>) -> Vec<Hit> {
    let now = subject.facts.now;
    let lifted = subject.statements.iter().filter_map(|statement| {
        let until = date_of(statement.json).filter(|until| *until > now && statement.is_deny())?;
        Some(Hit::at(
            statement,
            format!("the gate is lifted: it refuses nobody until {}", rfc3339(until)),
            "to close it sooner run `ip-gate reset`, or `ip-gate rollback` to the version before",
        ))
    });
    lifted.collect()
}

/// A lift that is over does no harm and should not stay.
pub(super) fn lift_is_over(subject: &Subject<'_>) -> Vec<Hit> {
    let now = subject.facts.now;
    let over = subject.statements.iter().filter_map(|statement| {
        let until = date_of(statement.json).filter(|until| *until <= now && statement.is_deny())?;
        Some(Hit::at(
            statement,
            format!(
                "a lift ended on {} and its condition is still in the document",
                rfc3339(until)
            ),
            "run `ip-gate reset`; if the baseline has the condition too, save one without it",
        ))
    });
    over.collect()
}

/// After its cutoff the gate refuses temporary entries that still stand on the list.
pub(super) fn cutoff_is_over(subject: &Subject<'_>) -> Vec<Hit> {
    let statements = match subject.document.json().get("Statement") {
        Some(Value::Array(list)) => list.as_slice(),
        _ => &[],
    };
    let sid = |statement: &Value| {
        let sid = statement.get("Sid").and_then(Value::as_str);
        sid.filter(|sid| is_cutoff_sid(sid)).map(str::to_owned)
    };
    let over = statements.iter().filter_map(|statement| {
        let sid = sid(statement)?;
        let until = date_of(statement).filter(|until| *until <= subject.facts.now)?;
        Some(Hit {
            statement: Some(sid),
            ..Hit::new(
                format!(
                    "the cutoff passed on {}: IAM refuses all temporary entries since then, and no reset or expiry took them off the list",
                    rfc3339(until)
                ),
                "find out why nothing runs: look at the alarms, then run `ip-gate reset`",
            )
        })
    });
    over.collect()
}

/// Not every gate can have a cutoff.
pub(super) fn no_cutoff(subject: &Subject<'_>) -> Vec<Hit> {
    let denies = subject.statements.iter().any(super::Statement::is_deny);
    let reason = match (subject.is_policy(), denies) {
        (true, true) => return Vec::new(),
        (true, false) => "a gate that allows cannot have a cutoff",
        (false, _) => "a trust policy has no cutoff",
    };
    vec![Hit::new(
        format!("{reason}: if nothing of ours ever runs again, temporary entries stay"),
        "guard the users with a policy that denies as well, and keep the alarm ResetMissing",
    )]
}
