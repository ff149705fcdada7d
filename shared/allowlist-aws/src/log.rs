//! Log lines for CloudWatch, as Lambda's logging controls ask for them.

use tracing::level_filters::LevelFilter;

/// Starts logging to standard output. The release build holds nothing below INFO: at DEBUG the SDK
/// and the Lambda runtime log whole requests, and no setting may ever cause a key or a whole event
/// to be logged.
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>
///
/// Each line has a `timestamp`. Without it Lambda's filter treats every line as INFO.
///
/// The runtime crate's own subscriber brings a filter language with regular expressions, a tenth of a cold start.
pub fn init(variable: impl Fn(&str) -> Option<String>) {
    let level = variable("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().json().with_target(false).with_max_level(level).init();
}
