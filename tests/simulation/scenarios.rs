//! Starting points: how the account is, and who does what in it. Ported from the model of the algorithm, whose seconds
//! are minutes here: what ends at 103 ends after 5 or 6 minutes, the clock moves on by 8, and the rest ends later.

use crate::actors::{Actor, Add, Console};
use crate::start::{Begun, Start};

/// A starting point.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub start: Start,
    pub actors: &'static [Actor],
    /// A version whose creation was not answered may still come.
    pub late: bool,
    /// A put or a delete of a grant that was not answered may still take effect.
    pub slow: bool,
    /// How many entries a member may have in force.
    pub share: usize,
    /// Entries end an hour after they were given, and IAM enforces it.
    pub cutoff: bool,
}

impl Scenario {
    pub const fn new(name: &'static str, start: Start, actors: &'static [Actor]) -> Self {
        Self { name, start, actors, late: false, slow: false, share: 20, cutoff: false }
    }

    const fn late(self) -> Self {
        Self { late: true, ..self }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    pub const fn cutoff(self) -> Self {
        Self { cutoff: true, ..self }
    }

    const fn share(self, share: usize) -> Self {
        Self { share, ..self }
    }

    /// Whether a person deletes versions.
    pub fn deletes_by_hand(&self) -> bool {
        self.actors.contains(&DELETE_NEWEST)
    }

    /// The members' files that are there at the start: the key, and the member's name in it.
    pub fn files(&self) -> Vec<(&'static str, &'static str)> {
        let made = |file: &str| {
            let mut actors = self.actors.iter();
            actors
                .any(|actor| matches!(actor, Actor::MakeMember { file: made, .. } if *made == file))
        };
        let files = self.actors.iter().flat_map(|actor| actor.files());
        let mut files: Vec<_> = files.filter(|(file, _)| !made(file)).collect();
        files.push(("repair", "repair"));
        files
    }
}

const fn scenario(name: &'static str, start: Start, actors: &'static [Actor]) -> Scenario {
    Scenario::new(name, start, actors)
}

const fn add(member: &'static str, net: &'static str) -> Actor {
    Actor::Add(Add::new(member, net))
}

const fn add_for(member: &'static str, net: &'static str, minutes: u64) -> Actor {
    Actor::Add(Add::new(member, net).minutes(minutes))
}

const fn both(one: (&'static str, &'static str), other: (&'static str, &'static str)) -> Actor {
    Actor::AddBoth(Add::new(one.0, one.1), Add::new(other.0, other.1))
}

const fn remove(member: &'static str, net: &'static str) -> Actor {
    Actor::Remove { member, net: Some(net) }
}

const fn remove_all(member: &'static str) -> Actor {
    Actor::Remove { member, net: None }
}

use Actor::{Expire, Reset, RevokeMember, Rollback};
use Start::First;

const TAG: Actor = Actor::Console(Console::Tag);
const ENTRY: Actor = Actor::Console(Console::Entry);
const OLD_COPY: Actor = Actor::Console(Console::OldCopy);
const DRAFT: Actor = Actor::Console(Console::Draft);
const OLDER_DEFAULT: Actor = Actor::Console(Console::OlderDefault);
const DELETE_NEWEST: Actor = Actor::Console(Console::DeleteNewest);
/// What ends soon has ended after this.
const TICK: Actor = Actor::Clock(8);
/// What ends soon, and what ends later.
const SOON: u64 = 5;
const LATER: u64 = 30;
const LATEST: u64 = 40;

/// X was added before.
const STEADY: Start = Start::later("b0 X", &[Begun::new("X", "old")]);
/// A reset has removed X a moment ago.
const CLEAN: Start = Start::Later { document: "b0", before: "b0 X", grants: &[], old_lease: false };
const OLD_LEASE: Start = Start::Later {
    document: "b0 X",
    before: "b0",
    grants: &[Begun::new("X", "old")],
    old_lease: true,
};
const MINE: Start = Start::later("b0 X", &[Begun::new("X", "al")]);
const BOTH: Start = Start::later("b0 X", &[Begun::new("X", "al"), Begun::new("X", "bo")]);
const ENDS: Start = Start::later("b0 X", &[Begun::new("X", "al").until(6)]);
const ENDS_BOTH: Start =
    Start::later("b0 X", &[Begun::new("X", "al").until(6), Begun::new("X", "bo")]);
const TWO: Start = Start::later("b0 X Y", &[Begun::new("X", "al"), Begun::new("Y", "al")]);
const TWO_ENDS: Start =
    Start::later("b0 X Y", &[Begun::new("X", "al").until(6), Begun::new("Y", "al")]);
const TWO_AGES: Start =
    Start::later("b0 X Y", &[Begun::new("X", "al"), Begun::new("Y", "al").aged(40)]);

/// X ends by the cutoff while the clock moves on, Y does not.
const TWO_HOURS: Start =
    Start::later("b0 X Y", &[Begun::new("X", "al").aged(3500), Begun::new("Y", "bo").aged(600)]);

/// All of them.
pub static SCENARIOS: [Scenario; 78] = [
    // Adds, resets, the console.
    scenario("two first adds", First, &[add("a", "A"), add("b", "B")]),
    scenario("first add and console", First, &[add("a", "A"), TAG]),
    scenario("first adds, crash, reset", First, &[add("a", "A"), add("b", "B"), Reset]),
    scenario("add and reset", STEADY, &[add("a", "A"), Reset]),
    scenario("reset then add", STEADY, &[Reset, add("a", "A")]),
    scenario("reset then add of a removed one", STEADY, &[Reset, add("x", "X")]),
    scenario("add after a reset, removed one again", CLEAN, &[add("x", "X"), add("a", "A")]),
    scenario("two adds", STEADY, &[add("a", "A"), add("b", "B")]),
    scenario("same address twice", STEADY, &[add("a1", "A"), add("a2", "A")]),
    scenario("add and console statement", STEADY, &[add("a", "A"), TAG]),
    scenario("add and console entry", STEADY, &[add("a", "A"), ENTRY]),
    scenario("two console edits around an add", STEADY, &[add("a", "A"), TAG, ENTRY]),
    scenario("two adds and console", STEADY, &[add("a", "A"), add("b", "B"), TAG]),
    scenario("five versions, console", STEADY, &[ENTRY, add("a", "A"), TAG]),
    scenario("reset and console", STEADY, &[Reset, TAG]),
    scenario("two resets, one add", STEADY, &[Reset, add("a", "A"), Reset]),
    scenario(
        "three adds and a reset",
        STEADY,
        &[add("a", "A"), add("b", "B"), add("c", "C"), Reset],
    ),
    scenario("late requests: two adds", STEADY, &[add("a", "A"), add("b", "B")]).late(),
    scenario("late requests: add and reset", STEADY, &[add("a", "A"), Reset]).late(),
    scenario("reset, add, console", STEADY, &[Reset, add("a", "A"), TAG]),
    // Two requests of one process, crowds.
    scenario("warm and reset", STEADY, &[both(("a", "A"), ("b", "B")), Reset]),
    scenario("warm and console", STEADY, &[both(("a", "A"), ("b", "Y")), TAG, ENTRY]),
    scenario(
        "warm after a reset, removed one again",
        CLEAN,
        &[both(("x", "X"), ("x", "X")), Reset],
    ),
    scenario(
        "two warm ones",
        STEADY,
        &[both(("a", "A"), ("b", "X")), both(("c", "B"), ("d", "A"))],
    ),
    scenario(
        "rush",
        STEADY,
        &[add("a", "A"), add("b", "B"), add("c", "C"), add("d", "Y"), add("e", "X")],
    ),
    scenario(
        "row",
        STEADY,
        &[
            both(("a", "A"), ("b", "B")),
            both(("c", "C"), ("d", "Y")),
            both(("e", "W"), ("f", "gone")),
            both(("g", "n1"), ("h", "X")),
        ],
    ),
    scenario("rush and reset", CLEAN, &[add("a", "A"), Reset, add("b", "B"), add("c", "C"), TAG]),
    scenario(
        "late requests: adds, reset, console",
        CLEAN,
        &[add("a", "A"), Reset, add("b", "B"), ENTRY],
    )
    .late(),
    // People who do what no function can recognise.
    scenario("add and an old copy", STEADY, &[OLD_COPY, add("a", "A")]),
    scenario("add and a draft", STEADY, &[add("a", "A"), DRAFT, add("b", "B")]),
    scenario("add and another default", STEADY, &[add("a", "A"), OLDER_DEFAULT, add("b", "B")]),
    scenario("add and a deletion", STEADY, &[add("a", "A"), DELETE_NEWEST, TAG, add("b", "B")]),
    scenario("reset and another default", MINE, &[Reset, OLDER_DEFAULT, add("a", "A")]),
    // What an older release left in lease.json.
    scenario("old lease.json: two adds", OLD_LEASE, &[add("a", "A"), add("b", "B")]),
    scenario("old lease.json: remove and add", OLD_LEASE, &[remove("old", "X"), add("a", "A")]),
    // Removals.
    scenario("remove and another's add", MINE, &[remove("al", "X"), add("a", "A")]),
    scenario("add and remove of the same", CLEAN, &[add("al", "X"), remove("al", "X")]),
    scenario("remove and add of the same", MINE, &[remove("al", "X"), add("al", "X")]),
    scenario(
        "add, remove, add of the same",
        CLEAN,
        &[add("al", "X"), remove("al", "X"), add("al", "X")],
    ),
    scenario(
        "remove, others want it too",
        BOTH,
        &[remove("al", "X"), add("bo", "X"), remove("bo", "X")],
    ),
    scenario("remove beside a member who joins", MINE, &[remove("al", "X"), add("bo", "X")]),
    scenario(
        "two removes and a waiter",
        BOTH,
        &[remove_all("al"), add("al", "X"), add("bo", "X"), add("c", "C")],
    ),
    scenario(
        "reset beside a waiter, another's entry removed",
        CLEAN,
        &[add("al", "X"), Reset, add("bo", "X"), remove("bo", "X")],
    ),
    scenario("remove, add and console", MINE, &[remove("al", "X"), add("a", "A"), TAG]),
    scenario("add, console, remove", CLEAN, &[add("a", "A"), TAG, remove("al", "X")]),
    scenario("remove and reset", MINE, &[remove("al", "X"), Reset, add("al", "X")]),
    scenario(
        "late requests: remove and adds",
        MINE,
        &[remove("al", "X"), add("al", "X"), add("a", "A")],
    )
    .late(),
    scenario(
        "slow puts: add, remove, another's add",
        CLEAN,
        &[add("al", "X"), remove("al", "X"), add("a", "A")],
    )
    .slow(),
    // Ends.
    scenario("expire", ENDS, &[TICK, Expire, add("a", "A")]),
    scenario("expire and renewal", ENDS, &[add_for("al", "X", LATER), TICK, Expire]),
    scenario("renewal for ever and expire", ENDS, &[add("al", "X"), TICK, Expire, add("a", "A")]),
    scenario(
        "renewal to a sooner end",
        MINE,
        &[add_for("al", "X", SOON), TICK, Expire, add("a", "A")],
    ),
    scenario(
        "two renewals",
        MINE,
        &[add_for("al", "X", SOON), add_for("al", "X", LATER), TICK, Expire],
    ),
    scenario(
        "three renewals, back and forth",
        ENDS,
        &[add_for("al", "X", LATEST), add_for("al", "X", SOON), add_for("al", "X", LATEST)],
    ),
    scenario(
        "renewal, waiters",
        MINE,
        &[add("a", "A"), add_for("al", "X", SOON), add_for("al", "X", LATER)],
    ),
    scenario("ended, another's add, two expires", ENDS, &[TICK, add("a", "A"), Expire, Expire]),
    scenario(
        "ended, others want it too",
        ENDS_BOTH,
        &[TICK, Expire, remove("bo", "X"), add("a", "A")],
    ),
    scenario("expire and a member who joins", ENDS, &[TICK, Expire, add("bo", "X")]),
    scenario(
        "remove and renewal",
        ENDS,
        &[remove("al", "X"), add_for("al", "X", LATER), add("a", "A")],
    ),
    scenario("late requests: expire and renewal", ENDS, &[TICK, Expire, add_for("al", "X", LATER)])
        .late(),
    scenario(
        "slow deletes: expire",
        ENDS,
        &[TICK, Expire, add_for("al", "X", LATEST), add("a", "A")],
    )
    .late()
    .slow(),
    // Removed members.
    scenario(
        "member removed while they add",
        CLEAN,
        &[add("mal", "X"), RevokeMember("mal"), add("a", "A")],
    ),
    scenario(
        "member removed, two of theirs wait",
        MINE,
        &[add("a", "A"), add("al", "X"), add("al", "W"), RevokeMember("al")],
    ),
    scenario(
        "member removed, crowd",
        MINE,
        &[RevokeMember("al"), add("al", "W"), add("a", "A"), add("b", "B")],
    ),
    scenario(
        "slow puts: member removed",
        MINE,
        &[add("al", "W"), RevokeMember("al"), add("a", "A")],
    )
    .slow(),
    scenario(
        "member removed beside one who joins",
        MINE,
        &[RevokeMember("al"), add("bo", "X"), add("a", "A")],
    ),
    scenario(
        "member removed, reset",
        MINE,
        &[add("al", "X"), RevokeMember("al"), Reset, add("a", "A")],
    ),
    scenario(
        "member removed and made again",
        MINE,
        &[
            RevokeMember("al"),
            Actor::Clock(10),
            Actor::MakeMember { file: "al2", member: "al" },
            Actor::Add(Add::new("al", "X").file("al2")),
            add("a", "A"),
        ],
    ),
    // Shares.
    scenario(
        "share: three at once",
        CLEAN,
        &[add("al", "W"), add("al", "X"), add("al", "Y"), add("a", "A")],
    )
    .share(2),
    scenario(
        "share: full, renewal",
        TWO,
        &[add("al", "W"), add_for("al", "X", LATER), add("a", "A")],
    )
    .share(2),
    scenario("share: full, ended", TWO_ENDS, &[TICK, add("al", "W"), add("a", "A"), Expire])
        .share(2),
    scenario("share: full, remove", TWO, &[add("al", "W"), remove("al", "X"), add("a", "A")])
        .share(2),
    scenario(
        "share: renewal of the oldest",
        TWO_AGES,
        &[add_for("al", "X", LATER), add("al", "W"), add("a", "A"), add("b", "B")],
    )
    .share(2),
    // The cutoff.
    scenario(
        "cutoff: the oldest goes, the younger stays",
        TWO_HOURS,
        &[TICK, add("a", "A"), Expire],
    )
    .cutoff(),
    scenario("cutoff: the oldest is renewed", TWO_HOURS, &[add("al", "X"), TICK, Expire]).cutoff(),
    scenario("cutoff: adds, reset, console", TWO_HOURS, &[TICK, add("a", "A"), Reset, TAG])
        .cutoff(),
    scenario(
        "cutoff: remove and another's add",
        TWO_HOURS,
        &[TICK, remove("bo", "Y"), add("a", "A")],
    )
    .cutoff(),
    // Rollback.
    scenario("rollback, add, remove", MINE, &[Rollback("v2"), add("a", "A"), remove("al", "X")]),
];
