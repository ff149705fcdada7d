//! Exhaustive crash points: one add and every cut, crashed before and after each of their calls.

use crate::actors::{Actor, Add};
use crate::faults::Options;
use crate::promises::violations;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::schedule::run;
use crate::start::{Begun, Start};

const STEADY: Start = Start::later("b0 X", &[Begun::new("X", "al")]);
const ENDED: Start = Start::later("b0 X", &[Begun::new("X", "al").until(0)]);

const CUT_OFF: Start = Start::later("b0 X", &[Begun::new("X", "al").aged(4000)]);

const fn add(member: &'static str, net: &'static str) -> Actor {
    Actor::Add(Add::new(member, net))
}

const REMOVE: Actor = Actor::Remove { member: "al", net: Some("X") };

/// What happens, and how many points there are to crash at, at least.
static CASES: [(Scenario, usize); 14] = [
    (Scenario::new("first add", Start::First, &[add("a", "A")]), 16),
    (Scenario::new("add", STEADY, &[add("a", "A")]), 14),
    (Scenario::new("renewal", STEADY, &[Actor::Add(Add::new("al", "X").minutes(30))]), 10),
    (
        Scenario::new(
            "two adds of one process",
            STEADY,
            &[Actor::AddBoth(Add::new("a", "A"), Add::new("b", "B"))],
        ),
        16,
    ),
    (Scenario::new("reset", STEADY, &[Actor::Reset]), 14),
    (Scenario::new("add after a cutoff", CUT_OFF, &[add("a", "A")]).cutoff(), 14),
    (Scenario::new("expire after a cutoff", CUT_OFF, &[Actor::Expire]).cutoff(), 14),
    (Scenario::new("remove", STEADY, &[REMOVE]), 14),
    (Scenario::new("expire", ENDED, &[Actor::Expire]), 14),
    (Scenario::new("member removed", STEADY, &[Actor::RevokeMember("al")]), 16),
    (Scenario::new("rollback", STEADY, &[Actor::Rollback("v2")]), 14),
    (Scenario::new("add beside an add", STEADY, &[add("a", "A"), add("b", "B")]), 14),
    (Scenario::new("reset beside an add", STEADY, &[Actor::Reset, add("a", "A")]), 14),
    (
        Scenario::new(
            "remove beside a renewal",
            STEADY,
            &[REMOVE, Actor::Add(Add::new("al", "X").minutes(30))],
        ),
        14,
    ),
];

#[test]
fn a_crash_at_any_point_leaves_what_the_next_invocation_repairs() {
    for (scenario, least) in &CASES {
        // The seeds differ in how many policies there are, and in which of two actors goes first.
        let two_policies = 2 * SCENARIOS.len() as u64;
        for seed in [0, 1, two_policies, two_policies + 1] {
            let mut points = 0;
            for nth in 1..200 {
                let mut crashed = false;
                for after in [false, true] {
                    let options =
                        Options { crash_at: Some((nth, after)), ..Options::undisturbed() };
                    let outcome = run(scenario, seed, options);
                    crashed |= outcome.notes.iter().any(|(_, note)| note.contains("crashes"));
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
            assert!(points >= *least, "{} has only {points} points to crash at", scenario.name);
        }
    }
}
