//! Who is on the list now, and why.

use serde::Deserialize;
use serde_json::json;

use crate::aws::function::Answer;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// What reset-policy lists.
#[derive(Clone, Debug, Deserialize)]
pub struct Listing {
    /// Every target.
    pub targets: Vec<TargetListing>,
}

impl Listing {
    /// The list of the target with this ARN.
    pub fn target(&self, arn: &str) -> Option<&TargetListing> {
        self.targets.iter().find(|target| target.arn == arn)
    }
}

/// The list of one target.
#[derive(Clone, Debug, Deserialize)]
pub struct TargetListing {
    /// Its ARN.
    pub arn: String,
    /// The version in force; roles have none.
    pub version: Option<String>,
    /// Whether a reset could go back to its baseline.
    pub baseline: bool,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// As it is written.
    pub entry: String,
    /// `permanent`, `granted` or `by_hand`.
    pub standing: String,
    /// Who was granted it.
    pub members: Vec<String>,
    /// Since when.
    pub granted_at: Option<String>,
    /// Until when; without it until the next reset.
    pub ends: Option<String>,
}

/// Asks reset-policy for all lists.
pub async fn ask(stack: &Stack) -> Result<Answer<Listing>, Problem> {
    stack.invoke(&json!({ "list": true })).await
}

/// Shows all lists.
pub async fn run(stack: &Stack, output: Output) -> Outcome {
    let listing = {
        let _progress = output.progress("listing");
        ask(stack).await?
    };
    output.answer(&listing.json, || {
        let targets = listing.read.targets.iter();
        targets.flat_map(|target| lines(target, output)).collect()
    });
    Ok(Exit::Done)
}

fn lines(target: &TargetListing, output: Output) -> Vec<String> {
    let version = target.version.as_deref().unwrap_or("trust policy");
    let heading = format!("{}  {version}", target.arn);
    let mut lines = vec![output.paint(Tone::Heading, &heading)];
    if !target.baseline {
        let text = "  no usable baseline: save one with `ip-gate baseline save`";
        lines.push(output.paint(Tone::Warning, text));
    }
    let row = |entry: &Entry| {
        let standing = entry.standing.replace('_', " ");
        let standing = match entry.standing.as_str() {
            "by_hand" => output.paint(Tone::Warning, &standing),
            _ => standing,
        };
        vec![format!("  {}", entry.entry), standing, who(entry)]
    };
    let rows: Vec<Vec<String>> = target.entries.iter().map(row).collect();
    lines.extend(output.table(&rows));
    lines
}

fn who(entry: &Entry) -> String {
    let Some(since) = &entry.granted_at else {
        return String::new();
    };
    let members = if entry.members.is_empty() {
        "without a key".to_owned()
    } else {
        entry.members.join(", ")
    };
    let until = match &entry.ends {
        Some(ends) => format!("until {ends}"),
        None => "until the next reset".to_owned(),
    };
    format!("{members} since {since}, {until}")
}
