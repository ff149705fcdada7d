//! What browsers see: one small page without external resources, and answers in the same look.
//!
//! The page never submits by itself: a mail scanner that loads it and runs its script changes nothing.

pub mod words;

use std::sync::LazyLock;

use allowlist::Network;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::event::Event;
use words::Words;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Where the API is, as browsers reach it: `https://<id>.execute-api.<region>.<suffix>/<stage>/`, with slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// This API.
    pub own: String,
    /// The other one (dual-stack beside IPv4); empty without.
    pub peer: String,
}

impl Addresses {
    /// Reads them off an event. The peer has this host's name but for its first label, which is the API's id: an API's
    /// URL in its function's environment would be a circular dependency, a stage variable is not.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let (scheme, host) = event.host();
        let path = event
            .path()
            .strip_suffix(event.resource().trim_start_matches('/'))
            .unwrap_or("/")
            .trim_matches('/');
        let prefix = if path.is_empty() {
            "/".to_owned()
        } else {
            format!("/{path}/")
        };
        if host.is_empty() {
            return Self {
                own: prefix,
                peer: String::new(),
            };
        }
        let peer = match (event.stage_variable("PEER_API_ID"), host.split_once('.')) {
            (Some(id), Some((_, rest)))
                if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                format!("{scheme}://{id}.{rest}{prefix}")
            }
            _ => String::new(),
        };
        Self {
            own: format!("{scheme}://{host}{prefix}"),
            peer,
        }
    }

    /// The origin of the peer, for `Access-Control-Allow-Origin` and `connect-src`.
    #[must_use]
    pub fn peer_origin(&self) -> Option<&str> {
        let end = self.peer.find("://")? + 3;
        let path = self.peer.get(end..)?.find('/')?;
        self.peer.get(..end + path)
    }
}

fn source(text: &str) -> String {
    format!(
        "'sha256-{}'",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

/// The `Content-Security-Policy` of every page: only our own style and script, by their hashes, and requests to this
/// API and its peer.
#[must_use]
pub fn security_policy(addresses: &Addresses) -> String {
    static SOURCES: LazyLock<(String, String)> = LazyLock::new(|| (source(SCRIPT), source(STYLE)));
    let (script, style) = &*SOURCES;
    let peer = addresses
        .peer_origin()
        .map(|origin| format!(" {origin}"))
        .unwrap_or_default();
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'{peer}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The weights of a header like `Accept`, in thousandths.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-quality-values>
pub(crate) fn weights(header: &str) -> impl Iterator<Item = (&str, u16)> {
    header.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let given = parts.find_map(|parameter| {
            parameter
                .strip_prefix("q=")
                .or(parameter.strip_prefix("Q="))
        });
        let quality = given
            .map_or(Some(1.0), |text| text.parse::<f32>().ok())
            .unwrap_or(0.0)
            .clamp(0.0, 1.0);
        // Within 0 to 1000 by the clamp.
        Some((range, (quality * 1000.0) as u16))
    })
}

/// Whether an `Accept` header prefers HTML. Programs that accept anything get JSON.
#[must_use]
pub fn prefers_html(accept: &str) -> bool {
    let quality = |kind: &str| {
        weights(accept)
            .find(|(range, _)| range.eq_ignore_ascii_case(kind))
            .map_or(0, |(_, quality)| quality)
    };
    let html = quality("text/html").max(quality("application/xhtml+xml"));
    html > 0 && html >= quality("application/json")
}

fn document(words: &Words, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang=(words.language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (words.title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}

/// The page.
#[must_use]
pub fn page(words: &Words, addresses: &Addresses, source_ip: Option<&str>, reset: &str) -> String {
    document(
        words,
        &html! {
            main data-errors=(serde_json::to_string(words.errors).unwrap_or_default()) data-working=(words.working) data-allowed=(words.allowed) data-not-allowed=(words.not_allowed) data-added=(words.added)
                data-done=(words.soon) data-retry=(words.retry) data-unreachable=(words.unreachable) data-other-unreachable=(words.other_unreachable) {
                h1 { (words.title) }
                p { (words.seen_as) " " code { (source_ip.unwrap_or(words.unknown_address)) } }
                ul #networks aria-live="polite" {}
                form method="post" action=(format!("{}add", addresses.own)) data-self=(addresses.own) data-peer=(addresses.peer) {
                    p {
                        label for="key" { (words.key) }
                        input #key name="key" type="password" required autocomplete="off" aria-describedby="hint";
                        span #hint { (words.key_hint) }
                    }
                    button type="submit" { (words.button) }
                }
                p #result role="status" {}
                @if !reset.is_empty() { p { (words.until) " " (reset) } }
                details #command hidden {
                    summary { (words.command_line) }
                    p { (words.command_line_hint) }
                    pre { code {} }
                }
            }
            script { (PreEscaped(SCRIPT)) }
        },
    )
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// The caller is in.
    Good,
    /// He is not.
    Bad,
    /// Neither.
    Plain,
}

/// What an answer page says.
#[derive(Clone, Debug)]
pub struct Saying<'a> {
    /// How it looks.
    pub mood: Mood,
    /// What it is about.
    pub network: Option<Network>,
    /// The sentence.
    pub message: &'a str,
    /// What follows.
    pub more: Vec<&'a str>,
}

/// An answer in the look of the page.
#[must_use]
pub fn answer(words: &Words, addresses: &Addresses, saying: &Saying<'_>) -> String {
    let class = match saying.mood {
        Mood::Good => "good",
        Mood::Bad => "bad",
        Mood::Plain => "",
    };
    document(
        words,
        &html! {
            main {
                h1 { (words.title) }
                p role="status" class=(class) {
                    @if let Some(network) = saying.network { code { (network) } " " }
                    (saying.message)
                }
                @if !saying.more.is_empty() { p { (saying.more.join(" ")) } }
                p { a href=(addresses.own) { (words.back) } }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn addresses(event: serde_json::Value) -> Addresses {
        Addresses::of(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn the_peer_is_the_own_host_with_another_id() {
        let found = addresses(json!({
            "resource": "/status", "stageVariables": {"PEER_API_ID": "b2"},
            "requestContext": {"path": "/gate/status", "domainName": "a1.execute-api.eu-west-1.amazonaws.com"},
        }));
        assert_eq!(
            found.own,
            "https://a1.execute-api.eu-west-1.amazonaws.com/gate/"
        );
        assert_eq!(
            found.peer,
            "https://b2.execute-api.eu-west-1.amazonaws.com/gate/"
        );
        assert_eq!(
            found.peer_origin(),
            Some("https://b2.execute-api.eu-west-1.amazonaws.com")
        );
        let page = addresses(
            json!({"resource": "/", "requestContext": {"path": "/gate/", "domainName": "a1.x"}}),
        );
        assert_eq!(
            (page.own.as_str(), page.peer_origin()),
            ("https://a1.x/gate/", None)
        );
        assert_eq!(
            addresses(json!({"resource": "/", "path": "/"})),
            Addresses {
                own: "/".into(),
                peer: String::new()
            }
        );
        let odd = addresses(
            json!({"resource": "/", "path": "/", "stageVariables": {"PEER_API_ID": "evil.example/"}, "requestContext": {"domainName": "a1.x"}}),
        );
        assert_eq!(odd.peer, "");
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html",
            "application/json;q=0.5, text/html",
        ] {
            assert!(prefers_html(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/html;q=0",
            "application/json, text/html;q=0.9",
        ] {
            assert!(!prefers_html(accept), "{accept}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let addresses = Addresses {
            own: "https://x/\"><script>".into(),
            peer: String::new(),
        };
        let text = page(&words::ENGLISH, &addresses, Some("<b>"), "<i>every day</i>");
        assert!(
            !text.contains("<b>") && !text.contains("<i>") && !text.contains("\"><script>"),
            "{text}"
        );
        let saying = Saying {
            mood: Mood::Bad,
            network: None,
            message: "<u>",
            more: vec!["<s>"],
        };
        let text = answer(&words::ENGLISH, &addresses, &saying);
        assert!(
            !text.contains("<u>") && !text.contains("<s>") && !text.contains("\"><script>"),
            "{text}"
        );
    }

    #[test]
    fn the_page_has_no_inline_handlers_and_its_hashes_are_those_of_what_it_holds() {
        let text = page(&words::ENGLISH, &Addresses::default(), None, "");
        assert!(!text.contains(" onclick") && !text.contains(" style="));
        let policy = security_policy(&Addresses::default());
        for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
            let held = text
                .split_once(open)
                .unwrap()
                .1
                .split_once(close)
                .unwrap()
                .0;
            assert!(policy.contains(&source(held)), "{open}");
        }
    }
}
