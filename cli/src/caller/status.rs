//! Tells whether this machine is let in.

use serde_json::{Value, json};

use super::add::until;
use super::api::{Answer, Gate};
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome};

/// Shows what the gate knows about this machine. The program ends with 1 if an address is not let
/// in.
pub async fn run(output: Output) -> Outcome {
    let mut gate = Gate::load()?;
    let answers = {
        let _progress = output.progress("asking");
        gate.ask_everywhere("status", &[]).await?
    };
    let (answers, problems): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    let allowed = problems.is_empty() && answers.iter().all(is_allowed);
    let json: Vec<&Value> = answers.iter().map(|answer| &answer.json).collect();
    if !answers.is_empty() {
        output.answer(&json!({ "allowed": allowed, "answers": json }), || lines(&answers, output));
    }
    // One network without an answer does not hide what is known of the other.
    match problems.into_iter().find_map(Result::err) {
        Some(problem) => Err(problem),
        None => Ok(if allowed { Exit::Done } else { Exit::Failed }),
    }
}

/// Whether the gate lets the caller of an answer in.
pub fn is_allowed(answer: &Answer) -> bool {
    answer.json.get("allowed") == Some(&Value::Bool(true))
}

fn lines(answers: &[Answer], output: Output) -> Vec<String> {
    let mut lines: Vec<String> = answers.iter().map(|answer| line(answer, output)).collect();
    // Every answer has all entries of the member.
    let entries = answers.first().map(|answer| answer.list("entries")).unwrap_or_default();
    if !entries.is_empty() {
        lines.push("your entries:".to_owned());
        let text = |entry: &Value, name: &str| {
            let text = entry.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let row = |entry: &Value| {
            vec![
                format!("  {}", text(entry, "network")),
                format!("since {}", text(entry, "granted_at")),
                until(entry),
            ]
        };
        lines.extend(output.table(&entries.iter().map(row).collect::<Vec<_>>()));
    }
    lines
}

fn line(answer: &Answer, output: Output) -> String {
    let network = answer.text("network");
    if !is_allowed(answer) {
        let word = output.paint(Tone::Bad, "not let in");
        return format!("{network} is {word}: run `ip-gate add`");
    }
    let word = output.paint(Tone::Good, "let in");
    if answer.text("granted_at").is_empty() {
        return format!("{network} is {word} permanently");
    }
    format!("{network} is {word}, {}", until(&answer.json))
}
