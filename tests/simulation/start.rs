//! How the account is when a schedule begins.

use std::time::Duration;

use fakes::{POLICY, World, gate};
use serde_json::{Map, Value, json};

/// Networks by short names. `b0` is the baseline's.
pub const NETWORKS: [(&str, &str); 10] = [
    ("b0", "123.123.123.123/32"),
    ("gone", "9.9.9.9/32"),
    ("n1", "7.7.7.7/32"),
    ("A", "51.44.71.1/32"),
    ("B", "51.44.71.2/32"),
    ("C", "51.44.71.3/32"),
    ("W", "51.44.71.23/32"),
    ("X", "51.44.71.24/32"),
    ("Y", "51.44.71.25/32"),
    ("Z", "51.44.71.26/32"),
];

/// A second policy, for the schedules with two.
pub const SECOND: &str = "arn:aws:iam::111122223333:policy/second";

/// The network of a short name.
pub fn net(name: &str) -> &'static str {
    let mut hits = NETWORKS.iter().filter(|(short, _)| *short == name);
    hits.next().unwrap().1
}

/// A grant that is there at the start, and in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub net: &'static str,
    pub member: &'static str,
    /// It ends so many minutes after the start.
    pub ends: Option<u64>,
    /// How many seconds before the start it was given.
    pub age: u64,
}

impl Begun {
    pub const fn new(net: &'static str, member: &'static str) -> Self {
        Self { net, member, ends: None, age: 50 }
    }

    pub const fn until(self, minutes: u64) -> Self {
        Self { ends: Some(minutes), ..self }
    }

    pub const fn aged(self, seconds: u64) -> Self {
        Self { age: seconds, ..self }
    }
}

/// How the account is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody has ever added; the console changed the list just before.
    First,
    /// The functions made the last of four versions.
    Later {
        /// What is in force, by short names.
        document: &'static str,
        /// What was in force before.
        before: &'static str,
        grants: &'static [Begun],
        /// As an older release left `lease.json`: without documents.
        old_lease: bool,
    },
}

impl Start {
    pub const fn later(document: &'static str, grants: &'static [Begun]) -> Self {
        Self::Later { document, before: "b0", grants, old_lease: false }
    }

    /// Whether `lease.json` knows no documents yet.
    pub fn is_old(self) -> bool {
        matches!(self, Self::Later { old_lease: true, .. })
    }

    /// The grants that are there.
    pub fn grants(self) -> &'static [Begun] {
        match self {
            Self::First => &[],
            Self::Later { grants, .. } => grants,
        }
    }
}

fn document(names: &str) -> String {
    let entries: Vec<&str> = names.split(' ').map(net).collect();
    gate(&entries, &["s3:Get*"])
}

/// The account. The last version was made `age` ago.
pub fn world(start: Start, policies: &[&str], age: Duration) -> World {
    let mut world = World::default();
    world.skip(Duration::from_secs(1000));
    let versions: [&str; 4] = match start {
        Start::First => ["", "", "b0 gone", "b0"],
        Start::Later { document, before, .. } => ["b0", "b0 Y", before, document],
    };
    let mut versions: Vec<String> =
        versions.into_iter().filter(|names| !names.is_empty()).map(document).collect();
    let last = versions.pop().unwrap();
    let id = u64::try_from(versions.len()).unwrap() + 1;
    let numbered: Vec<(u64, String)> = (1..).zip(versions).collect();
    for arn in policies {
        world.add_policy(arn, &numbered);
    }
    world.skip(Duration::from_secs(1000));
    for arn in policies {
        world.add_version(arn, id, &last);
    }
    let last_at = world.now();
    world.skip(age);
    if let Start::Later { grants, old_lease, .. } = start {
        let target = if old_lease {
            json!({ "last": "v4", "pending": [] })
        } else {
            json!({ "last": "v4", "last_at": last_at, "doc": last, "ids": ["v1", "v2", "v3", "v4"] })
        };
        let targets: Map<String, Value> =
            policies.iter().map(|arn| ((*arn).to_owned(), target.clone())).collect();
        let mut lease = json!({
            "nonce": null, "holder": "before", "kind": "add", "until": "", "targets": targets,
        });
        if old_lease {
            lease["networks"] = json!([]);
        }
        world.put("lease.json", &lease.to_string());
        fill_the_bucket(&mut world, policies, grants);
    }
    world
}

fn fill_the_bucket(world: &mut World, policies: &[&str], grants: &[Begun]) {
    for arn in policies {
        let name = arn.rsplit('/').next().unwrap();
        let key = format!("baseline/111122223333/policy/{name}.json");
        world.put(&key, &document("b0"));
    }
    let now = world.now();
    for grant in grants {
        let end = grant.ends.map_or_else(String::new, |minutes| {
            format!("@{}", now + i64::try_from(60 * minutes).unwrap())
        });
        let network = net(grant.net).replace('/', "_");
        let key = format!("grants/{network}/{}{end}.json", grant.member);
        world.put_at(&key, "{}", now - i64::try_from(grant.age).unwrap());
    }
}

/// The policies of a schedule: every third has two.
pub fn policies(round: u64) -> &'static [&'static str] {
    if round % 3 == 2 { &[POLICY, SECOND] } else { &[POLICY] }
}
