"""The program `ip-gate`: an administrator's commands and a member's, on the local stack."""

import json
import re
import signal
import stat
import time

from conftest import OFFICE, SECOND_ARN
from emulator import POLICY_ARN
from tools import ROOT

DENY_OFFICE = str(ROOT / "examples" / "policies" / "deny-office.json")


def key_of(printed):
    return re.search(r"#key=([0-9a-f]{64})$", printed, re.MULTILINE)[1]


# -- administrators --------------------------------------------------------------------------------


def test_members_come_and_go(stack, account, admin):
    printed = admin("member", "add", "dora")
    key = key_of(printed)
    assert f"curl -H 'Authorization: Bearer {key}' {stack.url}" in printed
    assert not any(key in name for name in account.keys(stack.outputs["StateBucket"])), (
        "only the hash is stored"
    )
    status, body = stack.call(key, "127.0.0.7")
    assert (status, json.loads(body)["member"]) == (200, "dora")
    admin("member", "add", "dora", expect=1)
    assert key_of(admin("member", "add", "dora", "--another-key")) != key
    admin("member", "list")

    new = key_of(admin("member", "rotate", "dora", "--days", "30"))
    assert (stack.call(key, "127.0.0.7")[0], stack.call(new, "127.0.0.7")[0]) == (401, 200)
    admin("member", "list")
    admin("member", "rotate", "nobody", expect=1)

    assert "removed 127.0.0.7/32" in admin("member", "remove", "dora", "--entries")
    assert stack.call(new, "127.0.0.8")[0] == 401
    assert account.entries(POLICY_ARN) == [OFFICE]
    admin("member", "remove", "nobody", expect=1)
    admin("member", "list")
    admin.check("members")


def test_mistakes_are_one_clear_line(stack, account, admin):
    for arguments, status, part in [
        (["--stack", "nowhere", "member", "list"], 1, "`nowhere`"),
        (["baseline", "save"], 2, "several documents are managed"),
        (["baseline", "show", "--arn", POLICY_ARN], 1, "no baseline"),
        (["baseline", "check", "--arn", "arn:aws:iam::1:policy/x"], 2, "is not managed here"),
        (["baseline", "check", "--arn", POLICY_ARN, "--file", str(ROOT / "Makefile")], 1, "not valid JSON"),
        (["baseline", "check", "--arn", POLICY_ARN, "--file", "/nowhere"], 2, "/nowhere"),
        (["rollback", "v999", "--arn", POLICY_ARN], 1, "v999"),
        (["gate", "lift", "--hours", "25", "--arn", POLICY_ARN], 2, "at most 24 hours"),
        (["versions", "--arn", stack.parameters["RoleArns"].split(",")[0]], 2, "have no versions"),
    ]:
        printed = admin(*arguments, expect=status)
        assert part in printed and len(printed.strip().splitlines()) == 1, printed
    told = json.loads(admin("--json", "rollback", "v999", "--arn", POLICY_ARN, expect=1))
    assert set(told) == {"error", "message"}


def test_entries_are_revoked_and_the_list_is_reset(stack, account, admin):
    for host in (2, 3, 4):
        assert stack.call(stack.member_key, f"127.0.0.{host}")[0] == 200
    admin("entries")
    admin("revoke", "127.0.0.2", "--dry-run")
    assert len(account.entries(POLICY_ARN)) == 4
    admin("revoke", "127.0.0.2")
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.3/32", "127.0.0.4/32"]
    admin("expire")
    admin("revoke", "--member", "alice", "--dry-run")
    admin("reset", "--dry-run")
    admin("reset")
    assert account.entries(POLICY_ARN) == [OFFICE]
    admin("reset")
    admin.check("entries")
    listed = json.loads(admin("--json", "entries"))["targets"][0]
    assert [entry["standing"] for entry in listed["entries"]] == ["permanent"]
    assert json.loads(admin("--json", "reset"))["status"] == "unchanged"


def test_the_baseline_and_older_versions(stack, account, admin):
    bucket, key = stack.outputs["StateBucket"], "baseline/000000000000/policy/ip-gate.json"
    of = ("--arn", POLICY_ARN)
    admin("baseline", "check", *of)
    admin("baseline", "save", *of)
    assert account.keys(bucket, "baseline/") == [key]
    before = account.default(POLICY_ARN)
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    admin("baseline", "check", *of)
    admin("baseline", "show", *of)

    def stored():
        return account.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    admin("baseline", "save", *of, "--file", DENY_OFFICE, expect=2)
    assert OFFICE in stored()
    admin("baseline", "save", "--yes", *of, "--file", DENY_OFFICE)
    assert "123.123.123.123/32" in stored() and OFFICE not in stored()
    admin("baseline", "save", "--yes", *of, "--file", str(ROOT / "examples" / "policies" / "gate.json"))

    edited = account.document(POLICY_ARN)
    edited["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"].append("203.0.113.9/32")
    edited["Statement"].append({"Sid": "More", "Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    account.iam.create_policy_version(
        PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(edited), SetAsDefault=True
    )
    assert re.search(r"203.0.113.9/32\s+by hand", admin("entries"))
    admin("versions", *of)
    admin("rollback", before, *of, "--dry-run")
    admin("rollback", before, *of)
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32"], "who is in stays in"
    admin.check("baseline")
    versions = json.loads(admin("--json", "versions", *of))["versions"]
    assert versions[0]["in_force"] and versions[0]["changed"]["removed"] == ["203.0.113.9/32"]
    assert [statement["Sid"] for statement in versions[0]["changed"]["statements_removed"]] == ["More"]


def test_a_gate_is_made_attached_to_nobody(account, admin):
    create = ("gate", "create", "--name", "fresh-gate", "--cidr", "51.44.71.7/24")
    arn = admin(*create, "--cidr", "2a05:d018::/48").split()[0]
    assert account.entries(arn) == ["51.44.71.0/24", "2a05:d018::/48"]
    assert account.iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    assert "EntityAlreadyExists" in admin(*create, expect=1)
    admin("gate", "create", "--cidr", "0.0.0.0/0", expect=2)
    made = json.loads(
        admin("--json", "gate", "create", "--name", "team-gate", "--path", "/team/", "--cidr", "51.44.71.7")
    )
    assert made["arn"].endswith(":policy/team/team-gate")
    admin.check("gate-create")


def test_a_lifted_gate_closes_by_itself(stack, account, user, admin):
    assert account.signed_status(user, "127.0.0.9") == 403
    admin("baseline", "save", "--arn", POLICY_ARN)
    printed = admin("gate", "lift", "--hours", "1", "--arn", POLICY_ARN)
    assert account.signed_status(user, "127.0.0.9") == 200
    assert "lifted" in admin("gate", "check", "--arn", POLICY_ARN)
    # A member who adds meanwhile changes nothing but the list, and stays in when the gate is closed early.
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    assert account.signed_status(user, "127.0.0.9") == 200
    admin(*re.search(r"ip-gate (rollback) (v\d+) (--arn) (\S+)", printed).groups())
    assert (account.signed_status(user, "127.0.0.9"), account.signed_status(user, "127.0.0.2")) == (403, 200)
    admin("gate", "lift", "--hours", "0.001", "--arn", POLICY_ARN)
    deadline = time.monotonic() + 30
    while account.signed_status(user, "127.0.0.9") == 200:
        assert time.monotonic() < deadline, "the gate did not close by itself"
        time.sleep(0.2)
    admin("reset")
    assert "DateGreaterThan" not in account.document(POLICY_ARN)["Statement"][0]["Condition"]
    admin.check("gate-lift")


def test_the_last_lift_decides_when_the_gate_closes(stack, account, user, admin):
    admin("baseline", "save", "--arn", POLICY_ARN)
    before = account.default(POLICY_ARN)
    lift = ("--json", "gate", "lift", "--arn", POLICY_ARN, "--hours")
    admin(*lift, "5")
    told = json.loads(admin(*lift, "1"))
    condition = account.document(POLICY_ARN)["Statement"][0]["Condition"]
    assert condition["DateGreaterThan"]["aws:CurrentTime"] == told["until"]
    assert account.signed_status(user, "127.0.0.9") == 200
    assert told["before"] == before, "not the version that is lifted as well"
    admin(*told["close_command"].split()[1:])
    assert account.signed_status(user, "127.0.0.9") == 403
    # Where every other version is gone, only a reset closes the gate.
    admin(*lift, "5")
    account.prune(POLICY_ARN)
    assert json.loads(admin(*lift, "1"))["close_command"] == "ip-gate reset"


def test_the_check_knows_where_a_gate_is_in_use(stack, account, user, admin):
    def rules(status):
        checked = json.loads(admin("--json", "gate", "check", expect=status))
        return {
            target["arn"]: {finding["rule"] for finding in target["findings"]}
            for target in checked["targets"]
        }

    found = rules(0)
    assert "attached_to_nobody" not in found[POLICY_ARN] and "attached_to_nobody" in found[SECOND_ARN]
    assert any("not_checked" in rules for arn, rules in found.items() if ":role/" in arn), "another account"
    role = stack.outputs["FunctionRoles"].split(",")[0].rpartition("/")[2]
    account.iam.attach_role_policy(RoleName=role, PolicyArn=SECOND_ARN)
    try:
        found = rules(1)
        assert "guards_the_functions" in found[SECOND_ARN]
        assert "guards_the_functions" not in found[POLICY_ARN]
    finally:
        account.iam.detach_role_policy(RoleName=role, PolicyArn=SECOND_ARN)
    admin.transcript.clear()
    admin("gate", "check")
    admin.check("gate-check")


def test_the_overview_says_what_to_look_at(stack, account, user, admin):
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    printed = admin("overview")
    assert "no usable baseline" not in printed and "next reset" in printed
    admin.check("overview")
    told = json.loads(admin("--json", "overview"))
    assert told["targets"][0]["granted"] == 1 and told["next_reset_removes"] == 4
    assert told["last_reset"] is None
    admin("reset")
    assert json.loads(admin("--json", "overview"))["last_reset"].startswith("20")
    assert told["alarms_command"].startswith("aws cloudwatch describe-alarms")
    edited = account.document(POLICY_ARN)
    edited["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"].append("203.0.113.9/32")
    account.iam.create_policy_version(
        PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(edited), SetAsDefault=True
    )
    assert "203.0.113.9/32 was added by hand" in admin("overview")


# -- members ---------------------------------------------------------------------------------------


def test_a_member_uses_every_command(stack, account, home, member, tmp_path):
    member("add", expect=1)
    wrong = member.bookmark.replace(stack.member_key, "0" * 64)
    member("login", stdin=wrong, expect=1)
    member("login", stdin=member.bookmark + "\n")
    file = tmp_path / ".config" / "ip-gate" / "bookmark.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    member("status", expect=1)
    member("add")
    member("add")
    member("status")
    member("add", "--for", "2h")
    member("status")
    home.addresses[None] = "127.0.0.3"
    member("add")
    member("remove", "127.0.0.2")
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.3/32"]
    member("add", "--for", "25h", expect=1)
    member("remove", "--all")
    member("remove")
    assert account.entries(POLICY_ARN) == [OFFICE]
    home.connected = False
    assert "cannot be reached" in member("status", expect=3)
    assert not any(stack.member_key in line for line in member.transcript + home.seen)
    member.transcript.pop()
    member.check("member")


def test_both_addresses_of_a_home_are_added(stack, account, home, member):
    home.addresses[home.dual_stack_api] = "2a05:d018::7"
    member("login", stdin=member.bookmark)
    answers = json.loads(member("--json", "add"))["answers"]
    assert [answer["network"] for answer in answers] == ["127.0.0.2/32", "2a05:d018::/64"]
    assert set(account.entries(POLICY_ARN)) == {OFFICE, "127.0.0.2/32", "2a05:d018::/64"}
    told = json.loads(member("--json", "status"))
    assert told["allowed"] and len(told["answers"]) == 2
    member("remove")
    assert account.entries(POLICY_ARN) == [OFFICE]


def test_one_network_without_an_answer_hides_nothing_of_the_other(stack, account, home, member):
    ipv6 = home.dual_stack_api
    home.addresses[ipv6] = "2a05:d018::7"
    member("login", stdin=member.bookmark)
    member("add")
    home.refusals[ipv6] = (404, {"error": "not_found", "message": "there is nothing here"})
    printed = member("status", expect=1)
    assert "127.0.0.2/32 is let in" in printed
    assert "there is nothing here" in printed
    home.refusals.clear()
    assert "2a05:d018::/64 is let in" in member("status")


def test_the_environment_names_the_gate_for_build_jobs(stack, account, home, member):
    member.environment |= {"IP_GATE_URL": home.url(stack.url), "IP_GATE_KEY": stack.member_key}
    member("add", "--for", "1h")
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32"]
    member("remove")
    del member.environment["IP_GATE_KEY"]
    assert "IP_GATE_KEY" in member("add", expect=1)


def test_watch_asks_only_when_the_address_changes(stack, account, home, member):
    member("login", stdin=member.bookmark)
    with member.start("watch", "--every", "1") as watch:
        watch.wait_for("added 127.0.0.2/32, until the next reset")
        asked = len(home.seen)
        assert watch.is_quiet(4)
        assert len(home.seen) > asked
        assert all("POST" not in line for line in home.seen[asked:]), "looking at the address costs nothing"
        home.addresses[None] = "127.0.0.3"
        watch.wait_for("added 127.0.0.3/32")
        assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32", "127.0.0.3/32"]
        # A reset takes the entry off: every fifteenth look asks for it.
        account.invoke(stack.outputs["ResetFunction"])
        assert account.entries(POLICY_ARN) == [OFFICE]
        watch.wait_for("added 127.0.0.3/32", 40)
        watch.process.send_signal(signal.SIGTERM)
        watch.wait_for("stopped", 5)
        assert watch.process.wait(5) == 0
    member.check("watch")


def test_watch_keeps_one_network_in_while_the_other_is_refused(stack, account, home, member):
    ipv6 = home.dual_stack_api
    home.addresses[ipv6] = "2a05:d018::7"
    home.refusals[ipv6] = (409, {"error": "policy_full", "message": "the policy is full"})
    member("login", stdin=member.bookmark)
    before = len(home.seen)
    with member.start("watch", "--every", "1") as watch:
        watch.wait_for("added 127.0.0.2/32")
        watch.wait_for("refused 2a05:d018::/64: the policy is full; the next try is in 2 s")
        assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32"]
        assert watch.is_quiet(7), "each is told once"
        posts = [line for line in home.seen[before:] if line.startswith("POST")]
        assert 3 <= len(posts) <= 4, "only the one that was refused is tried again, after longer pauses"
        home.refusals.clear()
        watch.wait_for("added 2a05:d018::/64", 20)
    member.check("watch-refused")


def test_watch_is_quiet_while_an_entry_is_not_renewed_yet(account, home, member):
    """With a cutoff an entry keeps its end until its last minute."""
    member("login", stdin=member.bookmark)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 14))
    told = {"status": "already_allowed", "network": "127.0.0.2/32", "ends": ends}
    for api in home.apis:
        home.refusals[api] = (200, told)
    before = len(home.seen)
    with member.start("watch", "--every", "1") as watch:
        watch.wait_for(f"already allowed 127.0.0.2/32, until {ends}")
        assert watch.is_quiet(12), "nothing has changed"
        posts = [line for line in home.seen[before:] if line.startswith("POST")]
        assert len(posts) >= 3, "it asked again before the end"
        home.refusals.clear()
        watch.wait_for("added 127.0.0.2/32", 20)


def test_units_start_watch_when_its_user_logs_in(member):
    member("watch", "--print-unit", "systemd")
    member("watch", "--for", "2h", "--every", "30", "--print-unit", "launchd")
    member.check("watch-unit")


def test_watch_survives_a_network_that_is_gone(account, home, member):
    member("login", stdin=member.bookmark)
    with member.start("--json", "watch", "--every", "1") as watch:
        assert json.loads(watch.wait_for('"added"'))["network"] == "127.0.0.2/32"
        home.connected = False
        assert json.loads(watch.wait_for('"unreachable"'))["event"] == "unreachable"
        assert watch.is_quiet(3), "it is told once"
        home.addresses[None] = "127.0.0.4"
        home.connected = True
        watch.wait_for('"reachable"')
        watch.wait_for("127.0.0.4/32")
        home.connected = False
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(5) == 0, "it never hangs"


def test_watch_waits_for_a_new_key(stack, account, admin, home, member):
    bookmark = member.bookmark.replace(stack.member_key, key_of(admin("member", "add", "dora")))
    member("login", stdin=bookmark)
    with member.start("watch", "--every", "1") as watch:
        watch.wait_for("added 127.0.0.2/32")
        admin("member", "remove", "dora")
        home.addresses[None] = "127.0.0.5"
        line = watch.wait_for("refused: a valid member key is needed")
        assert "next try is in 2 s" in line
        asked = len(home.seen)
        assert watch.is_quiet(8), "it is told once"
        posts = [line for line in home.seen[asked:] if line.startswith("POST")]
        assert len(posts) <= 2, "the pauses get longer"
        member("login", stdin=member.bookmark)
        watch.wait_for("127.0.0.5/32")


def test_watch_asks_for_entries_with_an_end(account, home, member):
    member("login", stdin=member.bookmark)
    with member.start("watch", "--every", "1", "--for", "5m") as watch:
        watch.wait_for("added 127.0.0.2/32, until 20")
        assert watch.is_quiet(2)
