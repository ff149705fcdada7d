//! The one error of this crate: a variant for each thing a reader would act on.
//!
//! Knows nothing of HTTP. Nothing to do is a value elsewhere, never an error here.

use std::error::Error as StdError;
use std::fmt::Write as _;

use crate::network::NetworkError;

/// A boxed source, kept for the log. An SDK error alone displays as just "service error".
pub type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What can go wrong between a request and the account's state. Messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network that cannot be put on a list.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The member was removed a moment ago: the request is refused like a stranger's.
    #[error("a valid member key is needed, ask the administrator for yours")]
    Unauthorized,
    /// An event asks reset-policy for something that cannot be read, or that does not exist.
    #[error("{0}")]
    BadCommand(String),
    /// No statement has a list that may be edited.
    #[error("no gate found: {0}")]
    NoGate(String),
    /// Several statements could be the gate and their lists differ.
    #[error("more than one gate: {0}")]
    AmbiguousGate(String),
    /// The document cannot be changed without loss.
    #[error("the document cannot be worked on: {0}")]
    MalformedDocument(String),
    /// The baseline is missing, or a reset could not go back to it.
    #[error("the baseline cannot be used: {0}")]
    BaselineUnusable(String),
    /// One more entry would not fit under IAM's size limit.
    #[error(
        "the policy is full: {entries} entries take {size} of {limit} characters; wait for the next reset or ask the administrator to remove entries"
    )]
    PolicyFull {
        /// Entries on the list now.
        entries: usize,
        /// Characters that the document with the new entry would take.
        size: usize,
        /// Characters that IAM allows.
        limit: usize,
    },
    /// One member holds as many live entries as are allowed.
    #[error(
        "you hold {held} entries and {limit} are allowed: remove one of them, or wait for the next reset"
    )]
    TooManyEntries {
        /// Live entries of this member.
        held: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Somebody else is writing, or the account's state could not be read in time.
    #[error("{0}; try again in a few seconds")]
    Busy(String),
    /// AWS throttled the calls until the time was over.
    #[error("AWS is throttling `{operation}`: try again in a few seconds")]
    Throttled {
        /// The AWS operation.
        operation: &'static str,
        /// What the SDK said.
        #[source]
        source: Source,
    },
    /// Another failure of an AWS call.
    #[error("`{operation}` on `{resource}` failed: {advice}")]
    Aws {
        /// The AWS operation.
        operation: &'static str,
        /// The ARN or S3 location that was called on.
        resource: String,
        /// What the administrator can do.
        advice: String,
        /// What the SDK said.
        #[source]
        source: Source,
    },
    /// An object in the state bucket is not what this project wrote there.
    #[error("`{key}` in the state bucket cannot be read: {reason}")]
    State {
        /// The object's key.
        key: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// An error of one target.
    #[error("`{arn}`: {source}")]
    At {
        /// The target's ARN.
        arn: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
}

impl Error {
    /// Names the target that the error is about. If the error names a target already, it stays as
    /// it is.
    #[must_use]
    pub fn at(self, arn: &str) -> Self {
        match self {
            Self::At { .. }
            | Self::Aws { .. }
            | Self::Throttled { .. }
            | Self::Busy(_)
            | Self::Unauthorized
            | Self::TooManyEntries { .. } => self,
            other => Self::At { arn: arn.to_owned(), source: Box::new(other) },
        }
    }

    /// The stable name of the error, as callers and logs see it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Network(error) => error.kind(),
            Self::Unauthorized => "unauthorized",
            Self::BadCommand(_) => "bad_command",
            Self::NoGate(_) => "no_gate",
            Self::AmbiguousGate(_) => "ambiguous_gate",
            Self::MalformedDocument(_) => "malformed_document",
            Self::BaselineUnusable(_) => "baseline_unusable",
            Self::PolicyFull { .. } => "policy_full",
            Self::TooManyEntries { .. } => "too_many_entries",
            Self::Busy(_) => "busy",
            Self::Throttled { .. } => "throttled",
            Self::Aws { .. } | Self::State { .. } => "aws_error",
            Self::At { source, .. } => source.kind(),
        }
    }

    /// Whether the same request may succeed a few seconds later, although nobody has changed
    /// anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), "busy" | "throttled")
    }

    /// The whole chain of causes on one line, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with all its causes on one line. A cause whose text is already in the line is not
/// repeated.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            let _ = write!(line, ": {text}");
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_each_cause_once() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::Aws {
            operation: "s3:GetObject",
            resource: "s3://state/lease.json".to_owned(),
            advice: String::new(),
            source: Box::new(cause),
        };
        let text = error.chain();
        assert_eq!(text.matches("connection refused").count(), 1, "{text}");
        let at = Error::Busy("wait".to_owned()).at("arn");
        assert_eq!(at.chain().matches("wait").count(), 1, "{}", at.chain());
        assert!(at.is_transient() && !error.is_transient());
    }
}
