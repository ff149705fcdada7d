//! What is in force, and what the bucket holds: people's edits, limits, shares, grants, the baseline.

use std::collections::{BTreeMap, BTreeSet};

use fakes::world::{Cause, read_gate};
use serde_json::Value;

use crate::actors::Actor;
use crate::outcome::second;
use crate::start::{Start, net};

use super::history::{Edit, History, View};
use super::{CUTOFF, Case, Entry};

/// What somebody saved after the last reset is in force in the end.
pub fn edits_survive(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    // The reset at the very end is there to show that it works.
    let views: Vec<&View<'_>> =
        history.views.iter().filter(|view| view.from <= case.outcome.repaired).collect();
    let rewrites = |author: usize| {
        let mut requests = case.requests.iter();
        requests.any(|request| {
            request.author == author && matches!(request.actor, Actor::Reset | Actor::Rollback(_))
        })
    };
    let last_reset = views
        .iter()
        .filter(|view| view.moment.cause == Cause::Write && rewrites(view.moment.author))
        .map(|view| view.from)
        .max()
        .unwrap_or(0);
    let Some(end) = views.last() else { return };
    for Edit { step, version, entries, tags } in history.edits() {
        let holds =
            |view: &View<'_>| entries.is_subset(&view.entries) && tags.is_subset(&view.tags);
        // Somebody in the console who later puts a document without it in force has dropped it, not we.
        let dropped =
            views.iter().any(|view| History::is_by_hand(view) && view.from > step && !holds(view));
        // A draft or another default that somebody makes in the same moment cannot be told from an edit.
        let disguised =
            views.iter().any(|view| view.moment.cause == Cause::Draft && view.from > step);
        let deleted = deleted_by_hand(case, &views, version);
        if step > last_reset && !dropped && !disguised && !deleted && !holds(end) {
            found.push(format!(
                "edits: what the console saved at {step} is lost: {entries:?} {tags:?}"
            ));
        }
    }
    let tags: BTreeSet<String> = BTreeSet::from(["s3:Get*".to_owned()]);
    if !history.views.iter().all(|view| tags.is_subset(&view.tags)) {
        found.push("edits: the other statement was changed".to_owned());
    }
}

/// Whether a person deleted that version.
fn deleted_by_hand(case: &Case<'_>, views: &[&View<'_>], version: u64) -> bool {
    let has = |view: &View<'_>| view.moment.policy.versions.contains_key(&version);
    let by_person = |author: usize| {
        let mut requests = case.requests.iter();
        requests.any(|request| request.author == author && request.actor.is_person())
    };
    views.windows(2).any(|pair| has(pair[0]) && !has(pair[1]) && by_person(pair[1].moment.author))
}

/// Never more than five versions, always a default, and every entry once.
pub fn limits_hold(history: &History<'_>, found: &mut Vec<String>) {
    for view in &history.views {
        let policy = &view.moment.policy;
        if policy.versions.len() > 5 || !policy.versions.contains_key(&policy.default) {
            found.push(format!(
                "limits: {} versions, default v{}",
                policy.versions.len(),
                policy.default
            ));
        }
        let document = policy.document();
        let list = document.split_once("aws:SourceIp").unwrap().1.split_once(']').unwrap().0;
        let twice = |entry: &String| list.matches(&format!("\"{entry}\"")).count() > 1;
        if view.entries.iter().any(twice) {
            found.push("limits: an entry stands twice".to_owned());
        }
    }
}

/// No member ever has more than the share in force.
pub fn shares_hold(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    let free = case.free(history);
    let members: BTreeSet<&str> = case.who.values().flatten().copied().collect();
    for view in &history.views {
        for member in &members {
            let only = BTreeSet::from([*member]);
            let own = view.entries.difference(&free);
            let own = own.filter(|entry| case.who.get(entry.as_str()) == Some(&only));
            let count = own.count();
            if count > case.scenario.share {
                found.push(format!(
                    "shares: {member} has {count} entries in force, more than the share"
                ));
            }
        }
    }
}

/// A grant as the bucket has it.
struct Left {
    end: Option<i64>,
    modified: i64,
}

fn grants(case: &Case<'_>) -> BTreeMap<Entry, Vec<Left>> {
    let mut grants: BTreeMap<Entry, Vec<Left>> = BTreeMap::new();
    let members: BTreeSet<&str> = case.who.values().flatten().copied().collect();
    for (key, object) in &case.outcome.bucket {
        let Some((network, name)) = key
            .strip_prefix("grants/")
            .and_then(|rest| rest.strip_suffix(".json"))
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        let (member, end) = match name.split_once('@') {
            Some((member, end)) => (member, end.parse().ok()),
            None => (name, None),
        };
        let member = members.iter().find(|known| **known == member).unwrap();
        let left = Left { end, modified: object.modified };
        let entry = (network.replace('_', "/"), *member);
        grants.entry(entry).or_default().push(left);
    }
    grants
}

/// In the end every entry in force has a grant; every grant that counts is in force, with the end of the newest request.
pub fn grants_decide(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    let free = case.free(history);
    let now = second(case.outcome.repaired_at);
    let in_force = &history.at(case.outcome.repaired).entries;
    let left = grants(case);
    for entry in in_force.difference(&free) {
        // What a person brought back, no grant explains.
        let explained = left.keys().any(|(network, _)| network == entry);
        if !explained && !history.is_restored_by_hand() {
            found.push(format!("grants: {entry} is in force and has none"));
        }
    }
    let lease = case.outcome.bucket.get("lease.json");
    let lease: Value =
        lease.map_or(Value::Null, |object| serde_json::from_str(&object.body).unwrap());
    let void = |member: &str| lease["void"].get(member).is_some();
    for (entry, objects) in &left {
        let (network, member) = entry;
        if free.contains(network) || void(member) {
            continue;
        }
        // Of two put in the same second either may be the newest.
        let newest = objects.iter().map(|left| left.modified).max().unwrap();
        let newest: Vec<&Left> = objects.iter().filter(|left| left.modified == newest).collect();
        let ends = case.newest_ends(entry);
        if !newest.iter().any(|left| ends.contains(&left.end)) {
            found.push(format!(
                "grants: {member}'s newest request for {network} does not decide its end"
            ));
        }
        let lives = newest.iter().all(|left| {
            let is_cut_off = case.scenario.cutoff && now >= left.modified + CUTOFF;
            left.end.is_none_or(|end| now < end) && !is_cut_off
        });
        let held = left.keys().filter(|(_, other)| other == member).count();
        if lives && held <= case.scenario.share && !in_force.contains(network) {
            found.push(format!("grants: {member}'s for {network} is not applied by the next add"));
        }
    }
}

/// With a cutoff each document with granted entries says itself when IAM ends them: at most an hour after the newest was
/// given, and never while one of them lives. What was over a while ago is off the list after the next add.
pub fn cutoff_holds(case: &Case<'_>, history: &History<'_>, found: &mut Vec<String>) {
    if !case.scenario.cutoff {
        return;
    }
    let free = case.free(history);
    for view in history.views.iter().filter(|view| view.moment.cause == Cause::Write) {
        let granted = view.entries.difference(&free).count();
        let json: Value = serde_json::from_str(view.moment.policy.document()).unwrap();
        let copy =
            json["Statement"].as_array().unwrap().iter().find(|s| s["Sid"] == "IpGateCutoff");
        let Some(copy) = copy else {
            if granted > 0 {
                found.push(format!("cutoff: step {} has none", view.from));
            }
            continue;
        };
        let permanent = serde_json::json!([net("b0")]);
        let date = copy["Condition"]["DateGreaterThan"]["aws:CurrentTime"].as_str().unwrap();
        let until = allowlist::time::parse_seconds(date).unwrap();
        let written = second(view.at);
        let is_in_time = (written - 30..=written + CUTOFF).contains(&until);
        if copy["Condition"]["NotIpAddress"]["aws:SourceIp"] != permanent || !is_in_time {
            found.push(format!("cutoff: step {} has {copy}", view.from));
        }
    }
    let now = second(case.outcome.repaired_at);
    let left = grants(case);
    for entry in history.at(case.outcome.repaired).entries.difference(&free) {
        let mut own = left.iter().filter(|((network, _), _)| network == entry);
        if !own.any(|(_, objects)| objects.iter().any(|left| now < left.modified + CUTOFF + 60)) {
            found.push(format!("cutoff: {entry} is over, and on the list after the next add"));
        }
    }
}

/// A baseline that was captured holds nobody's temporary entry.
pub fn baseline_is_clean(case: &Case<'_>, arn: &str, found: &mut Vec<String>) {
    let name = arn.rsplit('/').next().unwrap();
    let key = format!("baseline/111122223333/policy/{name}.json");
    let Some(object) = case.outcome.world.objects.get(&key) else {
        return;
    };
    let (entries, _) = read_gate(&object.body);
    let allowed = BTreeSet::from([net("b0").to_owned(), net("n1").to_owned()]);
    if case.scenario.start == Start::First && !entries.is_subset(&allowed) {
        found.push(format!("baseline: it holds {entries:?}"));
    }
}
