//! Exhaustive crash points: one add and one reset, crashed before and after each of their calls.

use crate::promises::violations;
use crate::scenarios::{Actor, SCENARIOS, Scenario, Start};
use crate::schedule::{Options, run};

static CASES: [Scenario; 6] = [
    Scenario {
        name: "first add",
        start: Start::First,
        actors: &[Actor::Add("A")],
        late: false,
    },
    Scenario {
        name: "add",
        start: Start::Steady,
        actors: &[Actor::Add("A")],
        late: false,
    },
    Scenario {
        name: "two adds of one process",
        start: Start::Steady,
        actors: &[Actor::AddBoth("A", "B")],
        late: false,
    },
    Scenario {
        name: "reset",
        start: Start::Steady,
        actors: &[Actor::Reset],
        late: false,
    },
    Scenario {
        name: "add beside an add",
        start: Start::Steady,
        actors: &[Actor::Add("A"), Actor::Add("B")],
        late: false,
    },
    Scenario {
        name: "reset beside an add",
        start: Start::Steady,
        actors: &[Actor::Reset, Actor::Add("A")],
        late: false,
    },
];

#[test]
fn a_crash_at_any_point_leaves_what_the_next_invocation_repairs() {
    for scenario in &CASES {
        // The seeds differ in how many policies there are, and in which of two actors goes first.
        let two_policies = 2 * SCENARIOS.len() as u64;
        for seed in [0, 1, two_policies, two_policies + 1] {
            let mut points = 0;
            for nth in 1..200 {
                let mut crashed = false;
                for after in [false, true] {
                    let options = Options {
                        deviation: 0.0,
                        crashes: 0,
                        crash_at: Some((nth, after)),
                    };
                    let outcome = run(scenario, seed, options);
                    crashed |= outcome
                        .notes
                        .iter()
                        .any(|(_, note)| note.contains("crashes"));
                    let found = violations(scenario, &outcome);
                    assert!(
                        found.is_empty(),
                        "{}, seed {seed}, call {nth}, after: {after}: {found:#?}\n{}",
                        scenario.name,
                        outcome.trace()
                    );
                }
                if !crashed {
                    break;
                }
                points += 2;
            }
            assert!(
                points >= 16,
                "{} has only {points} points to crash at",
                scenario.name
            );
        }
    }
}
