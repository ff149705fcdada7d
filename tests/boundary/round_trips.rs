//! How long a member waits, counted in round trips on a clock that only the services move: IAM is far, S3 is near.

use fakes::Function;
use tokio::time::Instant;

use crate::*;

async fn function(script: &Script, policies: &str) -> Function {
    Caller::new(1, Arc::new(Distance(script.clone())))
        .function(add_config(&[("POLICY_ARNS", policies)]))
        .await
}

/// -> what was answered, and after how many serial round trips to IAM and to S3.
async fn wait(function: &Function, event: Value) -> (String, u128, u128) {
    let started = Instant::now();
    let (answer, rest) = function.answer(event).await;
    let waited = started.elapsed();
    rest.run().await;
    (
        answer.word(),
        waited.as_millis() / FAR.as_millis(),
        waited.as_millis() % FAR.as_millis() / NEAR.as_millis(),
    )
}

fn alice(address: &str) -> Value {
    add_event("alice", address)
}

#[tokio::test(start_paused = true)]
async fn a_member_waits_for_one_round_trip_to_iam_or_for_two_cold_or_warm() {
    let script = Script::new(office());
    let first = function(&script, POLICY).await;
    // The first add of all reads the document that a person made, and creates the baseline.
    assert_eq!(wait(&first, alice("51.44.71.1")).await, ("added".to_owned(), 3, 3));
    for (process, function) in [(1, function(&script, POLICY).await), (2, first)] {
        for host in 2..7 {
            let address = format!("51.44.7{process}.{host}");
            assert_eq!(wait(&function, alice(&address)).await, ("added".to_owned(), 2, 2));
            assert_eq!(
                wait(&function, alice(&address)).await,
                ("already_allowed".to_owned(), 1, 2)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_person_saved_has_to_be_read() {
    let script = Script::new(office());
    script.caller(2).add("bob", "51.44.71.1").await;
    script.world.lock().apply(
        9,
        &Op::Edit { arn: POLICY.into(), entries: vec!["7.7.7.7/32".into()], tags: vec![] },
        0,
    );
    let function = function(&script, POLICY).await;
    assert_eq!(wait(&function, alice("51.44.71.2")).await, ("added".to_owned(), 3, 2));
    assert_eq!(wait(&function, alice("51.44.71.3")).await, ("added".to_owned(), 2, 2));
}

#[tokio::test(start_paused = true)]
async fn several_policies_cost_no_more_time_than_one() {
    let second = "arn:aws:iam::111122223333:policy/second";
    let mut world = office();
    world.add_policy(second, &[(1, fakes::gate(&["198.51.100.0/24"], &[]))]);
    let script = Script::new(world);
    let function = function(&script, &format!("{POLICY},{second}")).await;
    assert_eq!(wait(&function, alice("51.44.71.1")).await, ("added".to_owned(), 3, 3));
    assert_eq!(wait(&function, alice("51.44.71.2")).await, ("added".to_owned(), 2, 2));
    assert_eq!(wait(&function, alice("51.44.71.2")).await, ("already_allowed".to_owned(), 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_waits_for_s3_alone() {
    let script = Script::new(office());
    let function = function(&script, POLICY).await;
    assert_eq!(
        wait(&function, add_event("nobody", "51.44.71.1")).await,
        ("unauthorized".to_owned(), 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_warm_function_knows_is_not_believed_when_somebody_else_has_written() {
    let script = Script::new(office());
    let function = function(&script, POLICY).await;
    assert_eq!(wait(&function, alice("51.44.71.1")).await.0, "added");
    // A reset by another process: the cached document still lists the network.
    let reset = script.caller(2).reset(fakes::reset_config(&[]), Value::Null).await.unwrap();
    assert_eq!(reset["status"], "reset");
    assert_eq!(wait(&function, alice("51.44.71.1")).await.0, "added");
    // A person in the console makes an older version the default, which is nobody's newest.
    script.world.lock().set_default(POLICY, 1);
    assert_eq!(wait(&function, alice("51.44.71.1")).await.0, "added");
    assert_eq!(script.world.lock().entries(POLICY), ["123.123.123.123/32", "51.44.71.1/32"]);
}
