//! What an event asks for.

use allowlist::{Config, Document, Error, Network, Target, VersionId};
use allowlist_aws::flow::revoke::Revocation;
use serde_json::Value;

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'c> {
    /// Every event that is none of the others.
    Reset,
    /// `{"revoke":["51.44.71.80/32"]}` or `{"revoke_member":"alice"}`.
    Revoke(Revocation),
    /// `{"rollback":"v5","arn":"…"}`.
    Rollback(&'c Target, VersionId),
    /// `{"list":true}`.
    List,
    /// `{"check_baseline":"<arn>","document":"…"}`; without a document what is in force is checked.
    CheckBaseline(&'c Target, Option<Document>),
}

impl<'c> Command<'c> {
    /// Reads an event. One that asks for something else than a reset and does not say it right must not reset by mistake.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(event: &Value, config: &'c Config) -> Result<Self, Error> {
        if let Some(list) = event.get("revoke") {
            let texts = list
                .as_array()
                .filter(|list| !list.is_empty())
                .ok_or_else(|| Error::BadIp(list.to_string()))?;
            let network = |text: &Value| text.as_str().unwrap_or_default().parse::<Network>();
            return Ok(Self::Revoke(Revocation::Networks(
                texts.iter().map(network).collect::<Result<_, _>>()?,
            )));
        }
        if let Some(name) = event.get("revoke_member") {
            return Ok(Self::Revoke(Revocation::Member(
                name.as_str().unwrap_or_default().parse()?,
            )));
        }
        if let Some(version) = event.get("rollback") {
            let version = version.as_str().unwrap_or_default().parse()?;
            return Ok(Self::Rollback(target(event.get("arn"), config)?, version));
        }
        if let Some(arn) = event.get("check_baseline") {
            let document = event
                .get("document")
                .and_then(Value::as_str)
                .map(Document::parse)
                .transpose();
            return Ok(Self::CheckBaseline(target(Some(arn), config)?, document?));
        }
        Ok(if event.get("list").is_some() {
            Self::List
        } else {
            Self::Reset
        })
    }

    /// The word for what was done, or would be.
    #[must_use]
    pub fn word(&self, changed: bool, dry_run: bool) -> &'static str {
        match (self, changed, dry_run) {
            (_, false, _) => "unchanged",
            (Self::Revoke(_), true, true) => "would_revoke",
            (Self::Revoke(_), true, false) => "revoked",
            (Self::Rollback(..), true, true) => "would_roll_back",
            (Self::Rollback(..), true, false) => "rolled_back",
            (_, true, true) => "would_reset",
            (_, true, false) => "reset",
        }
    }
}

/// One of the configured targets; the only one needs no name.
fn target<'c>(arn: Option<&Value>, config: &'c Config) -> Result<&'c Target, Error> {
    let named = arn.and_then(Value::as_str).unwrap_or_default();
    if let ([only], "") = (config.targets.as_slice(), named) {
        return Ok(only);
    }
    config
        .targets
        .iter()
        .find(|target| target.arn() == named)
        .ok_or_else(|| {
            let known: Vec<&str> = config.targets.iter().map(Target::arn).collect();
            Error::MalformedDocument(format!(
                "`{named}` is not kept here, name one of {}",
                known.join(", ")
            ))
        })
}
