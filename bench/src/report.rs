//! What was measured, as a page: tables and plots between two marks, so that what people wrote around them stays.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::Figures;
use crate::build::Build;
use crate::burst::{Burst, DISTANCE};

const BEGIN: &str = "<!-- measured by `make bench`: do not edit below -->";
const END: &str = "<!-- measured: end -->";

/// What was measured.
#[derive(Default)]
pub struct Report {
    rows: Vec<String>,
    pub bursts: Vec<Burst>,
    pub divan: String,
    pub build: Option<Build>,
}

impl Report {
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
        self.row(format!("| {what} | {median:.2} {unit} | {p99:.2} {unit} | {ratio} | {goal} |"));
    }

    /// A row with one figure against its goal.
    pub fn single(&mut self, what: &str, figure: f64, unit: &str, goal: &str, met: bool) {
        self.row(format!("| {what} | {figure:.2} {unit} | | | ≤ {goal} {} |", verdict(met)));
    }

    fn row(&mut self, row: String) {
        println!("{row}");
        self.rows.push(row);
    }

    /// Puts what was measured between the marks of the page.
    pub fn write(&self, page: &Path) -> Result<(), Box<dyn Error>> {
        let text = std::fs::read_to_string(page)?;
        let (before, rest) = text.split_once(BEGIN).ok_or("the page has no begin mark")?;
        let (_, after) = rest.split_once(END).ok_or("the page has no end mark")?;
        std::fs::write(page, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.render()?))?;
        Ok(())
    }

    fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::from(
            "| what | median | p99 | ratio to the empty function | goal |\n|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            writeln!(text, "{row}")?;
        }
        let distance = DISTANCE.as_millis();
        writeln!(
            text,
            "\nBursts: everybody at once, each in a process of its own that waits warm, {distance} ms for every call of AWS. Everybody was answered 200.\n"
        )?;
        writeln!(
            text,
            "| members | versions written | calls | calls per member | median answer, round trips | last answer, round trips | goal |\n|---|---|---|---|---|---|---|"
        )?;
        for Burst { members, versions, calls, round_trips, median } in &self.bursts {
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
        self.plot(&mut text, "Versions written", |burst| burst.versions as f64)?;
        self.plot(&mut text, "Calls of AWS per member", |burst| {
            burst.calls as f64 / burst.members as f64
        })?;
        self.plot(&mut text, "Round trips to the last answer", |burst| burst.round_trips)?;
        if let Some(Build { clean, incremental, size }) = self.build {
            let (clean, again, size) = (clean.as_secs(), incremental.as_secs(), size / 1_000_000);
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            writeln!(
                text,
                "\nBuilding both functions for release on {cores} cores: {clean} s from nothing, {again} s after a change of our own code; {size} MB in the target folder."
            )?;
        }
        writeln!(
            text,
            "\nDocuments, as divan tells it (`cargo bench -p allowlist`):\n\n```\n{}\n```",
            self.divan.trim()
        )?;
        Ok(text)
    }

    fn plot(
        &self,
        text: &mut String,
        title: &str,
        value: impl Fn(&Burst) -> f64,
    ) -> std::fmt::Result {
        let members: Vec<String> =
            self.bursts.iter().map(|burst| burst.members.to_string()).collect();
        let values: Vec<String> =
            self.bursts.iter().map(|burst| format!("{:.1}", value(burst))).collect();
        let most = self.bursts.iter().map(value).fold(1.0, f64::max).ceil();
        writeln!(
            text,
            "\n```mermaid\nxychart-beta\n    title \"{title}\"\n    x-axis \"members at once\" [{}]\n    y-axis 0 --> {most}\n    line [{}]\n```",
            members.join(", "),
            values.join(", ")
        )
    }
}

fn verdict(met: bool) -> &'static str {
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
