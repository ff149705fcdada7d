"""What `make account` removes, and what it leaves: against the emulator, made as strict as AWS is."""

import json
import types

import boto3
import pytest
from botocore.exceptions import ClientError

import aws_world
from aws_world import AwsWorld
from removal import Removal
from world import TAG

PREFIX = "ip-gate-trial-4567cdef"
TAGS = [{"Key": TAG, "Value": PREFIX}]
# The bucket and a log group, as in template.yaml.
TEMPLATE = {
    "Resources": {
        "StateBucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "RetainExceptOnCreate"},
        "AddIpLogs": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "RetainExceptOnCreate"},
    }
}


@pytest.fixture
def world(emulator, tmp_path, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, emulator.environment()[name])
    monkeypatch.setattr(aws_world, "STATE", tmp_path / "account-state.json")
    monkeypatch.setattr(Removal, "pause", 0)
    world = AwsWorld(boto3.Session(region_name="us-east-1"), PREFIX)
    yield world
    world.clients.clear()
    cloudformation, s3, logs = (world.client(name) for name in ("cloudformation", "s3", "logs"))
    cloudformation.delete_stack(StackName=PREFIX)
    for each in s3.list_buckets()["Buckets"]:
        s3.delete_bucket(Bucket=each["Name"])
    for each in logs.describe_log_groups()["logGroups"]:
        logs.delete_log_group(logGroupName=each["logGroupName"])


def make_stack(world, tags=TAGS):
    client = world.client("cloudformation")
    client.create_stack(StackName=PREFIX, TemplateBody=json.dumps(TEMPLATE), Tags=tags)
    client.get_waiter("stack_create_complete").wait(StackName=PREFIX, WaiterConfig={"Delay": 1})
    world.made("stack", PREFIX)


def remains(world):
    """-> the stack, buckets and log groups that are there"""
    stacks = world.client("cloudformation").list_stacks()["StackSummaries"]
    found = [each["StackName"] for each in stacks if each["StackStatus"] != "DELETE_COMPLETE"]
    found += [each["Name"] for each in world.client("s3").list_buckets()["Buckets"]]
    return found + [each["logGroupName"] for each in world.client("logs").describe_log_groups()["logGroups"]]


class Strict:
    """CloudFormation as AWS has it.

    In the middle of an update, given as its statuses, it goes on by itself, and refuses a deletion meanwhile.
    And it lists what a deleted stack has kept. The emulator has this among the events alone.
    """

    def __init__(self, client, *statuses, blind=False):
        self.client, self.statuses, self.blind, self.deleted = client, list(statuses), blind, False

    def __getattr__(self, name):
        return getattr(self.client, name)

    def describe_stacks(self, **given):
        found = self.client.describe_stacks(**given)
        if self.statuses and not self.deleted:
            found["Stacks"][0]["StackStatus"] = self.statuses[0]
            if len(self.statuses) > 1:
                self.statuses.pop(0)
        return found

    def delete_stack(self, **given):
        if self.statuses and self.statuses[0].endswith("_IN_PROGRESS"):
            message = f"Stack is in {self.statuses[0]} state and can not be deleted"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DeleteStack")
        self.deleted = True
        return self.client.delete_stack(**given)

    def get_paginator(self, name):
        if name == "list_stack_resources":
            return types.SimpleNamespace(paginate=self.resources)
        return self.client.get_paginator(name)

    def resources(self, **given):
        if self.client.describe_stacks(**given)["Stacks"][0]["StackStatus"] != "DELETE_COMPLETE":
            return [] if self.blind else self.client.get_paginator("list_stack_resources").paginate(**given)
        found = self.client.describe_stack_events(**given)["StackEvents"]
        kept = [each for each in found if each["ResourceStatus"] == "DELETE_SKIPPED"]
        return [{"StackResourceSummaries": kept}]


def strict(world, *statuses, blind=False):
    client = Strict(world.client("cloudformation"), *statuses, blind=blind)
    world.clients["cloudformation", None, 0] = client


def test_an_update_that_goes_on_is_waited_for(world, capsys):
    make_stack(world)
    strict(world, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    assert world.clean() == [] and remains(world) == []
    assert not aws_world.STATE.exists()
    assert f"the stack {PREFIX} is at UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" in capsys.readouterr().out


def test_under_a_living_stack_nothing_is_removed(world, monkeypatch):
    make_stack(world)
    world.make_artifacts()
    world.make_policy(world.gate_name, world.gate_document())
    monkeypatch.setattr(Removal, "minutes", 0)
    strict(world, "UPDATE_IN_PROGRESS")
    left = world.clean()
    assert "still at UPDATE_IN_PROGRESS after 0 minutes" in left[0]
    assert f"bucket {world.artifacts}: it stays as long as the stack" in left
    assert len(remains(world)) == 4 and aws_world.STATE.exists()
    assert world.client("iam").get_policy(PolicyArn=world.gate)
    # Later, from the file alone.
    again = AwsWorld(world.session, PREFIX)
    again.go_on_from(json.loads(aws_world.STATE.read_text()))
    assert again.clean() == [] and remains(again) == []


def test_what_an_interrupted_creation_left_is_found_after_the_deletion(world):
    """Nobody noted the bucket and the log group: the run ended while the stack was made."""
    make_stack(world)
    assert world.made_so_far == [["stack", PREFIX]]

    strict(world, blind=True)
    assert world.clean() == [] and remains(world) == []


def test_what_a_deleted_stack_kept_is_removed_by_a_later_run(world):
    make_stack(world)
    world.note_stack()
    state = json.loads(aws_world.STATE.read_text())
    state["made"] = [["stack", PREFIX]]
    world.client("cloudformation").delete_stack(StackName=PREFIX)
    again = AwsWorld(world.session, PREFIX)
    again.go_on_from(state)
    strict(again)
    assert len(remains(again)) == 2
    assert again.clean() == [] and remains(again) == []


def test_a_stack_that_somebody_else_made_stays_with_all_it_has(world):
    make_stack(world, tags=[])
    world.made("user", "x")
    left = world.clean()
    assert "it was not made here, and it stays" in left[0], left
    assert len(remains(world)) == 3
    assert not [name for kind, name in world.made_so_far if kind in ("bucket", "logs")]


def test_a_stack_of_the_same_name_that_came_later_stays(world):
    make_stack(world)
    world.note_stack()
    world.client("cloudformation").delete_stack(StackName=PREFIX)
    theirs = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    world.client("cloudformation").create_stack(StackName=PREFIX, TemplateBody=json.dumps(theirs))
    world.clean()
    assert remains(world) == [PREFIX]


def test_a_stack_before_its_first_change_has_no_tag_and_is_removed(world):
    client = world.client("cloudformation")
    client.create_change_set(
        StackName=PREFIX, ChangeSetName="x", ChangeSetType="CREATE", TemplateBody=json.dumps(TEMPLATE)
    )
    world.made("stack", PREFIX)
    assert client.describe_stacks(StackName=PREFIX)["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert world.clean() == [] and remains(world) == []


def test_what_has_not_the_tag_stays(world):
    name = f"{PREFIX}-theirs"
    world.client("s3").create_bucket(Bucket=name)
    world.client("logs").create_log_group(logGroupName=name)
    world.client("sqs").create_queue(QueueName=name)
    for kind in ("bucket", "logs", "queue"):
        world.made(kind, name)
    left = world.clean()
    assert len(left) == 3 and all("it was not made here" in each for each in left), left
    assert remains(world) == [name, name]
    sqs = world.client("sqs")
    sqs.tag_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], Tags={TAG: PREFIX})
    assert len(world.clean()) == 2 and not sqs.list_queues().get("QueueUrls")
