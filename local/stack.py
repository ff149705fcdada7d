#!/usr/bin/env python3
"""The local stack: our own template, deployed by `sam deploy` into an emulator of AWS that enforces IAM.

    stack.py demo     show the whole story and stop everything
    stack.py up       bring it up and keep it running until Ctrl-C
    stack.py account  the same story on a real account; PACKAGE=zip takes a package that was built elsewhere
    stack.py tools    only install the pinned tools, those of the tests and of `make lint` too
    stack.py build    only build the functions
    stack.py peer     only install what the benchmark compares add-ip with

Needs Rust, Python 3, and a C compiler; everything else is installed, pinned, into `.venv-*` in the checkout.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

import package
from emulator import Stack
from tools import (
    BUILT,
    PEER,
    REGION,
    ROOT,
    STACK,
    Problem,
    architecture,
    build_environment,
    build_program,
    check_machine,
    install,
    install_all_tools,
    install_tools,
    say,
)

USER = "alice"


def build():
    """`sam build`, for one processor and no other: the built template offers no other choice then."""
    wanted = architecture()
    say(f"sam build: the two functions for {wanted} (some minutes the first time)")
    command = ["sam", "build", "--parameter-overrides", f"Architecture={wanted}"]
    done = subprocess.run(command, cwd=ROOT, env=build_environment(), stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Problem("`sam build` failed, see above")
    package.check_architecture(wanted)
    built = BUILT / "template.yaml"
    built.write_text(package.only_architecture(built.read_text(), wanted))


def set_the_stage(stack):
    user = stack.add_user(USER)
    stack.add_member(USER)
    return user


def demo(port):
    """The story is told by a program of its own, in the environment that has boto3."""
    install_tools()
    build()
    build_program()
    command = [STACK / "bin" / "python", ROOT / "local" / "story.py"]
    command += ["--port", str(port)] if port else []
    os.execv(command[0], command)


def account(options):
    """The same, from a package: from the one that is named, or from one that is built now."""
    given = os.environ.get("PACKAGE")
    install_tools(rust=not (given or "--clean" in options))
    if "--clean" not in options:
        if not given:
            build()
            given = package.package()
        options = ["--package", str(pathlib.Path(given).resolve()), *options]
    command = [STACK / "bin" / "python", ROOT / "local" / "real_account.py", *options]
    os.execv(command[0], command)


def up(port):
    install_tools()
    build()
    program = build_program().relative_to(ROOT)
    with Stack(port) as stack:
        key, secret = set_the_stage(stack)
        say("running; Ctrl-C stops everything")
        print(
            f"""
  The URL:            {stack.url}
  A member's key:     {stack.member_key}
  The state bucket:   {stack.outputs["StateBucket"]}

  Let yourself in, as a member:
    curl -H 'Authorization: Bearer {stack.member_key}' {stack.url}
    export IP_GATE_URL={stack.url} IP_GATE_KEY={stack.member_key}
    {program} add
    {program} status

  Be the user behind the gate (refused before, allowed after):
    export AWS_ENDPOINT_URL={stack.endpoint} AWS_DEFAULT_REGION={REGION}
    AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} {STACK.relative_to(ROOT)}/bin/aws s3 ls

  Be the administrator:
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    {program} overview
    {program} entries
    {program} versions
    {program} member add bob
    {program} reset --dry-run
    {program} --help
""",
            flush=True,
        )
        while stack.process.poll() is None:
            time.sleep(0.5)
        raise Problem("the emulator ended by itself:\n" + stack.log.read_text()[-2000:])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["demo", "up", "account", "tools", "build", "peer"])
    port = os.environ.get("PORT")
    arguments, options = parser.parse_known_args()
    if options and arguments.command != "account":
        parser.error(f"unknown: {' '.join(options)}")
    try:
        if port and not port.isdigit():
            raise Problem(f"PORT is `{port}`, set it to a number")
        port = int(port) if port else None
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        # No `match`: an older Python must understand this file to say that it is too old.
        if arguments.command == "demo":
            demo(port)
        elif arguments.command == "up":
            up(port)
        elif arguments.command == "account":
            account(options)
        elif arguments.command == "tools":
            install_all_tools()
        elif arguments.command == "peer":
            check_machine()
            install(PEER, ROOT / "bench" / "peers" / "requirements.txt")
        else:
            install_tools()
            build()
    except Problem as problem:
        print(f"stack: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        say("stopped")
        return 0 if arguments.command == "up" else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
