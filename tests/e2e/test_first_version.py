"""The first version's template as a stack, updated to this version and back: the state of the team stays.

The code is this version's in each: what the first version reads of the state is in test_upgrade.py.
"""

import json
import re
import subprocess

import pytest

import package
from account import Account
from emulator import POLICY_ARN, without_block
from tools import BUILT, ROOT, this_processor
from waiting import wait_for

# The last commit of the first version.
FIRST = "8b1a269"
PARAMETERS = {"ExplicitIp": "true"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first version's template, with the built functions, as the emulator takes it."""
    shown = subprocess.run(
        ["git", "show", f"{FIRST}:template.yaml"], cwd=ROOT, capture_output=True, text=True
    )
    if shown.returncode != 0:
        pytest.skip(f"the history of this checkout has no commit {FIRST}: {shown.stderr.strip()}")
    # As in local/emulator.py.
    lines = without_block(shown.stdout.splitlines(), "StateBucketPolicy:")
    lines = without_block(lines, "Condition:", after="Sid: CreateBaseline")
    template = "\n".join(lines) + "\n"
    template = template.replace("Architectures: [x86_64]", f"Architectures: [{this_processor()}]")
    for name in package.FUNCTIONS:
        head, body = template.split(f"\n  {name}:\n")
        body = body.replace("    Properties:\n", f"    Properties:\n      CodeUri: {BUILT / name}\n", 1)
        template = f"{head}\n  {name}:\n{body}"
    path = tmp_path_factory.mktemp("first") / "template.yaml"
    path.write_text(template)
    return path


class Deployed:
    """A stack that began with the first version's template, and one member."""

    def __init__(self, stack, first):
        self.stack, self.first, self.account = stack, first, Account(stack.endpoint)
        document = (ROOT / "examples" / "policies" / "gate.json").read_text()
        stack.aws("iam", "create-policy", "--policy-name", "ip-gate", "--policy-document", document)
        self.document = json.loads(document)

    def deploy(self, template=None):
        outputs = self.stack.sam_deploy("ip-gate", PARAMETERS, template)
        self.stack.outputs, self.stack.url = outputs, self.stack.local_url(outputs["AddUrl"])
        self.bucket = outputs["StateBucket"]
        status = self.stack.aws("cloudformation", "describe-stacks", "--stack-name", "ip-gate")["Stacks"][0]
        return status["StackStatus"]

    def objects(self):
        """-> {key: text} of everything in the bucket"""
        s3 = self.account.s3
        found = s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            each["Key"]: s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read().decode()
            for each in found
        }

    def state(self):
        """-> the bucket, what is in it, and the policy"""
        return self.bucket, self.objects(), self.account.document(POLICY_ARN)

    def add(self, address=None):
        query = f"?ip={address}" if address else ""
        status, body = self.stack.call(self.stack.member_key, query=query)
        assert status == 200, body
        wait_for(lambda: self.account.lease(self.bucket)["nonce"] is None)
        return json.loads(body)["status"]

    def reset(self):
        answer = self.account.lambda_.invoke(FunctionName=self.stack.outputs["ResetFunction"])
        return json.loads(answer["Payload"].read())["status"]

    def nightly(self):
        """-> the schedules that reset, whatever their names are"""
        found = [
            self.stack.aws(
                "scheduler", "get-schedule", "--name", each["Name"], "--group-name", each["GroupName"]
            )
            for each in self.stack.aws("scheduler", "list-schedules")["Schedules"]
        ]
        return [each for each in found if "expire" not in each["Target"].get("Input", "")]


@pytest.fixture(scope="module")
def team(first, emulator):
    return Deployed(emulator, first)


def test_an_upgrade_of_the_first_version_and_the_way_back_keep_the_state(team):
    assert team.deploy(team.first) == "CREATE_COMPLETE"
    team.stack.put("baseline/000000000000/policy/ip-gate.json", json.dumps(team.document))
    team.stack.add_member("alice")
    assert team.add() == "added"
    before = team.state()
    assert {key.split("/")[0] for key in before[1]} == {"baseline", "grants", "lease.json", "members"}
    assert len(team.nightly()) == 1

    assert team.deploy() == "UPDATE_COMPLETE"
    assert team.state() == before
    assert team.add() == "already_allowed" and team.add("51.44.71.80") == "added"
    assert len(team.nightly()) == 1

    # As the README says: a reset, then the deployment.
    assert team.reset() == "reset"
    before = team.state()
    assert before[2] == team.document and not re.search("grants/", " ".join(before[1]))
    assert team.deploy(team.first) == "UPDATE_COMPLETE"
    assert team.state() == before
    assert team.add() == "added" and team.reset() == "reset"
    assert team.account.document(POLICY_ARN) == team.document
    assert len(team.nightly()) == 1
