"""The emulator of AWS, which enforces IAM, with our own template deployed into it by `sam deploy`."""

import contextlib
import hashlib
import json
import os
import pathlib
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

from tools import BUILD, BUILT, REGION, ROOT, STACK, Problem, say

ACCOUNT = "000000000000"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/ip-gate"
SAVED_QUERIES = ("WhoAddedWhat", "WhatWasTakenOut", "Refusals")


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

    def sam_deploy(self, name, parameters, template=None):
        """Deploys the built template, or another one, as a stack of this name; -> its outputs."""
        command = [
            "sam",
            "deploy",
            "--config-env",
            "local",
            "--config-file",
            ROOT / "samconfig.toml",
            "--template-file",
            template or local_template(),
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


def local_template():
    """The built template as the emulator takes it."""
    target = BUILT / "template-local.yaml"
    # Another stack may read it meanwhile.
    new = BUILT / f"template-local.{os.getpid()}"
    new.write_text(for_the_emulator((BUILT / "template.yaml").read_text()))
    return new.replace(target)


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
