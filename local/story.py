"""The story of ip-gate, told in a world: refused, added, allowed, reset, refused again.

`make demo` tells it on the local stack, `make account` on a real account. It follows docs/first-deploy.md.
"""

import argparse
import http.client
import json
import pathlib
import signal
import sys
import tempfile
import time

import alarms  # noqa: F401, it has questions
from asking import ask
from questions import widen
from report import Report
from show import Show, body_of
from tools import ROOT, Problem, say
from world import LocalWorld, key_in, wait_for


def hide_own_address(world, report):
    """Before anything is written down: the report is made to be passed on."""
    network = wait_for(lambda: own_network(world), world.patience, 1)
    if not network:
        raise Problem("the URL does not say which address this machine has")
    report.hide(network.partition("/")[0], "THIS-ADDRESS")
    world.own_network = network


def own_network(world):
    """-> the network that the URL sees; None while the URL does not answer, as in its first seconds"""
    try:
        return world.call(path="", headers={"Accept": "application/json"}).json().get("network")
    except (OSError, http.client.HTTPException):
        return None


def tell(world, report):
    """From an empty account to a team, and back."""
    show = Show(world, report)
    report.hide(str(world.account), "111122223333")
    report.chapter("Deploy")
    world.make_gate()
    begun = time.monotonic()
    world.deploy()
    deployed = f"{time.monotonic() - begun:.0f} s"
    hide_own_address(world, report)
    report.check("deploy with one answer, `PolicyArns`", "a stack with outputs", f"after {deployed}", True)
    report.hide(world.bucket, "the-state-bucket")
    probe = ("s3", "ls", f"s3://{world.bucket}")

    show.chapter("the administrator saves the baseline: every reset goes back to it")
    show.command("baseline", "save", expect="saved as s3://")
    show.command("reset", expect="unchanged")

    show.chapter("a stranger has no key: one answer for missing and unknown keys, and no call to IAM")
    show.call(None, expect='HTTP 401  {"error":"unauthorized"')

    show.chapter("alice becomes a member; her key is shown once")
    # Printed by hand: the report keeps no key.
    print("  admin$ ip-gate member add alice", flush=True)
    _, printed = world.command("member", "add", "alice")
    print("         " + printed.replace("\n", "\n         ") + "\n", flush=True)
    report.check(
        "`admin$ ip-gate member add alice`", "a bookmark and a curl line", "both", "#key=" in printed
    )
    key = key_in(printed)
    report.hide(key, "$KEY")
    show.call(key, "status", expect='"allowed":false')

    show.chapter("the user alice may list the state bucket")
    world.user = world.make_user(world.user_name)
    report.hide(world.user[0], "ACCESS-KEY-ID")
    show.aws(*probe, user=True, expect="baseline/")
    show.chapter("now the gate is attached to her, and it denies every address that is not on its list")
    world.attach(world.user_name, world.gate)
    show.aws(*probe, user=True, expect="AccessDenied")

    show.chapter("alice opens her URL")
    show.call(key, expect='"status":"added"')
    show.chapter("the same call is allowed now")
    show.aws(*probe, user=True, expect="baseline/")
    show.chapter("a second address of hers, and the first again")
    show.call(key, **world.second, expect='"status":"added"')
    show.call(key, expect='"status":"already_allowed"')
    show.command("entries", expect="alice since 20")
    show.chapter(
        "every change is a version of the policy; pruning leaves at most four, "
        "so the limit of five is never met"
    )
    show.command("versions", expect="v3  20")

    show.chapter("for an hour, and out again before that")
    show.call(key, query="?for=1h", expect='"ends":"20')
    show.call(key, "remove", method="POST", expect='"status":"removed"')
    show.aws(*probe, user=True, expect="AccessDenied")

    show.chapter("the nightly reset, invoked by hand")
    show.call(key, expect='"status":"added"')
    show.aws(*probe, user=True, expect="baseline/")
    show.command("reset", "--dry-run", expect="would_reset")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "answer.json")
        reset = world.outputs["ResetFunction"]
        show.aws(
            "lambda",
            "invoke",
            "--function-name",
            reset,
            str(out),
            expect='"status": "reset"',
            then=lambda: json.dumps(json.loads(out.read_text())),
        )
    show.chapter("alice is refused again")
    show.aws(*probe, user=True, expect="AccessDenied")

    show.chapter("once more through the schedule: alice adds her address, the schedule fires, she is out")
    added = show.call(key, expect='"status":"added"')
    show.aws(*probe, user=True, expect="baseline/")
    print("         waiting for a one-off schedule like the nightly one …", flush=True)
    targets = body_of(added).get("targets") or [{}]
    seconds = world.fire_schedule(after=targets[0].get("version", "v1"))
    report.check("a one-off schedule with the nightly one's target", "it resets", f"{seconds:.0f} s", True)
    show.aws(*probe, user=True, expect="AccessDenied")

    show.chapter("alice leaves the team: her key and her entries end")
    show.call(key, expect='"status":"added"')
    show.command("member", "remove", "alice", "--entries", expect="1 key removed")
    show.call(key, expect='HTTP 401  {"error":"unauthorized"')
    show.aws(*probe, user=True, expect="AccessDenied")


def demo(port, path):
    report = Report("ip-gate on the local stack")
    with LocalWorld(port) as world:
        for name, value in world.facts():
            report.fact(name, value)
        ended = "The run did not come to its end."
        try:
            tell(world, report)
            widen(world, report)
            ask(world, report)
            ended = "The run came to its end."
        finally:
            report.write(path, ended)
    different = report.count("DIFFERENT")
    print(f"\n  {report.summary()}; {path.name} has each step\n")
    if different:
        raise Problem(f"{different} steps of the demo did not answer as they should")
    say("everything is stopped, nothing was left behind")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--report", type=pathlib.Path, default=ROOT / "demo-report.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo(arguments.port, arguments.report)
    except Problem as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        say("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
