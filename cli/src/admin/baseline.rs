//! The document that every reset goes back to: show it, check a new one, save it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Arn, Candidate};
use crate::aws::function::Answer;
use crate::aws::stack::Stack;
use crate::output::{Output, Tone};
use crate::problem::{Exit, Outcome, Problem};

/// What reset-policy says of a document that may become the baseline.
#[derive(Debug, Deserialize)]
struct Verdict {
    object: String,
    document: String,
    entries: Vec<String>,
    unparsed: Vec<String>,
    replaces: Option<Difference>,
}

/// How it differs from the baseline that it replaces.
#[derive(Debug, Deserialize)]
struct Difference {
    removed: Vec<String>,
    added: Vec<String>,
    statements_removed: Vec<Value>,
    statements_added: Vec<Value>,
    drift: bool,
}

impl Difference {
    fn differs(&self) -> bool {
        self.drift || !self.removed.is_empty() || !self.added.is_empty()
    }
}

/// Prints the baseline that is stored.
pub async fn show(stack: &Stack, arn: &Arn, output: Output) -> Outcome {
    let target = stack.target(arn)?;
    let object = target.baseline_object();
    let stored = {
        let _progress = output.progress("reading the baseline");
        stack.object(&object).await?
    };
    let text = stored.ok_or_else(|| {
        Problem::new(
            "no_baseline",
            format!(
                "there is no baseline of `{target}` yet: save one with `ip-gate baseline save`"
            ),
        )
    })?;
    // A stored text that is no JSON is shown as it is.
    let document: Option<Value> = serde_json::from_str(&text).ok();
    let answer = json!({ "arn": target.arn(), "object": object, "document": document });
    let pretty = document.and_then(|document| serde_json::to_string_pretty(&document).ok());
    output.answer(&answer, || vec![pretty.unwrap_or(text)]);
    Ok(Exit::Done)
}

/// Checks a document by the code that goes back to it; -> the verdict, and whether a baseline is stored.
async fn ask(
    stack: &Stack,
    candidate: &Candidate,
    output: Output,
) -> Result<(Answer<Verdict>, bool), Problem> {
    let target = stack.target(&candidate.target)?;
    let mut event = json!({ "check_baseline": target.arn() });
    if let (Some(path), Some(event)) = (&candidate.file, event.as_object_mut()) {
        event.insert("document".to_owned(), super::read_file(path)?.into());
    }
    let _progress = output.progress("checking");
    let found: Answer<Verdict> = stack.invoke(&event).await?;
    // One that cannot be read is stored as well.
    let Verdict { object, replaces, .. } = &found.read;
    let is_stored = replaces.is_some() || stack.object(object).await?.is_some();
    Ok((found, is_stored))
}

/// Tells whether a document could be saved.
pub async fn check(stack: &Stack, candidate: &Candidate, output: Output) -> Outcome {
    let (found, is_stored) = ask(stack, candidate, output).await?;
    output.answer(&found.json, || lines(&found.read, is_stored, output));
    Ok(Exit::Done)
}

/// Saves a document as the baseline.
pub async fn save(stack: &Stack, candidate: &Candidate, yes: bool, output: Output) -> Outcome {
    let (found, is_stored) = ask(stack, candidate, output).await?;
    let Verdict { object, document, replaces, .. } = &found.read;
    let differs = replaces.as_ref().map_or(is_stored, Difference::differs);
    let asks = differs && !yes;
    for line in lines(&found.read, is_stored, output) {
        match output.json {
            false => output.line(line),
            // Nobody says yes to what they have not seen.
            true if asks => output.hint(line),
            true => {}
        }
    }
    if asks && !output.confirm("Every reset goes back to this from now on. Save it?")? {
        return Err(Problem::new("not_saved", "nothing was saved"));
    }
    {
        let _progress = output.progress("saving");
        stack.put(object, document.clone()).await?;
    }
    let place = format!("s3://{}/{object}", stack.bucket()?);
    let mut answer = found.json.clone();
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("status".to_owned(), "saved".into());
    }
    output.answer(&answer, || {
        let before = match is_stored {
            true => "; the one before is kept as an older version of the object",
            false => "",
        };
        vec![format!("saved as {place}{before}")]
    });
    Ok(Exit::Done)
}

fn lines(found: &Verdict, is_stored: bool, output: Output) -> Vec<String> {
    let mut lines = vec![format!("entries: {}", found.entries.join(" "))];
    if !found.unparsed.is_empty() {
        let text = format!("no networks, so they let nobody in: {}", found.unparsed.join(" "));
        lines.push(output.paint(Tone::Warning, &text));
    }
    let Some(replaces) = &found.replaces else {
        lines.push(if is_stored {
            let text = "the baseline that is stored cannot be read, so nobody knows what differs: see `ip-gate baseline show`";
            output.paint(Tone::Warning, text)
        } else {
            "there was no baseline before".to_owned()
        });
        return lines;
    };
    lines.extend(replaces.added.iter().map(|entry| format!("  added {entry}")));
    let removed = |entry: &String| output.paint(Tone::Warning, &format!("  removed {entry}"));
    lines.extend(replaces.removed.iter().map(removed));
    let statement = |word: &str, statement: &Value| {
        output.paint(Tone::Warning, &format!("  statement {word}: {statement}"))
    };
    lines.extend(replaces.statements_added.iter().map(|json| statement("added", json)));
    lines.extend(replaces.statements_removed.iter().map(|json| statement("removed", json)));
    if !replaces.drift {
        lines.push("  nothing outside the list differs".to_owned());
    }
    lines
}
