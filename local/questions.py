"""The questions that AWS's documentation leaves open: the last part of docs/first-deploy.md.

The sentences are the same there. A test compares them.
"""

import collections
import json
import re
import tempfile

import boto3
from botocore.exceptions import ClientError

import endpoints
import gateway  # noqa: F401, they are asked before these
import insights
import measure
from asking import NotAsked, question
from listener import Mailbox
from show import Show
from tools import Problem
from world import OFFICE, error_code, key_in, wait_for


def widen(world, report):
    """A policy whose list has this machine's address, and a role whose trust policy has two principals."""
    show = Show(world, report)
    show.chapter("a second policy and a role, in the same stack")
    world.make_policy(world.office_name, world.gate_document(OFFICE, world.own_network))
    world.make_role(world.role_name, trust(world))
    world.office_user = world.make_user(f"{world.prefix}-office")
    report.hide(world.office_user[0], "ACCESS-KEY-ID")
    world.attach(f"{world.prefix}-office", world.office)
    world.role = world.arn("role", world.role_name)
    world.deploy(PolicyArns=f"{world.gate},{world.office}", RoleArns=world.role)
    if world.real:
        # From now on, so that it hears every alarm.
        world.mailbox = Mailbox(world)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        # As an administrator writes it, not as IAM reads it back.
        file.write(json.dumps(trust(world)))
        file.flush()
        show.command("baseline", "save", "--arn", world.office, expect="saved as s3://")
        save = ("baseline", "save", "--arn", world.role, "--file")
        show.command(*save, file.name, shown=(*save, "trust.json"), expect="saved as s3://")
    printed = world.command("member", "add", "carol")[1]
    world.key = key_in(printed)
    report.hide(world.key, "$KEY")
    show.command("reset", expect="unchanged")


def trust(world):
    """Not in the order and not in the form in which IAM keeps it: a bare account, and two principals."""
    principals = [world.arn("user", world.user_name), world.account]
    listed = {"IpAddress": {"aws:SourceIp": [OFFICE]}}
    allow = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [{**allow, "Condition": listed}]}


# -- the functions ---------------------------------------------------------------------------------

FUNCTIONS = "The functions"


@question(FUNCTIONS, "The functions are for the processor that `Architecture` says.", "the same for both")
def processor(world, _):
    names = [world.resources()[name] for name in ("AddIpFunction", "ResetPolicyFunction")]
    client = world.client("lambda")
    seen = [client.get_function_configuration(FunctionName=name)["Architectures"][0] for name in names]
    return set(seen) == {world.architecture}, ", ".join(seen)


@question(FUNCTIONS, "A mistyped command is refused, and no alarm rings.", "one line; of alarms see below")
def mistyped(world, _):
    done, text = world.command("rollback", "v9999", "--arn", world.gate)
    return not done and "v9999" in text and len(text.splitlines()) == 1, text


@question(
    FUNCTIONS,
    "Log lines are JSON with a timestamp and a level.",
    "JSON with `timestamp` (RFC 3339) and `level`",
    real=True,
)
def log_lines(world, report):
    lines = {
        logical: log_line(world, logical, outcome)
        for logical, outcome in [("AddIpLogs", "added"), ("ResetPolicyLogs", "reset_completed")]
    }
    report.note("Lines as CloudWatch shows them:\n\n```json\n" + "\n".join(lines.values()) + "\n```")
    good = [
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", json.loads(line).get("timestamp", ""))
        and json.loads(line).get("level") == "INFO"
        for line in lines.values()
    ]
    return all(good), "see the lines below"


def log_line(world, logical, outcome):
    group, pattern = world.resources()[logical], f'{{ $.fields.outcome = "{outcome}" }}'
    found = wait_for(lambda: insights.messages(world, group, pattern), world.patience)
    if not found:
        raise Problem(f"no line with outcome {outcome} came to {logical}")
    return found[-1]


# -- the schedules and the bucket ------------------------------------------------------------------


@question(
    "The schedules",
    "The schedules are enabled, in their time zone.",
    "`ENABLED`, as the template says, `UTC`",
)
def schedules(world, _):
    found = [world.schedule(name) for name in ("NightlyReset", "Expiry")]
    seen = [
        (each["State"], each["ScheduleExpression"], each.get("ScheduleExpressionTimezone")) for each in found
    ]
    wanted = {"ResetSchedule": "cron(0 0 * * ? *)", "ExpirySchedule": "rate(15 minutes)"} | world.parameters
    expected = [("ENABLED", wanted[name], "UTC") for name in ("ResetSchedule", "ExpirySchedule")]
    return seen == expected, seen


BUCKET = "The state bucket"


@question(
    BUCKET,
    "The bucket refuses others.",
    "explicit deny in a resource-based policy, a user and an administrator",
    real=True,
)
def bucket_refuses(world, _):
    seen = []
    # A user whom the gate lets through, and the administrator of this run.
    for user in (world.office_user, None):
        try:
            world.client("s3", user=user).put_object(Bucket=world.bucket, Key="grants/test", Body=b"x")
            seen.append("it was written")
        except ClientError as error:
            seen.append(str(error))
    return all("explicit deny in a resource-based policy" in text for text in seen), "; ".join(seen)


@question(BUCKET, "The bucket takes TLS only.", "AccessDenied over plain HTTP", real=True)
def tls_only(world, _):
    plain = f"http://s3.{world.region}.amazonaws.com"
    key, secret, token = world.credentials()
    client = boto3.client(
        "s3",
        region_name=world.region,
        endpoint_url=world.endpoint or plain,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )
    try:
        client.list_objects_v2(Bucket=world.bucket)
    except ClientError as error:
        return error_code(error) == "AccessDenied", error
    return False, "it was listed"


# -- IAM -------------------------------------------------------------------------------------------

IAM = "IAM"


@question(
    IAM,
    "Version ids only grow, also after the newest version was deleted; and a fresh version can be read.",
    "v2 v3 v4, then v5; five reads find it",
    real=True,
)
def version_ids(world, _):
    """The whole algorithm rests on the first half."""
    name, iam = f"{world.prefix}-question", world.client("iam")
    document = json.dumps(world.gate_document(OFFICE))
    arn = world.arn("policy", name)
    world.make_policy(name, world.gate_document(OFFICE))

    def new():
        made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document)
        return made["PolicyVersion"]["VersionId"]

    made = [new(), new(), new()]
    iam.delete_policy_version(PolicyArn=arn, VersionId=made[-1])
    made.append(new())
    reads = []
    for _ in range(5):
        try:
            iam.get_policy_version(PolicyArn=arn, VersionId=made[-1])
            reads.append("found")
        except ClientError as error:
            reads.append(error_code(error))
    # A read that fails is only lag. A second v4 would break the algorithm.
    return made == ["v2", "v3", "v4", "v5"], f"{' '.join(made)}; {' '.join(reads)}"


@question(
    IAM,
    "A trust policy in IAM's own order is no drift.",
    "two resets: `unchanged`, no drift; what was read is below",
)
def trust_order(world, report):
    iam = world.client("iam")
    read = []
    for _ in range(5):
        document = iam.get_role(RoleName=world.role_name)["Role"]["AssumeRolePolicyDocument"]
        read.append(json.dumps(document["Statement"][0]["Principal"]))
    orders = collections.Counter(read)
    written = json.dumps(trust(world)["Statement"][0]["Principal"])
    lines = [f"written  {written}", *(f"read {count} times  {order}" for order, count in orders.items())]
    report.note(
        "The trust policy's principals, as written and as read back:\n\n```\n" + "\n".join(lines) + "\n```"
    )
    world.call(world.key, **world.second)
    first = world.invoke()[1]
    again = [world.invoke()[1] for _ in range(2)]
    of_role = [
        next(each for each in report["targets"] if each["arn"] == world.role) for report in [first, *again]
    ]
    good = [each["status"] for each in again] == ["unchanged"] * 2 and not any(
        each["drift"] for each in of_role
    )
    return good, [(each["status"], each["drift"]) for each in of_role]


@question(
    IAM,
    "How long IAM takes, and whether anybody is refused meanwhile.",
    "all changes show; a user who is on the list is never refused",
)
def lag(world, report):
    return measure.iam_lag(world, world.key, report)


@question(IAM, "How long a member waits, warm and cold.", "200 each time")
def member_waits(world, report):
    return measure.waits(world, world.key, report)


@question(
    IAM, "The endpoints' certificates end at the embedded roots.", "each endpoint is trusted", real=True
)
def certificates(world, report):
    if world.endpoint:
        raise NotAsked("an emulator has no endpoints of AWS")
    return endpoints.certificates(world, report)


# -- after some use --------------------------------------------------------------------------------

USE = "After this use"


@question(
    USE, "The functions never take their own version for somebody else's.", "no line with `merged.version`"
)
def nothing_merged(world, _):
    found = insights.messages(world, world.resources()["AddIpLogs"], '"merged.version"')
    return not found, f"{len(found)} lines"


@question(USE, "Work after the answer ends in time.", "the longest request under 28,000 ms", real=True)
def work_ends(world, _):
    """The platform's own lines."""
    text = (
        'filter type = "platform.report" | stats count(*) as requests, '
        "max(record.metrics.durationMs) as longest, "
        "pct(record.metrics.durationMs, 50) as median, count(record.metrics.initDurationMs) as cold, "
        "max(record.metrics.initDurationMs) as longest_start, "
        "max(record.metrics.maxMemoryUsedMB) as memory_mb"
    )

    def enough(rows):
        return rows and rows[0].get("longest")

    found = insights.query(world, [world.resources()["AddIpLogs"]], text, enough)
    if not enough(found):
        return False, "Logs Insights found no line of the platform"
    return float(found[0]["longest"]) < 28000, found[0]


@question(USE, "The saved queries find what they are for.", "three queries; each finds a line", real=True)
def saved_queries(world, _):
    prefix = f"{world.stack_name}/"
    found = world.client("logs").describe_query_definitions(queryDefinitionNamePrefix=prefix)
    seen = {
        each["name"].removeprefix(prefix): len(
            insights.query(world, each["logGroupNames"], each["queryString"])
        )
        for each in found["queryDefinitions"]
    }
    return len(seen) == 3 and all(seen.values()), ", ".join(f"{name}: {n} lines" for name, n in seen.items())
