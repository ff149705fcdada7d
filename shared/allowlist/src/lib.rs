//! The IP allow list inside IAM policy documents, and how to change it safely.
//!
//! This crate is pure: it decides, and knows no SDK, no clock and no environment. The crate `allowlist-aws` reads and
//! writes IAM and S3, and puts the two together: take a snapshot, decide in pure code, apply the decision.

pub mod baseline;
pub mod config;
pub mod coverage;
pub mod cutoff;
pub mod document;
pub mod edit;
pub mod error;
pub mod gate;
pub mod gate_check;
pub mod grant;
pub mod invariant;
pub mod lease_record;
pub mod member_file;
pub mod network;
pub mod new_gate;
pub mod notice;
pub mod target;
pub mod time;
pub mod versions;

pub use config::{AddConfig, Config};
pub use document::Document;
pub use edit::Edit;
pub use error::Error;
pub use gate::Gate;
pub use grant::{Grant, GrantKey, Member};
pub use network::Network;
pub use target::{Target, TargetKind};
pub use versions::{VersionId, Versions};
