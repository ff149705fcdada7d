//! What browsers see: one page without external resources, which shows a state and offers one button.
//!
//! The page never acts by itself: a mail scanner that loads it and runs its script changes nothing.
//! It also works without its script. With the script, times are the reader's own, and the page asks
//! both APIs.

mod accept;
mod addresses;
mod message;
#[cfg(test)]
mod tests;
pub mod texts;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use accept::prefers_html;
pub use addresses::{Addresses, Hosting};
pub use message::{End, Message, Tone};
use texts::Texts;

static STYLE: LazyLock<String> = LazyLock::new(|| {
    let spaces = [" {", "{ ", " }", ": ", "; ", ", "];
    compact(include_str!("page.css"), &spaces)
});
// No string in the script holds any of these.
static SCRIPT: LazyLock<String> =
    LazyLock::new(|| compact(include_str!("page.js"), &[" =>", "=> ", " ===", "=== "]));

/// A source without what only its maintainers need: indentation, lines that are comments, and these spaces.
fn compact(source: &str, spaces: &[&str]) -> String {
    let mut lines = String::with_capacity(source.len());
    for line in source.lines().map(str::trim_start) {
        if !line.is_empty() && !line.starts_with("//") {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    let without = |text: String, space: &&str| text.replace(space, space.trim());
    spaces.iter().fold(lines, without)
}

/// What the page tells of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// When the reset happens, in words; may be empty.
    pub reset_description: String,
    /// The reset's schedule expression, such as `cron(0 0 * * ? *)`; may be empty.
    pub reset_schedule: String,
    /// The IANA zone of the schedule, such as `Asia/Tokyo`; may be empty.
    pub reset_time_zone: String,
    /// The longest time that an entry may be asked for, in hours.
    pub max_entry_hours: u64,
    /// No key is needed to add an address.
    pub open_access: bool,
}

/// Everything that one rendering of the page depends on.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The language.
    pub texts: &'static Texts,
    /// Where the APIs are.
    pub addresses: &'a Addresses,
    /// The settings.
    pub settings: &'a Settings,
    /// The key, if a form or a link brought one; otherwise empty.
    pub key: &'a str,
    /// Another address, if the link names one; otherwise empty.
    pub ip: &'a str,
    /// The duration that was chosen; empty for until the reset.
    pub duration: &'a str,
    /// The state.
    pub message: Message<'a>,
}

fn source(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest))
}

/// The `Content-Security-Policy` of every page: only our own style and script, by their hashes, and requests to this
/// API and its peer.
#[must_use]
pub fn security_policy(addresses: &Addresses) -> String {
    static SOURCES: LazyLock<(String, String)> =
        LazyLock::new(|| (source(&SCRIPT), source(&STYLE)));
    let (script, style) = &*SOURCES;
    let space = if addresses.peer.is_empty() { "" } else { " " };
    let peer = addresses.peer_origin().unwrap_or_default();
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'{space}{peer}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The texts for the script, as JSON that cannot end the element that holds it.
fn script_texts(texts: &Texts) -> String {
    let object = |pairs: &mut dyn Iterator<Item = (&'static str, &'static str)>| -> Value {
        let text = |(name, text): (&str, &str)| (name.to_owned(), text.into());
        pairs.map(text).collect::<Map<_, _>>().into()
    };
    let mut all = object(&mut texts.of_script());
    if let Some(all) = all.as_object_mut() {
        let errors = object(&mut texts.errors.iter().copied());
        all.insert("errors".to_owned(), errors);
    }
    all.to_string().replace('<', "\\u003c")
}

/// The page.
#[must_use]
pub fn render(view: &View<'_>) -> String {
    let View { texts, addresses, settings, message, .. } = view;
    let own = addresses.own.as_str();
    html! {
        (DOCTYPE)
        html lang=(texts.language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (message.heading) " – " (texts.title) }
                style { (PreEscaped(STYLE.as_str())) }
            }
            body {
                main data-own=(own) data-peer=(addresses.peer) data-description=(settings.reset_description)
                    data-schedule=(settings.reset_schedule) data-zone=(settings.reset_time_zone) data-open[settings.open_access] {
                    h1 { (texts.title) }
                    (card(view))
                    (form(view))
                    section #entries hidden[message.entries.as_ref().is_none_or(Vec::is_empty)] {
                        h2 { (texts.entries) }
                        ul #list {
                            @for (network, end) in message.entries.iter().flatten() { (entry(view, network, Some(*end))) }
                        }
                    }
                    template #entry { (entry(view, "", None)) }
                    details #command hidden {
                        summary { (texts.command_line) }
                        p { (texts.command_line_hint) }
                        pre tabindex="0" { code #lines {} }
                        button #copy.small type="button" { (texts.copy) }
                        span #copied role="status" {}
                    }
                }
                script #texts type="application/json" { (PreEscaped(script_texts(texts))) }
                script { (PreEscaped(SCRIPT.as_str())) }
            }
        }
    }
    .into_string()
}

/// The state, at a glance.
fn card(view: &View<'_>) -> Markup {
    let View { texts, message, .. } = view;
    let note = message.end.is_some_and(|end| end != End::Never);
    let description = &view.settings.reset_description;
    html! {
        section #card class=(message.tone.class()) {
            svg viewBox="0 0 24 24" aria-hidden="true" {
                path d="M5 12.5 10 17.5 19 7.5" {}
                path d="M6 12H18" {}
                path d="M12 5V13.5M12 18.4V18.5" {}
                path d="M9 9.5A3 3 0 1 1 13.7 11.9Q12 13 12 14.6M12 18.4V18.5" {}
            }
            div role="status" { h2 #heading tabindex="-1" { (message.heading) } }
            p #until { @if let Some(end) = message.end { (until(texts, end)) } }
            ul #networks {
                @if let Some((before, network)) = message.network { li { (before) " " code { (network) } } }
            }
            div #result role="status" {
                @for sentence in &message.sentences { p { (sentence) } }
                @if note && !description.is_empty() { p { (texts.reset_note.replace("{}", description)) } }
            }
        }
    }
}

/// What asks for an address, and without a script for the entries.
fn form(view: &View<'_>) -> Markup {
    let View { texts, settings, key, ip, duration, .. } = *view;
    let own = view.addresses.own.as_str();
    // Somebody else may have made the link: the page must not show their words.
    let of_form = |text: &str, others: &str| {
        text.len() < 50
            && text.bytes().all(|b| b.is_ascii_hexdigit() || others.as_bytes().contains(&b))
    };
    let ip = if of_form(ip, ".:/") { ip } else { "" };
    let mut choices = vec![("1h", texts.one_hour)];
    if settings.max_entry_hours >= 4 {
        choices.push(("4h", texts.four_hours));
    }
    choices.push(("", texts.reset));
    let known = choices.iter().any(|(value, _)| *value == duration);
    let duration = if known || of_form(duration, "mh") { duration } else { "" };
    if !known && !duration.is_empty() {
        choices.push((duration, duration));
    }
    html! {
        form #form method="post" action=(format!("{own}add")) {
            p #secret hidden[!key.is_empty()] {
                label for="key" { (texts.key) }
                input #key name="key" type="password" value=(key) required[!settings.open_access && key.is_empty()] autocomplete="off" aria-describedby="hint";
                span #hint { (texts.key_hint) }
            }
            @if !ip.is_empty() {
                p { (texts.other_address) " " code { (ip) } input type="hidden" name="ip" value=(ip); }
            }
            fieldset {
                legend { (texts.duration) }
                @for (value, label) in choices {
                    label { input type="radio" name="for" value=(value) checked[value == duration]; (label) }
                }
            }
            button #act { (texts.add) }
            button #check.small formaction=(format!("{own}status")) { (texts.check) }
        }
    }
}

/// One of the member's entries. Without an end it is the pattern for the script.
fn entry(view: &View<'_>, network: &str, end: Option<End<'_>>) -> Markup {
    let View { texts, message, .. } = view;
    let here = message.network.is_some_and(|(_, own)| own == network);
    html! {
        li {
            span { code { (network) } " " em hidden[!here] { (texts.this_device) } " " small { @if let Some(end) = end { (until(texts, end)) } } }
            form method="post" action=(format!("{}remove", view.addresses.own)) {
                input type="hidden" name="key" value=(view.key);
                input type="hidden" name="network" value=(network);
                button.small aria-label=(format!("{} {network}", texts.remove)) { (texts.remove) }
            }
        }
    }
}

fn until(texts: &Texts, end: End<'_>) -> Markup {
    let (before, after) = texts.until.split_once("{}").unwrap_or_default();
    html! {
        @match end {
            End::Never => (texts.permanent),
            // Seconds tell a reader nothing.
            End::At(time) => { (before) time datetime=(time) { (time.get(..16).unwrap_or(time).replace('T', " ")) " UTC" } (after) },
            End::Reset => { (before) (texts.next_reset) (after) },
        }
    }
}
