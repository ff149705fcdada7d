"""What the administrator relies on beside the commands: notices of changes, state that outlives a stack."""

import json

import pytest

from emulator import ACCOUNT, POLICY_ARN
from tools import ROOT

OFFICE = "198.51.100.10/32"


@pytest.fixture
def mailbox(stack, account):
    """A queue that is subscribed to the alarms' topic; -> a function that waits for the next notices."""
    queue = account.sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    arn = account.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    account.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscribed = account.sns.subscribe(
        TopicArn=stack.outputs["AlarmTopic"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )

    def notices(count):
        found = []
        while len(found) < count:
            messages = account.sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=10
            ).get("Messages", [])
            assert messages, f"{len(found)} of {count} notices came: {found}"
            for message in messages:
                envelope = json.loads(message["Body"])
                found.append((envelope["Subject"], json.loads(envelope["Message"])))
                account.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield notices
    account.sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    account.sqs.delete_queue(QueueUrl=queue)


def test_the_topic_is_told_of_every_change(stack, account, mailbox):
    status, body = stack.call(stack.member_key, "127.0.0.2")
    assert status == 200
    written = {target["arn"]: target["version"] for target in json.loads(body)["targets"]}
    told = {notice["arn"]: (subject, notice) for subject, notice in mailbox(len(written))}
    assert {arn: notice["version"] for arn, (_, notice) in told.items()} == written
    subject, notice = told[POLICY_ARN]
    assert subject == "ip-gate: added ip-gate +1 -0"
    assert (notice["outcome"], notice["added"]) == (
        "added",
        [{"network": "127.0.0.2/32", "members": ["alice"], "ends": None}],
    )
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200, "already allowed: nothing to tell"
    assert account.invoke(stack.outputs["ResetFunction"])[0] is None
    for subject, notice in mailbox(len(written)):
        assert (notice["outcome"], notice["removed"], notice["added"]) == ("reset", ["127.0.0.2/32"], []), (
            subject
        )


def test_a_bucket_that_an_earlier_stack_left_is_gone_on_with(stack, account):
    document = (ROOT / "examples" / "policies" / "gate.json").read_text()
    stack.aws("iam", "create-policy", "--policy-name", "passed-on", "--policy-document", document)
    arn = f"arn:aws:iam::{ACCOUNT}:policy/passed-on"

    def call(outputs, host):
        status, body = stack.call(stack.member_key, f"127.0.0.{host}", url=stack.local_url(outputs["AddUrl"]))
        return status, json.loads(body).get("status", json.loads(body).get("error"))

    earlier = stack.sam_deploy("earlier", {"PolicyArns": arn})
    bucket = earlier["StateBucket"]
    account.s3.copy_object(
        Bucket=bucket,
        Key=member(stack, account),
        CopySource={"Bucket": stack.outputs["StateBucket"], "Key": member(stack, account)},
    )
    assert call(earlier, 2) == (200, "added")
    # An upgrade keeps everything: the same bucket, the same members and entries, new settings.
    upgraded = stack.sam_deploy("earlier", {"PolicyArns": arn, "MaxGrantsPerMember": "1"})
    assert upgraded["StateBucket"] == bucket
    assert (call(upgraded, 2), call(upgraded, 3)) == ((200, "already_allowed"), (409, "too_many_entries"))
    # Removing the stack leaves the policy as it is, and the bucket with what is in it.
    stack.aws("cloudformation", "delete-stack", "--stack-name", "earlier")
    stack.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "earlier")
    assert account.entries(arn) == [OFFICE, "127.0.0.2/32"]
    kept = {
        "baseline/000000000000/policy/passed-on.json",
        "grants/127.0.0.2_32/alice.json",
        "lease.json",
        member(stack, account),
    }
    assert set(account.keys(bucket)) == kept
    assert not any("earlier" in role["RoleName"] for role in account.iam.list_roles()["Roles"])

    later = stack.sam_deploy("later", {"PolicyArns": arn, "StateBucketName": bucket})
    assert later["StateBucket"] == bucket
    resources = stack.aws("cloudformation", "list-stack-resources", "--stack-name", "later")[
        "StackResourceSummaries"
    ]
    assert not any(resource["ResourceType"] == "AWS::S3::Bucket" for resource in resources), (
        "it owns no bucket"
    )
    assert (call(later, 2), call(later, 3)) == ((200, "already_allowed"), (200, "added"))
    failed, report = account.invoke(later["ResetFunction"])
    assert (failed, report["status"]) == (None, "reset")
    assert account.entries(arn) == [OFFICE]
    stack.aws("cloudformation", "delete-stack", "--stack-name", "later")


def member(stack, account):
    """The file of the one member."""
    return account.keys(stack.outputs["StateBucket"], "members/")[0]
