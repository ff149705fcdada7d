"""`make account` against the emulator: every line of it runs, and it leaves the account as it was.

What the emulator answers otherwise than AWS is a row with DIFFERENT in the report. Those are not compared.
"""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import time

import boto3
import pytest

import alarms  # noqa: F401, it has questions
import package
from asking import QUESTIONS
from aws_world import AwsWorld
from emulator import for_the_emulator
from report import Report
from tools import ROOT, STACK, Problem, this_processor

PREFIX = "ip-gate-trial-0123abcd"
STATE = ROOT / "account-state.json"


@pytest.fixture(scope="module")
def emulator(emulator):
    yield emulator
    STATE.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def folder(archive, tmp_path_factory):
    """The unpacked package, without what cannot hold in the emulator."""
    folder = package.unpack(archive, tmp_path_factory.mktemp("unpacked"))
    template = folder / "template.yaml"
    template.write_text(for_the_emulator(template.read_text()))
    return folder


def start(emulator, *options, **environment):
    command = [STACK / "bin" / "python", ROOT / "local" / "real_account.py", "--prefix", PREFIX, *options]
    command += ["--patience", "0", "--alarm-minutes", "0", "--samples", "2"]
    return subprocess.Popen(
        command,
        env={k: v for k, v in {**emulator.environment(), **environment}.items() if v is not None},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_signals,
    )


def heed_signals():
    """A shell starts what runs in the background with SIGINT ignored, and `nohup` with SIGHUP ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


# Here a command of the AWS CLI runs. While add-ip still worked, its last log line would come after its log
# group was removed, and the emulator makes a group for each line. On AWS the function has no right to.
STORY_GOES_ON = "the same call is allowed now"


def read_until(process, text):
    assert any(text in line for line in process.stdout), text


def left(emulator):
    """Everything in the account that has the run's name."""

    def client(service):
        given = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=emulator.endpoint, **given)

    iam = client("iam")
    stacks = client("cloudformation").list_stacks()["StackSummaries"]
    found = [each["StackName"] for each in stacks if each["StackStatus"] != "DELETE_COMPLETE"]
    found += [each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]]
    found += [each["UserName"] for each in iam.list_users()["Users"]]
    found += [each["RoleName"] for each in iam.list_roles()["Roles"]]
    found += [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    found += client("sqs").list_queues().get("QueueUrls", [])
    found += [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]]
    found += [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]]
    return [name for name in found if PREFIX in name]


def test_the_run_tells_everything_and_leaves_nothing(emulator, folder, tmp_path):
    path = tmp_path / "account-report.md"
    process = start(emulator, "--package", str(folder), "--report", str(path), "--yes")
    printed, _ = process.communicate(timeout=500)
    assert path.exists(), printed
    text = path.read_text()
    assert "The run came to its end." in text, printed + text
    assert left(emulator) == [] and not STATE.exists(), printed
    assert "| nothing is left | nothing is left | as expected |" in text, text
    for _, what, *_ in QUESTIONS:
        assert f"\n| {what} | " in text, what
    story = text[: text.index("## A second policy")]
    assert "DIFFERENT" not in story.split("different,")[1], story
    assert "Traceback" not in printed
    # The report is made to be passed on.
    assert not re.search(r"#key=[0-9a-f]|000000000000|Bearer [0-9a-f]{8}|127\.0\.0\.1", text), text


def test_an_interrupted_run_leaves_nothing(emulator, folder, tmp_path):
    path = tmp_path / "account-report.md"
    process = start(emulator, "--package", str(folder), "--report", str(path), "--yes")
    read_until(process, STORY_GOES_ON)
    assert STATE.exists() and left(emulator)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 1 and "The run was interrupted." in path.read_text(), printed
    assert left(emulator) == [] and not STATE.exists(), printed


@pytest.mark.parametrize("number", [None, signal.SIGHUP])
def test_a_terminal_that_is_gone_does_not_keep_anything_from_being_removed(
    emulator, folder, tmp_path, number
):
    path = tmp_path / "account-report.md"
    process = start(emulator, "--package", str(folder), "--report", str(path), "--yes")
    read_until(process, STORY_GOES_ON)
    # In both cases the removal has nobody to talk to. Without a signal, that ends the run too.
    if number:
        os.killpg(process.pid, number)
        read_until(process, "removing everything")
    process.stdout.close()
    assert process.wait(timeout=200) != 0
    assert left(emulator) == [] and not STATE.exists()
    ended = "The run was interrupted." if number else "BrokenPipeError"
    assert ended in path.read_text()


def test_a_report_that_cannot_be_written_ends_the_run_after_everything_is_removed(emulator, folder, tmp_path):
    path = tmp_path / "away" / "account-report.md"
    path.parent.mkdir()
    process = start(emulator, "--package", str(folder), "--report", str(path), "--yes")
    read_until(process, STORY_GOES_ON)
    path.parent.rmdir()
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=200)
    assert "the report could not be written" in printed
    assert left(emulator) == [] and not STATE.exists()


def test_a_report_that_cannot_be_written_is_seen_before_anything_is_made(emulator, folder, tmp_path):
    path = tmp_path / "nowhere" / "account-report.md"
    process = start(emulator, "--package", str(folder), "--report", str(path), "--yes")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "the report cannot be written" in printed
    assert "It makes, and removes" not in printed and left(emulator) == []


def test_a_package_for_another_processor_needs_the_program_for_this_one(emulator, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    binary = bytearray((other / "ip-gate").read_bytes())
    here = this_processor()
    binary[18:20] = struct.pack("<H", 183 if here == "x86_64" else 62)
    (other / "ip-gate").write_bytes(binary)
    printed, _ = start(emulator, "--package", str(other)).communicate(timeout=60)
    [line] = printed.splitlines()
    assert f"this machine is Linux on {here}: unpack ip-gate-program-" in line
    assert f'-linux-{here}.zip of the release, and give OPTIONS="--program <its folder>/ip-gate"' in line
    program = ("--program", str(folder / "ip-gate"))
    printed, _ = start(emulator, "--package", str(other), *program).communicate(timeout=60)
    assert "nothing was made" in printed, printed
    world = AwsWorld.__new__(AwsWorld)
    world.given_program, world.folder = folder / "ip-gate", other
    assert world.program == folder / "ip-gate"


@pytest.mark.parametrize(
    "head, system, processor, refused",
    [
        (b"\x7fELF\x02\x01", "darwin", "arm64", "is for Linux on arm64, and this machine is macOS on arm64"),
        (b"\xcf\xfa\xed\xfe", "darwin", "arm64", None),
        (b"\xcf\xfa\xed\xfe", "linux", "arm64", "is for another system, and this machine is Linux"),
        (b"\x7fELF\x02\x01", "linux", "x86_64", "is for Linux on arm64, and this machine is Linux on x86_64"),
        (b"\x7fELF\x02\x01", "linux", "arm64", None),
    ],
)
def test_a_program_that_does_not_run_here_is_refused(tmp_path, head, system, processor, refused):
    program = tmp_path / "ip-gate"
    program.write_bytes(head.ljust(18, b"\0") + struct.pack("<H", 183))
    program.chmod(0o755)
    if refused is None:
        package.check_runs_here(program, system, processor)
    else:
        with pytest.raises(Problem, match=refused) as raised:
            package.check_runs_here(program, system, processor)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("prefix", ["ip-gate", "ip-gate-trial-", "ip-gate-trial-A", "my-ip-gate-trial-1"])
def test_a_name_that_may_be_in_use_is_refused(emulator, folder, prefix):
    process = start(emulator, "--package", str(folder), "--yes", "--prefix", prefix)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and f"`{prefix}` is no name for a trial" in printed
    # Nor is it taken from a state file.
    state = {"prefix": prefix, "account": "000000000000", "region": "us-east-1"}
    STATE.write_text(json.dumps({**state, "made": [["user", f"{prefix}-alice"]]}))
    printed, _ = start(emulator, "--clean").communicate(timeout=60)
    assert "is no name for a trial" in printed
    STATE.unlink()


def test_the_region_of_aws_region_counts(emulator, folder):
    process = start(emulator, "--package", str(folder), AWS_REGION="eu-central-1", AWS_DEFAULT_REGION=None)
    assert "region    eu-central-1" in process.communicate(timeout=60)[0]
    process = start(emulator, "--package", str(folder), AWS_REGION=None, AWS_DEFAULT_REGION=None)
    assert "no region is set up: set AWS_REGION" in process.communicate(timeout=60)[0]


def test_only_what_a_killed_run_left_is_removed(emulator, folder, tmp_path):
    emulator.aws("iam", "create-user", "--user-name", "somebody")
    process = start(emulator, "--package", str(folder), "--report", str(tmp_path / "r.md"), "--yes")
    read_until(process, STORY_GOES_ON)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1)
    assert left(emulator)
    again = start(emulator, "--package", str(folder), "--yes")
    assert "run `make account-clean` first" in again.communicate(timeout=60)[0]
    printed, _ = start(emulator, "--clean").communicate(timeout=200)
    assert left(emulator) == [] and not STATE.exists(), printed
    assert "somebody" in emulator.aws("iam", "list-users", "--query", "Users[].UserName")
    assert "nothing was left behind" in start(emulator, "--clean").communicate(timeout=60)[0]


@pytest.mark.parametrize(
    "make, remove, kind",
    [
        (
            ("iam", "create-user", "--user-name", f"{PREFIX}-alice"),
            ("iam", "delete-user", "--user-name", f"{PREFIX}-alice"),
            "user",
        ),
        (
            (
                "iam",
                "create-policy",
                "--policy-name",
                PREFIX,
                "--policy-document",
                (ROOT / "examples" / "policies" / "gate.json").read_text(),
            ),
            ("iam", "delete-policy", "--policy-arn", f"arn:aws:iam::000000000000:policy/{PREFIX}"),
            "policy",
        ),
    ],
)
def test_an_account_with_such_a_name_is_refused(emulator, folder, make, remove, kind):
    emulator.aws(*make)
    process = start(emulator, "--package", str(folder), "--yes")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and f"this account has a {kind} named {PREFIX}" in printed, printed
    assert len(left(emulator)) == 1 and not STATE.exists()
    emulator.aws(*remove)


def test_nothing_is_made_without_a_yes(emulator, folder):
    process = start(emulator, "--package", str(folder))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "nothing was made" in printed and "less than 1 US dollar" in printed
    assert left(emulator) == []


def test_clean_leaves_what_somebody_else_made_under_the_name(emulator):
    emulator.aws("iam", "create-user", "--user-name", f"{PREFIX}-alice")
    state = {"prefix": PREFIX, "account": "000000000000", "region": "us-east-1"}
    STATE.write_text(json.dumps({**state, "made": [["user", f"{PREFIX}-alice"]]}))
    process = start(emulator, "--clean")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "it was not made here, and it stays" in printed
    assert "`make account-clean` removes later what is left" in printed
    assert left(emulator) == [f"{PREFIX}-alice"] and STATE.exists()
    emulator.aws("iam", "delete-user", "--user-name", f"{PREFIX}-alice")
    STATE.unlink()


def test_the_report_names_neither_keys_nor_the_account():
    report = Report("x")
    report.hide("123456789012", "111122223333")
    report.hide("51.44.71.80", "THIS-ADDRESS")
    report.chapter("c")
    report.check("a|b", "e", "arn:aws:iam::123456789012:user/x 51.44.71.80/32 151.44.71.80", True)
    text = report.markdown("")
    assert "arn:aws:iam::111122223333:user/x THIS-ADDRESS/32 151.44.71.80" in text and "a\\|b" in text


def test_what_is_cut_short_is_hidden_first():
    report = Report("x")
    report.hide("51.44.71.80", "THIS-ADDRESS")
    report.chapter("c")
    # One more character, and the cut is in the middle of the address.
    for length in range(380, 400):
        report.check("w", "e", "x" * length + " 51.44.71.80/32 and more", True)
    assert "51.4" not in report.markdown("")


def test_each_question_of_the_documentation_is_asked():
    page = (ROOT / "docs" / "first-deploy.md").read_text()
    section = page[page.index("## What only a real account can show") :]
    asked = {what for _, what, *_ in QUESTIONS}
    documented = re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE)
    assert len(documented) > 15 and set(documented) <= asked, set(documented) - asked
