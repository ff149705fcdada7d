"""Removes from an account what a run made there, and nothing else.

Everything that a run makes has its tag. What has another one, or none, was made by somebody else and stays.
"""

import contextlib
import time

from botocore.exceptions import BotoCoreError, ClientError

from tools import Problem, print_if_possible
from world import TAG, error_code

# The stack comes first: while it lives, its functions and schedules use all the rest.
ORDER = ("stack", "queue", "user", "role", "policy", "logs", "bucket")
ABSENT = {"NoSuchEntity", "NoSuchBucket", "404", "ResourceNotFoundException", "QueueDoesNotExist"}
ABSENT |= {"AWS.SimpleQueueService.NonExistentQueue", "NotFound"}


def is_absent(error):
    no_such_stack = error_code(error) == "ValidationError" and "does not exist" in str(error)
    return error_code(error) in ABSENT or no_such_stack


def check_tag(what, tags, prefix):
    """Refuses what somebody else made under this name."""
    if not any(tag["Key"] == TAG and tag["Value"] == prefix for tag in tags):
        raise Problem(f"{what} has not the tag {TAG}={prefix}: it was not made here, and it stays")


class Removal:
    # CloudFormation goes on with an update that was begun, and refuses a deletion until it has ended.
    minutes, pause = 45, 10

    def __init__(self, world):
        self.world = world

    def everything(self):
        """-> what could not be removed"""
        left = self.all_of("stack")
        if left:
            rest = [f"{kind} {name}" for kind, name in self.world.made_so_far if kind != "stack"]
            return left + [f"{each}: it stays as long as the stack" for each in rest]
        for kind in ORDER[1:]:
            left += self.all_of(kind)
        return left

    def all_of(self, kind):
        left = []
        for name in [name for each, name in self.world.made_so_far if each == kind]:
            print_if_possible(f"  removing the {kind} {name}")
            try:
                getattr(self, f"remove_{kind}")(name)
            except (ClientError, BotoCoreError, Problem, OSError) as error:
                if not is_absent(error):
                    left.append(f"{kind} {name}: {error}")
        return left

    def ours(self, what, tags):
        check_tag(what, tags, self.world.prefix)

    # -- the stack

    def remove_stack(self, name):
        status = self.world.note_stack()["StackStatus"]
        if status != "DELETE_COMPLETE":
            if status not in ("REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                self.wait(name, lambda status: not status.endswith("_IN_PROGRESS"))
            self.world.client("cloudformation").delete_stack(StackName=self.world.stack_id)
            self.wait(name, lambda status: status in ("DELETE_COMPLETE", "DELETE_FAILED"))
        if self.status() == "DELETE_FAILED":
            raise Problem("CloudFormation could not delete it: its events in the console say why")
        # Also those of a stack whose creation was interrupted before anybody could list them.
        with contextlib.suppress(ClientError):
            self.world.note_what_stays()

    def status(self):
        try:
            return self.world.describe_stack()["StackStatus"]
        except ClientError as error:
            if is_absent(error):
                return "DELETE_COMPLETE"
            raise

    def wait(self, name, ended):
        end, shown = time.monotonic() + self.minutes * 60, None
        while not ended(status := self.status()):
            if time.monotonic() > end:
                raise Problem(f"CloudFormation is still at {status} after {self.minutes} minutes")
            if status != shown:
                print_if_possible(f"  waiting for CloudFormation: the stack {name} is at {status}")
                shown = status
            time.sleep(self.pause)

    # -- everything else

    def remove_queue(self, name):
        client = self.world.client("sqs")
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        tags = client.list_queue_tags(QueueUrl=url).get("Tags", {})
        self.ours(f"the queue {name}", [{"Key": key, "Value": value} for key, value in tags.items()])
        client.delete_queue(QueueUrl=url)

    def remove_user(self, name):
        iam = self.world.client("iam")
        self.ours(f"the user {name}", iam.list_user_tags(UserName=name)["Tags"])
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)

    def remove_role(self, name):
        iam = self.world.client("iam")
        self.ours(f"the role {name}", iam.list_role_tags(RoleName=name)["Tags"])
        iam.delete_role(RoleName=name)

    def remove_policy(self, name):
        iam, arn = self.world.client("iam"), self.world.arn("policy", name)
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
        world, client = self.world, self.world.client("logs")
        arn = f"arn:{world.partition}:logs:{world.region}:{world.account}:log-group:{name}"
        tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
        self.ours(f"the log group {name}", [{"Key": key, "Value": value} for key, value in tags.items()])
        client.delete_log_group(logGroupName=name)

    def remove_bucket(self, name):
        s3 = self.world.client("s3")
        try:
            tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
        except ClientError as error:
            if error_code(error) != "NoSuchTagSet":
                raise
            tags = []
        self.ours(f"the bucket {name}", tags)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for kind in ("Versions", "DeleteMarkers"):
                for each in page.get(kind, []):
                    s3.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
        s3.delete_bucket(Bucket=name)
