"""What the program `ip-gate` says when a part of what it asks is broken or refuses."""

import json

from conftest import OFFICE, SECOND_ARN
from emulator import POLICY_ARN


def make_ambiguous(account, arn):
    """Two statements that could be the gate, with different lists."""
    document = account.document(arn)
    second = json.loads(json.dumps(document["Statement"][0]))
    second["Sid"], second["Condition"]["NotIpAddress"]["aws:SourceIp"] = "Another", ["51.44.71.0/24"]
    document["Statement"].append(second)
    account.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)


def test_one_broken_policy_hides_nothing_of_the_others(account, admin):
    make_ambiguous(account, SECOND_ARN)
    printed = admin("overview")
    for part in [
        f"{POLICY_ARN} v",
        "entries not known",
        "the entries cannot be listed:",
        "a reset would fail now:",
        f"{SECOND_ARN}: ambiguous_gate",
        "aws cloudwatch describe-alarms",
    ]:
        assert part in printed, printed
    told = json.loads(admin("--json", "overview"))
    assert [target["arn"] for target in told["targets"]][:2] == [POLICY_ARN, SECOND_ARN]
    assert told["targets"][0]["granted"] is None and told["targets"][0]["percent_full"] > 0
    printed = admin("gate", "check", expect=1)
    assert "it is not known which entries are temporary" in printed, printed


def test_an_administrator_whom_another_gate_guards_is_no_way_in(stack, account, admin):
    """Each gate leaves the other's administrator outside; together they leave nobody."""
    iam = account.iam
    administrators = "arn:aws:iam::aws:policy/AdministratorAccess"

    def reasons():
        checked = json.loads(admin("--json", "gate", "check"))
        findings = [finding for target in checked["targets"] for finding in target["findings"]]
        return {finding["reason"] for finding in findings if finding["rule"] == "no_way_in"}

    for name, gate in [("anna", POLICY_ARN), ("bert", SECOND_ARN)]:
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=gate)
    try:
        assert [reason.partition(",")[0] for reason in reasons()] == [
            "nobody has the policy AdministratorAccess"
        ]
        for name in ("anna", "bert"):
            iam.attach_user_policy(UserName=name, PolicyArn=administrators)
        assert "the gates of this stack guard everybody" in reasons().pop()
        iam.detach_user_policy(UserName="bert", PolicyArn=SECOND_ARN)
        assert reasons() == set()
    finally:
        for name in ("anna", "bert"):
            for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
                iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
            iam.delete_user(UserName=name)


def test_a_baseline_that_cannot_be_read_is_not_replaced_without_a_word(stack, account, admin):
    bucket, key = stack.outputs["StateBucket"], "baseline/000000000000/policy/ip-gate.json"
    account.s3.put_object(Bucket=bucket, Key=key, Body=b"nonsense")
    save = ("baseline", "save", "--arn", POLICY_ARN)
    printed = admin(*save, expect=2)
    assert "cannot be read" in printed and "there was no baseline" not in printed, printed
    assert account.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"nonsense"
    assert "the one before is kept" in admin(*save, "--yes")


def test_a_member_whose_time_is_over_gets_no_dead_key(stack, account, admin):
    bucket = stack.outputs["StateBucket"]
    admin("member", "add", "dora", "--days", "1")
    for key in account.keys(bucket, "members/"):
        file = json.loads(account.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        if file["name"] == "dora":
            file["expires"] = "2026-01-01T00:00:00Z"
            account.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(file).encode())
    keys = account.keys(bucket, "members/")
    printed = admin("member", "rotate", "dora", expect=1)
    assert "ended on 2026-01-01T00:00:00Z: say --days" in printed
    assert account.keys(bucket, "members/") == keys
    assert "dora is a member until" in admin("member", "rotate", "dora", "--days", "2")


def test_an_api_that_is_busy_for_a_moment_is_asked_again(account, home, member):
    home.addresses[home.dual_stack_api] = "2a05:d018::7"
    member("login", stdin=member.bookmark)
    home.busy[home.dual_stack_api] = 2
    assert "added 2a05:d018::/64" in member("add")
    assert home.busy[home.dual_stack_api] == 0
    assert set(account.entries(POLICY_ARN)) == {OFFICE, "127.0.0.2/32", "2a05:d018::/64"}


def test_an_api_that_refuses_to_say_the_network_is_not_passed_over(account, home, member):
    member("login", stdin=member.bookmark)
    home.addresses[home.dual_stack_api] = "2a05:d018::7"
    for command, part in [
        ("add", "added 127.0.0.2/32"),
        ("status", "127.0.0.2/32 is let in"),
        ("remove", "removed"),
    ]:
        home.busy[home.dual_stack_api] = 4
        printed = member(command, expect=3)
        assert part in printed and "Too Many Requests" in printed, printed
    assert account.entries(POLICY_ARN) == [OFFICE]
    told = json.loads(member("--json", "status", expect=1))
    assert not told["allowed"]
