//! Answers as API Gateway wants them, and the one mapping from errors to HTTP.

use std::collections::BTreeMap;

use allowlist::{Error, Network};
use allowlist_aws::flow::add::{Failed, Outcome};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::event::Event;
use crate::page::words::{Words, preferred};
use crate::page::{self, Addresses, Mood, Saying};

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
    pub fn answer(&self) -> Answer {
        let (status, message) = match self {
            Self::NotFound => (
                404,
                "there is nothing here, check the address that you were given".to_owned(),
            ),
            Self::MethodNotAllowed(allowed) => (405, format!("use one of: {allowed}")),
            Self::Prefetch => (
                403,
                "links are not followed ahead of time, open the address yourself".to_owned(),
            ),
            Self::Unauthorized => (
                401,
                "a valid member key is needed, ask the administrator for yours".to_owned(),
            ),
            Self::ExplicitIpDisabled => (
                403,
                "naming another address is switched off here, leave `ip` out".to_owned(),
            ),
            Self::NoAddress => (
                400,
                "the request carries no source address, call through API Gateway".to_owned(),
            ),
        };
        let header = match self {
            Self::MethodNotAllowed(allowed) => Some(("Allow", *allowed)),
            Self::Unauthorized => Some(("WWW-Authenticate", "Bearer")),
            _ => None,
        };
        Answer {
            status,
            body: json!({ "error": self.kind(), "message": message }),
            header,
        }
    }
}

/// An answer before it is known whether a browser or a program reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON.
    pub body: Value,
    /// A header that belongs to the answer.
    pub header: Option<(&'static str, &'static str)>,
}

impl Answer {
    /// An answer of success.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body,
            header: None,
        }
    }

    /// The answer to a request that failed.
    #[must_use]
    pub fn failed(Failed { error, written }: &Failed) -> Self {
        let mut body = Map::new();
        body.insert("error".to_owned(), error.kind().into());
        body.insert("message".to_owned(), error.to_string().into());
        if !written.is_empty() {
            body.insert("targets".to_owned(), targets(written));
        }
        let status = status(error);
        Self {
            status,
            body: Value::Object(body),
            header: (status == 503).then_some(("Retry-After", "5")),
        }
    }

    /// The answer as the caller wants it: JSON, or a page where he is a browser.
    #[must_use]
    pub fn respond(&self, event: &Event, reset: &str) -> Response {
        let addresses = Addresses::of(event);
        let mut response = if page::prefers_html(event.header("accept").unwrap_or_default()) {
            let words = words(event);
            let body = page::answer(words, &addresses, &self.saying(words, reset));
            html(self.status, body, &addresses)
        } else {
            let headers = headers("application/json", &addresses);
            Response {
                status_code: self.status,
                headers,
                body: self.body.to_string(),
                is_base64_encoded: false,
            }
        };
        response
            .headers
            .extend(self.header.map(|(name, value)| (name, value.to_owned())));
        response
    }

    fn saying<'a>(&'a self, words: &'a Words, reset: &'a str) -> Saying<'a> {
        let text = |name: &str| self.body.get(name).and_then(Value::as_str);
        let network: Option<Network> = text("network").and_then(|text| text.parse().ok());
        if let Some(kind) = text("error") {
            let message = words.error(kind, text("message").unwrap_or_default());
            let more = if self.status == 503 {
                vec![words.retry]
            } else {
                Vec::new()
            };
            return Saying {
                mood: Mood::Bad,
                network,
                message,
                more,
            };
        }
        let allowed = self.body.get("allowed").and_then(Value::as_bool);
        let message = match (text("status"), allowed) {
            (Some("added"), _) => words.added,
            (_, Some(false)) => {
                return Saying {
                    mood: Mood::Plain,
                    network,
                    message: words.not_allowed,
                    more: Vec::new(),
                };
            }
            _ => words.allowed,
        };
        let until = if reset.is_empty() {
            Vec::new()
        } else {
            vec![words.until, reset]
        };
        Saying {
            mood: Mood::Good,
            network,
            message,
            more: [vec![words.soon], until].concat(),
        }
    }
}

/// The page itself.
#[must_use]
pub fn page(event: &Event, reset: &str) -> Response {
    let addresses = Addresses::of(event);
    html(
        200,
        page::page(words(event), &addresses, event.source_ip(), reset),
        &addresses,
    )
}

fn words(event: &Event) -> &'static Words {
    preferred(event.header("accept-language").unwrap_or_default())
}

fn html(status_code: u16, body: String, addresses: &Addresses) -> Response {
    let mut headers = headers("text/html; charset=utf-8", addresses);
    headers.insert("Content-Security-Policy", page::security_policy(addresses));
    Response {
        status_code,
        headers,
        body,
        is_base64_encoded: false,
    }
}

/// What every answer carries. Nothing is ever stored, and only the peer's page may read an answer from elsewhere.
fn headers(content_type: &str, addresses: &Addresses) -> BTreeMap<&'static str, String> {
    let mut headers = BTreeMap::from([
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Type", content_type.to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ]);
    if let Some(origin) = addresses.peer_origin() {
        headers.insert("Access-Control-Allow-Origin", origin.to_owned());
        headers.insert("Vary", "Origin".to_owned());
    }
    headers
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

/// What was done on each target, as answers show it.
#[must_use]
pub fn targets(outcomes: &[Outcome]) -> Value {
    let one = |outcome: &Outcome| json!({ "arn": outcome.arn, "status": outcome.change.word(), "version": outcome.version });
    outcomes.iter().map(one).collect()
}
