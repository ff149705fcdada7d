//! What was measured, as a page: each part between two marks of its own, so that what people wrote around them stays.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::Figures;
use crate::build::Build;
use crate::burst::{Burst, DISTANCE};

const END: &str = "<!-- measured: end -->";

/// What was measured: the name of each part, and its text.
#[derive(Default)]
pub struct Report {
    parts: Vec<(&'static str, String)>,
    /// Whether the last line is a row of the common table.
    in_table: bool,
}

impl Report {
    /// What comes now belongs to this part.
    pub fn begin(&mut self, part: &'static str) {
        self.parts.push((part, String::new()));
        self.in_table = false;
    }

    /// A row with median, p99 and, if there is one, the ratio to the empty function against its
    /// goal.
    pub fn line(&mut self, what: &str, figures: &Figures, unit: &str, goal: Option<(f64, f64)>) {
        let Figures { median, p99 } = figures;
        let (ratio, goal) = match goal {
            None => (String::new(), String::new()),
            Some((ratio, goal)) if goal.is_infinite() => (format!("{ratio:.2}"), String::new()),
            Some((ratio, goal)) => {
                (format!("{ratio:.2}"), format!("≤ {goal} {}", verdict(ratio <= goal)))
            }
        };
        self.row(&format!("| {what} | {median:.2} {unit} | {p99:.2} {unit} | {ratio} | {goal} |"));
    }

    /// A row with one figure against its goal.
    pub fn single(&mut self, what: &str, figure: f64, unit: &str, goal: &str, met: bool) {
        self.row(&format!("| {what} | {figure:.2} {unit} | | | ≤ {goal} {} |", verdict(met)));
    }

    /// A text with tables of its own.
    pub fn section(&mut self, text: &str) {
        println!("{text}");
        self.add(&format!("\n{}\n", text.trim()));
        self.in_table = false;
    }

    fn row(&mut self, row: &str) {
        println!("{row}");
        if !self.in_table {
            self.add("\n| what | median | p99 | ratio to the empty function | goal |\n|---|---|---|---|---|\n");
        }
        self.add(&format!("{row}\n"));
        self.in_table = true;
    }

    fn add(&mut self, text: &str) {
        if let Some((_, part)) = self.parts.last_mut() {
            part.push_str(text);
        }
    }

    /// Puts each part that was measured between its marks in the page; the others stay.
    pub fn write(&self, page: &Path) -> Result<(), Box<dyn Error>> {
        let mut text = std::fs::read_to_string(page)?;
        for (name, part) in &self.parts {
            let begin = format!("<!-- measured by `make bench`, part {name}: do not edit -->");
            let missing = || format!("the page has no marks for `{name}`");
            let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
            let (_, after) = rest.split_once(END).ok_or_else(missing)?;
            text = format!("{before}{begin}\n{part}\n{END}{after}");
        }
        Ok(std::fs::write(page, text)?)
    }
}

/// The table of bursts and its plots.
pub fn bursts(bursts: &[Burst]) -> Result<String, std::fmt::Error> {
    let distance = DISTANCE.as_millis();
    let mut text = format!(
        "Bursts: everybody at once, each in a process of its own that waits warm, {distance} ms for every call of AWS. Everybody was answered 200.\n\n\
         | members | versions written | calls | calls per member | median answer, round trips | last answer, round trips | goal |\n|---|---|---|---|---|---|---|\n"
    );
    for Burst { members, versions, calls, round_trips, median } in bursts {
        let goal = if *members == 100 {
            format!("≤ 40, ≤ 6 versions {}", verdict(*round_trips <= 40.0 && *versions <= 6))
        } else {
            String::new()
        };
        let each = *calls as f64 / *members as f64;
        writeln!(
            text,
            "| {members} | {versions} | {calls} | {each:.1} | {median:.1} | {round_trips:.1} | {goal} |"
        )?;
    }
    plot(&mut text, bursts, "Versions written", |burst| burst.versions as f64)?;
    plot(&mut text, bursts, "Calls of AWS per member", |burst| {
        burst.calls as f64 / burst.members as f64
    })?;
    plot(&mut text, bursts, "Round trips to the last answer", |burst| burst.round_trips)?;
    Ok(text)
}

fn plot(
    text: &mut String,
    bursts: &[Burst],
    title: &str,
    value: impl Fn(&Burst) -> f64,
) -> std::fmt::Result {
    let members: Vec<String> = bursts.iter().map(|burst| burst.members.to_string()).collect();
    let values: Vec<String> = bursts.iter().map(|burst| format!("{:.1}", value(burst))).collect();
    let most = bursts.iter().map(value).fold(1.0, f64::max).ceil();
    writeln!(
        text,
        "\n```mermaid\nxychart-beta\n    title \"{title}\"\n    x-axis \"members at once\" [{}]\n    y-axis 0 --> {most}\n    line [{}]\n```",
        members.join(", "),
        values.join(", ")
    )
}

/// What building costs, in a sentence.
pub fn build(build: Build) -> String {
    let Build { clean, incremental, size } = build;
    let (clean, again, size) = (clean.as_secs(), incremental.as_secs(), size / 1_000_000);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Building both functions for release on {cores} cores: {clean} s from nothing, {again} s after a change of our own code; {size} MB in the target folder."
    )
}

/// What divan says.
pub fn documents(divan: &str) -> String {
    format!(
        "Documents, as divan tells it (`cargo bench -p allowlist`):\n\n```\n{}\n```",
        divan.trim()
    )
}

pub fn verdict(met: bool) -> &'static str {
    if met { "✓" } else { "✗" }
}

/// The medians in a table of divan's, in microseconds, by the name of the benchmark and its argument.
pub fn medians_of_divan(table: &str) -> Vec<(String, f64)> {
    let mut parent = String::new();
    let mut medians = Vec::new();
    for line in table.lines() {
        let columns: Vec<&str> = line.split('│').collect();
        let head = columns.first().copied().unwrap_or_default();
        let nested = line.starts_with("│") || line.starts_with("   ");
        let words: Vec<&str> = head
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .collect();
        if !nested && let Some(name) = words.first() {
            parent = (*name).to_owned();
        }
        let cells: Vec<&str> = line
            .split(['│', '├', '╰'])
            .filter(|cell| cell.trim().chars().any(char::is_alphanumeric))
            .collect();
        let (Some(first), Some(median)) = (cells.first(), cells.get(2)) else {
            continue;
        };
        if let Some(median) = microseconds(median.trim()) {
            let name = first
                .split_whitespace()
                .find(|word| word.chars().any(char::is_alphanumeric))
                .unwrap_or_default();
            medians
                .push((if nested { format!("{parent} {name}") } else { name.to_owned() }, median));
        }
    }
    medians
}

fn microseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let factor = match unit {
        "ns" => 0.001,
        "µs" => 1.0,
        "ms" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}
