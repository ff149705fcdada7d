//! The allow list on AWS: [`aws`] reads and writes IAM, S3 and SNS, [`flow`] is the algorithm.
//!
//! The crate `allowlist` says what a document, a gate or a grant is. It knows no service of AWS.

/// A boxed future. A long `async fn` with several callers is compiled into each of them: boxed, the program has one copy
/// of it, and starts faster.
pub(crate) type Boxed<'f, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'f>>;

pub mod aws;
pub mod flow;
mod join;
pub mod log;
