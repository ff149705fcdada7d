//! Problems that a person must solve, and how the program ends.

use std::error::Error as StdError;

/// How the program ends. The numbers are an interface: scripts read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done, or there was nothing to do.
    Done,
    /// It was refused or failed; a check found errors; an address is not let in.
    Failed,
    /// The command line is wrong. clap ends with the same number.
    Usage,
    /// The same command may succeed later: no connection, or too many requests.
    Later,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Later => 3,
        }
    }
}

/// The result of a command.
pub type Outcome = Result<Exit, Problem>;

/// One clear line for the person at the keyboard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// A stable name.
    pub kind: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// How the program ends.
    pub exit: Exit,
    /// The ARNs of what was done before it failed.
    pub done: Vec<String>,
}

impl Problem {
    /// Something that was refused or failed.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        let (kind, message) = (kind.to_owned(), message.into());
        Self { kind, message, exit: Exit::Failed, done: Vec::new() }
    }

    /// Something that is wrong with the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new("usage", message) }
    }

    /// Something that may succeed later.
    pub fn later(kind: &str, message: impl Into<String>) -> Self {
        Self { exit: Exit::Later, ..Self::new(kind, message) }
    }

    /// Whether a document of IAM cannot be worked on; all other documents may be sound.
    pub fn is_malformed_document(&self) -> bool {
        self.kind == "malformed_document"
    }
}

impl From<allowlist::Error> for Problem {
    fn from(error: allowlist::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// An error with its causes on one line.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    allowlist::error::chain(error)
}
