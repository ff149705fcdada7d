//! The stack at a glance, and what to look at.

use allowlist::gate_check::Severity;
use allowlist::lease_record::{LEASE_OBJECT, LeaseRecord};
use allowlist::member_file::MEMBERS;
use allowlist::time::rfc3339;
use allowlist::{Document, Target};
use serde_json::{Value, json};

use super::cuts::Report;
use super::entries::{self, Listing, TargetListing};
use super::gate_check::{self, DocumentCheck};
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// One target at a glance.
struct Glance {
    arn: String,
    version: Option<String>,
    /// Permanent, granted, and added by hand; `None` if the entries could not be listed.
    counts: Option<[usize; 3]>,
    percent_full: Option<usize>,
}

/// What is shown.
struct Overview {
    glances: Vec<Glance>,
    checked: Vec<DocumentCheck>,
    /// When the last reset was completed, in seconds since 1970.
    last_reset: Option<i64>,
    /// How many entries the next reset takes off; `None` if it would fail.
    next_reset: Option<usize>,
    /// How many keys members have.
    keys: Option<usize>,
    look_at: Vec<String>,
}

/// Shows the overview. It changes nothing.
pub async fn run(stack: &Stack, output: Output) -> Outcome {
    let overview = {
        let _progress = output.progress("looking");
        look(stack).await?
    };
    let alarms = format!(
        "aws cloudwatch describe-alarms --alarm-name-prefix {}- --query 'MetricAlarms[].[AlarmName,StateValue]' --output text",
        stack.name
    );
    let answer = json!({
        "stack": stack.name,
        "status": stack.status,
        "region": stack.aws.region,
        "reset_schedule": stack.parameter("ResetSchedule"),
        "reset_time_zone": stack.parameter("ResetTimeZone"),
        "last_reset": overview.last_reset.map(rfc3339),
        "next_reset_removes": overview.next_reset,
        "member_keys": overview.keys,
        "targets": overview.glances.iter().map(as_json).collect::<Vec<Value>>(),
        "look_at": overview.look_at,
        "alarms_command": alarms,
    });
    output.answer(&answer, || {
        let mut lines = output.table(&rows(stack, &overview));
        lines.push(String::new());
        if overview.look_at.is_empty() {
            lines.push(output.paint(Tone::Good, "nothing needs to be looked at"));
        } else {
            let warn = |line: &String| output.paint(Tone::Warning, &format!("  {line}"));
            lines.push(output.paint(Tone::Heading, "look at:"));
            lines.extend(overview.look_at.iter().map(warn));
        }
        lines.extend([String::new(), "alarms:".to_owned(), format!("  {alarms}")]);
        lines
    });
    Ok(Exit::Done)
}

async fn look(stack: &Stack) -> Result<Overview, Problem> {
    let targets = stack.targets()?;
    let listing = entries::ask(stack).await;
    let listing = listing.as_ref().map(|listing| &listing.read);
    let mut glances = Vec::new();
    for target in &targets {
        let listed = listing.ok().and_then(|listing| listing.target(target.arn()));
        glances.push(glance(stack, target, listed).await);
    }
    let checked = gate_check::all(stack, &targets, listing).await;
    let mut look_at = look_at(stack, listing, &checked);
    let next = stack.invoke::<Report>(&json!({ "dry_run": true })).await;
    let next_reset = match &next {
        Ok(report) => {
            let drift = |arn| {
                format!(
                    "{arn}: more than the list differs from the baseline: see `ip-gate reset --dry-run`"
                )
            };
            look_at.extend(report.read.drifted().map(drift));
            Some(report.read.removed())
        }
        Err(problem) => {
            look_at.push(format!("a reset would fail now: {problem}"));
            None
        }
    };
    Ok(Overview {
        glances,
        checked,
        last_reset: last_reset(stack).await,
        next_reset,
        keys: stack.objects(MEMBERS).await.ok().map(|keys| keys.len()),
        look_at,
    })
}

/// What `lease.json` remembers; `None` if there was no reset yet, or the file cannot be read.
async fn last_reset(stack: &Stack) -> Option<i64> {
    let text = stack.object(LEASE_OBJECT).await.ok()??;
    let record: LeaseRecord = serde_json::from_str(&text).ok()?;
    Some(record.reset_at).filter(|at| *at > 0)
}

fn rows(stack: &Stack, overview: &Overview) -> Vec<Vec<String>> {
    let place = format!("{} ({}, {})", stack.name, stack.status, stack.aws.region);
    let schedule = stack.parameter("ResetSchedule");
    let schedule = format!("{schedule} {}", stack.parameter("ResetTimeZone"));
    let next = match overview.next_reset {
        Some(1) => "takes 1 entry off".to_owned(),
        Some(count) => format!("takes {count} entries off"),
        None => "would fail".to_owned(),
    };
    let last = overview.last_reset.map(rfc3339);
    let keys = overview.keys.map(|keys| keys.to_string());
    let mut rows = vec![
        fact("stack", place),
        fact("reset", schedule),
        fact("last reset", last.unwrap_or_else(|| "not known".to_owned())),
        fact("next reset", next),
        fact("member keys", keys.unwrap_or_else(|| "not known".to_owned())),
    ];
    rows.extend(overview.glances.iter().map(describe));
    rows.push(fact("gate check", gate_check::summary(&overview.checked)));
    rows
}

fn fact(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

async fn glance(stack: &Stack, target: &Target, listed: Option<&TargetListing>) -> Glance {
    let counts = listed.map(|listed| {
        ["permanent", "granted", "by_hand"].map(|standing| {
            let entries = listed.entries.iter();
            entries.filter(|entry| entry.standing == standing).count()
        })
    });
    let (document, version) = stack.aws.iam.in_force(target).await.ok().unzip();
    let percent = |size: usize| size * 100 / stack.limit(target.kind()).max(1);
    Glance {
        arn: target.arn().to_owned(),
        version: version.flatten().map(String::from),
        counts,
        percent_full: document.map(|document: Document| percent(document.size())),
    }
}

fn as_json(glance: &Glance) -> Value {
    let [permanent, granted, by_hand] = glance.counts.map_or([None; 3], |counts| counts.map(Some));
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
    let entries = match glance.counts {
        Some([permanent, granted, by_hand]) => {
            format!("{permanent} permanent, {granted} granted, {by_hand} by hand")
        }
        None => "entries not known".to_owned(),
    };
    let full = match glance.percent_full {
        Some(percent) => format!("{percent} % full"),
        None => "size not known".to_owned(),
    };
    let version = glance.version.as_deref().unwrap_or("trust policy");
    fact("target", format!("{} {version}: {entries}; {full}", glance.arn))
}

/// What somebody should look at, one line each.
fn look_at(
    stack: &Stack,
    listing: Result<&Listing, &Problem>,
    checked: &[DocumentCheck],
) -> Vec<String> {
    let mut lines = Vec::new();
    if matches!(stack.parameter("AlarmEmail"), "" | "none") {
        lines.push("nobody is mailed when a reset fails: set AlarmEmail, or subscribe to the output AlarmTopic".to_owned());
    }
    if stack.parameter("OpenAccess") == "true" {
        lines.push("everybody who knows the URL can add an address: OpenAccess is on".to_owned());
    }
    if let Err(problem) = listing {
        lines.push(format!("the entries cannot be listed: {problem}"));
    }
    for target in listing.map(|listing| listing.targets.as_slice()).unwrap_or_default() {
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
