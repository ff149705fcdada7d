//! The allow list on AWS: [`aws`] reads and writes IAM, S3 and SNS, [`flow`] is the algorithm.
//!
//! What a document, a gate or a grant is stands in the crate `allowlist`, which knows nothing of AWS's services.

pub mod aws;
pub mod flow;
pub mod log;
