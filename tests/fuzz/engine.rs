//! Runs one target: first every kept input, then changed ones until the time is over.
//!
//! A target says of each input what became of it. An input with a new answer is kept in memory, to be changed further:
//! so the search gets deeper than changes of the kept inputs. The same seed makes the same inputs again.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{env, fs};

use allowlist::document::sha256_hex;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::mutate::{mutants, mutated};

/// For how long a target is fuzzed in each run of the tests.
const SECONDS: u64 = 2;

/// How many inputs are kept in memory at most.
const POOL: usize = 5000;

/// Fuzzes `check`, which panics at an input that breaks a promise, and else says in a few words what became of it.
/// `words` are what chance alone would hardly write.
pub fn fuzz(target: &str, words: &[&str], check: impl Fn(&[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let (mut pool, mut answers) = (Vec::new(), HashSet::new());
    for (name, input) in kept(&folder) {
        match outcome(&check, &input) {
            Ok(answer) => answers.insert(answer),
            Err(reason) => panic!("{target}: the kept input {name} fails: {reason}"),
        };
        pool.push(input);
    }
    let (seed, time) = (seed(), Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS)));
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let (mut runner, strategy) = (TestRunner::new(config), mutants());
    let (start, mut inputs) = (Instant::now(), 0);
    while start.elapsed() < time {
        let mutant = strategy.new_tree(&mut runner).unwrap().current();
        let input = mutated(&pool, words, &mutant);
        let Ok(answer) = outcome(&check, &input) else {
            let report = report(&folder, &check, input);
            panic!("{target}: {report}\nFUZZ_SEED={seed} finds it again");
        };
        if answers.insert(answer) && pool.len() < POOL {
            pool.push(input);
        }
        inputs += 1;
    }
    println!("{target}: {inputs} inputs from seed {seed}, {} different answers", answers.len());
}

/// The inputs in a folder, by name.
fn kept(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    };
    let mut kept: Vec<_> = files.map(read).collect();
    kept.sort();
    assert!(!kept.is_empty(), "{} holds no inputs", folder.display());
    kept
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// In a run of the tests always the same one, so that nobody's change is blamed for what another's did. A longer run
/// has a new one each time.
fn seed() -> u64 {
    let new = || UNIX_EPOCH.elapsed().unwrap().as_secs();
    let chosen = number("FUZZ_SEED");
    chosen.unwrap_or_else(|| if number("FUZZ_SECONDS").is_some() { new() } else { 1 })
}

/// Makes an input that fails smaller, keeps it, and says why it fails.
fn report(folder: &Path, check: &impl Fn(&[u8]) -> String, input: Vec<u8>) -> String {
    let input = smaller(check, input);
    let reason = outcome(check, &input).err().unwrap_or_default();
    let shown = input.escape_ascii();
    let file = folder.join(format!("found-{}", &sha256_hex(&input)[..12]));
    let kept = match fs::write(&file, &input) {
        Ok(()) => format!(
            "kept as {}, which every run begins with: give it a name, and commit it with the fix",
            file.display()
        ),
        Err(e) => format!("it could not be kept: {e}"),
    };
    format!("{reason}\ninput: \"{shown}\"\n{kept}")
}

/// What is left of an input without the parts that it fails without.
fn smaller(check: &impl Fn(&[u8]) -> String, mut input: Vec<u8>) -> Vec<u8> {
    let mut length = input.len();
    while length > 0 {
        let mut start = 0;
        while start < input.len() {
            let end = input.len().min(start + length);
            let shorter = [&input[..start], &input[end..]].concat();
            if outcome(check, &shorter).is_err() {
                input = shorter;
            } else {
                start = end;
            }
        }
        length /= 2;
    }
    input
}

thread_local! {
    /// While a target runs: what panicked in it, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What became of an input, or why it fails. A panic is not printed: making an input smaller takes many.
fn outcome(check: &impl Fn(&[u8]) -> String, input: &[u8]) -> Result<String, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|inside| match inside {
                Some(reason) => *reason = info.to_string(),
                None => usual(info),
            });
        }));
    });
    PANIC.set(Some(String::new()));
    let answer = panic::catch_unwind(AssertUnwindSafe(|| check(input)));
    let reason = PANIC.take().unwrap_or_default();
    answer.map_err(|_| reason)
}
