"""The administrator's commands, on the local stack."""

import json
import re
import subprocess
import sys
import time

import pytest

from stack import POLICY_ARN, ROOT

OFFICE = "198.51.100.10/32"


@pytest.fixture
def script(stack):
    """A function that runs a command as an administrator would; -> exit status, what it prints."""

    def run(name, *arguments, expect=0):
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / name, *arguments],
            env=stack.environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def key_of(printed):
    return re.search(r"#key=([0-9a-f]{64})$", printed, re.MULTILINE)[1]


def test_a_member_comes_and_goes(stack, account, script):
    printed = script("member", "add", "dora")
    key = key_of(printed)
    assert f"curl -H 'Authorization: Bearer {key}' {stack.url}" in printed
    assert not any(key in name for name in account.keys(stack.outputs["StateBucket"])), (
        "only the hash is stored"
    )
    status, body = stack.call(key, "127.0.0.7")
    assert (status, json.loads(body)["member"]) == (200, "dora")
    assert "dora" in script("member", "list")
    assert "already" in script("member", "add", "dora", expect=1)
    assert key_of(script("member", "add", "dora", "--another-key")) != key

    printed = script("member", "remove", "dora", "--entries")
    assert "2 keys removed" in printed and "removed 127.0.0.7/32" in printed
    assert stack.call(key, "127.0.0.8")[0] == 401
    assert account.entries(POLICY_ARN) == [OFFICE]
    assert "dora" not in script("member", "list")


def test_mistakes_are_one_clear_line(script):
    for arguments, part in [
        (["add", "a b"], "is not a member's name"),
        (["remove", "nobody"], "`nobody` is not a member"),
        (["--stack", "nowhere", "list"], "nowhere"),
    ]:
        printed = script("member", *arguments, expect=1)
        assert part in printed and len(printed.strip().splitlines()) == 1, printed


def test_entries_are_revoked_and_the_list_is_reset_by_one_short_command_each(stack, account, script):
    for host in (2, 3, 4):
        assert stack.call(stack.member_key, f"127.0.0.{host}")[0] == 200
    assert "removed 127.0.0.2/32" in script("revoke", "127.0.0.2", "--dry-run")
    assert len(account.entries(POLICY_ARN)) == 4
    assert "removed 127.0.0.2/32" in script("revoke", "127.0.0.2")
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.3/32", "127.0.0.4/32"]
    assert "nonsense" in script("revoke", "nonsense", expect=1)
    assert "name networks" in script("revoke", expect=1)
    assert "would_reset" in script("reset", "--dry-run")
    printed = script("reset")
    assert "removed 127.0.0.3/32" in printed and account.entries(POLICY_ARN)[0] == OFFICE


def test_a_gate_is_made_attached_to_nobody(account, script):
    printed = script(
        "gate", "create", "--cidr", "203.0.113.7/24", "--cidr", "2a05:d018::/48", "--name", "fresh-gate"
    )
    arn = printed.split()[0]
    assert account.entries(arn) == ["203.0.113.0/24", "2a05:d018::/48"]
    assert account.iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    for wrong in ("0.0.0.0/0", "office"):
        assert f"`{wrong}`" in script("gate", "create", "--cidr", wrong, expect=1)
    assert "EntityAlreadyExists" in script(
        "gate", "create", "--cidr", "203.0.113.7", "--name", "fresh-gate", expect=1
    )


def test_a_gate_is_lifted_for_a_while_and_closes_again_by_itself(stack, account, user, script):
    assert account.signed_status(user, "127.0.0.9") == 403
    script("baseline", "save", "--arn", POLICY_ARN)
    assert "at most 24 hours" in script("gate", "lift", "--hours", "25", "--arn", POLICY_ARN, expect=1)
    printed = script("gate", "lift", "--hours", "1", "--arn", POLICY_ARN)
    assert account.signed_status(user, "127.0.0.9") == 200
    # Whoever adds meanwhile changes nothing but the list, and is in when the gate is closed before its time.
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    assert account.signed_status(user, "127.0.0.9") == 200
    script(*re.search(r"scripts/(rollback) (v\d+) (--arn) (\S+)", printed).groups())
    assert (account.signed_status(user, "127.0.0.9"), account.signed_status(user, "127.0.0.2")) == (403, 200)
    script("gate", "lift", "--hours", "0.001", "--arn", POLICY_ARN)
    deadline = time.monotonic() + 30
    while account.signed_status(user, "127.0.0.9") == 200:
        assert time.monotonic() < deadline, "the gate did not close by itself"
        time.sleep(0.2)
    script("reset")
    assert "DateGreaterThan" not in account.document(POLICY_ARN)["Statement"][0]["Condition"]


def test_the_list_the_baseline_and_older_versions_are_one_short_command_each(stack, account, script):
    bucket, key = stack.outputs["StateBucket"], "baseline/000000000000/policy/ip-gate.json"
    assert "several are kept" in script("baseline", "save", expect=1)
    printed = script("baseline", "save", "--arn", POLICY_ARN)
    assert OFFICE in printed and "there was no baseline before" in printed
    assert account.keys(bucket, "baseline/") == [key]
    before = account.default(POLICY_ARN)
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    printed = script("entry", "list")
    assert re.search(rf"{OFFICE}\s+permanent", printed) and re.search(
        r"127.0.0.2/32\s+granted\s+alice since 20", printed
    ), printed
    assert "nothing outside the list differs" in script("baseline", "check", "--arn", POLICY_ARN)

    new = ROOT / "examples" / "policies" / "deny-office.json"
    asked = script("baseline", "save", "--arn", POLICY_ARN, "--file", str(new), expect=1)
    assert (
        "add --yes" in asked
        and OFFICE in account.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    )
    printed = script("baseline", "save", "--yes", "--arn", POLICY_ARN, "--file", str(new))
    assert "added 123.123.123.123/32" in printed and f"removed {OFFICE}" in printed
    assert "statement added: {" in printed and "statement removed: {" in printed
    assert b"123.123.123.123/32" in account.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    bad = script("baseline", "save", "--arn", POLICY_ARN, "--file", str(ROOT / "Makefile"), expect=1)
    assert (
        "not valid JSON" in bad
        and b"123.123.123.123/32" in account.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    )

    edited = account.document(POLICY_ARN)
    edited["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"].append("203.0.113.9/32")
    account.iam.create_policy_version(
        PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(edited), SetAsDefault=True
    )
    assert re.search(r"203.0.113.9/32\s+by hand", script("entry", "list"))
    assert "would_roll_back" in script("rollback", before, "--arn", POLICY_ARN, "--dry-run")
    assert "removed 203.0.113.9/32" in script("rollback", before, "--arn", POLICY_ARN)
    assert account.entries(POLICY_ARN) == ["123.123.123.123/32", "127.0.0.2/32"], "the baseline's and who is in"
    assert "has no version v999" in script("rollback", "v999", "--arn", POLICY_ARN, expect=1)
