//! A deterministic simulation: seeded interleavings of adds, removals, resets, ends, removed members, console edits,
//! stale reads, lost and late answers, throttling and crashes, on the fakes, with the real handlers. Every schedule
//! checks the promises.
//!
//! `SEEDS=n` sets how many schedules are run, `FIRST_SEED=n` where they begin, `SEED=n` replays one and prints its trace,
//! `SCENARIO=text` limits the scenarios to those whose name contains the text.

mod actors;
mod crash_points;
mod faults;
mod outcome;
mod planted;
mod promises;
mod scenarios;
mod schedule;
mod start;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use allowlist::invariant::{Invariant, leave_out};

use crate::faults::Options;
use crate::outcome::Outcome;
use crate::promises::violations;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::schedule::run;

/// One schedule: the seed chooses the scenario and everything that happens in it.
fn play(
    seed: u64,
    left_out: Option<Invariant>,
    filter: &str,
) -> (&'static Scenario, Vec<String>, Outcome) {
    let fitting: Vec<&'static Scenario> =
        SCENARIOS.iter().filter(|scenario| scenario.name.contains(filter)).collect();
    let scenario = fitting[usize::try_from(seed).unwrap() % fitting.len()];
    leave_out(left_out);
    let outcome = run(scenario, seed, Options::default());
    leave_out(None);
    let found = violations(scenario, &outcome);
    (scenario, found, outcome)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, set it to a number"))
    })
}

/// Runs schedules on both cores until `stop` says so; -> how many.
fn sweep(seeds: std::ops::Range<u64>, visit: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    if visit(seed) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    done.into_inner()
}

#[test]
fn the_promises_hold_in_every_schedule() {
    let filter = std::env::var("SCENARIO").unwrap_or_default();
    if let Some(seed) = setting("SEED") {
        let (scenario, found, outcome) = play(seed, None, &filter);
        println!("seed {seed}, scenario `{}`\n{}", scenario.name, outcome.trace());
        assert!(found.is_empty(), "{found:#?}");
        return;
    }
    let started = Instant::now();
    let failures = std::sync::Mutex::new(Vec::new());
    let first = setting("FIRST_SEED").unwrap_or(0);
    let count = sweep(first..first + setting("SEEDS").unwrap_or(10_000), |seed| {
        let (scenario, found, _) = play(seed, None, &filter);
        if !found.is_empty() {
            let mut failures = failures.lock().unwrap();
            failures.push(format!(
                "seed {seed}, scenario `{}`: {}; replay with SEED={seed}",
                scenario.name,
                found.join("; ")
            ));
            return failures.len() >= 20;
        }
        false
    });
    println!("{count} schedules in {:.0?}", started.elapsed());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_reproduces_its_schedule() {
    for seed in 0..40 {
        let (_, first, one) = play(seed, None, "");
        let (_, second, two) = play(seed, None, "");
        assert_eq!((first, one.skeleton()), (second, two.skeleton()), "seed {seed}");
    }
}
