"""The story and the questions on a real account: `make account`.

It uses the AWS profile that is set up, makes everything under a name of its own, and removes it in every
case. The report goes to account-report.md. `make account-clean` removes what a killed run left.
"""

import argparse
import json
import os
import pathlib
import re
import secrets
import signal
import sys
import tempfile

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import alarms  # noqa: F401, it has questions
from asking import FAILURES, ask
from aws_world import STATE, AwsWorld
from package import check_runs_here, unpack
from questions import widen
from report import DIFFERENT, Report
from story import tell
from tools import ROOT, Problem, print_if_possible

PREFIX = "ip-gate-trial-"
WHOLE, EARLY, INTERRUPTED = (
    "The run came to its end.",
    "The run did not come to its end.",
    "The run was interrupted.",
)
PLAN = """
  account   {account}, as {caller}
  region    {region}
  names     everything begins with {prefix}

It makes, and removes at the end:
  - a CloudFormation stack: 2 Lambda functions, 2 REST APIs, 2 schedules, alarms, a topic, log groups,
    a bucket, and 3 roles
  - a second bucket for what `sam deploy` uploads, and a queue that listens to the topic
  - 3 policies, 2 users with an access key each, and 2 more roles. The users may look at the stack's
    own bucket and at themselves, and no more. The policies name this machine's address for a time
It changes nothing else. It takes 60 to 90 minutes, most of it waiting for alarms.
Cost: about 3,000 requests and an hour of a dozen alarms and metrics; less than 1 US dollar.
"""


def agreed(arguments):
    if arguments.yes:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() == "y"
    except EOFError:
        print("nobody to ask: give --yes")
        return False


def open_session():
    # The pinned botocore reads AWS_DEFAULT_REGION alone.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    if not session.get_credentials():
        raise Problem("no credentials are set up: set AWS_PROFILE, or run `aws configure`")
    if not session.region_name:
        raise Problem("no region is set up: set AWS_REGION")
    return session


def run(arguments):
    """The whole run; -> exit status"""
    if not arguments.package.exists():
        raise Problem(f"there is no package at {arguments.package}")
    session = open_session()
    prefix = arguments.prefix or PREFIX + secrets.token_hex(4)
    check_prefix(prefix)
    check_writable(arguments.report)
    if STATE.exists():
        raise Problem(f"an earlier run left {STATE.name}: run `make account-clean` first")
    with tempfile.TemporaryDirectory() as unpacked:
        package = arguments.package.resolve()
        folder = package if package.is_dir() else unpack(package, pathlib.Path(unpacked))
        program = arguments.program.resolve() if arguments.program else folder / "ip-gate"
        check_runs_here(program)
        world = AwsWorld(session, prefix, folder, program)
        world.email = arguments.email
        world.patience, world.alarm_minutes = arguments.patience, arguments.alarm_minutes
        world.samples = arguments.samples
        shown = {name: getattr(world, name) for name in ("account", "caller", "region", "prefix")}
        print(PLAN.format(**shown))
        world.refuse_what_exists()
        if not agreed(arguments):
            print("nothing was made")
            return 1
        return tell_and_clean(world, arguments.report)


def tell_and_clean(world, path):
    report, ended = Report("ip-gate on a real account"), EARLY
    report.hide(str(world.account), "111122223333")
    report.hide(world.caller, "ADMINISTRATOR")
    for name, value in world.facts():
        report.fact(name, value)
    try:
        ended = run_everything(world, report)
    finally:
        left = clean_up(world, report, path, ended)
    print_if_possible(f"\n  {report.summary()}; {path.name} has each step\n")
    return 0 if report.count(DIFFERENT) == 0 and ended == WHOLE and not left else 1


def run_everything(world, report):
    """-> how it ended"""
    try:
        world.make_artifacts()
        tell(world, report)
        widen(world, report)
        ask(world, report)
    except FAILURES as error:
        report.chapter("The end came early")
        report.check("the run", "to its end", f"{type(error).__name__}: {error}", False)
        print_if_possible(f"account: {type(error).__name__}: {error}")
        return EARLY
    except (KeyboardInterrupt, SystemExit):
        return INTERRUPTED
    return WHOLE


def clean_up(world, report, path, ended):
    """Comes in every case: nothing that can fail before it, or in it, keeps it from its work."""
    # A terminal that is closed says so more than once.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    left = ["what account-state.json names"]
    try:
        print_if_possible("\n== removing everything; Ctrl-C leaves it to `make account-clean`")
        write(report, path, ended)
    finally:
        try:
            left = world.clean()
        finally:
            said = "; ".join(left) or "nothing is left"
            report.chapter("Afterwards")
            report.check("everything is removed", "nothing is left", said, not left)
            write(report, path, ended)
            show_left(left)
    return left


def show_left(left):
    for each in left:
        print_if_possible(f"  left: {each}")
    if left:
        print_if_possible("  `make account-clean` removes later what is left")


def write(report, path, ended):
    try:
        report.write(path, ended)
    except (OSError, ValueError) as error:
        print_if_possible(f"account: the report could not be written: {error}")


def check_writable(path):
    """Before anything is made: a run without its report is for nothing."""
    new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise Problem(f"the report cannot be written: {error}") from None
    if new:
        path.unlink()


def check_prefix(prefix):
    """Everything of this name is removed at the end: a name that is in use must not be given."""
    if not re.fullmatch(PREFIX + "[a-z0-9][a-z0-9-]*", prefix):
        raise Problem(f"`{prefix}` is no name for a trial: it must be `{PREFIX}` and small letters or digits")


def clean():
    """Removes what a run left that was killed; -> exit status"""
    if not STATE.exists():
        print(f"there is no {STATE.name}: nothing was left behind")
        return 0
    state = json.loads(STATE.read_text())
    check_prefix(state["prefix"])
    world = AwsWorld(boto3.Session(region_name=state["region"]), state["prefix"])
    if world.account != state["account"]:
        raise Problem(f"the run was in account {state['account']}, this profile is of {world.account}")
    world.go_on_from(state)
    left = world.clean()
    show_left(left)
    return 1 if left else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", type=pathlib.Path, help="the package to deploy, a zip or a folder")
    parser.add_argument(
        "--program",
        type=pathlib.Path,
        help="the program ip-gate for this machine, if the package's is for another",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--clean", action="store_true", help="remove what a killed run left")
    parser.add_argument("--email", help="also try a subscription by mail, with your help")
    parser.add_argument("--report", type=pathlib.Path, default=ROOT / "account-report.md")
    parser.add_argument("--prefix", help="how all names begin (default: random)")
    parser.add_argument(
        "--samples", type=int, default=AwsWorld.samples, help="how often IAM's lag is measured"
    )
    parser.add_argument("--patience", type=float, default=AwsWorld.patience, help="seconds to wait for IAM")
    parser.add_argument("--alarm-minutes", type=float, default=AwsWorld.alarm_minutes)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # `nohup` has it ignored, and then it stays so.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        if arguments.clean:
            return clean()
        if not arguments.package:
            raise Problem("name a package with --package")
        return run(arguments)
    except (Problem, ClientError, BotoCoreError) as problem:
        print(f"account: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        left = f": run `make account-clean`, {STATE.name} says what is left" if STATE.exists() else ""
        print(f"\naccount: stopped{left}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
