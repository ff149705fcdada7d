use super::*;
use crate::document::MANAGED_POLICY_LIMIT;

fn document(list: &[&str]) -> Document {
    let list = serde_json::to_string(list).unwrap();
    Document::parse(&format!(
        r#"{{"Statement":[{{"Effect":"Deny","Action":"*","Condition":{{"NotIpAddress":{{"aws:SourceIp":{list}}}}}}}]}}"#
    ))
    .unwrap()
}

fn entries(document: &Document) -> Vec<String> {
    let gate = Gate::find(document, &[]).unwrap();
    gate.entries(document).into_iter().map(|entry| entry.text).collect()
}

fn net(text: &str) -> Network {
    text.parse().unwrap()
}

fn grant(network: &str, granted_at: i64) -> Grant {
    let key = crate::GrantKey { network: net(network), member: None, end: None };
    Grant { key, granted_at }
}

fn granted(grants: &[Grant]) -> GrantedNetworks {
    GrantedNetworks::new(grants, None)
}

fn policy() -> Target {
    Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap()
}

fn rules<'a>(target: &'a Target, limit: usize, baseline: &[&str]) -> TargetRules<'a> {
    let baseline = Baseline::check(document(baseline), &[], MANAGED_POLICY_LIMIT).ok();
    TargetRules { target, sids: &[], limit, baseline }
}

#[test]
fn the_own_network_comes_first_and_the_others_by_age() {
    let grants = [
        grant("3.3.3.3", 3),
        grant("2.2.2.2", 2),
        grant("9.9.9.9", 4),
        grant("1.1.1.0", 1),
        grant("2.2.2.2", 9),
    ];
    let edit = Edit::Add { own: net("9.9.9.9"), granted: granted(&grants), ended: Vec::new() };
    let target = policy();
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &[]);
    let new = edit.apply(&rules, &document(&["1.1.1.0/24"])).unwrap();
    assert_eq!(entries(&new), ["1.1.1.0/24", "9.9.9.9/32", "2.2.2.2/32", "3.3.3.3/32"]);
    assert_eq!(edit.apply(&rules, &new).unwrap(), new, "an edit made twice changes nothing");
}

#[test]
fn at_the_limit_the_own_network_goes_before_the_grants() {
    let base = document(&["1.1.1.1/32", "1.1.1.2/32"]);
    let one_more = base.size() + r#","9.9.9.9/32""#.len();
    let edit = Edit::Add {
        own: net("9.9.9.9"),
        granted: granted(&[grant("8.8.8.8", 1)]),
        ended: Vec::new(),
    };
    let target = policy();
    let new = edit.apply(&rules(&target, one_more, &[]), &base).unwrap();
    assert_eq!((entries(&new).len(), new.size()), (3, one_more));
    let error = edit.apply(&rules(&target, one_more - 1, &[]), &base).unwrap_err();
    assert_eq!(error.kind(), "policy_full");
    assert!(error.to_string().contains("2 entries"), "{error}");
    let covered = Edit::Add { own: net("1.1.1.1"), granted: granted(&[]), ended: Vec::new() };
    assert_eq!(covered.apply(&rules(&target, 10, &[]), &base).unwrap(), base);
}

#[test]
fn a_grant_that_does_not_fit_gives_way_to_a_shorter_one() {
    let base = document(&["1.1.1.1/32"]);
    let room = base.size() + r#","9.9.9.9/32","8.8.8.8/32""#.len();
    let grants = [grant("2a05:d018:1:2::/64", 1), grant("8.8.8.8", 2)];
    let edit = Edit::Add { own: net("9.9.9.9"), granted: granted(&grants), ended: Vec::new() };
    let target = policy();
    let new = edit.apply(&rules(&target, room, &[]), &base).unwrap();
    assert_eq!(entries(&new), ["1.1.1.1/32", "9.9.9.9/32", "8.8.8.8/32"]);
}

#[test]
fn what_is_cut_goes_unless_it_is_permanent_or_granted_to_somebody() {
    let base = document(&["1.1.1.1/32", "2.2.2.2/32", "3.3.3.3", "4.4.4.0/24"]);
    let target = policy();
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &["1.1.1.1"]);
    let cut = |ended: &[&str], grants: &[Grant]| {
        let ended = ended.iter().map(|text| net(text)).collect();
        entries(&Edit::Cut { ended, granted: granted(grants) }.apply(&rules, &base).unwrap())
    };
    let new = cut(&["1.1.1.1", "2.2.2.2", "3.3.3.3", "9.9.9.9"], &[grant("2.2.2.2", 1)]);
    assert_eq!(new, ["1.1.1.1/32", "2.2.2.2/32", "4.4.4.0/24"]);
    // What another's wider entry had covered comes back when that is taken off.
    let new = cut(&["4.4.4.0/24"], &[grant("4.4.4.4", 1)]);
    assert_eq!(new, ["1.1.1.1/32", "2.2.2.2/32", "3.3.3.3", "4.4.4.4/32"]);
}

#[test]
fn the_last_entry_is_never_taken_off() {
    let target = policy();
    let edit = Edit::Cut { ended: vec![net("2.2.2.2")], granted: granted(&[]) };
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &["1.1.1.1"]);
    let error = edit.apply(&rules, &document(&["2.2.2.2"])).unwrap_err();
    assert!(error.to_string().contains("empty"), "{error}");
}

#[test]
fn only_an_add_can_do_without_the_baseline() {
    let target = policy();
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &[]);
    let base = document(&["1.1.1.1"]);
    for edit in [
        Edit::Reset { granted: granted(&[]) },
        Edit::Cut { ended: Vec::new(), granted: granted(&[]) },
        Edit::Rollback { older: base.clone(), granted: granted(&[]) },
    ] {
        assert_eq!(edit.apply(&rules, &base).unwrap_err().kind(), "baseline_unusable");
    }
}

#[test]
fn a_rollback_brings_back_everything_but_the_list() {
    let older =
        document(&["6.6.6.6", "1.1.1.1"]).render().replace(r#""Action":"*""#, r#""Action":"s3:*""#);
    let older = Document::parse(&older).unwrap();
    let target = policy();
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &["1.1.1.1", "office"]);
    let edit = Edit::Rollback { older, granted: granted(&[grant("2.2.2.2", 1)]) };
    let new = edit.apply(&rules, &document(&["1.1.1.1", "3.3.3.3"])).unwrap();
    assert_eq!(entries(&new), ["1.1.1.1", "office", "2.2.2.2/32"]);
    assert!(new.render().contains(r#""Action":"s3:*""#));
}

#[test]
fn a_reset_reports_every_difference() {
    let target = policy();
    let rules = rules(&target, MANAGED_POLICY_LIMIT, &["1.1.1.1", "5.5.5.5"]);
    let grants = [grant("2.2.2.2", 2)];
    let current = document(&["1.1.1.1/32", "2.2.2.2/32", "office", "7.7.7.7"]);
    let new = Edit::Reset { granted: granted(&[]) }.apply(&rules, &current).unwrap();
    assert_eq!(
        difference(&rules, &current, &new, &grants),
        Difference {
            removed: vec!["2.2.2.2/32".into(), "office".into(), "7.7.7.7".into()],
            restored: vec!["5.5.5.5".into()],
            drift: false,
            by_hand: vec!["office".into(), "7.7.7.7".into()],
        }
    );
    let edited = current.render().replace("\"Action\":\"*\"", "\"Action\":\"s3:*\"");
    let edited = Document::parse(&edited).unwrap();
    assert!(difference(&rules, &edited, &new, &grants).drift);
    let gone = Document::parse(r#"{"Statement":[]}"#).unwrap();
    let all = difference(&rules, &gone, &new, &grants);
    assert_eq!((all.restored.len(), all.drift), (2, true));
    let kept = Edit::Reset { granted: granted(&grants) }.apply(&rules, &current).unwrap();
    assert_eq!(entries(&kept), ["1.1.1.1", "5.5.5.5", "2.2.2.2/32"]);
}

#[test]
fn what_fits_alone_takes_the_room_of_the_next() {
    let baseline = ["1.1.1.1/32"];
    let one_more = document(&baseline).size() + r#","9.9.9.1/32""#.len();
    let target = policy();
    let grants = [grant("9.9.9.1", 1), grant("9.9.9.2", 2)];
    let edit = Edit::Reset { granted: granted(&grants) };
    let new = edit.apply(&rules(&target, one_more, &baseline), &document(&baseline)).unwrap();
    assert_eq!(entries(&new), ["1.1.1.1/32", "9.9.9.1/32"]);
}
