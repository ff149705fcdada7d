"""A real account as a world of the story. What is made there is written down first, removed at the end."""

import contextlib
import datetime
import json
import os
import pathlib
import tempfile
import types
import urllib.parse

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from package import architecture_of
from removal import Removal, check_tag, is_absent
from tools import BUILD, ROOT, Problem
from world import TAG, World, quoted

STATE = ROOT / "account-state.json"
# What outlives the stack, and what it is.
STAYS = {"StateBucket": "bucket", "AddIpLogs": "logs", "ResetPolicyLogs": "logs"}


class AwsWorld(World):
    """A real account."""

    real = True
    patience, samples, calm = 120, 20, 3.0
    # With `?ip=` a member can have a second address. This one is the example of the README.
    second = types.MappingProxyType({"query": "?ip=51.44.71.80"})
    # AWS rounds a schedule to the minute.
    fires_in, fires_late = 90, 180
    alarm_minutes, email = 20, None

    def __init__(self, session, prefix, folder=None, program=None):
        super().__init__(prefix, folder)
        # A package's own program does not run on a Mac, nor on the other processor.
        self.given_program = program
        self.session = session
        self.region = session.region_name
        self.partition = session.get_partition_for_region(self.region)
        self.endpoint = rehearsal_endpoint()
        self.artifacts = f"{prefix}-artifacts"
        self.made_so_far = []
        # With room for a clock that is not right: before the run nothing had these names.
        self.begun = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
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

    @property
    def program(self):
        return self.given_program or super().program

    def facts(self):
        versions = [self.run([BUILD / "bin" / "sam", "--version"])[1], f"boto3 {boto3.__version__}"]
        return [("world", "AWS"), ("region", self.region), ("tools", ", ".join(versions))]

    # -- what is made

    def made(self, kind, name):
        """Written down before it is made."""
        if [kind, name] not in self.made_so_far:
            self.made_so_far.append([kind, name])
            self.write_state()

    def write_state(self):
        state = {"prefix": self.prefix, "account": self.account, "region": self.region}
        state |= {"stack_id": self.stack_id, "made": self.made_so_far}
        # In one step: a run that is killed here must not leave half a file.
        new = STATE.with_suffix(".new")
        new.write_text(json.dumps(state, indent=1) + "\n")
        new.replace(STATE)

    def go_on_from(self, state):
        """What an earlier run made is what this one removes."""
        self.stack_id, self.made_so_far = state.get("stack_id"), state["made"]

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
                if not is_absent(error):
                    raise Problem(f"it could not be seen whether a {kind} exists: {error}") from error
        if found:
            kinds = ", ".join(sorted(set(found)))
            raise Problem(f"this account has a {kinds} named {self.prefix}…: nothing was touched")

    def make_artifacts(self):
        self.made("bucket", self.artifacts)
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        given = {"CreateBucketConfiguration": place} if place else {}
        self.client("s3").create_bucket(Bucket=self.artifacts, **given)
        self.client("s3").put_bucket_tagging(Bucket=self.artifacts, Tagging={"TagSet": self.tags})

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
            with contextlib.suppress(ClientError, BotoCoreError, Problem):
                self.note_stack()
            raise Problem("`sam deploy` failed:\n" + text[-3000:])
        self.note_stack()
        self.read_outputs()

    def describe_stack(self):
        """By its id where that is known: a name can be somebody else's one day."""
        found = self.client("cloudformation").describe_stacks(StackName=self.stack_id or self.stack_name)
        return found["Stacks"][0]

    def note_stack(self):
        """Writes down the stack's id, if the stack is ours, and what will outlive it; -> the stack."""
        stack = self.describe_stack()
        # Before its change set is executed a stack has no tags. This name was free when the run began.
        if stack["StackId"] != self.stack_id and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
            check_tag(f"the stack {self.stack_name}", stack.get("Tags", []), self.prefix)
        if stack["StackId"] != self.stack_id:
            self.stack_id = stack["StackId"]
            self.write_state()
        self.note_what_stays()
        return stack

    def note_what_stays(self):
        """The bucket and the log groups outlive the stack.

        AWS lists the resources of a stack for 90 days after its deletion, by its id. Those that were kept are
        DELETE_SKIPPED.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackResources.html
        """
        for each in self.stack_resources():
            kind, name = STAYS.get(each["LogicalResourceId"]), each.get("PhysicalResourceId")
            if kind and name and each["ResourceStatus"] != "DELETE_COMPLETE":
                self.made(kind, name)
                if self.endpoint and kind == "bucket":
                    # CloudFormation gives a stack's tags to what it makes. The emulator leaves buckets out.
                    self.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": self.tags})

    def clean(self):
        """Removes everything that this run made; -> what could not be removed. Can be run again."""
        left = Removal(self).everything()
        if not left:
            STATE.unlink(missing_ok=True)
        return left


def rehearsal_endpoint():
    """An emulator on this machine in place of AWS, to try this program itself."""
    found = os.environ.get("AWS_ENDPOINT_URL")
    if found and urllib.parse.urlsplit(found).hostname not in ("127.0.0.1", "localhost"):
        raise Problem("AWS_ENDPOINT_URL is set: this program talks to AWS itself. Unset it")
    return found
