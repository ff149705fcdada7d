//! What an answer means, in the words of the page. The script shows the same for answers that it gets itself.

use serde_json::Value;

use super::texts::Texts;

/// How the state looks: a colour, and a shape for people who do not see colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The caller is in.
    In,
    /// The caller is not in.
    Out,
    /// Something was refused or failed.
    Bad,
    /// None of these.
    Plain,
}

impl Tone {
    /// The class in the style sheet.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

/// When an entry ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// Never: it belongs to the baseline.
    Never,
    /// At this time, as in answers: `2026-11-24T12:00:00Z`.
    At(&'a str),
    /// With the next reset.
    Reset,
}

impl<'a> End<'a> {
    fn of(ends: Option<&'a str>) -> Self {
        ends.map_or(Self::Reset, Self::At)
    }
}

/// What an answer page says.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// How it looks.
    pub tone: Tone,
    /// The state in a few words.
    pub heading: &'a str,
    /// When the state ends.
    pub end: Option<End<'a>>,
    /// The network that it is about, after what introduces it.
    pub network: Option<(&'a str, &'a str)>,
    /// Sentences that follow.
    pub sentences: Vec<String>,
    /// The member's own entries, if the request asked for them: network and end.
    pub entries: Option<Vec<(&'a str, End<'a>)>>,
}

impl<'a> Message<'a> {
    /// What the page says before anything was asked for.
    #[must_use]
    pub fn start(has_key: bool, address: Option<&'a str>, texts: &'static Texts) -> Self {
        let (heading, hint) =
            if has_key { (texts.ready, texts.ready_hint) } else { (texts.start, texts.start_hint) };
        Self {
            tone: Tone::Plain,
            heading,
            end: None,
            network: Some((texts.seen_as, address.unwrap_or(texts.unknown_address))),
            sentences: vec![hint.to_owned()],
            entries: None,
        }
    }

    /// What an answer says, by its status and its JSON.
    #[must_use]
    pub fn of(status: u16, body: &'a Value, texts: &'static Texts) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let network = text("network").map(|network| ("", network));
        if status != 200 {
            let message = text("message").unwrap_or_default();
            return Self {
                tone: Tone::Bad,
                heading: texts.failed,
                end: None,
                network,
                sentences: vec![texts.error(text("error").unwrap_or_default(), message).to_owned()],
                entries: None,
            };
        }
        if body.get("removed").is_some() {
            return Self::of_removal(body, texts);
        }
        let allowed = body.get("allowed").and_then(Value::as_bool);
        let end = match (allowed, text("ends")) {
            (Some(false), _) => None,
            (Some(true), None) if text("granted_at").is_none() => Some(End::Never),
            (_, ends) => Some(End::of(ends)),
        };
        let soon = text("status") == Some("added");
        Self {
            tone: if end.is_some() { Tone::In } else { Tone::Out },
            heading: if end.is_some() { texts.is_in } else { texts.is_out },
            end,
            network,
            sentences: soon.then(|| texts.soon.to_owned()).into_iter().collect(),
            entries: body.get("entries").map(entries),
        }
    }

    fn of_removal(body: &'a Value, texts: &'static Texts) -> Self {
        let list = |name: &str| body.get(name).and_then(Value::as_array).into_iter().flatten();
        let removed = list("removed")
            .filter_map(Value::as_str)
            .map(|network| texts.was_removed.replace("{}", network));
        let kept = list("kept").filter_map(|kept| {
            let text = match kept.get("reason")?.as_str()? {
                "permanent" => texts.stays_permanent,
                _ => texts.stays_others,
            };
            Some(text.replace("{}", kept.get("network")?.as_str()?))
        });
        let nothing = body.get("status").and_then(Value::as_str) == Some("unchanged");
        Self {
            tone: Tone::Plain,
            heading: if nothing { texts.unchanged } else { texts.removed },
            end: None,
            network: None,
            sentences: removed.chain(kept).collect(),
            entries: None,
        }
    }
}

fn entries(list: &Value) -> Vec<(&str, End<'_>)> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|entry| {
        let ends = entry.get("ends").and_then(Value::as_str);
        Some((entry.get("network")?.as_str()?, End::of(ends)))
    })
    .collect()
}
