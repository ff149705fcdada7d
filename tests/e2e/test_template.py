"""The template as it was built and as it was deployed."""
import yaml
from stack import BUILT, POLICY_ARN
from conftest import HELPER_ARN, JUMP_ARN, OTHER_ARN, SECOND_ARN


def test_the_local_template_lacks_exactly_what_the_emulator_cannot_do(stack):
    built = yaml.safe_load((BUILT / "template.yaml").read_text())
    local = yaml.safe_load((BUILT / "template-local.yaml").read_text())
    bucket_policy = built["Resources"].pop("StateBucketPolicy")
    statement = bucket_policy["Properties"]["PolicyDocument"]["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert create_only(built).pop("Condition") == {"Null": {"s3:if-none-match": "false"}}
    assert built == local


def create_only(template):
    statements = template["Resources"]["AddIpRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return next(statement for statement in statements if statement.get("Sid") == "CreateBaseline")


def roles(stack):
    """The rendered statements of both roles, by function."""
    found = {}
    for role in stack.aws("iam", "list-roles")["Roles"]:
        for kind in ("AddIp", "ResetPolicy"):
            if f"-{kind}Role-" in role["RoleName"]:
                name = stack.aws("iam", "list-role-policies", "--role-name", role["RoleName"])["PolicyNames"][0]
                policy = stack.aws("iam", "get-role-policy", "--role-name", role["RoleName"], "--policy-name", name)
                found[kind] = policy["PolicyDocument"]["Statement"]
                attached = stack.aws("iam", "list-attached-role-policies", "--role-name", role["RoleName"])
                assert attached["AttachedPolicies"] == [], "the roles are written out"
    return found


def as_list(value):
    return value if isinstance(value, list) else [value]


def test_each_role_names_exactly_what_it_touches(stack):
    bucket = f"arn:aws:s3:::{stack.outputs['StateBucket']}"
    for kind, statements in roles(stack).items():
        for statement in statements:
            assert statement["Effect"] == "Allow"
            for action in as_list(statement["Action"]):
                assert "*" not in action, statement
                for resource in as_list(statement["Resource"]):
                    if "Role" in action and action.startswith("iam:"):
                        assert resource in (JUMP_ARN, OTHER_ARN), statement
                    elif action.startswith("iam:"):
                        assert resource in (POLICY_ARN, SECOND_ARN), statement
                    elif action.startswith("sts:"):
                        assert resource == HELPER_ARN, statement
                    elif action.startswith("s3:"):
                        assert resource.startswith(bucket), statement
                        assert resource in (bucket, bucket + "/lease.json") or resource.endswith(("/baseline/*", "/members/*", "/grants/*"))
        allowed = {(action, resource.removeprefix(bucket)) for s in statements for action in as_list(s["Action"]) for resource in as_list(s["Resource"])}
        writes = {resource for action, resource in allowed if action in ("s3:PutObject", "s3:DeleteObject")}
        if kind == "AddIp":
            assert writes == {"/grants/*", "/lease.json", "/baseline/*"}
            assert ("s3:DeleteObject", "/baseline/*") not in allowed
        else:
            assert writes == {"/grants/*", "/lease.json"}
            assert not any(resource.startswith("/members") for _, resource in allowed)


def test_the_schedule_has_a_name_of_its_own_and_the_time_zone_is_in_the_template(stack):
    schedule = stack.aws("scheduler", "get-schedule", "--name", "ip-gate-nightly-reset")
    assert schedule["ScheduleExpression"] == "cron(0 0 * * ? *)"
    # The emulator drops the time zone, so it is looked for in what was deployed.
    built = yaml.safe_load((BUILT / "template.yaml").read_text())
    event = built["Resources"]["ResetPolicyFunction"]["Properties"]["Events"]["Nightly"]["Properties"]
    assert event["ScheduleExpressionTimezone"] == {"Ref": "ResetTimeZone"}


def logs(stack, function, outcome, seconds=10):
    """The lines of a function's log with this outcome; the emulator shows a log a little later."""
    import json
    import time
    group = stack.aws("lambda", "get-function-configuration", "--function-name", function)["LoggingConfig"]["LogGroup"]
    deadline = time.monotonic() + seconds
    while True:
        events = stack.aws("logs", "filter-log-events", "--log-group-name", group)["events"]
        found = [json.loads(e["message"]) for e in events if e["message"].startswith("{") and f'"outcome":"{outcome}"' in e["message"]]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def test_every_alarm_is_there_and_tells_the_topic(stack):
    alarms = {alarm["MetricName"]: alarm for alarm in stack.aws("cloudwatch", "describe-alarms")["MetricAlarms"] if "AlarmActions" in alarm}
    assert {"ResetsCompleted", "AddErrors", "PercentFull", "Unauthorized", "Errors"} <= set(alarms), set(alarms)
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [stack.outputs["AlarmTopic"]]
    heartbeat = alarms["ResetsCompleted"]
    assert heartbeat["TreatMissingData"] == "breaching" and heartbeat["Period"] * heartbeat["EvaluationPeriods"] == 26 * 3600
    config = stack.aws("lambda", "get-function-event-invoke-config", "--function-name", stack.outputs["ResetFunction"])
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == stack.outputs["AlarmTopic"]


def test_old_leases_and_grants_end_and_baselines_are_kept(stack):
    rules = stack.aws("s3api", "get-bucket-lifecycle-configuration", "--bucket", stack.outputs["StateBucket"])["Rules"]
    prefixes = {rule.get("Prefix") or rule.get("Filter", {}).get("Prefix") for rule in rules}
    assert prefixes == {"lease.json", "grants/"}


def test_the_metric_filters_name_what_the_functions_log(stack, account):
    filters = {f["filterName"]: f["filterPattern"] for f in stack.aws("logs", "describe-metric-filters")["metricFilters"]}
    patterns = " ".join(filters.values())
    for part in ('$.fields.outcome = "reset_completed"', '$.fields.outcome = "unauthorized"', "$.fields.percent_full", '$.level = "ERROR"'):
        assert part in patterns, filters
    assert stack.call(stack.member_key, "127.0.0.2")[0] == 200
    stack.call("wrong", "127.0.0.2")
    account.invoke(stack.outputs["ResetFunction"])
    add_ip = next(f["FunctionName"] for f in stack.aws("lambda", "list-functions")["Functions"] if "AddIpFunction" in f["FunctionName"])
    added = logs(stack, add_ip, "added")[-1]
    assert added["fields"]["member"] == "alice" and 0 < added["fields"]["percent_full"] < 100, added
    assert added["fields"]["source.network"] == "127.0.0.2/32" and added["fields"]["policy.arn"], added
    assert logs(stack, add_ip, "unauthorized")
    assert logs(stack, stack.outputs["ResetFunction"], "reset_completed")
    everything = stack.aws("logs", "filter-log-events", "--log-group-name", stack.aws("lambda", "get-function-configuration", "--function-name", add_ip)["LoggingConfig"]["LogGroup"])
    assert stack.member_key not in str(everything), "a key is never logged"
