"""What the program `ip-gate` does on a terminal alone: colours, progress, questions, a prompt."""

from emulator import POLICY_ARN
from terminal import Terminal
from tools import ROOT

CHECK = ("gate", "check", "--file", str(ROOT / "examples" / "policies" / "gate.json"))
DENY_OFFICE = str(ROOT / "examples" / "policies" / "deny-office.json")


def test_colours_are_for_terminals(admin):
    for environment, coloured in [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]:
        with Terminal(admin, *CHECK, **environment) as terminal:
            assert terminal.end() == 0
            assert ("\x1b[33mwarning\x1b[0m" in terminal.printed) == coloured, terminal.printed
    with Terminal(admin, "--json", *CHECK) as terminal:
        assert terminal.end() == 0 and "\x1b[" not in terminal.printed
    assert "\x1b[" not in admin(*CHECK)


def test_the_administrator_is_asked_before_the_baseline_changes(stack, account, admin):
    of = ("--arn", POLICY_ARN)
    bucket, key = stack.outputs["StateBucket"], "baseline/000000000000/policy/ip-gate.json"
    admin("baseline", "save", *of)

    def stored():
        return account.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    save = ("baseline", "save", *of, "--file", DENY_OFFICE)
    for options, answer, saved in [((), "n\n", False), (("--json",), "\n", False), ((), "y\n", True)]:
        with Terminal(admin, *options, *save) as terminal:
            terminal.wait_for("Save it? [y/N]")
            assert "added 123.123.123.123/32" in terminal.printed, "nobody says yes to what they do not see"
            terminal.type(answer)
            assert terminal.end() == (0 if saved else 1)
        assert ("123.123.123.123" in stored()) == saved


def test_the_prompt_shows_no_key(stack, account, member):
    with Terminal(member, "login") as terminal:
        terminal.wait_for("bookmark (it is not shown): ")
        terminal.wait_until_hidden()
        terminal.type(member.bookmark + "\n")
        assert terminal.end() == 0
        assert "the bookmark is kept in" in terminal.printed
        assert stack.member_key not in terminal.printed
    assert "is not let in" in member("status", expect=1)


def test_what_takes_time_says_so(account, home, member):
    member("login", stdin=member.bookmark)
    home.busy[None] = 3
    home.busy[home.dual_stack_api] = 3
    with Terminal(member, "add") as terminal:
        terminal.wait_for("adding \u2026 1 s")
        terminal.wait_for("\r\x1b[K\x1b[32madded 127.0.0.2/32")
        assert terminal.end() == 0
    assert "\u2026" not in member("status"), "only on a terminal"
