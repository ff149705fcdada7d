//! What an event asks for.

use allowlist::{Config, Document, Error, Member, Network, Target, VersionId};
use serde_json::Value;

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'c> {
    /// Every event that is no other command.
    Reset,
    /// `{"expire":true}`.
    Expire,
    /// `{"revoke":["51.44.71.80/32"]}`.
    RevokeNetworks(Vec<Network>),
    /// `{"revoke_member":"alice"}`.
    RevokeMember(Member),
    /// `{"rollback":"v5","arn":"…"}`.
    Rollback(&'c Target, VersionId),
    /// `{"list":true}`.
    List,
    /// `{"check_baseline":"<arn>","document":"…"}`; without a document the one in force is checked.
    CheckBaseline(&'c Target, Option<Document>),
}

impl<'c> Command<'c> {
    /// Reads an event. An event that asks for something other than a reset, with a mistake in it,
    /// must not reset.
    ///
    /// # Errors
    /// [`Error::BadCommand`], [`Error::Network`] or [`Error::MalformedDocument`] with what is wrong with it.
    pub fn read(event: &Value, config: &'c Config) -> Result<Self, Error> {
        let bad = |what: String| Error::BadCommand(what);
        if let Some(dry_run) = event.get("dry_run").filter(|v| !v.is_boolean() && !v.is_null()) {
            return Err(bad(format!("`dry_run` is `{dry_run}`: write `true` or `false`")));
        }
        if let Some(list) = event.get("revoke") {
            let texts = list.as_array().filter(|list| !list.is_empty()).ok_or_else(|| {
                bad("`revoke` is not a list of networks: write it like `[\"51.44.71.80/32\"]`"
                    .into())
            })?;
            let network = |text: &Value| -> Result<Network, Error> {
                let text = text.as_str().ok_or_else(|| {
                    bad(format!("`{text}` is not a network: write networks in quotation marks"))
                })?;
                Ok(text.parse()?)
            };
            let networks = texts.iter().map(network).collect::<Result<_, _>>()?;
            return Ok(Self::RevokeNetworks(networks));
        }
        if let Some(name) = event.get("revoke_member") {
            let name =
                name.as_str().ok_or_else(|| bad(format!("`{name}` is not a member's name")))?;
            let member: Member = name.parse().map_err(|e| bad(format!("{e}")))?;
            return Ok(Self::RevokeMember(member));
        }
        if let Some(version) = event.get("rollback") {
            let text = version.as_str().ok_or_else(|| {
                bad(format!("`{version}` is not a version: write it like `\"v5\"`"))
            })?;
            let version = text.parse().map_err(|e| bad(format!("{e}")))?;
            return Ok(Self::Rollback(target(event.get("arn"), config)?, version));
        }
        if let Some(arn) = event.get("check_baseline") {
            let document = match event.get("document") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(Document::parse(text)?),
                Some(_) => return Err(bad("`document` is not JSON in a string".into())),
            };
            return Ok(Self::CheckBaseline(target(Some(arn), config)?, document));
        }
        let asks = |name: &str| event.get(name).is_some_and(|value| *value != Value::Bool(false));
        Ok(match () {
            () if asks("list") => Self::List,
            () if asks("expire") => Self::Expire,
            () => Self::Reset,
        })
    }

    /// The word for what was done, or would be.
    #[must_use]
    pub fn word(&self, changed: bool, dry_run: bool) -> &'static str {
        let (done, would) = match self {
            _ if !changed => ("unchanged", "unchanged"),
            Self::RevokeNetworks(_) | Self::RevokeMember(_) => ("revoked", "would_revoke"),
            Self::Rollback(..) => ("rolled_back", "would_roll_back"),
            Self::Expire => ("expired", "would_expire"),
            Self::Reset | Self::List | Self::CheckBaseline(..) => ("reset", "would_reset"),
        };
        if dry_run { would } else { done }
    }
}

/// One of the configured targets; the only one needs no name.
fn target<'c>(arn: Option<&Value>, config: &'c Config) -> Result<&'c Target, Error> {
    let named = match arn {
        None | Some(Value::Null) => "",
        Some(Value::String(arn)) => arn,
        Some(other) => {
            return Err(Error::BadCommand(format!("`{other}` is not an ARN in quotation marks")));
        }
    };
    if let ([only], "") = (config.targets.as_slice(), named) {
        return Ok(only);
    }
    config.targets.iter().find(|target| target.arn() == named).ok_or_else(|| {
        let known: Vec<&str> = config.targets.iter().map(Target::arn).collect();
        Error::BadCommand(format!(
            "`{named}` is not managed here: name one of {}",
            known.join(", ")
        ))
    })
}
