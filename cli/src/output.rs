//! What the program prints: tables and sentences for people, JSON for programs, and progress on a terminal.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::problem::Problem;

// <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>, SGR.
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";
const COLOURS: [&str; 5] = [GREEN, YELLOW, RED, BOLD, PLAIN];

/// How loud a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Good news.
    Good,
    /// Look here.
    Warning,
    /// Bad news.
    Bad,
    /// A heading.
    Heading,
}

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON on standard output.
    pub json: bool,
    colour: bool,
    progress: bool,
}

impl Output {
    /// Colour only on a terminal, and not if `NO_COLOR` is set (<https://no-color.org>).
    pub fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            colour: !json && wanted && std::io::stdout().is_terminal(),
            progress: std::io::stderr().is_terminal(),
        }
    }

    /// A line on standard output. A reader that has gone away is no error.
    pub fn line(self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stdout().lock(), "{}", self.printable(text.as_ref()));
    }

    /// A line on standard error.
    pub fn hint(self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.printable(text.as_ref()));
    }

    /// The text without characters that command a terminal, but for line ends, tabs and our own colours: policies and
    /// answers of the gate hold whatever somebody wrote into them.
    fn printable(self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let colour = COLOURS.iter().find(|colour| self.colour && rest.starts_with(**colour));
            let (part, after) = rest.split_at(colour.map_or(character.len_utf8(), |it| it.len()));
            if colour.is_some() || matches!(character, '\n' | '\t') || !character.is_control() {
                shown.push_str(part);
            } else if self.json {
                shown.push_str(&format!("\\u{:04x}", u32::from(character)));
            } else {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
            rest = after;
        }
        shown
    }

    /// JSON if it was asked for, otherwise the lines.
    pub fn answer(self, value: &Value, lines: impl FnOnce() -> Vec<String>) {
        if self.json {
            self.line(value.to_string());
        } else {
            lines().iter().for_each(|line| self.line(line));
        }
    }

    /// A problem, on standard error.
    pub fn problem(self, problem: &Problem) {
        let Problem { kind, message, done, .. } = problem;
        if self.json {
            let mut told = json!({ "error": kind, "message": message });
            if let Some(told) = told.as_object_mut().filter(|_| !done.is_empty()) {
                told.insert("done".to_owned(), json!(done));
            }
            self.hint(told.to_string());
        } else {
            self.hint(format!("ip-gate: {message}"));
        }
    }

    /// A word in colour.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let colour = match tone {
            Tone::Good => GREEN,
            Tone::Warning => YELLOW,
            Tone::Bad => RED,
            Tone::Heading => BOLD,
        };
        format!("{colour}{text}{PLAIN}")
    }

    /// Columns of text. The last one is not padded.
    pub fn table(self, rows: &[Vec<String>]) -> Vec<String> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| visible(cell)).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let padded = row.iter().zip(&widths).map(|(cell, width)| {
                let gap = width.saturating_sub(visible(cell));
                format!("{cell}{}", " ".repeat(gap))
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }

    /// Tells on a terminal that something takes time, until the guard is dropped.
    pub fn progress(self, what: &str) -> Progress {
        let what = what.to_owned();
        let task = self.progress.then(|| {
            tokio::spawn(async move {
                for second in 1_u64.. {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let mut stderr = std::io::stderr().lock();
                    let _ = write!(stderr, "\r\x1b[K{what} … {second} s");
                    let _ = stderr.flush();
                }
            })
        });
        Progress(task)
    }

    /// Asks a question that `yes` answers. Without a terminal there is nobody to ask.
    ///
    /// # Errors
    /// [`Problem::usage`] if nobody can be asked.
    pub fn confirm(self, question: &str) -> Result<bool, Problem> {
        if !std::io::stdin().is_terminal() {
            return Err(Problem::usage(
                "nobody can be asked here: look at what would change, then say --yes",
            ));
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ");
        let _ = stderr.flush();
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        let answer = answer.trim().to_ascii_lowercase();
        Ok(answer == "y" || answer == "yes")
    }
}

/// How many columns a cell takes; colours take none.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut escaped = false;
    for character in cell.chars() {
        match (escaped, character) {
            (false, '\x1b') => escaped = true,
            (false, _) => count += 1,
            (true, 'm') => escaped = false,
            (true, _) => {}
        }
    }
    count
}

/// Progress that is shown until this is dropped.
#[derive(Debug)]
pub struct Progress(Option<JoinHandle<()>>);

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K");
            let _ = stderr.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let output = Output { json: false, colour: true, progress: false };
        let red = output.paint(Tone::Bad, "no");
        let rows = [
            vec!["a".to_owned(), red.clone(), "x".to_owned()],
            vec!["bcd".to_owned(), "yes".to_owned()],
        ];
        assert_eq!(output.table(&rows), [format!("a    {red}   x"), "bcd  yes".to_owned()]);
    }

    #[test]
    fn what_somebody_wrote_into_a_policy_commands_no_terminal() {
        let text = "a\u{1b}[2K\u{9b}1A\u{7}\tb\n\u{1b}[31mc";
        let on = |json, colour| Output { json, colour, progress: false };
        assert_eq!(
            on(false, false).printable(text),
            "a\u{fffd}[2K\u{fffd}1A\u{fffd}\tb\n\u{fffd}[31mc"
        );
        assert_eq!(on(false, true).printable("\u{1b}[31mno\u{1b}[0m"), "\u{1b}[31mno\u{1b}[0m");
        let json = json!({ "text": "a\u{7f}\u{9b}" });
        let printed = on(true, false).printable(&json.to_string());
        assert!(printed.is_ascii() && !printed.contains('\u{7f}'), "{printed}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json);
    }
}
