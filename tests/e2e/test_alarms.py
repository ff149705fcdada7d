"""The alarms as they were deployed, and the metric filters on real log lines of the release binaries."""

import json
import re

from built_template import of_type, properties, template
from emulator import POLICY_ARN
from log_filters import matches
from runtime import ADD_IP, RESET_POLICY, Function, add


def test_every_alarm_is_there_and_tells_the_topic(stack):
    alarms = stack.aws("cloudwatch", "describe-alarms", "--alarm-name-prefix", "ip-gate-")["MetricAlarms"]
    assert sorted(alarm["MetricName"] for alarm in alarms) == [
        "AddErrors",
        "BaselinesCaptured",
        "Drift",
        "Errors",
        "Errors",
        "ForeignObjects",
        "PercentFull",
        "ResetErrors",
        "ResetsCompleted",
        "TargetErrorCount",
        "Unauthorized",
    ]
    assert all(alarm["AlarmActions"] == [stack.outputs["AlarmTopic"]] for alarm in alarms), alarms
    config = properties("ResetPolicyFunction")["EventInvokeConfig"]
    assert config["DestinationConfig"]["OnFailure"] == {"Type": "SNS", "Destination": {"Ref": "Alarms"}}


def test_the_heartbeat_rings_when_resets_stop(stack):
    alarms = stack.aws("cloudwatch", "describe-alarms", "--alarm-name-prefix", "ip-gate-ResetMissing")[
        "MetricAlarms"
    ]
    (heartbeat,) = alarms
    topic = [stack.outputs["AlarmTopic"]]
    # Missing data, not breaching data: see the comment in the template.
    assert (heartbeat["TreatMissingData"], heartbeat["InsufficientDataActions"], heartbeat["OKActions"]) == (
        "missing",
        topic,
        topic,
    )
    assert heartbeat["Period"] * heartbeat["EvaluationPeriods"] == 26 * 3600
    most = template()["Parameters"]["ResetMissingHours"]["MaxValue"]
    assert heartbeat["Period"] * most <= 604_800, "CloudWatch refuses a longer window"


def test_each_alarm_on_a_metric_of_ours_has_its_filter():
    filled = {
        f["Properties"]["MetricTransformations"][0]["MetricName"]
        for f in of_type("AWS::Logs::MetricFilter").values()
    }
    watched = {
        a["Properties"]["MetricName"]
        for a in of_type("AWS::CloudWatch::Alarm").values()
        if a["Properties"]["Namespace"] == {"Ref": "AWS::StackName"}
    }
    assert filled == watched


def rings(function, lines):
    """The metrics that the deployed filters of this function's log would count these lines in."""
    found = set()
    for metric_filter in of_type("AWS::Logs::MetricFilter").values():
        given = metric_filter["Properties"]
        if given["LogGroupName"] == {"Ref": f"{function}Logs"} and any(
            matches(given["FilterPattern"], line) for line in lines
        ):
            found.add(given["MetricTransformations"][0]["MetricName"])
    return found


def test_the_metric_filters_count_what_the_functions_log(stack, account):
    settings = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "POLICY_ARNS": POLICY_ARN,
        "STATE_BUCKET": stack.outputs["StateBucket"],
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
    }
    wrong = "wrong" * 8
    with Function(ADD_IP, settings) as function:
        assert add(function, stack.member_key, "51.44.71.1")[0] == 200
        lines = function.log()
    assert rings("AddIp", lines) == {"BaselinesCaptured", "PercentFull"}, lines
    added = next(line["fields"] for line in lines if line["fields"].get("outcome") == "added")
    assert (added["member"], added["source.network"], added["target.arn"]) == (
        "alice",
        "51.44.71.1/32",
        POLICY_ARN,
    ), added
    assert added["target.version"].startswith("v") and 0 < added["percent_full"] < 100, added
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["timestamp"]) for line in lines
    ), lines

    stack.put("grants/not-a-network/mallory.json", "{}")
    with Function(ADD_IP, settings) as function:
        assert add(function, wrong, "51.44.71.1")[0] == 401
        assert add(function, stack.member_key, "51.44.71.2")[0] == 200
        unwell = function.log()
    assert rings("AddIp", unwell) == {"Unauthorized", "ForeignObjects", "AddErrors", "PercentFull"}, unwell
    assert stack.member_key not in str(lines + unwell) and wrong not in str(unwell), "a key is never logged"

    document = account.document(POLICY_ARN)
    document["Statement"][0]["Sid"] = "EditedByHand"
    account.iam.create_policy_version(
        PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(document), SetAsDefault=True
    )
    assert rings("ResetPolicy", reset_log(settings)) == {
        "ResetsCompleted",
        "Drift",
        "ForeignObjects",
        "ResetErrors",
    }
    account.s3.delete_object(Bucket=stack.outputs["StateBucket"], Key="grants/not-a-network/mallory.json")
    assert rings("ResetPolicy", reset_log(settings)) == {"ResetsCompleted"}, "nothing differs any more"
    nowhere = {**settings, "POLICY_ARNS": "arn:aws:iam::000000000000:policy/nowhere"}
    assert rings("ResetPolicy", reset_log(nowhere, fails=True)) == {"ResetErrors"}
    assert rings("ResetPolicy", reset_log(settings, {"rollback": "v999"})) == set(), (
        "a mistake of an administrator rings nothing"
    )


def reset_log(settings, event=None, fails=False):
    with Function(RESET_POLICY, settings, timeout=120) as function:
        failed, answer = function.call(event or {})
        assert bool(failed) == fails, answer
        return function.log()
