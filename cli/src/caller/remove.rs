//! Takes entries off the list.

use futures_util::future::join_all;
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
        let (ways, problems) = gate.ways().await?;
        let first = ways.first().map_or(gate.bookmark.url.as_str(), |way| way.page.as_str());
        match arguments.network {
            Some(network) => {
                let network = network.to_string();
                vec![gate.ask(first, "remove", &[("network", &network)]).await]
            }
            None if arguments.all => vec![gate.ask(first, "remove", &[("all", "true")]).await],
            None => {
                let answers = ways.iter().map(|way| gate.ask(&way.page, "remove", &[]));
                let mut answers = join_all(answers).await;
                answers.extend(problems.into_iter().map(Err));
                answers
            }
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
