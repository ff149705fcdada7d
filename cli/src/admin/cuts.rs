//! The commands that take entries away: reset, expire, revoke, rollback. reset-policy does the
//! work; this module asks for it and shows the report.

use serde::Deserialize;
use serde_json::Value;

use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome};

/// The report of reset-policy.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    status: String,
    targets: Vec<TargetReport>,
}

#[derive(Clone, Debug, Deserialize)]
struct TargetReport {
    arn: String,
    status: String,
    version: Option<String>,
    removed: Vec<String>,
    restored: Vec<String>,
    drift: bool,
}

impl Report {
    /// How many entries were taken off all lists, or would be.
    pub fn removed(&self) -> usize {
        self.targets.iter().map(|target| target.removed.len()).sum()
    }

    /// The ARNs of documents in which more than the list differs from the baseline.
    pub fn drifted(&self) -> impl Iterator<Item = &str> {
        let drifted = self.targets.iter().filter(|target| target.drift);
        drifted.map(|target| target.arn.as_str())
    }

    /// The report for people.
    pub fn lines(&self, output: Output) -> Vec<String> {
        let mut lines = vec![self.status.clone()];
        for target in &self.targets {
            let version = match &target.version {
                Some(version) => format!(", version {version}"),
                None => String::new(),
            };
            lines.push(format!("  {}: {}{version}", target.arn, target.status));
            let entries = |word: &str, entries: &[String]| -> Vec<String> {
                let line = |entry: &String| format!("    {word} {entry}");
                entries.iter().map(line).collect()
            };
            lines.extend(entries("removed", &target.removed));
            lines.extend(entries("restored", &target.restored));
            if target.drift {
                let text = "    something outside the list differed from the baseline";
                lines.push(output.paint(Tone::Warning, text));
            }
        }
        lines
    }
}

/// Asks reset-policy and shows what it reports.
pub async fn run(stack: &Stack, event: Value, what: &str, output: Output) -> Outcome {
    let report = {
        let _progress = output.progress(what);
        stack.invoke::<Report>(&event).await?
    };
    output.answer(&report.json, || report.read.lines(output));
    Ok(Exit::Done)
}
