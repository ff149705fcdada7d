//! Answers as API Gateway wants them, and the one mapping from kinds of errors to HTTP.
//!
//! This module knows what each answer means to a reader, and not how the answer came about.

use std::collections::BTreeMap;

use allowlist::Error;
use allowlist::network::NetworkError;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cross_site::{self, Decision};
use crate::event::Event;
use crate::page::{self, Addresses, Hosting, Message, Settings, View, texts};

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
    /// The resource takes other methods: these.
    MethodNotAllowed(&'static str),
    /// A browser or a messenger fetches the link before a person opens it.
    Prefetch,
    /// Another site made the request.
    CrossSite,
    /// No key, or a key that does not count. All of these get the same answer.
    Unauthorized,
    /// `?ip=` is switched off.
    ExplicitIpDisabled,
    /// API Gateway sent no source address.
    NoAddress,
    /// The text that should be a network is not one.
    BadIp(NetworkError),
    /// `for` is malformed, or not between five minutes and this many hours.
    BadFor(u64),
}

impl Refusal {
    /// The stable name of the refusal.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Prefetch => "prefetch",
            Self::CrossSite => "cross_site",
            Self::Unauthorized => "unauthorized",
            Self::ExplicitIpDisabled => "explicit_ip_disabled",
            Self::NoAddress => "bad_ip",
            Self::BadIp(error) => error.kind(),
            Self::BadFor(_) => "bad_for",
        }
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let message = match self {
            Self::NotFound => "there is nothing here, check the address that you were given",
            Self::MethodNotAllowed(allowed) => &format!("use one of: {allowed}"),
            Self::Prefetch => "links are not followed ahead of time, open the address yourself",
            Self::CrossSite => "another site made this request, open the address yourself",
            Self::Unauthorized => "a valid member key is needed, ask the administrator for yours",
            Self::ExplicitIpDisabled => {
                "naming another address is switched off here, leave `ip` out"
            }
            Self::NoAddress => "the request carries no source address, call through API Gateway",
            Self::BadIp(error) => &error.to_string(),
            Self::BadFor(hours) => &format!(
                "`for` is a time from `5m` to `{hours}h`, such as `30m`, `2h` or `1d`; leave it out to stay until the next reset"
            ),
        };
        let header = match self {
            Self::MethodNotAllowed(allowed) => Some(("Allow", *allowed)),
            Self::Unauthorized => Some(("WWW-Authenticate", "Bearer")),
            _ => None,
        };
        Answer { header, ..Answer::error(self.kind(), message) }
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
        Self { status: 200, body, header: None }
    }

    /// The answer to a member whose request failed.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        Self::error(error.kind(), &error.to_string())
    }

    /// The answer with what was written all the same, if that is anything.
    #[must_use]
    pub fn with_targets(mut self, targets: Value) -> Self {
        let is_empty = targets.as_array().is_none_or(Vec::is_empty);
        if let (Some(body), false) = (self.body.as_object_mut(), is_empty) {
            body.insert("targets".to_owned(), targets);
        }
        self
    }

    /// The answer to somebody without a key, or whose key could not be checked. It names nothing of ours: no bucket, no
    /// object, and no hash of the key.
    #[must_use]
    pub fn failed_for_stranger(kind: &str) -> Self {
        let message = if status(kind) == 503 {
            "too many requests at once: try again in a few seconds"
        } else {
            "your request cannot be checked now: try again in a minute, then tell the administrator"
        };
        Self::error(kind, message)
    }

    fn error(kind: &str, message: &str) -> Self {
        let status = status(kind);
        let body = [("error", kind), ("message", message)]
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect::<Map<_, _>>();
        Self { status, body: body.into(), header: (status == 503).then_some(("Retry-After", "5")) }
    }

    /// The answer as the caller wants it: JSON, or a page for a browser.
    #[must_use]
    pub fn respond(&self, request: &Request<'_>) -> Response {
        let mut response = if request.prefers_html() {
            request.html(self.status, |texts| Message::of(self.status, &self.body, texts))
        } else {
            Response {
                status_code: self.status,
                headers: headers("application/json", &request.addresses),
                body: self.body.to_string(),
                is_base64_encoded: false,
            }
        };
        let more = self.header.map(|(name, value)| (name, value.to_owned()));
        response.headers.extend(more);
        response
    }
}

/// The HTTP status of an error, by its kind.
#[must_use]
pub fn status(kind: &str) -> u16 {
    match kind {
        "bad_ip" | "too_wide" | "bad_for" => 400,
        "unauthorized" => 401,
        "address_not_public" | "explicit_ip_disabled" | "prefetch" | "cross_site" => 403,
        "not_found" => 404,
        "method_not_allowed" => 405,
        "policy_full" | "too_many_entries" => 409,
        "busy" | "throttled" => 503,
        _ => 502,
    }
}

/// What an answer needs to know of the request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    event: &'a Event,
    addresses: Addresses,
    settings: &'a Settings,
}

impl<'a> Request<'a> {
    /// A request that came to this function at its place.
    #[must_use]
    pub fn new(event: &'a Event, hosting: &Hosting, settings: &'a Settings) -> Self {
        Self { event, addresses: Addresses::of(event, hosting), settings }
    }

    /// Whether the request may act, or another site made it.
    #[must_use]
    pub fn decision(&self) -> Decision {
        cross_site::decide(self.event, &self.addresses)
    }

    /// Whether the caller is a browser. Programs that accept anything get JSON.
    #[must_use]
    pub fn prefers_html(&self) -> bool {
        page::prefers_html(self.event.header("accept").unwrap_or_default())
    }

    /// The page with its button. It changes nothing.
    #[must_use]
    pub fn page(&self) -> Response {
        let key = self.event.form_key();
        let address = self.event.source_ip();
        self.html(200, |texts| Message::start(key.is_some(), address, texts))
    }

    /// The answer to `GET /`: the page for a browser, and the caller's network as JSON for a program and for our page
    /// at the peer.
    #[must_use]
    pub fn root(&self, network: Option<&str>) -> Response {
        if self.prefers_html() {
            return self.page();
        }
        match network {
            Some(network) => Answer::ok(json!({ "network": network })),
            None => Refusal::NoAddress.answer(),
        }
        .respond(self)
    }

    fn html<'t>(
        &self,
        status_code: u16,
        message: impl FnOnce(&'static texts::Texts) -> Message<'t>,
    ) -> Response {
        let language = self.event.header("accept-language").unwrap_or_default();
        let texts = texts::preferred(language);
        // A key that was refused is asked for anew, and one that another site's form brought is not taken over.
        let key = self.event.form_key();
        let key = key.filter(|_| !(401..=405).contains(&status_code));
        let parameter = |name| self.event.parameter(name).unwrap_or_default();
        let body = page::render(&View {
            texts,
            addresses: &self.addresses,
            settings: self.settings,
            key: key.as_deref().unwrap_or_default(),
            ip: &parameter("ip"),
            duration: &parameter("for"),
            message: message(texts),
        });
        let mut headers = headers("text/html; charset=utf-8", &self.addresses);
        headers.insert("Content-Security-Policy", page::security_policy(&self.addresses));
        Response { status_code, headers, body, is_base64_encoded: false }
    }
}

/// The headers of every answer. Nobody may store it, and only the peer's page may read it from
/// another origin.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(headers: &Value) -> Event {
        let event = json!({
            "resource": "/add", "httpMethod": "GET", "headers": headers,
            "requestContext": {"path": "/gate/add", "identity": {"sourceIp": "51.44.71.80"}},
        });
        Event::read(&event.to_string())
    }

    fn with<T>(headers: &Value, act: impl FnOnce(&Request<'_>) -> T) -> T {
        let settings = Settings::default();
        act(&Request::new(&event(headers), &Hosting::default(), &settings))
    }

    #[test]
    fn every_refusal_has_its_kind_and_its_status() {
        for (refusal, status, kind) in [
            (Refusal::NotFound, 404, "not_found"),
            (Refusal::MethodNotAllowed("GET, POST"), 405, "method_not_allowed"),
            (Refusal::Prefetch, 403, "prefetch"),
            (Refusal::CrossSite, 403, "cross_site"),
            (Refusal::Unauthorized, 401, "unauthorized"),
            (Refusal::ExplicitIpDisabled, 403, "explicit_ip_disabled"),
            (Refusal::NoAddress, 400, "bad_ip"),
            (Refusal::BadFor(24), 400, "bad_for"),
        ] {
            let answer = refusal.answer();
            assert_eq!((refusal.kind(), answer.status), (kind, status));
            assert_eq!(answer.body["error"], kind);
            let message = answer.body["message"].as_str().unwrap();
            assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
            let json = with(&json!({}), |request| answer.respond(request));
            assert_eq!(
                json.headers.get("Allow").map(String::as_str),
                (status == 405).then_some("GET, POST")
            );
        }
    }

    #[test]
    fn every_kind_has_its_status() {
        for (code, kinds) in [
            (400, "bad_ip too_wide bad_for"),
            (401, "unauthorized"),
            (403, "address_not_public explicit_ip_disabled prefetch cross_site"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (409, "policy_full too_many_entries"),
            (502, "no_gate ambiguous_gate malformed_document baseline_unusable aws_error"),
            (503, "busy throttled"),
        ] {
            for kind in kinds.split(' ') {
                assert_eq!(status(kind), code, "{kind}");
                // Japanese members read Japanese.
                assert_ne!(texts::JAPANESE.error(kind, ""), "", "{kind}");
                let answer = Answer::failed_for_stranger(kind);
                assert_eq!(answer.header, (code == 503).then_some(("Retry-After", "5")), "{kind}");
            }
        }
    }

    #[test]
    fn a_stranger_is_told_nothing_of_ours() {
        let error =
            Error::State { key: "members/0123.json".to_owned(), reason: "it is broken".to_owned() };
        let told = Answer::failed(&error);
        assert!(told.body["message"].as_str().unwrap().contains("members/"));
        let stranger = Answer::failed_for_stranger(error.kind());
        assert_eq!(stranger.status, told.status);
        for word in ["members", "bucket", "S3", "GetObject", "0123"] {
            assert!(!stranger.body.to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn a_failure_tells_what_was_written_before() {
        let error = || Error::Busy("somebody else writes".to_owned());
        let targets = json!([{"arn": "a", "status": "added", "version": "v2"}]);
        let answer = Answer::failed(&error()).with_targets(targets.clone());
        assert_eq!((answer.status, &answer.body["targets"]), (503, &targets));
        let nothing = Answer::failed(&error()).with_targets(json!([]));
        assert_eq!(nothing.body.get("targets"), None);
    }

    #[test]
    fn the_root_is_a_page_for_browsers_alone() {
        let json = with(&json!({}), |request| request.root(Some("51.44.71.80/32")));
        assert_eq!(
            (json.status_code, json.body.as_str()),
            (200, r#"{"network":"51.44.71.80/32"}"#)
        );
        let none = with(&json!({}), |request| request.root(None));
        assert_eq!(none.status_code, 400);
        let accept = json!({"Accept": "text/html"});
        let page = with(&accept, |request| request.root(None));
        assert_eq!(page.status_code, 200);
        assert!(
            page.body.starts_with("<!DOCTYPE html>") && page.body.contains("51.44.71.80"),
            "{}",
            page.body
        );
        assert_eq!(page.headers["Cache-Control"], "no-store");
    }
}
