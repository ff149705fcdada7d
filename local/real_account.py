"""The story and the questions on a real account: `make account`.

It uses the AWS profile that is set up, makes everything under a name of its own, and removes it in every
case. The report goes to account-report.md. `make account-clean` removes what a killed run left.
"""

import argparse
import contextlib
import json
import os
import pathlib
import secrets
import signal
import sys
import tempfile
import time
import types
import urllib.parse

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import alarms  # noqa: F401, it has questions
from asking import ask
from package import architecture_of, unpack
from questions import widen
from report import DIFFERENT, Report
from stack import BUILD, ROOT, Problem, say
from story import tell
from world import TAG, World, error_code, quoted

STATE = ROOT / "account-state.json"
ABSENT = {"NoSuchEntity", "NoSuchBucket", "404", "ResourceNotFoundException", "QueueDoesNotExist"}
ABSENT |= {"AWS.SimpleQueueService.NonExistentQueue", "NotFound"}

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


class AwsWorld(World):
    """A real account."""

    real = True
    patience, samples, calm = 120, 20, 3.0
    # With `?ip=` a member can have a second address. This one is the example of the README.
    second = types.MappingProxyType({"query": "?ip=51.44.71.80"})
    # AWS rounds a schedule to the minute.
    fires_in, fires_late = 90, 180
    alarm_minutes, email = 20, None

    def __init__(self, session, prefix, folder=None):
        super().__init__(prefix, folder)
        self.session = session
        self.region = session.region_name
        self.partition = session.get_partition_for_region(self.region)
        self.endpoint = rehearsal_endpoint()
        self.artifacts = f"{prefix}-artifacts"
        self.made_so_far = []
        if self.endpoint:
            self.fires_in, self.calm = 2, 0.2
        caller = self.client("sts").get_caller_identity()
        self.account, self.caller = caller["Account"], caller["Arn"]

    def credentials(self):
        found = self.session.get_credentials().get_frozen_credentials()
        return found.access_key, found.secret_key, found.token

    def client(self, service, user=None, region=None, number=0):
        if user:
            return super().client(service, user, region, number)
        # The session renews what it has; a role's credentials end after an hour.
        name = (service, region, number)
        if name not in self.clients:
            given = {"endpoint_url": self.endpoint} if self.endpoint else {}
            self.clients[name] = self.session.client(service, region_name=region or self.region, **given)
        return self.clients[name]

    @property
    def architecture(self):
        return architecture_of(self.folder / "add-ip" / "bootstrap")

    def facts(self):
        versions = [self.run([BUILD / "bin" / "sam", "--version"])[1], f"boto3 {boto3.__version__}"]
        return [("world", "AWS"), ("region", self.region), ("tools", ", ".join(versions))]

    # -- what is made

    def made(self, kind, name):
        """Written down before it is made."""
        if [kind, name] not in self.made_so_far:
            self.made_so_far.append([kind, name])
            state = {"prefix": self.prefix, "account": self.account, "region": self.region}
            STATE.write_text(json.dumps({**state, "made": self.made_so_far}, indent=1) + "\n")

    def refuse_what_exists(self):
        """Nothing of this name may exist: everything of this name is removed at the end."""
        iam, found = self.client("iam"), []
        looks = [
            ("stack", lambda: self.client("cloudformation").describe_stacks(StackName=self.stack_name)),
            ("bucket", lambda: self.client("s3").head_bucket(Bucket=self.artifacts)),
            ("queue", lambda: self.client("sqs").get_queue_url(QueueName=f"{self.prefix}-mailbox")),
        ]
        looks += [
            ("policy", lambda name=name: iam.get_policy(PolicyArn=self.arn("policy", name)))
            for name in (self.gate_name, self.office_name, f"{self.prefix}-question")
        ]
        looks += [
            ("user", lambda name=name: iam.get_user(UserName=name))
            for name in (self.user_name, f"{self.prefix}-office")
        ]
        looks += [
            ("role", lambda name=name: iam.get_role(RoleName=name))
            for name in (self.role_name, f"{self.prefix}-helper")
        ]
        for kind, look in looks:
            try:
                look()
                found.append(kind)
            except ClientError as error:
                if error_code(error) not in ABSENT and not no_such_stack(error):
                    raise Problem(f"it could not be seen whether a {kind} exists: {error}") from error
        if found:
            kinds = ", ".join(sorted(set(found)))
            raise Problem(f"this account has a {kinds} named {self.prefix}…: nothing was touched")

    def make_artifacts(self):
        self.made("bucket", self.artifacts)
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        given = {"CreateBucketConfiguration": place} if place else {}
        self.client("s3").create_bucket(Bucket=self.artifacts, **given)

    def deploy(self, **parameters):
        defaults = {"PolicyArns": self.gate, "ExplicitIp": "true", "ExpirySchedule": "rate(5 minutes)"}
        # The measurements call faster than a team does.
        defaults |= {"ThrottlingRate": "10", "ThrottlingBurst": "50"}
        if self.endpoint:
            defaults["AddressScope"] = "any"
        if self.email:
            defaults["AlarmEmail"] = self.email
        self.parameters = defaults | self.parameters | parameters
        self.made("stack", self.stack_name)
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, "samconfig.toml")
            config.write_text("version = 0.1\n")
            command = [
                BUILD / "bin" / "sam",
                "deploy",
                "--config-file",
                config,
                "--stack-name",
                self.stack_name,
            ]
            command += ["--template-file", self.folder / "template.yaml", "--s3-bucket", self.artifacts]
            command += ["--region", self.region, "--capabilities", "CAPABILITY_IAM"]
            command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
            command += ["--tags", f"{TAG}={self.prefix}", "--parameter-overrides"]
            command += [f"{name}={value}" for name, value in quoted(self.parameters).items()]
            print("  admin$ sam deploy … (some minutes)", flush=True)
            done, text = self.run(command)
        if not done:
            raise Problem("`sam deploy` failed:\n" + text[-3000:])
        self.read_outputs()
        self.note_what_stays()

    def note_what_stays(self):
        """The bucket and the log groups outlive the stack."""
        for logical, name in self.resources().items():
            if logical in ("AddIpLogs", "ResetPolicyLogs") and name:
                self.made("logs", name)
            if logical == "StateBucket" and name:
                self.made("bucket", name)

    # -- and removed

    def clean(self):
        """Removes everything that this run made; -> what could not be removed. Can be run again."""
        with contextlib.suppress(ClientError):
            self.note_what_stays()
        order = ["stack", "queue", "user", "role", "policy", "logs", "bucket"]
        left = []
        for kind, name in sorted(self.made_so_far, key=lambda each: order.index(each[0])):
            print(f"  removing the {kind} {name}", flush=True)
            try:
                getattr(self, f"remove_{kind}")(name)
            except (ClientError, BotoCoreError, Problem) as error:
                if error_code(error) not in ABSENT and not no_such_stack(error):
                    left.append(f"{kind} {name}: {error}")
        if not left:
            STATE.unlink(missing_ok=True)
        return left

    def ours(self, what, tags):
        """Refuses to remove what somebody else made under this name."""
        if {"Key": TAG, "Value": self.prefix} not in [
            {"Key": tag["Key"], "Value": tag["Value"]} for tag in tags
        ]:
            raise Problem(f"{what} has not the tag {TAG}={self.prefix}: it was not made here, and it stays")

    def remove_stack(self, name):
        client = self.client("cloudformation")
        found = client.describe_stacks(StackName=name)["Stacks"][0]
        # A stack whose creation was interrupted early has no tags yet. Its name is ours: it was free before.
        if found.get("Tags"):
            self.ours(f"the stack {name}", found["Tags"])
        client.delete_stack(StackName=name)
        # By its id: a stack that is gone has no name.
        waiter = client.get_waiter("stack_delete_complete")
        try:
            waiter.wait(StackName=found["StackId"], WaiterConfig={"Delay": 10, "MaxAttempts": 180})
        except BotoCoreError as error:
            raise Problem(str(error)) from error

    def remove_queue(self, name):
        client = self.client("sqs")
        client.delete_queue(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"])

    def remove_user(self, name):
        iam = self.client("iam")
        self.ours(f"the user {name}", iam.list_user_tags(UserName=name)["Tags"])
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)

    def remove_role(self, name):
        iam = self.client("iam")
        self.ours(f"the role {name}", iam.list_role_tags(RoleName=name)["Tags"])
        iam.delete_role(RoleName=name)

    def remove_policy(self, name):
        iam, arn = self.client("iam"), self.arn("policy", name)
        self.ours(f"the policy {name}", iam.list_policy_tags(PolicyArn=arn)["Tags"])
        # IAM's lists lag: what is not seen in the first look is seen in a later one.
        for attempt in range(5):
            for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
                if not version["IsDefaultVersion"]:
                    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                        iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
            try:
                return iam.delete_policy(PolicyArn=arn)
            except iam.exceptions.DeleteConflictException:
                time.sleep(5 * attempt)
        raise Problem("it still has versions or is attached")

    def remove_logs(self, name):
        self.client("logs").delete_log_group(logGroupName=name)

    def remove_bucket(self, name):
        s3 = self.client("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for kind in ("Versions", "DeleteMarkers"):
                for each in page.get(kind, []):
                    s3.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
        s3.delete_bucket(Bucket=name)


def no_such_stack(error):
    return error_code(error) == "ValidationError" and "does not exist" in str(error)


def rehearsal_endpoint():
    """An emulator on this machine in place of AWS, to try this program itself."""
    found = os.environ.get("AWS_ENDPOINT_URL")
    if found and urllib.parse.urlsplit(found).hostname not in ("127.0.0.1", "localhost"):
        raise Problem("AWS_ENDPOINT_URL is set: this program talks to AWS itself. Unset it")
    return found


def agreed(arguments):
    if arguments.yes:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() == "y"
    except EOFError:
        print("nobody to ask: give --yes")
        return False


def open_session():
    session = boto3.Session()
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
    prefix = arguments.prefix or f"ip-gate-trial-{secrets.token_hex(4)}"
    if STATE.exists():
        raise Problem(f"an earlier run left {STATE.name}: run `make account-clean` first")
    with tempfile.TemporaryDirectory() as unpacked:
        package = arguments.package.resolve()
        folder = package if package.is_dir() else unpack(package, pathlib.Path(unpacked))
        world = AwsWorld(session, prefix, folder)
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
    report, ended = Report("ip-gate on a real account"), "The run did not come to its end."
    report.hide(str(world.account), "111122223333")
    report.hide(world.caller, "ADMINISTRATOR")
    for name, value in world.facts():
        report.fact(name, value)
    try:
        world.make_artifacts()
        tell(world, report)
        widen(world, report)
        ask(world, report)
        ended = "The run came to its end."
    except (ClientError, BotoCoreError, Problem, OSError, LookupError, TypeError, ValueError) as error:
        print(f"account: {type(error).__name__}: {error}", file=sys.stderr)
        report.chapter("The end came early")
        report.check("the run", "to its end", f"{type(error).__name__}: {error}", False)
    except (KeyboardInterrupt, SystemExit):
        ended = "The run was interrupted."
        print()
    finally:
        report.write(path, ended)
        say("removing everything; Ctrl-C leaves it to `make account-clean`")
        left = world.clean()
        report.chapter("Afterwards")
        report.check(
            "everything is removed", "nothing is left", "; ".join(left) or "nothing is left", not left
        )
        report.write(path, ended)
    print(f"\n  {report.summary()}; {path.name} has each step\n")
    for each in left:
        print(f"  left: {each}", file=sys.stderr)
    return 0 if report.count(DIFFERENT) == 0 and "came" in ended else 1


def clean():
    """Removes what a run left that was killed; -> exit status"""
    if not STATE.exists():
        print(f"there is no {STATE.name}: nothing was left behind")
        return 0
    state = json.loads(STATE.read_text())
    world = AwsWorld(boto3.Session(region_name=state["region"]), state["prefix"])
    if world.account != state["account"]:
        raise Problem(f"the run was in account {state['account']}, this profile is of {world.account}")
    world.made_so_far = state["made"]
    left = world.clean()
    for each in left:
        print(f"  left: {each}", file=sys.stderr)
    return 1 if left else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", type=pathlib.Path, help="the package to deploy, a zip or a folder")
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
