//! Keeps the bookmark.

use std::io::{IsTerminal, Read};

use serde_json::json;

use super::api::Gate;
use super::bookmark::Bookmark;
use crate::args::Login;
use crate::output::Output;
use crate::problem::{Exit, Outcome, Problem};

/// A longer text is no bookmark.
const LONGEST_INPUT: u64 = 8192;

/// Reads the bookmark from a prompt or from standard input, and keeps it.
pub async fn run(arguments: &Login, output: Output) -> Outcome {
    if arguments.forget {
        let word = if Bookmark::forget()? { "forgotten" } else { "unchanged" };
        output.answer(&json!({ "status": word }), || vec![word.to_owned()]);
        return Ok(Exit::Done);
    }
    let mut gate = Gate::new(Bookmark::parse(&read()?)?);
    if !arguments.no_check {
        let _progress = output.progress("asking the gate");
        let (ways, _) = gate.ways().await?;
        let page = ways.first().map_or(gate.bookmark.url.as_str(), |way| way.page.as_str());
        gate.ask(page, "status", &[]).await?;
    }
    let path = gate.bookmark.save()?;
    let path = path.display();
    let answer = json!({ "status": "kept", "url": gate.bookmark.url, "file": path.to_string() });
    output.answer(&answer, || {
        vec![
            format!("the bookmark is kept in {path}, which only you can read"),
            "next: `ip-gate add` lets this machine in; `ip-gate watch` keeps it in".to_owned(),
        ]
    });
    if Bookmark::is_in_environment() {
        output.hint("warning: the environment names a gate too, and comes first: unset IP_GATE_BOOKMARK, IP_GATE_URL and IP_GATE_KEY to use this bookmark");
    }
    Ok(Exit::Done)
}

fn read() -> Result<String, Problem> {
    let unread =
        |error: std::io::Error| Problem::new("bad_bookmark", format!("nothing was read: {error}"));
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("bookmark (it is not shown): ").map_err(unread);
    }
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(LONGEST_INPUT);
    input.read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}
