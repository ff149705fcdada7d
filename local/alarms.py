"""The questions about alarms: they need failures that are made on purpose, a mailbox, and some minutes."""

import json
import time

from botocore.exceptions import ClientError

import questions  # noqa: F401, they are asked before these
from asking import NotAsked, question
from world import TAG

ALARMS = "Alarms"
RING = ("ResetFailed", "ResetPolicyErrors", "AddFailed", "Knocking")


class Mailbox:
    """A queue that is subscribed to the topic of the alarms."""

    def __init__(self, world):
        self.world, self.sqs, self.found = world, world.client("sqs"), []
        world.made("queue", f"{world.prefix}-mailbox")
        self.url = self.sqs.create_queue(QueueName=f"{world.prefix}-mailbox", tags={TAG: world.prefix})[
            "QueueUrl"
        ]
        named = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        arn, topic = named["Attributes"]["QueueArn"], world.outputs["AlarmTopic"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def look(self):
        """-> every message so far, as text"""
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in got.get("Messages", []):
            self.found.append(json.loads(message["Body"]).get("Message", ""))
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.found


def rang(world):
    """-> the logical ids of the alarms that have rung"""
    names = {name: logical for logical, name in world.resources().items()}
    found = set()
    pages = world.client("cloudwatch").get_paginator("describe_alarm_history")
    for page in pages.paginate(HistoryItemType="StateUpdate"):
        for item in page["AlarmHistoryItems"]:
            state = json.loads(item["HistoryData"])["newState"]["stateValue"]
            if state == "ALARM" and item["AlarmName"] in names:
                found.add(names[item["AlarmName"]])
    return found


def wait_for(world, minutes, look):
    """Looks until it is true, or the time is over; -> what was seen last"""
    end = time.monotonic() + minutes * 60
    while not (seen := look()) and time.monotonic() < end:
        time.sleep(5)
    return seen


def baseline_key(world):
    return f"baseline/{world.account}/policy/{world.gate_name}.json"


def restore(world):
    """Puts the baseline back that was taken away."""
    try:
        world.client("s3").put_object(Bucket=world.bucket, Key=baseline_key(world), Body=world.baseline)
    except ClientError as error:
        raise OSError(f"the baseline could not be put back: {error}") from error


@question(
    ALARMS,
    "The alarms are quiet.",
    "none has rung but `Knocking`, after the 400 requests without a key",
    real=True,
)
def quiet(world, _):
    world.mailbox = Mailbox(world)
    seen = rang(world)
    return seen <= {"Knocking"}, sorted(seen)


@question(
    ALARMS, "A reset without a baseline fails and names the policy.", "the policy's name; a member gets 502"
)
def fails(world, _):
    s3 = world.client("s3")
    world.baseline = s3.get_object(Bucket=world.bucket, Key=baseline_key(world))["Body"].read()
    s3.delete_object(Bucket=world.bucket, Key=baseline_key(world))
    try:
        done, text = world.command("reset")
        member = world.call(world.key, **world.second)
    finally:
        if not world.real:
            restore(world)
    refused = member.status == 502 and member.json().get("error") == "baseline_unusable"
    return not done and world.gate in text and refused, f"{text}; {member}"


@question(
    ALARMS,
    "An asynchronous reset that fails is tried twice more, and the topic is told.",
    "a message with `RetriesExhausted`",
    real=True,
)
def retried(world, _):
    try:
        function = world.outputs["ResetFunction"]
        world.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")

        def look():
            return [text for text in world.mailbox.look() if "RetriesExhausted" in text]

        seen = wait_for(world, world.alarm_minutes, look)
    finally:
        restore(world)
    context = json.loads(seen[0]).get("requestContext", {}) if seen else {}
    return bool(seen), {name: context.get(name) for name in ("condition", "approximateInvokeCount")}


@question(ALARMS, "With the baseline back, a reset has nothing to complain about.", "`unchanged` or `reset`")
def mended(world, _):
    done, text = world.command("reset")
    return done, text


@question(ALARMS, "The alarms ring.", ", ".join(RING), real=True)
def ring(world, _):
    for _ in range(25):
        world.call("wrong" * 8)
        time.sleep(min(0.5, world.calm / 5))
    wait_for(world, world.alarm_minutes, lambda: set(RING) <= rang(world))
    return set(RING) <= rang(world), sorted(rang(world))


@question(ALARMS, "The topic tells of them.", "a message for each", real=True)
def told(world, _):
    names = world.resources()

    def look():
        return all(any(names[each] in text for text in world.mailbox.look()) for each in RING)

    seen = wait_for(world, min(2, world.alarm_minutes), look)
    return seen, f"{len(world.mailbox.found)} messages"


@question(ALARMS, "The heartbeat is seen.", "`ResetMissing` is OK", real=True)
def heartbeat(world, _):
    name = world.resources()["ResetMissing"]

    def state():
        found = world.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return found[0]["StateValue"]

    wait_for(world, world.alarm_minutes, lambda: state() == "OK")
    return state() == "OK", state()


@question(
    ALARMS, "Only a login ends the subscription by mail.", "`ConfirmationWasAuthenticated` is true", real=True
)
def subscription(world, _):
    if not world.email:
        raise NotAsked("no mail address was given (--email)")
    print("  AWS has mailed a link to you. Do not open it. Copy the text after `Token=`, up to the next `&`.")
    token = input("  Token: ").strip()
    sns = world.client("sns")
    arn = sns.confirm_subscription(
        TopicArn=world.outputs["AlarmTopic"], Token=token, AuthenticateOnUnsubscribe="true"
    )["SubscriptionArn"]
    found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return found["ConfirmationWasAuthenticated"] == "true", found["ConfirmationWasAuthenticated"]


@question(
    ALARMS,
    "CloudTrail says who wrote.",
    "`CreatePolicyVersion` by the role of add-ip, in us-east-1",
    real=True,
)
def trail(world, _):
    role = world.resources()["AddIpRole"]
    client = world.client("cloudtrail", region="us-east-1")
    given = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreatePolicyVersion"}]}

    def look():
        found = client.lookup_events(**given)["Events"]
        return [
            each
            for each in found
            if role in each["CloudTrailEvent"] and world.gate in each["CloudTrailEvent"]
        ]

    seen = wait_for(world, world.alarm_minutes, look)
    return bool(seen), f"{len(seen)} events"


@question(ALARMS, "An entry ends by itself.", "off the list at the next run of the expiry", real=True)
def expiry(world, _):
    # The shortest time that a member can ask for is five minutes.
    member = world.call(world.key, query="?for=5m")
    if member.status != 200:
        return False, member
    network = member.json()["network"]

    def gone():
        return network not in world.call(world.key, "status").text or not world.call(
            world.key, "status"
        ).json().get("allowed", True)

    wait_for(world, max(12, world.alarm_minutes) if world.alarm_minutes >= 1 else world.alarm_minutes, gone)
    document = world.client("iam").get_policy_version(PolicyArn=world.gate, VersionId=world.default_version())
    listed = network in json.dumps(document["PolicyVersion"]["Document"])
    return not listed, f"{network} is {'still' if listed else 'no longer'} on the list"
