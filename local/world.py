"""A world in which the story can happen: an account with our stack in it.

`LocalWorld` is the emulator. `AwsWorld` (aws_world.py) is a real account. What both do is in `World`, so
`make demo` runs every day what a person runs once on a real account.

Runs in `.venv-stack`, which has boto3 and the AWS CLI.
"""

import json
import os
import re
import subprocess
import time
import types
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator import ACCOUNT, Stack
from package import architecture_of
from tools import BUILT, PROGRAM, REGION, ROOT, STACK, Problem

OFFICE = "198.51.100.10/32"
TAG = "ip-gate-trial"


class Answer:
    """What a URL answered."""

    def __init__(self, status, text, headers, seconds):
        self.status, self.text, self.headers, self.seconds = status, text, headers, seconds

    def __str__(self):
        return f"HTTP {self.status}  {self.text}"

    def json(self):
        try:
            return json.loads(self.text)
        except ValueError:
            return {}


class World:
    # Whether this is AWS itself: some questions only AWS can answer.
    real = False
    # For how many seconds IAM may take to show a change. 0: the first answer must be right.
    patience = 0
    # How often each thing is measured, and for how long an answer must stay the same to count.
    samples, calm = 5, 0.2
    # How a member calls from a second address.
    second = types.MappingProxyType({"source": "127.0.0.2"})
    # After so many seconds a one-off schedule fires, and it may be late by so many.
    fires_in, fires_late = 2, 90

    def __init__(self, prefix, folder=None):
        """`prefix` begins the name of everything that is made; `folder` has examples/ and a program."""
        self.prefix, self.folder = prefix, folder or ROOT
        self.stack_name, self.user_name, self.role_name = prefix, f"{prefix}-alice", f"{prefix}-role"
        self.gate_name, self.office_name = prefix, f"{prefix}-office"
        # Known after the first deployment, in an account where others have stacks too.
        self.stack_id = None
        self.outputs, self.parameters, self.user, self.office_user = {}, {}, None, None
        # Where this machine calls from; and alarms that may ring, since IAM showed something late.
        self.own_network, self.excused = None, set()
        self.clients = {}

    # -- to be said by each world

    def credentials(self):
        """-> access key, secret, session token or None: the administrator's"""
        raise NotImplementedError

    def made(self, kind, name):
        """Called before something is made, so that it can be removed again in any case."""

    def deploy(self, **parameters):
        """Deploys the stack, or changes its parameters. Sets `outputs`."""
        raise NotImplementedError

    # -- the account

    def arn(self, kind, name):
        return f"arn:{self.partition}:iam::{self.account}:{kind}/{name}"

    @property
    def gate(self):
        return self.arn("policy", self.gate_name)

    @property
    def office(self):
        return self.arn("policy", self.office_name)

    @property
    def bucket(self):
        return self.outputs["StateBucket"]

    @property
    def tags(self):
        return [{"Key": TAG, "Value": self.prefix}]

    def client(self, service, user=None, region=None, number=0):
        """A client of the administrator's, or of a user's (access key and secret); one for each `number`."""
        name = (service, user, region, number)
        if name not in self.clients:
            key, secret, token = (*user, None) if user else self.credentials()
            # A user's calls are probes: each counts, so none is repeated.
            config = {"retries": {"mode": "standard", "max_attempts": 1 if user else 5}}
            if self.endpoint:
                config["s3"] = {"addressing_style": "path"}
            self.clients[name] = boto3.client(
                service,
                region_name=region or self.region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=Config(**config),
                **({"endpoint_url": self.endpoint} if self.endpoint else {}),
            )
        return self.clients[name]

    def environment(self, user=None):
        """For programs: the administrator, or a user, and nothing else of the person's settings."""
        key, secret, token = (*user, None) if user else self.credentials()
        kept = {"AWS_CA_BUNDLE"}
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") or k in kept}
        env |= {
            "PATH": os.pathsep.join([str(STACK / "bin"), env["PATH"]]),
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_PAGER": "",
            "STACK_NAME": self.stack_name,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }
        if token:
            env["AWS_SESSION_TOKEN"] = token
        if self.endpoint:
            env |= {"AWS_ENDPOINT_URL": self.endpoint, "NO_PROXY": "*", "no_proxy": "*"}
        return env

    def aws(self, *arguments, user=None):
        """Runs the AWS CLI; -> whether it succeeded, what it printed"""
        return self.run(["aws", *arguments, "--output", "json"], user)

    @property
    def program(self):
        """`ip-gate`: the one of the package, or else the one that was built here."""
        packaged = self.folder / "ip-gate"
        return packaged if packaged.is_file() else PROGRAM

    def command(self, *arguments):
        """Runs one of the administrator's commands; -> whether it succeeded, what it printed"""
        return self.run([self.program, *arguments])

    def run(self, program, user=None):
        done = subprocess.run(
            program, env=self.environment(user), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    # -- what is made

    def make_policy(self, name, document):
        self.made("policy", name)
        self.client("iam").create_policy(PolicyName=name, PolicyDocument=json.dumps(document), Tags=self.tags)

    def gate_document(self, *networks):
        document = json.loads((self.folder / "examples" / "policies" / "gate.json").read_text())
        document["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"] = list(networks)
        return document

    def make_gate(self):
        self.make_policy(self.gate_name, self.gate_document(OFFICE))

    def make_user(self, name):
        """A user who may list the state bucket and look at themselves, and nothing else; -> key, secret"""
        iam = self.client("iam")
        self.made("user", name)
        iam.create_user(UserName=name, Tags=self.tags)
        statements = [
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": f"arn:{self.partition}:s3:::{self.bucket}",
            },
            {"Effect": "Allow", "Action": "iam:GetUser", "Resource": self.arn("user", name)},
            # So that only the bucket's own policy can refuse it.
            {
                "Effect": "Allow",
                "Action": "s3:PutObject",
                "Resource": f"arn:{self.partition}:s3:::{self.bucket}/grants/*",
            },
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def attach(self, user, arn):
        self.client("iam").attach_user_policy(UserName=user, PolicyArn=arn)

    def make_role(self, name, trust):
        self.made("role", name)
        self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=self.tags
        )

    # -- the stack

    def url(self, path="add", output="AddUrl"):
        url = urllib.parse.urlsplit(self.outputs[output].removesuffix("add") + path)
        if self.endpoint:
            # The emulator tells the APIs apart by the host's first label.
            port = urllib.parse.urlsplit(self.endpoint).port
            url = url._replace(
                scheme="http", netloc=f"{url.hostname.split('.')[0]}.execute-api.localhost:{port}"
            )
        return url.geturl()

    def call(self, key=None, path="add", query="", method="GET", source=None, headers=None):
        """Calls the URL as a member would; -> Answer"""
        parts = urllib.parse.urlsplit(self.url(path) + query)
        target, opener = parts.geturl(), urllib.request.build_opener()
        headers = dict(headers or {})
        if self.endpoint:
            # Not every resolver knows that *.localhost is loopback.
            target = self.endpoint + parts._replace(scheme="", netloc="").geturl()
            headers["Host"] = parts.netloc
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if source:
            # The emulator takes the first entry for the peer's address, which AWS itself does not.
            headers["X-Forwarded-For"] = source
        request = urllib.request.Request(target, method=method, headers=headers)
        begun = time.monotonic()
        try:
            with opener.open(request, timeout=60) as answer:
                text = answer.read().decode()
                return Answer(answer.status, text, answer.headers, time.monotonic() - begun)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), error.headers, time.monotonic() - begun)

    def invoke(self, event=None):
        """Invokes reset-policy; -> whether it failed, its answer"""
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs["ResetFunction"], Payload=json.dumps(event or {}).encode()
        )
        return "FunctionError" in answer, json.loads(answer["Payload"].read())

    def stack_resources(self):
        """-> the stack's resources, as CloudFormation lists them"""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        found = pages.paginate(StackName=self.stack_id or self.stack_name)
        return [each for page in found for each in page["StackResourceSummaries"]]

    def resources(self):
        """-> {logical id: physical id}"""
        return {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in self.stack_resources()
        }

    def read_outputs(self):
        stack = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def default_version(self, arn=None):
        return self.client("iam").get_policy(PolicyArn=arn or self.gate)["Policy"]["DefaultVersionId"]

    def schedule(self, logical_id):
        """A deployed schedule; CloudFormation gave it and its group their names."""
        names = self.resources()
        return self.client("scheduler").get_schedule(Name=names[logical_id], GroupName=names["Schedules"])

    def fire_schedule(self, after):
        """Lets the nightly schedule's own target and role fire once, soon; -> after how many seconds.

        It has fired when the policy has a newer version than `after`: IAM may still show an older one.
        """
        nightly = self.schedule("NightlyReset")

        def has_fired():
            return number_of(self.default_version()) > number_of(after)

        begun, longest = time.monotonic(), self.fires_in + self.fires_late
        soon = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(time.time() + self.fires_in))
        one = {"Name": f"{self.prefix}-soon", "GroupName": nightly["GroupName"]}
        self.client("scheduler").create_schedule(
            **one,
            ScheduleExpression=soon,
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=nightly["Target"],
        )
        try:
            if not wait_for(has_fired, begun + longest - time.monotonic(), pause=0.5):
                raise Problem(f"the schedule did not fire within {longest} s")
            return time.monotonic() - begun
        finally:
            self.client("scheduler").delete_schedule(**one)


def wait_for(look, seconds, pause=5, enough=bool):
    """Looks until it has seen enough, or the time is over; -> what was seen last"""
    end = time.monotonic() + seconds
    while not enough(seen := look()) and time.monotonic() < end:
        time.sleep(pause)
    return seen


def number_of(version):
    return int(version.removeprefix("v"))


def error_code(error):
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def quoted(parameters):
    """For the command line of sam, which takes no bare space and no empty value."""
    return {name: f'"{value}"' for name, value in parameters.items()}


class LocalWorld(World):
    """The emulator. A context manager: leaves nothing running."""

    account, region, partition = ACCOUNT, REGION, "aws"

    def __init__(self, port=None):
        super().__init__("ip-gate")
        self.emulator = Stack(port)
        self.endpoint = self.emulator.endpoint

    def __enter__(self):
        try:
            self.emulator.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.emulator.__exit__()

    def credentials(self):
        return "test", "test", None

    @property
    def architecture(self):
        return architecture_of(BUILT / "AddIpFunction" / "bootstrap")

    def deploy(self, **parameters):
        # `any`: callers come from loopback addresses.
        self.parameters = {"PolicyArns": self.gate, "AddressScope": "any"} | self.parameters | parameters
        self.emulator.sam_deploy(self.stack_name, quoted(self.parameters))
        self.read_outputs()

    def facts(self):
        return [("world", "the local stack: an emulator of AWS that enforces IAM"), ("region", self.region)]


def key_in(printed):
    """The member key that a command printed."""
    found = re.search(r"#key=([0-9a-f]{64})\b", printed)
    if not found:
        raise Problem(f"no member was made: {printed}")
    return found[1]
