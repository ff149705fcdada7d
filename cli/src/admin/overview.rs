//! The stack at a glance, and what to look at.

use allowlist::Target;
use allowlist::gate_check::Severity;
use serde_json::{Value, json};

use super::cuts::Report;
use super::entries::{self, Listed};
use super::gate_check::{self, Checked};
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome};

/// One target at a glance.
struct Glance {
    arn: String,
    version: Option<String>,
    /// Permanent, granted, and added by hand.
    counts: [usize; 3],
    percent_full: Option<usize>,
}

/// Shows the overview. It changes nothing.
pub async fn run(stack: &Stack, output: Output) -> Outcome {
    let targets = stack.targets()?;
    let listing = entries::ask(stack, output).await?;
    let (glances, checked, dry_run, members) = {
        let _progress = output.progress("looking");
        let mut glances = Vec::new();
        for (target, listed) in targets.iter().zip(&listing.read.targets) {
            glances.push(glance(stack, target, listed).await);
        }
        let checked = gate_check::all(stack, &targets, Some(&listing.read)).await;
        let dry_run = stack.invoke::<Report>(&json!({ "dry_run": true })).await;
        let members = stack.objects(allowlist::member_file::MEMBERS).await;
        (glances, checked, dry_run, members)
    };
    let mut look_at = look_at(stack, &listing.read.targets, &checked);
    if let Err(problem) = &dry_run {
        look_at.push(format!("a reset would fail now: {problem}"));
    }
    let dry_run = dry_run.ok();
    if let Some(report) = &dry_run {
        let drifted = report.read.drifted();
        look_at.extend(drifted.map(|arn| {
            format!(
                "{arn}: more than the list differs from the baseline: see `ip-gate reset --dry-run`"
            )
        }));
    }
    let alarms = format!(
        "aws cloudwatch describe-alarms --alarm-name-prefix {}- --query 'MetricAlarms[].[AlarmName,StateValue]' --output text",
        stack.name
    );
    let keys = members.as_ref().map(Vec::len).ok();
    let next_reset = dry_run.as_ref().map(|report| report.read.removed());
    let answer = json!({
        "stack": stack.name,
        "status": stack.status,
        "region": stack.aws.region,
        "reset_schedule": stack.parameter("ResetSchedule"),
        "reset_time_zone": stack.parameter("ResetTimeZone"),
        "member_keys": keys,
        "next_reset_removes": next_reset,
        "targets": glances.iter().map(as_json).collect::<Vec<Value>>(),
        "look_at": look_at,
        "alarms_command": alarms,
    });
    output.answer(&answer, || {
        let mut rows = vec![
            fact("stack", format!("{} ({}, {})", stack.name, stack.status, stack.aws.region)),
            fact(
                "reset",
                format!(
                    "{} {}",
                    stack.parameter("ResetSchedule"),
                    stack.parameter("ResetTimeZone")
                ),
            ),
            fact(
                "next reset",
                next_reset.map_or("would fail".to_owned(), |n| format!("takes {n} entries off")),
            ),
            fact("member keys", keys.map_or("not known".to_owned(), |keys| keys.to_string())),
        ];
        rows.extend(glances.iter().map(describe));
        rows.push(fact("gate check", gate_check::summary(&checked)));
        let mut lines = output.table(&rows);
        lines.push(String::new());
        if look_at.is_empty() {
            lines.push(output.paint(Tone::Good, "nothing needs to be looked at"));
        } else {
            lines.push(output.paint(Tone::Heading, "look at:"));
            lines.extend(
                look_at.iter().map(|line| output.paint(Tone::Warning, &format!("  {line}"))),
            );
        }
        lines.push(String::new());
        lines.push("alarms:".to_owned());
        lines.push(format!("  {alarms}"));
        lines
    });
    Ok(Exit::Done)
}

fn fact(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

async fn glance(stack: &Stack, target: &Target, listed: &Listed) -> Glance {
    let count = |standing: &str| {
        let entries = listed.entries.iter();
        entries.filter(|entry| entry.standing == standing).count()
    };
    let document = stack.aws.iam.in_force(target).await;
    let percent = |size: usize| size * 100 / stack.limit(target.kind()).max(1);
    Glance {
        arn: listed.arn.clone(),
        version: listed.version.clone(),
        counts: [count("permanent"), count("granted"), count("by_hand")],
        percent_full: document.ok().map(|(document, _)| percent(document.size())),
    }
}

fn as_json(glance: &Glance) -> Value {
    let [permanent, granted, by_hand] = glance.counts;
    json!({
        "arn": glance.arn,
        "version": glance.version,
        "permanent": permanent,
        "granted": granted,
        "by_hand": by_hand,
        "percent_full": glance.percent_full,
    })
}

fn describe(glance: &Glance) -> Vec<String> {
    let [permanent, granted, by_hand] = glance.counts;
    let full = match glance.percent_full {
        Some(percent) => format!("{percent} % full"),
        None => "size not known".to_owned(),
    };
    let version = glance.version.as_deref().unwrap_or("trust policy");
    let text = format!(
        "{} {version}: {permanent} permanent, {granted} granted, {by_hand} by hand; {full}",
        glance.arn
    );
    fact("target", text)
}

/// What somebody should look at, one line each.
fn look_at(stack: &Stack, listed: &[Listed], checked: &[Checked]) -> Vec<String> {
    let mut lines = Vec::new();
    if matches!(stack.parameter("AlarmEmail"), "" | "none") {
        lines.push("nobody is mailed when a reset fails: set AlarmEmail, or subscribe to the output AlarmTopic".to_owned());
    }
    if stack.parameter("OpenAccess") == "true" {
        lines.push("everybody who knows the URL can add an address: OpenAccess is on".to_owned());
    }
    for target in listed {
        if !target.baseline {
            lines.push(format!("{}: no usable baseline: run `ip-gate baseline save`", target.arn));
        }
        let by_hand = target.entries.iter().filter(|entry| entry.standing == "by_hand");
        lines.extend(by_hand.map(|entry| {
            format!(
                "{}: {} was added by hand, and the next reset takes it off",
                target.arn, entry.entry
            )
        }));
    }
    for checked in checked {
        let serious = checked.findings.iter().filter(|found| found.severity != Severity::Note);
        lines.extend(serious.map(|found| {
            format!("{}: {}: {} (`ip-gate gate check`)", checked.name, found.rule, found.reason)
        }));
    }
    lines
}
