//! A failed call of AWS as one line that says what to do.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::problem::{Problem, chain};

/// The error code of a call, if the service answered.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

/// Explains a failed call. `operation` is its name in IAM's writing, such as `s3:PutObject`.
pub fn explain<E, R>(operation: &str, error: SdkError<E, R>) -> Problem
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if let Some(answer) = error.as_service_error() {
        let code = answer.code().unwrap_or("no error code");
        let message = answer.message().unwrap_or("no message");
        let line = format!("`{operation}` failed: {code}: {message}");
        return match code {
            "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "SlowDown" => {
                Problem::later("throttled", format!("{line}; try again in a minute"))
            }
            _ => Problem::new("aws_error", line.replace('\n', " ")),
        };
    }
    let text = chain(&error);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = text.to_ascii_lowercase();
    let unconnected = ["connect error", "dns error", "timed out", "timeout"];
    if unconnected.iter().any(|sign| lower.contains(sign)) {
        return no_answer(operation, &text);
    }
    if lower.contains("credentials") || lower.contains("identity") || lower.contains("token") {
        return Problem::new(
            "no_credentials",
            format!(
                "no AWS credentials for `{operation}` ({text}): log in as for the AWS CLI, for example with `aws sso login`, or name a --profile"
            ),
        );
    }
    if lower.contains("region") && lower.contains("invalid configuration") {
        return Problem::usage("no region is set: give --region, or set AWS_REGION");
    }
    no_answer(operation, &text)
}

fn no_answer(operation: &str, reason: &str) -> Problem {
    let message =
        format!("`{operation}` had no answer ({reason}): check the connection and try again");
    Problem::later("unreachable", message)
}
