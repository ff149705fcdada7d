"""The questions about alarms: they need failures that are made on purpose, a mailbox, and some minutes."""

import collections
import email.utils
import json
import time

from botocore.exceptions import ClientError

import insights
import questions  # noqa: F401, they are asked before these
from asking import NotAsked, question
from world import wait_for

ALARMS = "Alarms"
RING = ("ResetFailed", "ResetPolicyErrors", "AddFailed", "Knocking")


def alarms_of(world):
    """-> {logical id: name} of the stack's alarms"""
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in world.stack_resources()
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }


def rings(world, names, known=()):
    """-> {(logical id, when)} of all rings of these alarms since the run began, without those that are known

    Each alarm is asked for by its name: an account can have thousands of others.
    """
    pages = world.client("cloudwatch").get_paginator("describe_alarm_history")
    found = set()
    for logical, name in names.items():
        given = {"AlarmName": name, "HistoryItemType": "StateUpdate", "StartDate": world.begun}
        for page in pages.paginate(**given):
            for item in page["AlarmHistoryItems"]:
                if json.loads(item["HistoryData"])["newState"]["stateValue"] == "ALARM":
                    found.add((logical, item["Timestamp"]))
    return found - set(known)


def state_of(world, logical):
    name = world.resources()[logical]
    found = world.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0]["StateValue"]


def wait(world, look):
    """Looks as long as an alarm may take; -> what was seen last"""
    return wait_for(look, 60 * world.alarm_minutes)


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
    world.rung = rings(world, alarms_of(world))
    seen = {logical for logical, _ in world.rung}
    excused = "; IAM showed the new role late, and a reset failed" if seen & world.excused else ""
    return seen <= {"Knocking"} | world.excused, f"{sorted(seen)}{excused}"


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
    "Lambda's level filter reads the level of a log line.",
    "with `ApplicationLogLevel` ERROR an ERROR line comes, and no INFO line",
    real=True,
)
def level_filter(world, _):
    """While the baseline is away each reset logs an error. A line without a level would count as INFO."""
    client, name = world.client("lambda"), world.resources()["ResetPolicyFunction"]
    before = client.get_function_configuration(FunctionName=name)["LoggingConfig"]
    try:
        begun = set_logging(client, name, {**before, "ApplicationLogLevel": "ERROR"})
        ended = date_of(client.invoke(FunctionName=name, Payload=b"{}")) + 1
        levels = levels_between(world, begun, ended)
    finally:
        set_logging(client, name, before)
    return levels["ERROR"] > 0 and set(levels) == {"ERROR"}, dict(levels)


def set_logging(client, name, config):
    """-> when it is in force, by AWS's clock"""
    client.update_function_configuration(FunctionName=name, LoggingConfig=config)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    return date_of(client.get_function_configuration(FunctionName=name))


def date_of(answer):
    found = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return email.utils.parsedate_to_datetime(found).timestamp() if found else time.time()


def levels_between(world, begun, ended):
    """-> how many lines of each level reset-policy has logged in these seconds"""
    group = world.resources()["ResetPolicyLogs"]
    given = {"startTime": int(begun * 1000), "endTime": int(ended * 1000)}

    def levels():
        lines = [each["message"] for each in insights.events(world, group, "", **given)]
        found = [json.loads(line).get("level") for line in lines if line.startswith("{")]
        # The platform's own lines have none.
        return collections.Counter(level for level in found if level)

    # They come in their order, but not at once.
    if wait_for(lambda: levels()["ERROR"], world.patience):
        time.sleep(world.calm)
    return levels()


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

        seen = wait(world, look)
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
    # It rang for the requests without a key, and only an alarm that is quiet again can ring.
    wait(world, lambda: state_of(world, "Knocking") != "ALARM")
    names = {logical: name for logical, name in alarms_of(world).items() if logical in RING}
    # One that rang early because of IAM stays as it is for an hour, and does not ring again.
    known = {each for each in world.rung if each[0] not in world.excused}
    known |= rings(world, {"Knocking": names["Knocking"]})
    for _ in range(25):
        world.call("wrong" * 8)
        time.sleep(min(0.5, world.calm / 5))

    def seen():
        return {logical for logical, _ in rings(world, names, known)}

    wait(world, lambda: set(RING) <= seen())
    return set(RING) <= seen(), sorted(seen())


@question(ALARMS, "The topic tells of them.", "a message for each", real=True)
def told(world, _):
    names = world.resources()

    def missing():
        texts = world.mailbox.look()
        return [each for each in RING if not any(names[each] in text for text in texts)]

    wait(world, lambda: not missing())
    left = missing()
    return not left, f"{len(world.mailbox.found)} messages" + (f", none of {left}" if left else "")


@question(ALARMS, "The heartbeat is seen.", "`ResetMissing` is OK", real=True)
def heartbeat(world, _):
    wait(world, lambda: state_of(world, "ResetMissing") == "OK")
    seen = state_of(world, "ResetMissing")
    return seen == "OK", seen


@question(
    ALARMS, "Only a login ends the subscription by mail.", "`ConfirmationWasAuthenticated` is true", real=True
)
def subscription(world, _):
    if not world.email:
        raise NotAsked("no mail address was given (--email)")
    print("  AWS has mailed a link to you. Do not open it. Copy the text after `Token=`, up to the next `&`.")
    try:
        token = input("  Token: ").strip()
    except EOFError:
        raise NotAsked("nobody was there to copy the token") from None
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

    seen = wait(world, look)
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

    wait_for(gone, 60 * (max(12, world.alarm_minutes) if world.alarm_minutes >= 1 else world.alarm_minutes))
    document = world.client("iam").get_policy_version(PolicyArn=world.gate, VersionId=world.default_version())
    listed = network in json.dumps(document["PolicyVersion"]["Document"])
    return not listed, f"{network} is {'still' if listed else 'no longer'} on the list"


# It makes reset-policy log an error, and the alarm of that error would ring into the questions above.
LAST = "At the end"


@question(
    LAST,
    "If a role cannot be assumed, the error says what to correct.",
    "`sts:AssumeRole`, and the role's name",
)
def cannot_assume(world, _):
    name = f"{world.prefix}-helper"
    # It trusts the user, and so not the functions.
    principal = {"AWS": world.arn("user", world.user_name)}
    allow = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    world.make_role(name, {"Version": "2012-10-17", "Statement": [allow]})
    world.deploy(AssumeRoles=world.arn("role", name))
    try:
        _, report = world.invoke({"dry_run": True})
    finally:
        world.deploy(AssumeRoles="")
    text = report.get("errorMessage", json.dumps(report))
    return "sts:AssumeRole" in text and name in text, text
