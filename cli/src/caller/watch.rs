//! Keeps this machine let in, until it is stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use allowlist::time::{parse_seconds, rfc3339};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::add::{describe, fields};
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
        let (text, install) = (unit::text(kind, arguments)?, unit::how_to_install(kind));
        output.answer(&json!({ "unit": text, "install": install }), || vec![text]);
        if !output.json {
            output.hint(install);
        }
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
        told: BTreeMap::new(),
        ends: BTreeMap::new(),
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
    /// The kind of the problem that was told last, by network; without one that of the key, or of the connection. The
    /// same one is not told again.
    told: BTreeMap<Option<String>, String>,
    /// Until when each network was said to be let in.
    ends: BTreeMap<String, String>,
}

impl Watcher<'_> {
    /// One look, and what follows from it. What becomes of one network is of no account for the others.
    async fn round(&mut self) {
        self.take_new_bookmark();
        self.schedule.follow(now());
        let (ways, problems) = match self.gate.ways().await {
            Ok(found) => found,
            Err(problem) => return self.problem(&problem, None),
        };
        problems.iter().for_each(|problem| self.problem(problem, None));
        if self.told.get(&None).is_some_and(|kind| kind == "unreachable") {
            self.told.remove(&None);
            tell(self.output, "reachable", "the gate can be reached again", &json!({}));
        }
        let networks: Vec<&str> = ways.iter().map(|way| way.network.as_str()).collect();
        self.schedule.keep(now(), &networks);
        self.told.retain(|network, _| network.as_deref().is_none_or(|one| networks.contains(&one)));
        self.ends.retain(|network, _| networks.contains(&network.as_str()));
        self.ask(&self.due(&ways, Step::Ask)).await;
        self.add(&self.due(&ways, Step::Add)).await;
    }

    fn due(&self, ways: &[Way], step: Step) -> Vec<Way> {
        let is_due = |way: &&Way| self.schedule.step(now(), &way.network) == step;
        ways.iter().filter(is_due).cloned().collect()
    }

    /// A member who got a new key runs `ip-gate login` meanwhile.
    fn take_new_bookmark(&mut self) {
        let Ok(kept) = Bookmark::load() else { return };
        let current = &self.gate.bookmark;
        if (&kept.url, &kept.key) != (&current.url, &current.key) {
            self.gate = Gate::new(kept);
            self.schedule = Schedule::new(self.arguments.every);
            self.told.clear();
            self.ends.clear();
        }
    }

    async fn add(&mut self, ways: &[Way]) {
        let answers = self.gate.ask_on(ways, "add", &fields(&self.arguments.add)).await;
        for (way, answer) in ways.iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    let (status, network) = (answer.text("status"), answer.text("network"));
                    let ends = answer.text("ends").to_owned();
                    let known = self.ends.insert(way.network.clone(), ends.clone());
                    // An entry with a cutoff is renewed in its last minute only: until then nothing has changed.
                    if status != "already_allowed" || known != Some(ends) {
                        let more = json!({ "network": network, "ends": answer.json.get("ends") });
                        tell(self.output, status, &describe(&answer), &more);
                    }
                    self.is_in(way, &answer);
                }
                Err(problem) => self.problem(&problem, Some(way)),
            }
        }
    }

    async fn ask(&mut self, ways: &[Way]) {
        let answers = self.gate.ask_on(ways, "status", &[]).await;
        for (way, answer) in ways.iter().zip(answers) {
            match answer {
                Ok(answer) if is_still_in(&answer) => self.is_in(way, &answer),
                Ok(_) => self.schedule.is_out(&way.network),
                Err(problem) => self.problem(&problem, Some(way)),
            }
        }
    }

    fn is_in(&mut self, way: &Way, answer: &Answer) {
        self.schedule.is_in(now(), &way.network, parse_seconds(answer.text("ends")));
        self.told.remove(&None);
        self.told.remove(&Some(way.network.clone()));
    }

    /// `way` is where the gate was asked; `None` where no way led there.
    fn problem(&mut self, problem: &Problem, way: Option<&Way>) {
        let Problem { kind, message, .. } = problem;
        // The key is the same on every way.
        let network = way.map(|way| way.network.as_str()).filter(|_| kind != "unauthorized");
        let event = if kind == "unreachable" { "unreachable" } else { "refused" };
        let place = network.map(|network| format!(" {network}")).unwrap_or_default();
        let text = if way.is_some() && event == "refused" {
            let now = now();
            self.schedule.was_refused(now, network);
            let pause = self.schedule.pause(now, network);
            format!("refused{place}: {message}; the next try is in {pause} s")
        } else {
            message.clone()
        };
        let known = self.told.insert(network.map(str::to_owned), kind.clone());
        if known.as_ref() != Some(kind) {
            let more = json!({ "error": kind, "message": message, "network": network });
            tell(self.output, event, &text, &more);
        }
    }
}

/// Whether the caller is let in, and by an entry of their own where temporary entries let them in at all.
fn is_still_in(answer: &Answer) -> bool {
    let network = answer.text("network");
    let is_own = |entry: &Value| entry.get("network").and_then(Value::as_str) == Some(network);
    let is_permanent = answer.list("members").is_empty();
    is_allowed(answer) && (is_permanent || answer.list("entries").iter().any(is_own))
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
}
