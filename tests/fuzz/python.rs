//! A Python process that says what it makes of a text: an opinion that shares no code with ours.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The process.
pub struct Python {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Python {
    pub fn start() -> Self {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .args(["-I", "-c", include_str!("oracle.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python 3.10 or newer is needed");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, pipes: RefCell::new((input, BufReader::new(output))) }
    }

    /// What the oracle answers.
    pub fn ask(&self, work: &str, text: &str) -> String {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let (input, output) = &mut *self.pipes.borrow_mut();
        let mut line = String::new();
        writeln!(input, "{work} {hex}").unwrap();
        input.flush().unwrap();
        output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "Python ended");
        line.trim_end().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
