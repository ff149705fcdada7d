//! Answers as API Gateway wants them, and the one mapping from errors to HTTP.

use allowlist::Error;
use allowlist::flow::add::{Failed, Outcome};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An answer of a REST proxy integration.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format>
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body, as text.
    pub body: String,
    is_base64_encoded: bool,
}

/// Why a request is refused before AWS is asked for anything but the member's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such resource.
    NotFound,
    /// The resource knows other methods only.
    MethodNotAllowed(&'static str),
    /// A browser or a messenger looks ahead.
    Prefetch,
    /// No key, or one that nobody has: one answer for both.
    Unauthorized,
    /// `?ip=` is switched off.
    ExplicitIpDisabled,
    /// API Gateway told no source address.
    NoAddress,
}

impl Refusal {
    /// The stable name of the refusal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Prefetch => "prefetch",
            Self::Unauthorized => "unauthorized",
            Self::ExplicitIpDisabled => "explicit_ip_disabled",
            Self::NoAddress => "bad_ip",
        }
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self) -> Response {
        let (status, message) = match self {
            Self::NotFound => (404, "there is nothing here, check the address that you were given".to_owned()),
            Self::MethodNotAllowed(allowed) => (405, format!("use one of: {allowed}")),
            Self::Prefetch => (403, "links are not followed ahead of time, open the address yourself".to_owned()),
            Self::Unauthorized => (401, "a valid member key is needed, ask the administrator for yours".to_owned()),
            Self::ExplicitIpDisabled => (403, "naming another address is switched off here, leave `ip` out".to_owned()),
            Self::NoAddress => (400, "the request carries no source address, call through API Gateway".to_owned()),
        };
        let mut response = json(status, &json!({ "error": self.kind(), "message": message }));
        match self {
            Self::MethodNotAllowed(allowed) => response.headers.insert("Allow", (*allowed).to_owned()),
            Self::Unauthorized => response.headers.insert("WWW-Authenticate", "Bearer".to_owned()),
            _ => None,
        };
        response
    }
}

/// An answer in JSON, never to be stored.
#[must_use]
pub fn json(status_code: u16, body: &Value) -> Response {
    let headers = BTreeMap::from([
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ]);
    Response { status_code, headers, body: body.to_string(), is_base64_encoded: false }
}

/// The HTTP status of an error.
#[must_use]
pub fn status(error: &Error) -> u16 {
    match error.kind() {
        "bad_ip" | "too_wide" => 400,
        "address_not_public" => 403,
        "policy_full" | "too_many_entries" => 409,
        "busy" | "throttled" => 503,
        _ => 502,
    }
}

/// The answer to a request that failed.
#[must_use]
pub fn failed(failed: &Failed) -> Response {
    let Failed { error, written } = failed;
    let mut body = Map::new();
    body.insert("error".to_owned(), error.kind().into());
    body.insert("message".to_owned(), error.to_string().into());
    if !written.is_empty() {
        body.insert("targets".to_owned(), targets(written));
    }
    let mut response = json(status(error), &Value::Object(body));
    if response.status_code == 503 {
        response.headers.insert("Retry-After", "5".to_owned());
    }
    response
}

/// What was done on each target, as answers show it.
#[must_use]
pub fn targets(outcomes: &[Outcome]) -> Value {
    let one = |outcome: &Outcome| json!({ "arn": outcome.arn, "status": outcome.change.word(), "version": outcome.version });
    outcomes.iter().map(one).collect()
}
