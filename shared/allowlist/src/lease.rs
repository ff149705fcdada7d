//! `lease.json` as a value: who may write now, what was last written, and what a dead writer may have left undone.
//!
//! The object is created once and never deleted; every write of it is conditional. How it is read and written is
//! [`crate::aws::lease`]'s business, when it is taken the flows'.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;

/// How long a lease lasts, whatever the function's time limit: a writer that died delays the next one this long,
/// well within the 29 s of API Gateway.
pub const LEASE: Duration = Duration::from_secs(12);

/// With less than this left a holder renews before it goes on, and starts no IAM write.
pub const RENEW_BELOW: Duration = Duration::from_secs(6);

/// Which function writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// add-ip.
    Add,
    /// reset-policy.
    Reset,
}

/// The content of `lease.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Unique to one holder; `None` while nobody holds the lease.
    pub nonce: Option<String>,
    /// The request id of the holder, or of the last one: for people.
    pub holder: String,
    /// What the holder does, or the last one did.
    pub kind: Kind,
    /// When the lease ends by the holder's clock: for people. Expiry is judged by S3's clock.
    pub until: String,
    /// By ARN; ARNs that are no longer configured stay.
    #[serde(default)]
    pub targets: BTreeMap<String, Mark>,
    /// After an add's release: the networks that every target covered.
    #[serde(default)]
    pub networks: Vec<Network>,
}

/// What is known about one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest verified version (`v8`), or for a role the hash of the last document written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Writes that were intended and are not verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
}

/// One write, noted before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The highest version id of the snapshot that was decided on; for a role the hash of its document.
    pub seen: String,
    /// The version that was the default then; for a role the same hash.
    pub base: String,
    /// The hash of the new document.
    pub sha256: String,
    /// Who intended it.
    pub kind: Kind,
}

impl Record {
    /// The mark of one target.
    #[must_use]
    pub fn mark(&self, arn: &str) -> Mark {
        self.targets.get(arn).cloned().unwrap_or_default()
    }

    /// Whether a reset holds the lease, died holding it, or left a write unresolved: then nobody may be told
    /// `already_allowed` from a look.
    #[must_use]
    pub fn is_resetting(&self) -> bool {
        (self.nonce.is_some() && self.kind == Kind::Reset)
            || self
                .targets
                .values()
                .any(|mark| mark.pending.iter().any(|intent| intent.kind == Kind::Reset))
    }

    /// Whether this is the release of an add that put `network` in force on every target.
    #[must_use]
    pub fn released_with(&self, network: &Network) -> bool {
        self.nonce.is_none()
            && self.kind == Kind::Add
            && self.networks.iter().any(|covered| covered.covers(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: Option<&str>, kind: Kind) -> Record {
        Record {
            nonce: nonce.map(str::to_owned),
            holder: "r".into(),
            kind,
            until: String::new(),
            targets: BTreeMap::new(),
            networks: vec!["1.2.3.0/24".parse().unwrap()],
        }
    }

    #[test]
    fn nobody_is_told_yes_while_a_reset_holds_the_lease_or_left_something() {
        assert!(record(Some("n"), Kind::Reset).is_resetting());
        assert!(!record(Some("n"), Kind::Add).is_resetting());
        assert!(!record(None, Kind::Reset).is_resetting());
        let mut left = record(None, Kind::Add);
        let intent = Intent {
            seen: "v1".into(),
            base: "v1".into(),
            sha256: "x".into(),
            kind: Kind::Reset,
        };
        left.targets.insert(
            "arn".into(),
            Mark {
                last: None,
                pending: vec![intent],
            },
        );
        assert!(left.is_resetting());
    }

    #[test]
    fn only_the_release_of_an_add_answers_a_waiter() {
        let network = "1.2.3.4".parse().unwrap();
        assert!(record(None, Kind::Add).released_with(&network));
        assert!(!record(None, Kind::Reset).released_with(&network));
        assert!(!record(Some("n"), Kind::Add).released_with(&network));
        assert!(!record(None, Kind::Add).released_with(&"1.2.4.4".parse().unwrap()));
    }

    #[test]
    fn the_record_reads_as_the_design_writes_it() {
        let text = r#"{"nonce":null,"holder":"r1","kind":"add","until":"2026-01-01T00:00:00Z","targets":{"arn":{"last":"v8","pending":[{"seen":"v8","base":"v8","sha256":"ab","kind":"reset"}]}},"networks":["1.2.3.4/32"]}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
}
