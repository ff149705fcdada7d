//! Takes entries off the list.

use serde_json::Value;

use super::add::show;
use super::api::{Answer, Gate};
use crate::args::Remove;
use crate::output::Output;
use crate::problem::Outcome;

/// Removes this machine's entries, one entry, or all.
pub async fn run(arguments: &Remove, output: Output) -> Outcome {
    let mut gate = Gate::load()?;
    let answers = {
        let _progress = output.progress("removing");
        let network = arguments.network.map(|network| network.to_string());
        let named = match &network {
            Some(network) => Some(("network", network.as_str())),
            None => arguments.all.then_some(("all", "true")),
        };
        match named {
            // It does not matter which API takes it.
            Some(field) => {
                let (ways, _) = gate.ways().await?;
                let way = ways.get(..1).unwrap_or_default();
                gate.ask_on(way, "remove", &[field]).await
            }
            None => gate.ask_everywhere("remove", &[]).await?,
        }
    };
    show(answers, output, describe)
}

fn describe(answer: &Answer) -> String {
    let removed = answer.list("removed").iter().filter_map(Value::as_str);
    let removed = removed.map(|network| format!("removed {network}"));
    let text = |kept: &Value, name: &str| {
        let text = kept.get(name).and_then(Value::as_str);
        text.unwrap_or_default().replace('_', " ")
    };
    let kept = answer.list("kept").iter();
    let kept =
        kept.map(|kept| format!("kept {} ({})", text(kept, "network"), text(kept, "reason")));
    let lines: Vec<String> = removed.chain(kept).collect();
    if lines.is_empty() { "nothing to remove".to_owned() } else { lines.join("\n") }
}
