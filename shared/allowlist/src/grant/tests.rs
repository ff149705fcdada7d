use proptest::prelude::*;

use super::*;

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn grant(object: &str, granted_at: i64) -> Grant {
    Grant::from_listing(object, granted_at, true).unwrap_or_else(|| panic!("{object}"))
}

fn rules(share: usize, void: &VoidMembers) -> CountRules<'_> {
    CountRules { share, now: 100, cutoff: None, void, intended: HashSet::new() }
}

fn objects(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(|grant| grant.key.object()).collect()
}

#[test]
fn an_object_that_is_not_canonical_is_no_grant() {
    for object in [
        "grants/",
        "grants/x/alice.json",
        "grants/6.6.6.6/mallory.json",
        "grants/1.2.3.4_0/_open.json",
        "grants/1.2.3.4_24/alice.json",
        "grants/::ffff:1.2.3.4_128/alice.json",
        "grants/1.2.3.4_32/alice",
        "grants/1.2.3.4_32/a b.json",
        "grants/1.2.3.4_32/alice@.json",
        "grants/1.2.3.4_32/alice@07.json",
        "grants/1.2.3.4_32/alice@+7.json",
        "grants/1.2.3.4_32/alice@7@8.json",
        "grants/1.2.3.4_32/deeper/alice.json",
        "baseline/x.json",
    ] {
        assert_eq!(GrantKey::parse(object), None, "{object}");
    }
}

#[test]
fn a_grant_passes_the_checks_of_a_request() {
    let is_grant = |object: &str, any| Grant::from_listing(object, 1, any).is_some();
    assert!(is_grant("grants/51.44.71.0_24/alice.json", false));
    assert!(!is_grant("grants/51.44.0.0_16/alice.json", true), "wider than a request may be");
    assert!(!is_grant("grants/0.0.0.0_0/alice.json", true));
    assert!(!is_grant("grants/10.0.0.1_32/alice.json", false), "not public");
    assert!(is_grant("grants/10.0.0.1_32/alice.json", true));
}

#[test]
fn names_that_could_be_mistaken_are_refused() {
    let long = "x".repeat(65);
    for name in ["", "_open", "a/b", "a b", "é", "a@1", long.as_str()] {
        assert!(name.parse::<Member>().is_err(), "{name}");
    }
}

#[test]
fn a_member_is_looked_up_by_the_hash_of_the_key() {
    assert_eq!(
        member_object("abc"),
        "members/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
    );
}

#[test]
fn the_newest_object_of_an_entry_decides() {
    let void = VoidMembers::new();
    let grants = [
        grant("grants/1.1.1.1_32/al@90.json", 50),
        grant("grants/1.1.1.1_32/al.json", 40),
        grant("grants/2.2.2.2_32/al@300.json", 50),
        grant("grants/2.2.2.2_32/al@200.json", 50),
    ];
    let counted = count(&grants, &rules(20, &void), |_| false);
    assert_eq!(objects(&counted), ["grants/2.2.2.2_32/al@300.json"]);
}

#[test]
fn callers_without_a_key_share_one_number() {
    let void = VoidMembers::new();
    let grants = [
        grant("grants/1.1.1.1_32/al.json", 1),
        grant("grants/2.2.2.2_32/al.json", 2),
        grant("grants/3.3.3.3_32/al.json", 3),
        grant("grants/3.3.3.3_32/bo.json", 4),
        grant("grants/4.4.4.4_32/_open.json", 5),
        grant("grants/5.5.5.5_32/_open.json", 6),
        grant("grants/6.6.6.6_32/_open.json", 7),
    ];
    let counted = count(&grants, &rules(2, &void), |listed| *listed == network("3.3.3.3"));
    assert_eq!(
        objects(&counted),
        [
            "grants/1.1.1.1_32/al.json",
            "grants/3.3.3.3_32/al.json",
            "grants/3.3.3.3_32/bo.json",
            "grants/4.4.4.4_32/_open.json",
            "grants/5.5.5.5_32/_open.json",
        ]
    );
}

#[test]
fn what_an_intent_names_comes_before_what_is_older() {
    let void = VoidMembers::new();
    let grants = [grant("grants/1.1.1.1_32/al.json", 1), grant("grants/2.2.2.2_32/al.json", 2)];
    let mut rules = rules(1, &void);
    rules.intended.insert("grants/2.2.2.2_32/al.json");
    assert_eq!(objects(&count(&grants, &rules, |_| false)), ["grants/2.2.2.2_32/al.json"]);
}

#[test]
fn an_ended_entry_keeps_its_place_until_it_is_off_the_list() {
    let void = VoidMembers::new();
    let grants = [grant("grants/1.1.1.1_32/al@99.json", 1), grant("grants/2.2.2.2_32/al.json", 2)];
    let one = network("1.1.1.1");
    assert_eq!(count(&grants, &rules(1, &void), |listed| *listed == one), []);
    assert_eq!(count(&grants, &rules(1, &void), |_| false).len(), 1);
}

#[test]
fn a_removed_members_grants_do_not_count_for_a_minute() {
    let void = VoidMembers::from([("al".parse().unwrap(), 1000)]);
    for (granted_at, counts) in [(900, 0), (1000, 0), (1060, 0), (1061, 1)] {
        let grants = [grant("grants/1.1.1.1_32/al.json", granted_at)];
        assert_eq!(count(&grants, &rules(20, &void), |_| true).len(), counts, "{granted_at}");
    }
    assert_eq!(
        count(&[grant("grants/1.1.1.1_32/bo.json", 1)], &rules(20, &void), |_| true).len(),
        1
    );
}

#[test]
fn with_a_cutoff_a_grant_ends_that_long_after_it_was_given() {
    let ends = |object: &str, cutoff| grant(object, 50).ends_at(cutoff);
    assert_eq!(ends("grants/1.1.1.1_32/al.json", None), None);
    assert_eq!(ends("grants/1.1.1.1_32/al.json", Some(10)), Some(60));
    assert_eq!(ends("grants/1.1.1.1_32/al@55.json", Some(10)), Some(55));
    assert_eq!(ends("grants/1.1.1.1_32/al@99.json", Some(10)), Some(60));
    assert!(grant("grants/1.1.1.1_32/al@55.json", 50).has_ended(55, None));
    assert!(!grant("grants/1.1.1.1_32/al@55.json", 50).has_ended(54, None));
}

proptest! {
    #[test]
    fn a_key_says_everything_about_a_grant(
        bits: u32, six: u128, length in 0u8..=32, name in "[A-Za-z0-9._-]{1,64}", end: Option<u32>,
        is_open: bool, is_six: bool,
    ) {
        let text = if is_six {
            format!("{}/{}", std::net::Ipv6Addr::from(six), length * 4)
        } else {
            format!("{}/{length}", std::net::Ipv4Addr::from(bits))
        };
        let member = if is_open { None } else { name.parse().ok() };
        let key = GrantKey { network: network(&text), member, end: end.map(i64::from) };
        prop_assert_eq!(GrantKey::parse(&key.object()), Some(key));
    }

    #[test]
    fn any_key_that_parses_is_the_key_of_its_grant(text in "grants/[0-9a-f:._]{1,12}(_[0-9]{1,3})?/[a-z@0-9_.]{1,8}(\\.json)?") {
        if let Some(key) = GrantKey::parse(&text) {
            prop_assert_eq!(key.object(), text);
        }
    }
}

#[test]
fn of_two_objects_in_one_second_the_later_end_decides() {
    let newest = |grants: &[Grant]| {
        let newest = newest_of_each_entry(grants);
        newest.into_iter().map(|grant| grant.key.object()).collect::<Vec<_>>()
    };
    let of = |end: &str, at| grant(&format!("grants/51.44.71.80_32/alice{end}.json"), at);
    let (open, early, late) = ("", "@500", "@900");
    // A newer request decides, whatever its end; in the same second the later end does.
    for (first, second, decides) in [
        (of(open, 10), of(early, 11), early),
        (of(late, 11), of(early, 10), late),
        (of(early, 10), of(late, 10), late),
        (of(open, 10), of(late, 10), open),
    ] {
        let object = format!("grants/51.44.71.80_32/alice{decides}.json");
        assert_eq!(newest(&[first.clone(), second.clone()]), std::slice::from_ref(&object));
        assert_eq!(newest(&[second, first]), [object]);
    }
    // Other networks and other members are entries of their own, oldest first.
    let others = [
        grant("grants/51.44.71.81_32/alice.json", 30),
        grant("grants/51.44.71.80_32/bob.json", 20),
        of(open, 10),
    ];
    let objects = objects(&others);
    assert_eq!(newest(&others), [objects[2].clone(), objects[1].clone(), objects[0].clone()]);
    assert!(others[2].key.is_same_entry(&of(late, 99).key));
    assert!(!others[2].key.is_same_entry(&others[0].key));
    assert!(!others[2].key.is_same_entry(&others[1].key));
}

#[test]
fn an_entry_ends_with_its_last_grant() {
    let ends = |objects: &[(&str, i64)], cutoff| {
        let read =
            |(name, at): &(&str, i64)| grant(&format!("grants/51.44.71.80_32/{name}.json"), *at);
        let grants: Vec<Grant> = objects.iter().map(read).collect();
        last_end(&grants.iter().collect::<Vec<_>>(), cutoff)
    };
    assert_eq!(ends(&[("alice@500", 10), ("bob@900", 10)], None), Some(900));
    assert_eq!(ends(&[("alice@500", 10), ("bob", 10)], None), None);
    assert_eq!(ends(&[("alice@500", 10), ("bob", 20)], Some(600)), Some(620));
    assert_eq!(ends(&[], Some(600)), None);
}

#[test]
fn the_networks_of_ended_entries_are_told() {
    let grants = [
        grant("grants/51.44.71.80_32/alice@50.json", 10),
        grant("grants/51.44.71.81_32/alice@51.json", 10),
        // Renewed: what ended first does not count.
        grant("grants/51.44.71.82_32/alice@50.json", 10),
        grant("grants/51.44.71.82_32/alice@99.json", 20),
    ];
    assert_eq!(ended_networks(&grants, 50, None), [network("51.44.71.80/32")]);
    assert_eq!(ended_networks(&grants, 51, None).len(), 2);
    assert_eq!(ended_networks(&grants, 20, Some(10)).len(), 2);
}
