//! The notice of one change: who, which networks, which document, which version.

use serde::Serialize;

use crate::grant::Member;
use crate::versions::VersionId;

/// The longest subject that SNS takes.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const LONGEST_SUBJECT: usize = 99;

/// One document that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice<'a> {
    /// What was done: `added`, `removed`, `reset`, `expired`, `revoked` or `rolled_back`.
    pub outcome: &'a str,
    /// The ARN of the policy or role.
    pub arn: &'a str,
    /// The version now in force; `None` for a role.
    pub version: Option<VersionId>,
    /// What was put on the list, and for whom.
    pub added: Vec<Addition>,
    /// What was taken off the list.
    pub removed: Vec<String>,
    /// Something outside the list was put back as well.
    pub drift: bool,
    /// The request that did it, as the function's log and CloudTrail name it.
    pub request: &'a str,
}

/// An entry of the list with those who were granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addition {
    /// The entry as it stands in the document.
    pub network: String,
    /// Whose it is. Empty if it is permanent, was added by hand, or was asked for without a key.
    pub members: Vec<Member>,
    /// When the last of their grants ends by itself, `YYYY-MM-DDThh:mm:ssZ`; `None`: with the next reset, or no grant.
    pub ends: Option<String>,
}

impl Notice<'_> {
    /// The subject of a mail: one line of ASCII, as SNS asks for.
    #[must_use]
    pub fn subject(&self) -> String {
        let name = self.arn.rsplit('/').next().unwrap_or(self.arn);
        let subject = format!(
            "ip-gate: {} {} +{} -{}",
            self.outcome,
            name,
            self.added.len(),
            self.removed.len()
        );
        subject
            .chars()
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .take(LONGEST_SUBJECT)
            .collect()
    }

    /// The text, for people and programs: JSON, a line for each part.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_names_who_what_where() {
        let arn = format!("arn:aws:iam::111122223333:policy/{}", "g".repeat(128));
        let listed = Addition {
            network: "51.44.71.80/32".to_owned(),
            members: vec!["alice".parse().unwrap()],
            ends: Some("2026-01-01T00:00:00Z".to_owned()),
        };
        let notice = Notice {
            outcome: "added",
            arn: &arn,
            version: Some("v7".parse().unwrap()),
            added: vec![listed],
            removed: Vec::new(),
            drift: false,
            request: "r1",
        };
        assert_eq!(notice.subject().len(), LONGEST_SUBJECT);
        assert!(notice.subject().starts_with("ip-gate: added ggg"));
        let text: serde_json::Value = serde_json::from_str(&notice.text()).unwrap();
        assert_eq!(
            text["added"][0],
            serde_json::json!({
                "network": "51.44.71.80/32", "members": ["alice"], "ends": "2026-01-01T00:00:00Z",
            })
        );
        assert_eq!((&text["version"], &text["arn"]), (&"v7".into(), &arn.as_str().into()));
    }
}
