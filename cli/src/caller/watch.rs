//! Keeps this machine let in, until it is stopped.

use std::time::Duration;

use allowlist::time::{parse_seconds, rfc3339};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::add::{describe, on_all};
use super::api::{Answer, Gate, Way};
use super::bookmark::Bookmark;
use super::schedule::{Schedule, Step};
use super::status::is_allowed;
use super::unit;
use crate::admin::now;
use crate::args::Watch;
use crate::output::Output;
use crate::problem::{Exit, Outcome, Problem};

/// Runs until SIGINT or SIGTERM.
pub async fn run(arguments: &Watch, output: Output) -> Outcome {
    if let Some(kind) = arguments.print_unit {
        output.line(unit::text(kind, arguments)?);
        output.hint(unit::how_to_install(kind));
        return Ok(Exit::Done);
    }
    let no_signals =
        |error| Problem::new("no_signals", format!("signals cannot be handled: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut watcher = Watcher {
        gate: Gate::load()?,
        schedule: Schedule::new(arguments.every),
        arguments,
        output,
        told: None,
    };
    let pause = Duration::from_secs(u64::from(arguments.every));
    let rounds = async {
        loop {
            watcher.round().await;
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = rounds => {}
    }
    tell(output, "stopped", "stopped; what was added stays as long as it would have", &json!({}));
    Ok(Exit::Done)
}

/// One line for one event. With `--json` one object a line.
fn tell(output: Output, event: &str, text: &str, more: &Value) {
    let time = rfc3339(now());
    if !output.json {
        output.line(format!("{time}  {text}"));
        return;
    }
    let mut line = json!({ "time": time, "event": event });
    if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
        line.extend(more.clone());
    }
    output.line(line.to_string());
}

struct Watcher<'a> {
    gate: Gate,
    schedule: Schedule,
    arguments: &'a Watch,
    output: Output,
    /// The last problem that was shown. The same one is not shown again.
    told: Option<Problem>,
}

impl Watcher<'_> {
    /// One look, and what follows from it.
    async fn round(&mut self) {
        self.take_new_bookmark();
        let ways = match self.gate.ways().await {
            Ok(ways) => ways,
            Err(problem) => return self.problem(problem, None),
        };
        if self.told.as_ref().is_some_and(|told| told.kind == "unreachable") {
            self.told = None;
            tell(self.output, "reachable", "the gate can be reached again", &json!({}));
        }
        let mut networks: Vec<String> = ways.iter().map(|way| way.network.clone()).collect();
        networks.sort();
        match self.schedule.step(now(), &networks) {
            Step::Rest => {}
            Step::Ask => self.ask(&ways, &networks).await,
            Step::Add => self.add(&ways, &networks).await,
        }
    }

    /// A member who got a new key runs `ip-gate login` meanwhile.
    fn take_new_bookmark(&mut self) {
        let Ok(kept) = Bookmark::load() else { return };
        let current = &self.gate.bookmark;
        if (&kept.url, &kept.key) != (&current.url, &current.key) {
            self.gate = Gate::new(kept);
            self.schedule = Schedule::new(self.arguments.every);
            self.told = None;
        }
    }

    async fn add(&mut self, ways: &[Way], networks: &[String]) {
        let answers = on_all(&self.gate, ways, &self.arguments.add).await;
        let answers: Vec<Answer> = match answers.into_iter().collect() {
            Ok(answers) => answers,
            Err(problem) => return self.problem(problem, Some(networks)),
        };
        self.told = None;
        for answer in &answers {
            let (status, network) = (answer.text("status"), answer.text("network"));
            let text = describe(answer);
            let more = json!({ "network": network, "ends": answer.json.get("ends") });
            tell(self.output, status, &text, &more);
        }
        self.schedule.is_in(now(), networks, first_end(&answers));
    }

    async fn ask(&mut self, ways: &[Way], networks: &[String]) {
        let mut answers = Vec::new();
        for way in ways {
            match self.gate.ask(&way.page, "status", &[]).await {
                Ok(answer) => answers.push(answer),
                Err(problem) => return self.problem(problem, Some(networks)),
            }
        }
        if answers.iter().all(is_still_in) {
            self.schedule.is_in(now(), networks, first_end(&answers));
        } else {
            self.schedule.is_out();
            self.add(ways, networks).await;
        }
    }

    /// `networks` is what the gate was asked for; `None` if it was not reached.
    fn problem(&mut self, problem: Problem, networks: Option<&[String]>) {
        let mut text = problem.message.clone();
        if let Some(networks) = networks.filter(|_| problem.kind != "unreachable") {
            let is_of_key = problem.kind == "unauthorized";
            let networks = if is_of_key { &[] } else { networks };
            self.schedule.was_refused(now(), networks);
            let pause = self.schedule.pause(now());
            text = format!("refused: {text}; the next try is in {pause} s");
        }
        let is_known = self.told.as_ref().is_some_and(|told| told.kind == problem.kind);
        if !is_known {
            let more = json!({ "error": problem.kind, "message": problem.message });
            let event = if problem.kind == "unreachable" { "unreachable" } else { "refused" };
            tell(self.output, event, &text, &more);
            self.told = Some(problem);
        }
    }
}

/// Whether the caller is let in, and if temporary entries let them in, whether one of these is
/// their own.
fn is_still_in(answer: &Answer) -> bool {
    let network = answer.text("network");
    let is_own = |entry: &Value| entry.get("network").and_then(Value::as_str) == Some(network);
    let is_permanent = answer.list("members").is_empty();
    is_allowed(answer) && (is_permanent || answer.list("entries").iter().any(is_own))
}

/// When the first of the entries ends.
fn first_end(answers: &[Answer]) -> Option<i64> {
    let ends = answers.iter().filter_map(|answer| parse_seconds(answer.text("ends")));
    ends.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: Value) -> Answer {
        Answer { json }
    }

    #[test]
    fn an_entry_of_ones_own_counts_and_a_permanent_one() {
        let own = json!([{ "network": "1.2.3.4/32" }]);
        for (allowed, members, entries, expected) in [
            (true, json!([]), json!([]), true),
            (true, json!(["alice"]), own.clone(), true),
            (true, json!(["bob"]), json!([]), false),
            (false, json!(["alice"]), own, false),
        ] {
            let told = json!({
                "network": "1.2.3.4/32", "allowed": allowed, "members": members, "entries": entries,
            });
            assert_eq!(is_still_in(&answer(told.clone())), expected, "{told}");
        }
    }

    #[test]
    fn the_first_end_counts() {
        let ends = |text: Option<&str>| answer(json!({ "ends": text }));
        let answers =
            [ends(Some("1970-01-01T00:00:20Z")), ends(Some("1970-01-01T00:00:10Z")), ends(None)];
        assert_eq!(first_end(&answers), Some(10));
        assert_eq!(first_end(&[ends(None)]), None);
    }
}
