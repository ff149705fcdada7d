//! Adds this machine's addresses.

use serde_json::{Value, json};

use super::api::{Answer, Gate};
use crate::args::Add;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// Adds on every way, and shows each answer.
pub async fn run(arguments: &Add, output: Output) -> Outcome {
    let mut gate = Gate::load()?;
    let answers = {
        let _progress = output.progress("adding");
        gate.ask_everywhere("add", &fields(arguments)).await?
    };
    show(answers, output, |answer| output.paint(Tone::Good, &describe(answer)))
}

/// What an add came to. An address that is let in already may be so permanently: then no reset ends it.
pub fn describe(answer: &Answer) -> String {
    let (status, network) = (answer.text("status"), answer.text("network"));
    let text = format!("{} {network}", status.replace('_', " "));
    if status == "already_allowed" && answer.text("ends").is_empty() {
        text
    } else {
        format!("{text}, {}", until(&answer.json))
    }
}

/// The fields of a request to add.
pub fn fields(arguments: &Add) -> Vec<(&str, &str)> {
    let duration = arguments.duration.as_deref();
    duration.map(|text| ("for", text)).into_iter().collect()
}

/// Until when an entry stays, in words.
pub fn until(entry: &Value) -> String {
    match entry.get("ends").and_then(Value::as_str) {
        Some(ends) => format!("until {ends}"),
        None => "until the next reset".to_owned(),
    }
}

/// Shows the answers of all ways. It is done when all are; the first problem decides how the program ends.
pub fn show(
    answers: Vec<Result<Answer, Problem>>,
    output: Output,
    line: impl Fn(&Answer) -> String,
) -> Outcome {
    let (done, problems): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let done: Vec<Answer> = done.into_iter().flatten().collect();
    let json: Vec<&Value> = done.iter().map(|answer| &answer.json).collect();
    if !done.is_empty() {
        output.answer(&json!({ "answers": json }), || done.iter().map(line).collect());
    }
    let mut problems = problems.into_iter().filter_map(Result::err);
    let Some(first) = problems.next() else {
        return Ok(Exit::Done);
    };
    problems.for_each(|problem| output.problem(&problem));
    Err(first)
}
