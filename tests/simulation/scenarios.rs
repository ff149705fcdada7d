//! Starting points: how the account is, and who does what in it. Ported from the model of the algorithm.

use fakes::{POLICY, World, gate};

/// Entries by short names. `b0` is the baseline's.
pub const ENTRIES: [(&str, &str); 9] = [
    ("b0", "123.123.123.123/32"),
    ("gone", "9.9.9.9/32"),
    ("n1", "7.7.7.7/32"),
    ("A", "51.44.71.1/32"),
    ("B", "51.44.71.2/32"),
    ("C", "51.44.71.3/32"),
    ("X", "51.44.71.24/32"),
    ("Y", "51.44.71.25/32"),
    ("Z", "51.44.71.26/32"),
];

/// A second policy, for the schedules with two.
pub const SECOND: &str = "arn:aws:iam::111122223333:policy/second";

/// The network of a short name.
pub fn net(name: &str) -> &'static str {
    ENTRIES
        .iter()
        .find(|(short, _)| *short == name)
        .map(|(_, network)| *network)
        .unwrap()
}

/// Somebody who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A member adds the entry of that name.
    Add(&'static str),
    /// One process adds one entry after the other, and keeps what it knows in between.
    AddBoth(&'static str, &'static str),
    /// A reset.
    Reset,
    /// A person in the console adds a statement's tag.
    EditTag,
    /// A person in the console adds an entry by hand.
    EditEntry,
}

/// How the account is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody has ever added; the console changed the list just before.
    First,
    /// X was added before; the baseline is saved; four versions.
    Steady,
    /// A reset has removed X a moment ago.
    Clean,
}

/// A starting point.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub start: Start,
    pub actors: &'static [Actor],
    /// Requests whose answer never came may still take effect later.
    pub late: bool,
}

const fn scenario(name: &'static str, start: Start, actors: &'static [Actor]) -> Scenario {
    Scenario {
        name,
        start,
        actors,
        late: false,
    }
}

use Actor::{Add, AddBoth, EditEntry, EditTag, Reset};
use Start::{Clean, First, Steady};

/// All of them.
pub static SCENARIOS: [Scenario; 27] = [
    scenario("two first adds", First, &[Add("A"), Add("B")]),
    scenario("first add and console", First, &[Add("A"), EditTag]),
    scenario(
        "first adds, crash, reset",
        First,
        &[Add("A"), Add("B"), Reset],
    ),
    scenario("add and reset", Steady, &[Add("A"), Reset]),
    scenario("reset then add", Steady, &[Reset, Add("A")]),
    scenario(
        "reset then add of a removed one",
        Steady,
        &[Reset, Add("X")],
    ),
    scenario(
        "add after a reset, removed one again",
        Clean,
        &[Add("X"), Add("A")],
    ),
    scenario("two adds", Steady, &[Add("A"), Add("B")]),
    scenario("same address twice", Steady, &[Add("A"), Add("A")]),
    scenario("add and console statement", Steady, &[Add("A"), EditTag]),
    scenario("add and console entry", Steady, &[Add("A"), EditEntry]),
    scenario(
        "two console edits around an add",
        Steady,
        &[Add("A"), EditTag, EditEntry],
    ),
    scenario(
        "two adds and console",
        Steady,
        &[Add("A"), Add("B"), EditTag],
    ),
    scenario(
        "five versions, console",
        Steady,
        &[EditEntry, Add("A"), EditTag],
    ),
    scenario("reset and console", Steady, &[Reset, EditTag]),
    scenario("two resets, one add", Steady, &[Reset, Add("A"), Reset]),
    scenario(
        "three adds and a reset",
        Steady,
        &[Add("A"), Add("B"), Add("C"), Reset],
    ),
    Scenario {
        name: "late requests: two adds",
        start: Steady,
        actors: &[Add("A"), Add("B")],
        late: true,
    },
    Scenario {
        name: "late requests: add and reset",
        start: Steady,
        actors: &[Add("A"), Reset],
        late: true,
    },
    scenario("reset, add, console", Steady, &[Reset, Add("A"), EditTag]),
    scenario("warm and reset", Steady, &[AddBoth("A", "B"), Reset]),
    scenario(
        "warm and console",
        Steady,
        &[AddBoth("A", "Y"), EditTag, EditEntry],
    ),
    scenario(
        "warm after a reset, removed one again",
        Clean,
        &[AddBoth("X", "X"), Reset],
    ),
    scenario(
        "two warm ones",
        Steady,
        &[AddBoth("A", "X"), AddBoth("B", "A")],
    ),
    scenario(
        "rush",
        Steady,
        &[Add("A"), Add("B"), Add("C"), Add("Y"), Add("X")],
    ),
    scenario(
        "rush and reset",
        Clean,
        &[Add("A"), Reset, Add("B"), Add("C"), EditTag],
    ),
    Scenario {
        name: "late requests: adds, reset, console",
        start: Clean,
        actors: &[Add("A"), Reset, Add("B"), EditEntry],
        late: true,
    },
];

fn document(names: &str) -> String {
    let entries: Vec<&str> = names.split(' ').map(net).collect();
    gate(&entries, &["s3:Get*"])
}

/// The account at the start, with one or two policies.
pub fn world(start: Start, policies: &[&str]) -> World {
    let versions: &[(u64, &str)] = match start {
        First => &[(1, "b0 gone"), (2, "b0")],
        Steady => &[(1, "b0"), (2, "b0 Y"), (3, "b0"), (4, "b0 X")],
        Clean => &[(2, "b0"), (3, "b0 X"), (4, "b0")],
    };
    let versions: Vec<(u64, String)> = versions
        .iter()
        .map(|(id, names)| (*id, document(names)))
        .collect();
    let mut world = World::default();
    for arn in policies {
        world.add_policy(arn, &versions);
    }
    if start != First {
        for arn in policies {
            let name = arn.rsplit('/').next().unwrap();
            world.put(
                &format!("baseline/111122223333/policy/{name}.json"),
                &document("b0"),
            );
        }
        let marks: Vec<String> = policies
            .iter()
            .map(|arn| format!(r#""{arn}":{{"last":"v4"}}"#))
            .collect();
        let lease = format!(
            r#"{{"nonce":null,"holder":"before","kind":"add","until":"","targets":{{{}}},"networks":[]}}"#,
            marks.join(",")
        );
        world.put("lease.json", &lease);
    }
    if start == Steady {
        world.put("grants/51.44.71.24_32/old.json", "{}");
    }
    world
}

/// The policies of a schedule: every third has two.
pub fn policies(seed: u64) -> &'static [&'static str] {
    if (seed / SCENARIOS.len() as u64) % 3 == 2 {
        &[POLICY, SECOND]
    } else {
        &[POLICY]
    }
}
