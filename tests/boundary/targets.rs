//! Targets in other accounts, and targets that cannot be worked on: what is refused, and what the answer says.

use fakes::Answer;

use crate::*;

const ROLE: &str = "arn:aws:iam::444455556666:role/team/jump";
const OTHER: &str = "arn:aws:iam::444455556666:policy/team/gate";
const WRITER: &str = "arn:aws:iam::444455556666:role/ip-gate-writer";
const THIRD: &str = "arn:aws:iam::777788889999:policy/third";
const THIRD_WRITER: &str = "arn:aws:iam::777788889999:role/ip-gate-writer";

fn trust() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies");
    std::fs::read_to_string(format!("{folder}/trust-deny.json")).unwrap()
}

/// A policy in the own account, a policy and a role in a second one, a policy in a third one.
fn accounts() -> Script {
    let mut world = office();
    for arn in [OTHER, THIRD] {
        world.add_policy(arn, &[(1, gate(&[OFFICE], &[]))]);
    }
    world.add_role(ROLE, &trust());
    Script::new(world)
}

async fn add(script: &Script) -> Answer {
    let policies = format!("{POLICY},{OTHER},{THIRD}");
    let writers = format!("{WRITER},{THIRD_WRITER}");
    let config = add_config(&[
        ("POLICY_ARNS", policies.as_str()),
        ("ROLE_ARNS", ROLE),
        ("ASSUME_ROLES", writers.as_str()),
    ]);
    script.caller(1).event(config, add_event("alice", HOME)).await
}

fn message(answer: &Answer) -> String {
    answer.body["message"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_assumed_is_named_with_what_to_mend() {
    let script = accounts();
    script.world.lock().refused_roles.insert(WRITER.to_owned());
    let answer = add(&script).await;
    assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"), "{answer:?}");
    let text = message(&answer);
    assert!(
        text.contains("sts:AssumeRole") && text.contains(WRITER) && text.contains("trust policy"),
        "{text}"
    );
    assert!(!text.contains("try again"), "{text}");
    assert_eq!(writes(&script), []);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_reached_does_not_hinder_a_reset_elsewhere() {
    let script = accounts();
    assert_eq!(add(&script).await.word(), "added");
    pass(2).await;
    script.world.lock().refused_roles.insert(WRITER.to_owned());
    let policies = format!("{POLICY},{OTHER}");
    let config = reset_config(&[("POLICY_ARNS", policies.as_str()), ("ASSUME_ROLES", WRITER)]);
    let error = script.caller(2).reset(config, json!({})).await.unwrap_err();
    assert!(error.error_message.contains(WRITER), "{error:?}");
    let world = script.world.lock();
    assert_eq!(world.entries(POLICY), [OFFICE]);
    assert_eq!(world.entries(OTHER).len(), 2);
    assert_eq!(world.keys("grants/").len(), 1, "the grant stays with it");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_short() {
    let script = accounts();
    assert_eq!(add(&script).await.word(), "added");
    let world = script.world.lock();
    let sessions = world.calls.iter().filter_map(|call| match &call.op {
        Op::AssumeRole { role, duration, .. } => Some((role.as_str(), *duration)),
        _ => None,
    });
    let mut sessions: Vec<_> = sessions.collect();
    sessions.sort_unstable();
    assert_eq!(sessions, [(WRITER, Some(900)), (THIRD_WRITER, Some(900))]);
}

#[tokio::test(start_paused = true)]
async fn a_session_may_change_the_targets_of_its_account_alone() {
    let script = accounts();
    assert_eq!(add(&script).await.word(), "added");
    let world = script.world.lock();
    let policy = |wanted: &str| {
        let found = world.calls.iter().find_map(|call| match &call.op {
            Op::AssumeRole { role, policy, .. } if role == wanted => policy.clone(),
            _ => None,
        });
        let json: Value = serde_json::from_str(&found.unwrap()).unwrap();
        let statements = json["Statement"].as_array().unwrap().clone();
        assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"));
        let facts =
            |statement: &Value| (statement["Action"].clone(), statement["Resource"].clone());
        statements.iter().map(facts).collect::<Vec<_>>()
    };
    let versions = json!([
        "iam:ListPolicyVersions",
        "iam:GetPolicyVersion",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicyVersion"
    ]);
    let trust = json!(["iam:GetRole", "iam:UpdateAssumeRolePolicy"]);
    assert_eq!(policy(WRITER), [(versions.clone(), json!([OTHER])), (trust, json!([ROLE]))]);
    assert_eq!(policy(THIRD_WRITER), [(versions, json!([THIRD]))]);
}

#[tokio::test(start_paused = true)]
async fn each_account_is_called_with_its_own_credentials() {
    let script = accounts();
    assert_eq!(add(&script).await.word(), "added");
    for (op, key) in script.signed_calls() {
        let expected = match &op {
            Op::ListPolicyVersions(arn)
            | Op::GetPolicyVersion(arn, _)
            | Op::CreatePolicyVersion(arn, _)
                if arn == THIRD =>
            {
                "ASIA777788889999"
            }
            Op::ListPolicyVersions(arn)
            | Op::GetPolicyVersion(arn, _)
            | Op::CreatePolicyVersion(arn, _)
                if arn == OTHER =>
            {
                "ASIA444455556666"
            }
            Op::GetRole(_) | Op::UpdateAssumeRolePolicy(..) => "ASIA444455556666",
            _ => "AKID",
        };
        assert_eq!(key, expected, "{op:?}");
    }
}

/// A request to open one role.
async fn open(script: &Script) -> Answer {
    let config = add_config(&[("POLICY_ARNS", ""), ("ROLE_ARNS", ROLE)]);
    script.caller(1).event(config, add_event("alice", HOME)).await
}

#[tokio::test(start_paused = true)]
async fn a_role_of_the_same_name_elsewhere_is_refused() {
    for actual in [
        "arn:aws:iam::444455556666:role/jump",
        "arn:aws:iam::444455556666:role/other/jump",
        "arn:aws:iam::111122223333:role/team/jump",
    ] {
        let mut world = World::default();
        world.add_role(actual, &trust());
        let script = Script::new(world);
        let before = script.world.lock().trust("jump");
        let answer = open(&script).await;
        assert_eq!((answer.status, answer.word().as_str()), (502, "aws_error"), "{answer:?}");
        let text = message(&answer);
        assert!(text.contains(actual) && text.contains(ROLE), "{text}");
        assert_eq!(script.world.lock().trust("jump"), before);
        assert_eq!(writes(&script), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_that_names_a_deleted_principal_says_so() {
    for id in ["AIDA1234567890EXAMPLE", "AROA1234567890EXAMPLE"] {
        let trust = trust().replace("arn:aws:iam::111122223333:user/test-user", id);
        assert!(trust.contains(id));
        let mut world = World::default();
        world.add_role(ROLE, &trust);
        let script = Script::new(world);
        let before = script.world.lock().trust("jump");
        let answer = open(&script).await;
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (502, "malformed_document"),
            "{answer:?}"
        );
        let text = message(&answer);
        assert!(text.contains(id) && text.contains("deleted") && text.contains(ROLE), "{text}");
        let world = script.world.lock();
        assert_eq!(world.trust("jump"), before);
        assert_eq!(world.keys("grants/"), Vec::<String>::new());
    }
}
