"""A real account as a world of the story. What is made there is written down first, removed at the end."""

import contextlib
import json
import os
import pathlib
import tempfile
import time
import types
import urllib.parse

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from package import architecture_of
from tools import BUILD, ROOT, Problem
from world import TAG, World, error_code, quoted

STATE = ROOT / "account-state.json"
ABSENT = {"NoSuchEntity", "NoSuchBucket", "404", "ResourceNotFoundException", "QueueDoesNotExist"}
ABSENT |= {"AWS.SimpleQueueService.NonExistentQueue", "NotFound"}


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
