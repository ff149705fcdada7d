//! Every rule of the algorithm left out in turn: the simulation must notice each.
//!
//! The text beside a rule limits the scenarios to those in which its absence shows soonest. `BOUND=n` sets how many
//! schedules are tried.

use std::sync::Mutex;

use allowlist::invariant::Invariant;

use crate::{play, setting, sweep};

/// How many schedules a fault may hide in.
const BOUND: u64 = 20_000;

/// Leaves a rule out and looks for a schedule that shows it.
fn is_noticed(left_out: Invariant, filter: &str) {
    let found = Mutex::new(None);
    let bound = setting("BOUND").unwrap_or(BOUND);
    let count = sweep(0..bound, |seed| {
        let (scenario, violations, _) = play(seed, Some(left_out), filter);
        if violations.is_empty() {
            return false;
        }
        found.lock().unwrap().get_or_insert(format!(
            "seed {seed}, scenario `{}`: {}",
            scenario.name,
            violations.join("; ")
        ));
        true
    });
    let found = found.into_inner().unwrap();
    println!(
        "{left_out:?} found after {count} schedules: {}",
        found.as_deref().unwrap_or("nothing")
    );
    assert!(found.is_some(), "{left_out:?} was left out and not noticed in {count} schedules");
}

macro_rules! rules {
    ($($(#[$attribute:meta])* $test:ident: $rule:ident in $filter:literal;)*) => {
        $(#[test]
        $(#[$attribute])*
        fn $test() {
            is_noticed(Invariant::$rule, $filter);
        })*

        /// Every rule has its test.
        #[test]
        fn every_rule_is_left_out_once() {
            let count = |rule: Invariant| match rule {
                $(Invariant::$rule => stringify!($test).len(),)*
            };
            assert!(count(Invariant::StaleList) > 0);
        }
    };
}

rules! {
    believing_a_stale_list_is_noticed: StaleList in "";
    answering_during_a_cut_is_noticed: NoAnswerDuringCut in "remove and reset";
    writing_without_an_intent_is_noticed: IntentFirst in "";
    leaving_the_grant_to_the_reset_is_noticed: GrantPutAgain in "reset";
    taking_a_lost_answer_for_a_refusal_is_noticed: NonceSettles in "";
    releasing_with_a_write_on_the_wire_is_noticed: AllAccounted in "late requests";
    taking_our_own_version_for_an_edit_is_noticed: SkipOwn in "";
    raising_what_was_seen_is_noticed: SeenOfDecision in "console";
    capturing_twice_is_noticed: CaptureOnce in "first";
    #[ignore = "seldom shown: boundary/versions.rs has a test, and `make faults` looks longer"]
    asking_for_what_is_gone_is_noticed: GoneStaysGone in "row";
    taking_the_unread_for_deleted_is_noticed: UnreadStays in "console";
    deleting_before_publishing_is_noticed: PublishThenDelete in "remove";
    deleting_before_settling_is_noticed: SettleThenDelete in "remove";
    cutting_without_the_grants_is_noticed: CutPublishesGrants in "remove and another's add";
    forgetting_a_removed_member_is_noticed: VoidMember in "member removed";
    ignoring_cuts_in_between_is_noticed: SameCuts in "one who joins";
    #[ignore = "seldom shown: boundary/rules.rs has a test, and `make faults` looks longer"]
    serving_by_network_is_noticed: ServedByObject in "reset beside a waiter";
    answering_without_the_lease_is_noticed: AnswerUnderLease in "remove and renewal";
    ordering_the_share_by_age_alone_is_noticed: ListedFirst in "share";
    #[ignore = "seldom shown: boundary/rules.rs has a test, and `make faults` looks longer"]
    forgetting_intents_in_the_share_is_noticed: IntendedFirst in "share: three at once";
    giving_an_ended_place_away_is_noticed: EndedKeepsPlace in "share";
    #[ignore = "seldom shown: boundary/rules.rs has a test, and `make faults` looks longer"]
    repeating_the_put_of_a_grant_is_noticed: GrantPutOnce in "slow puts: add, remove";
    releasing_with_a_delete_on_the_wire_is_noticed: DeleteFate in "slow puts: add, remove";
    succeeding_with_the_unread_is_noticed: CutFailsOnUnread in "console";
    releasing_without_a_condition_is_noticed: ConditionalLease in "rush and reset";
}
