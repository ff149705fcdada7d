"""What members and users experience: refused, added, allowed, reset, refused."""

import json
import time

import pytest

from conftest import JUMP_ARN, OTHER_ARN, SECOND_ARN
from emulator import POLICY_ARN, fire_schedule
from waiting import wait_for

OFFICE = "198.51.100.10/32"
ALLOWED, DENIED = 200, 403


def added(stack, source, key=None):
    status, body = stack.call(key or stack.member_key, source)
    return status, json.loads(body)


def reset(stack, account, event=None):
    failed, report = account.invoke(stack.outputs["ResetFunction"], event)
    assert not failed, report
    return report


def test_the_gate_opens_for_the_added_address_alone(stack, account, user):
    assert account.signed_status(user, "127.0.0.2") == DENIED
    status, body = added(stack, "127.0.0.2")
    assert (status, body["status"], body["network"], body["member"]) == (
        200,
        "added",
        "127.0.0.2/32",
        "alice",
    )
    assert [target["arn"] for target in body["targets"]] == [POLICY_ARN, SECOND_ARN, JUMP_ARN, OTHER_ARN]
    assert account.signed_status(user, "127.0.0.2") == ALLOWED
    assert account.signed_status(user, "127.0.0.3") == DENIED
    report = reset(stack, account)
    assert (report["status"], report["targets"][0]["removed"]) == ("reset", ["127.0.0.2/32"])
    assert account.signed_status(user, "127.0.0.2") == DENIED


def test_every_wrong_key_gets_the_same_answer(stack, account):
    before = account.default(POLICY_ARN)
    answers = {stack.call(key, "127.0.0.2") for key in (None, "wrong", stack.member_key + "0")}
    assert len(answers) == 1
    status, body = answers.pop()
    assert (status, json.loads(body)["error"]) == (401, "unauthorized")
    assert account.default(POLICY_ARN) == before
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []


@pytest.mark.parametrize(
    "send",
    [
        lambda stack: stack.call(None, headers={"authorization": f"BEARER {stack.member_key}"}),
        lambda stack: stack.call(None, headers={"X-API-Key": stack.member_key}),
        lambda stack: stack.call(None, query="?key=" + stack.member_key),
        lambda stack: stack.call(
            None,
            method="POST",
            body=b"key=" + stack.member_key.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ],
)
def test_every_way_to_give_the_key_works_over_http(stack, account, send):
    status, body = send(stack)
    assert (status, json.loads(body)["member"]) == (200, "alice")


@pytest.mark.parametrize(
    "headers", [{"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}]
)
def test_looking_ahead_changes_nothing(stack, account, headers):
    before = account.default(POLICY_ARN)
    status, body = stack.call(stack.member_key, headers=headers)
    assert (status, json.loads(body)["error"]) == (403, "prefetch")
    stack.call(stack.member_key, method="HEAD")
    assert account.default(POLICY_ARN) == before


def test_many_adds_leave_four_versions(stack, account):
    for host in range(2, 16):
        status, body = added(stack, f"127.0.0.{host}")
        assert (status, body["status"]) == (200, "added"), body
    for arn in (POLICY_ARN, SECOND_ARN):
        assert account.entries(arn) == [OFFICE] + [f"127.0.0.{host}/32" for host in range(2, 16)]
        assert len(settled_versions(account, arn)) == 4


def settled_versions(account, arn):
    """Pruning goes on after the answer."""
    return wait_for(lambda: len(versions := account.versions(arn)) <= 4 and versions)


def test_the_default_version_counts_even_when_it_is_not_the_newest(stack, account):
    draft = account.document(POLICY_ARN)
    draft["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"] = ["203.0.113.1/32"]
    account.iam.create_policy_version(
        PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(draft), SetAsDefault=False
    )
    assert added(stack, "127.0.0.2")[0] == 200
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32"]


def test_five_versions_at_the_start_are_no_obstacle(stack, account):
    document = json.dumps(account.document(POLICY_ARN))
    while len(account.versions(POLICY_ARN)) < 5:
        account.iam.create_policy_version(PolicyArn=POLICY_ARN, PolicyDocument=document, SetAsDefault=False)
    default = account.default(POLICY_ARN)
    status, body = added(stack, "127.0.0.2")
    assert (status, body["status"]) == (200, "added"), body
    versions = [version["VersionId"] for version in settled_versions(account, POLICY_ARN)]
    assert len(versions) == 4 and body["targets"][0]["version"] in versions and default not in versions


def test_a_second_reset_changes_nothing(stack, account):
    added(stack, "127.0.0.2")
    time.sleep(
        1.1
    )  # S3 tells times in seconds: what was granted in the second of a reset may be newer than it
    assert reset(stack, account, {"dry_run": True})["status"] == "would_reset"
    assert reset(stack, account)["status"] == "reset"
    after = account.default(POLICY_ARN)
    assert reset(stack, account)["status"] == "unchanged"
    assert account.default(POLICY_ARN) == after
    assert account.entries(POLICY_ARN) == [OFFICE]


def test_a_missing_baseline_does_not_stop_the_other_resets(stack, account):
    added(stack, "127.0.0.2")
    bucket = stack.outputs["StateBucket"]
    account.s3.delete_object(Bucket=bucket, Key="baseline/000000000000/policy/team/a/second-gate.json")
    failed, report = account.invoke(stack.outputs["ResetFunction"])
    assert failed and SECOND_ARN in report["errorMessage"], report
    assert account.entries(POLICY_ARN) == [OFFICE]
    assert account.entries(SECOND_ARN) == [OFFICE, "127.0.0.2/32"]


def test_the_schedule_resets(stack, account, user):
    added(stack, "127.0.0.2")
    assert account.signed_status(user, "127.0.0.2") == ALLOWED
    fire_schedule(stack)
    wait_for(lambda: not account.keys(stack.outputs["StateBucket"], "grants/"))
    assert account.signed_status(user, "127.0.0.2") == DENIED


def test_what_is_not_there_says_so(stack, account):
    status, _ = stack.call(stack.member_key, method="DELETE")
    assert status >= 400
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []
