//! What a failed AWS call means for the caller, for every operation.

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;

use allowlist::error::{Error, chain};

use super::assumed_role::AssumeRoleError;

/// The meanings that the flows tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Refused for now, and certainly not done.
    Throttled,
    /// The resource does not exist.
    NotFound,
    /// A conditional write lost: 412, or 409 under contention. Both mean "look again".
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    Precondition,
    /// A policy has five versions already (IAM says the same of a document over its size limit).
    LimitExceeded,
    /// The default version cannot be deleted.
    DeleteConflict,
    /// IAM does not take the document.
    Malformed,
    /// The function's role lacks a permission.
    Denied,
    /// No answer, or one that does not say whether it was done.
    Unanswered,
    /// Anything else; certainly not done.
    Refused,
}

impl ErrorKind {
    /// Reads the meaning off an SDK error.
    pub fn of<E>(error: &SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let SdkError::ServiceError(service) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Refused,
                _ => Self::Unanswered,
            };
        };
        let status = service.raw().status().as_u16();
        match service.err().code().unwrap_or_default() {
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown"
            | "BandwidthLimitExceeded" => Self::Throttled,
            "NoSuchEntity" | "NoSuchKey" => Self::NotFound,
            "PreconditionFailed" | "ConditionalRequestConflict" => Self::Precondition,
            "LimitExceeded" => Self::LimitExceeded,
            "DeleteConflict" => Self::DeleteConflict,
            "MalformedPolicyDocument" => Self::Malformed,
            "AccessDenied" | "AccessDeniedException" => Self::Denied,
            _ => match status {
                404 => Self::NotFound,
                412 => Self::Precondition,
                429 => Self::Throttled,
                403 => Self::Denied,
                500.. => Self::Unanswered,
                _ => Self::Refused,
            },
        }
    }

    /// The error to report when nothing else can be done about the failure.
    pub fn report<E>(error: SdkError<E, Response>, operation: &'static str, resource: &str) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = Self::of(&error);
        let code = error.code().unwrap_or("no answer").to_owned();
        let source = Box::new(error);
        if let Some(role) = refused_role(source.as_ref()) {
            return Error::Aws {
                operation: "sts:AssumeRole",
                resource: format!("{role}` for `{resource}"),
                advice: "let its trust policy name the roles of both functions, and allow the functions to assume it"
                    .to_owned(),
                source,
            };
        }
        match kind {
            Self::Throttled => Error::Throttled { operation, source },
            Self::Malformed => Error::MalformedDocument(format!(
                "IAM refuses it: {source}",
                source = chain(source.as_ref())
            )),
            _ => {
                let advice = match kind {
                    Self::Denied => format!("allow `{operation}` in the function's role ({code})"),
                    Self::NotFound => {
                        format!("it does not exist, check the function's settings ({code})")
                    }
                    Self::Unanswered => format!("AWS did not answer, try again ({code})"),
                    _ => format!("see the function's log ({code})"),
                };
                Error::Aws { operation, resource: resource.to_owned(), advice, source }
            }
        }
    }
}

/// The role that could not be assumed, if a call failed for this reason. The SDK reports it as a
/// call that was not dispatched.
fn refused_role<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<AssumeRoleError>() {
            return Some(refused.role());
        }
        next = error.source();
    }
    None
}
