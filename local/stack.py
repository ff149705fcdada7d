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
import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENVS = BUILD, STACK, LINT = ROOT / ".venv-build", ROOT / ".venv-stack", ROOT / ".venv-lint"
PEER = ROOT / ".venv-peer"
BUILT = ROOT / ".aws-sam" / "build"
PROGRAM = ROOT / "target" / "debug" / "ip-gate"
ACCOUNT, REGION = "000000000000", "us-east-1"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/ip-gate"
USER = "alice"
SAVED_QUERIES = ("WhoAddedWhat", "WhatWasTakenOut", "Refusals")


class Problem(Exception):
    """A problem that the person at the keyboard must solve: one clear line."""


def say(text):
    print(f"\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"== {text}", flush=True)


# -- tools -----------------------------------------------------------------------------------------


def check_machine(rust=True):
    if sys.version_info < (3, 10):  # noqa: UP036, older ones do run this file
        raise Problem("Python 3.10 or newer is needed, this is " + sys.version.split()[0])
    if not importlib.util.find_spec("ensurepip"):
        raise Problem(
            "Python cannot make virtual environments: install its `venv` package (Debian: python3-venv)"
        )
    needed = {"cargo": "install Rust from https://rustup.rs", "cc": "install a C compiler (Debian: gcc)"}
    for tool, hint in needed.items() if rust else []:
        if not shutil.which(tool):
            raise Problem(f"`{tool}` is missing: {hint}")


def install(folder, requirements):
    """A virtual environment with exactly these requirements; made once, and again when they change.

    Every package is a wheel with a known hash, so nothing of a package runs while it is installed.
    """
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing {requirements.name} into {folder.name} (once)")
    venv.create(folder, with_pip=True, clear=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", requirements]
    if subprocess.run(pip, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem(
            f"the packages of {requirements.name} could not be installed: is the package registry reachable?"
        )
    stamp.write_text(wanted)


def install_npm_packages():
    """The packages of package-lock.json, by the Node of `.venv-lint`; made once, and when they change."""
    folder = ROOT / "local"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / "package-lock.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("installing package-lock.json into local/node_modules (once)")
    env = {**os.environ, "PATH": os.pathsep.join([str(LINT / "bin"), os.environ["PATH"]])}
    npm = [LINT / "bin" / "npm", "ci", "--silent"]
    if subprocess.run(npm, cwd=folder, env=env, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem("`npm ci` in local/ failed: is the package registry reachable?")
    stamp.write_text(wanted)


def install_tools(rust=True):
    """What builds the functions and runs the local stack."""
    check_machine(rust)
    install(BUILD, ROOT / "local" / "requirements-build.txt")
    install(STACK, ROOT / "local" / "requirements-stack.txt")


def install_all_tools():
    """What the tests and `make lint` need, too."""
    install_tools()
    install(LINT, ROOT / "local" / "requirements-lint.txt")
    install_npm_packages()


def build_environment():
    """Ours alone, without the person's AWS profile and telemetry settings."""
    path = os.pathsep.join([str(BUILD / "bin"), os.environ["PATH"]])
    # A panic's message names its source file. Without the folder's name the same commit gives the same bytes
    # everywhere. Cargo's `trim-paths` would do it too, but is not stable. `RUSTFLAGS` would replace the flags
    # that cargo-lambda gives to Cargo; this one is added to them.
    cargo = os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo"
    flags = f"--remap-path-prefix={ROOT}=/ip-gate --remap-path-prefix={cargo}=/cargo"
    return {
        **os.environ,
        "PATH": path,
        "CARGO_BUILD_RUSTFLAGS": flags,
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
    }


def architecture():
    """The processor to build for: the one that was asked for, or this machine's."""
    here = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    wanted = os.environ.get("ARCHITECTURE") or here
    if wanted not in ("x86_64", "arm64"):
        raise Problem(f"ARCHITECTURE is `{wanted}`, set it to x86_64 or arm64")
    return wanted


def build():
    """`sam build`, for one processor and no other: the built template offers no other choice then."""
    import package

    wanted = architecture()
    say(f"sam build: the two functions for {wanted} (some minutes the first time)")
    command = ["sam", "build", "--parameter-overrides", f"Architecture={wanted}"]
    done = subprocess.run(command, cwd=ROOT, env=build_environment(), stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Problem("`sam build` failed, see above")
    package.check_architecture(wanted)
    built = BUILT / "template.yaml"
    built.write_text(package.only_architecture(built.read_text(), wanted))


def build_program(release=False):
    """Builds `ip-gate`, quickly or for a package; -> its path"""
    if release:
        say("cargo build --release: the program ip-gate (some minutes the first time)")
        command, env = ["--release", "--target-dir", ROOT / "target" / "package"], build_environment()
    else:
        say("cargo build: the program ip-gate (some minutes the first time)")
        command, env = [], None
    command = ["cargo", "build", "--locked", "--quiet", "--package", "ip-gate", *command]
    if subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem("`cargo build` failed, see above")
    return ROOT / "target" / "package" / "release" / "ip-gate" if release else PROGRAM


def local_template():
    """The built template as the emulator takes it."""
    target = BUILT / "template-local.yaml"
    target.write_text(for_the_emulator((BUILT / "template.yaml").read_text()))
    return target


def for_the_emulator(template):
    """A template without what cannot hold in the emulator.

    - The bucket policy: the emulator speaks plain HTTP, which the TLS-only statement refuses. And it takes
      the ARN of a role's session for `aws:PrincipalArn`, where AWS takes the role's: it would refuse the
      functions.
    - The create-only condition: the emulator does not know `s3:if-none-match`.
    - The saved queries: the emulator does not know the type of this resource.

    The template has no switch for this. `test_rendered_policies.py` and `test_queries.py` look at what is
    taken out here.
    """
    lines = without_block(template.splitlines(), "StateBucketPolicy:")
    lines = without_block(lines, "Condition:", after="Sid: CreateBaseline")
    for query in SAVED_QUERIES:
        lines = without_block(lines, f"{query}:")
    return "\n".join(lines) + "\n"


def without_block(lines, head, after=None):
    start = 0 if after is None else next(i for i, line in enumerate(lines) if after in line)
    first = next(i for i in range(start, len(lines)) if lines[i].strip() == head)
    indent = len(lines[first]) - len(lines[first].lstrip())
    last = first + 1
    while last < len(lines) and (
        not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) > indent
    ):
        last += 1
    return lines[:first] + lines[last:]


# -- the emulator ----------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Stack:
    """The emulator with our template deployed into it. A context manager: leaves nothing running."""

    def __init__(self, port=None, quiet=False, before=None, parameters=None):
        """`before` prepares the account for the deployment; `parameters` add to those of samconfig.toml."""
        if port is not None:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    raise Problem(f"port {port} is busy, choose another with PORT=…") from None
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.quiet, self.before, self.parameters = quiet, before, parameters or {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ip-gate-"))
        self.log = self.folder / "emulator.log"
        self.process = None
        self.member_key = secrets.token_hex(32)

    def __enter__(self):
        try:
            self.start()
            self.deploy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, key="test", secret="test"):
        """For programs that talk to the emulator, root by default."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        path = os.pathsep.join([str(STACK / "bin"), str(BUILD / "bin"), os.environ["PATH"]])
        return {
            **env,
            "PATH": path,
            "SAM_CLI_TELEMETRY": "0",
            "TMPDIR": str(self.folder),
            "NO_PROXY": "*",
            "no_proxy": "*",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_PAGER": "",
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "none"),
        }

    def start(self):
        say(f"starting the emulator on {self.endpoint}, enforcing IAM")
        # The last two keep it from opening other ports on all interfaces.
        env = {
            **self.environment(),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [STACK / "bin" / "ministack"],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Problem("the emulator did not start:\n" + self.log.read_text()[-2000:])
            time.sleep(0.2)

    def is_healthy(self):
        try:
            with urllib.request.urlopen(self.endpoint + "/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def deploy(self):
        document = (ROOT / "examples" / "policies" / "gate.json").read_text()
        self.aws("iam", "create-policy", "--policy-name", "ip-gate", "--policy-document", document)
        if self.before:
            self.before(self)
        say("sam deploy --config-env local")
        self.outputs = self.sam_deploy("ip-gate", self.parameters)
        self.url = self.local_url(self.outputs["AddUrl"])

    def sam_deploy(self, name, parameters):
        """Deploys the built template as a stack of this name; -> its outputs."""
        command = [
            "sam",
            "deploy",
            "--config-env",
            "local",
            "--config-file",
            ROOT / "samconfig.toml",
            "--template-file",
            local_template(),
        ]
        command += ["--stack-name", name]
        if parameters:
            parameters = {"PolicyArns": POLICY_ARN, "AddressScope": "any", **parameters}
            command += ["--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())]
        output = subprocess.PIPE if self.quiet or not sys.stdout.isatty() else None
        done = subprocess.run(
            command,
            cwd=BUILT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise Problem("`sam deploy` failed, see above\n" + (done.stdout or ""))
        stack = self.aws("cloudformation", "describe-stacks", "--stack-name", name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def local_url(self, url):
        """https://<id>.execute-api.<region>.<suffix>/gate/add on AWS; here a name that is loopback."""
        host, path = url.split("//")[1].split("/", 1)
        return f"http://{host.split('.')[0]}.execute-api.localhost:{self.port}/{path}"

    def aws(self, *arguments, key="test", secret="test"):
        """Runs the AWS CLI and returns what it prints, read as JSON."""
        done = self.aws_raw(*arguments, key=key, secret=secret)
        if done.returncode != 0:
            raise Problem(f"`aws {' '.join(map(str, arguments[:2]))}` failed: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def aws_raw(self, *arguments, key="test", secret="test", stdin=None):
        env = self.environment(key, secret)
        return subprocess.run(
            ["aws", *arguments, "--output", "json"],
            env=env,
            input=stdin or "",
            capture_output=True,
            text=True,
        )

    def put(self, key, body):
        """Puts an object into the state bucket."""
        done = self.aws_raw("s3", "cp", "-", f"s3://{self.outputs['StateBucket']}/{key}", stdin=body)
        if done.returncode != 0:
            raise Problem(f"`aws s3 cp` failed: {done.stderr.strip()}")

    def add_member(self, name, key=None):
        key = key or self.member_key
        self.put(f"members/{hashlib.sha256(key.encode()).hexdigest()}.json", json.dumps({"name": name}))
        return key

    def add_user(self, name):
        """An IAM user who may do everything, through the gate; -> their access key and secret."""
        self.aws("iam", "create-user", "--user-name", name)
        everything = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        self.aws(
            "iam",
            "put-user-policy",
            "--user-name",
            name,
            "--policy-name",
            "everything",
            "--policy-document",
            json.dumps(everything),
        )
        self.aws("iam", "attach-user-policy", "--user-name", name, "--policy-arn", POLICY_ARN)
        made = self.aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def call(self, key=None, source=None, method="GET", query="", url=None, headers=None, body=None):
        """Calls the URL as a member would, from a loopback address if one is given; -> status and body."""
        # curl and browsers know that *.localhost is loopback; Python asks the resolver, which may not.
        parts = urllib.parse.urlsplit((url or self.url) + query)
        request = urllib.request.Request(
            self.endpoint + parts._replace(scheme="", netloc="").geturl(),
            method=method,
            headers=dict(headers or {}),
            data=body,
        )
        request.add_header("Host", parts.netloc)
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        if source:
            # The emulator takes the first entry for the peer's address, which AWS itself does not.
            request.add_header("X-Forwarded-For", source)
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


# -- what is told and tried -------------------------------------------------------------------------


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
            import package

            build()
            given = package.package()
        options = ["--package", str(pathlib.Path(given).resolve()), *options]
    command = [STACK / "bin" / "python", ROOT / "local" / "real_account.py", *options]
    os.execv(command[0], command)


def fire_schedule(stack):
    """Lets the deployed schedule's own target and role fire once, soon, and waits for what it does."""
    nightly = nightly_reset(stack)
    before = default_version(stack)
    soon = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(time.time() + 2))
    stack.aws(
        "scheduler",
        "create-schedule",
        "--name",
        "ip-gate-soon",
        "--group-name",
        nightly["GroupName"],
        "--schedule-expression",
        soon,
        "--schedule-expression-timezone",
        "UTC",
        "--flexible-time-window",
        "Mode=OFF",
        "--target",
        json.dumps(nightly["Target"]),
    )
    deadline = time.monotonic() + 90
    while default_version(stack) == before:
        if time.monotonic() > deadline:
            raise Problem("the schedule did not fire within 90 s")
        time.sleep(0.5)
    stack.aws("scheduler", "delete-schedule", "--name", "ip-gate-soon", "--group-name", nightly["GroupName"])


def nightly_reset(stack, name="ip-gate"):
    """The deployed schedule; CloudFormation gave it and its group their names."""
    schedule, group = (physical_id(stack, name, each) for each in ("NightlyReset", "Schedules"))
    return stack.aws("scheduler", "get-schedule", "--name", schedule, "--group-name", group)


def physical_id(stack, name, logical_id):
    command = ("cloudformation", "describe-stack-resource", "--stack-name", name)
    found = stack.aws(*command, "--logical-resource-id", logical_id)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def default_version(stack):
    return stack.aws("iam", "get-policy", "--policy-arn", POLICY_ARN)["Policy"]["DefaultVersionId"]


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
        match arguments.command:
            case "demo":
                demo(port)
            case "up":
                up(port)
            case "account":
                account(options)
            case "tools":
                install_all_tools()
            case "build":
                install_tools()
                build()
            case "peer":
                check_machine()
                install(PEER, ROOT / "bench" / "peers" / "requirements.txt")
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
