//! The IP allow list inside IAM policy documents, and how to change it safely.
//!
//! Two halves. The pure modules decide: they know no SDK, no clock and no environment. [`aws`] reads and writes
//! IAM and S3, and [`flow`] puts the two together: take a snapshot, decide in pure code, apply the decision.

pub mod aws;
pub mod baseline;
pub mod config;
pub mod coverage;
pub mod document;
pub mod error;
pub mod flow;
pub mod gate;
pub mod grant;
pub mod lease;
pub mod log;
pub mod network;
pub mod notice;
pub mod plan;
pub mod planted;
pub mod target;
pub mod versions;

pub use config::{AddConfig, Config};
pub use document::Document;
pub use error::Error;
pub use gate::Gate;
pub use grant::{Grant, Member};
pub use network::Network;
pub use target::{Target, TargetKind};
pub use versions::{VersionId, Versions};
