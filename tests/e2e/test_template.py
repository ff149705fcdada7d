"""The template as it was built and as it was deployed."""
import yaml
from runtime import ADD_IP, RESET_POLICY, Function, add
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
                    elif action.startswith("sns:"):
                        assert (action, resource) == ("sns:Publish", stack.outputs["AlarmTopic"]), statement
                    elif action.startswith("logs:"):
                        assert resource.startswith("arn:aws:logs:") and f"{kind}Logs" in resource, statement
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


def built():
    """The built template, for what the emulator takes without showing it."""
    return yaml.safe_load((BUILT / "template.yaml").read_text())["Resources"]


def test_every_alarm_is_there_and_tells_the_topic(stack):
    alarms = stack.aws("cloudwatch", "describe-alarms")["MetricAlarms"]
    assert sorted(alarm["MetricName"] for alarm in alarms) == ["AddErrors", "Errors", "Errors", "PercentFull", "ResetsCompleted", "Unauthorized"]
    assert all(alarm["AlarmActions"] == [stack.outputs["AlarmTopic"]] for alarm in alarms), alarms
    heartbeat = next(alarm for alarm in alarms if alarm["MetricName"] == "ResetsCompleted")
    assert heartbeat["TreatMissingData"] == "breaching" and heartbeat["Period"] * heartbeat["EvaluationPeriods"] == 26 * 3600
    config = built()["ResetPolicyFunction"]["Properties"]["EventInvokeConfig"]
    assert config["DestinationConfig"]["OnFailure"] == {"Type": "SNS", "Destination": {"Ref": "Alarms"}}


def test_old_leases_and_grants_end_and_baselines_are_kept():
    rules = built()["StateBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"] for rule in rules} == {"lease.json", "grants/"}
    assert all(set(rule) <= {"Id", "Status", "Prefix", "NoncurrentVersionExpiration", "ExpiredObjectDeleteMarker"} for rule in rules)


def test_the_metric_filters_name_what_the_functions_log(stack, account):
    patterns = " ".join(f["filterPattern"] for f in stack.aws("logs", "describe-metric-filters")["metricFilters"])
    for part in ('$.fields.outcome = "reset_completed"', '$.fields.outcome = "unauthorized"', "$.fields.percent_full", '$.level = "ERROR"'):
        assert part in patterns, patterns
    settings = {
        "AWS_ENDPOINT_URL": stack.endpoint, "POLICY_ARNS": POLICY_ARN, "STATE_BUCKET": stack.outputs["StateBucket"],
        "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO",
    }
    with Function(ADD_IP, settings) as function:
        assert add(function, stack.member_key, "51.44.71.1")[0] == 200
        assert add(function, "wrong", "51.44.71.1")[0] == 401
        lines = function.log()
    added = next(line["fields"] for line in lines if line["fields"].get("outcome") == "added")
    assert (added["member"], added["source.network"], added["policy.arn"]) == ("alice", "51.44.71.1/32", POLICY_ARN), added
    assert added["policy.version"].startswith("v") and 0 < added["percent_full"] < 100, added
    assert any(line["fields"].get("outcome") == "unauthorized" for line in lines)
    assert stack.member_key not in str(lines) and "wrong" not in str(lines), "a key is never logged"
    with Function(RESET_POLICY, settings, timeout=120) as function:
        function.call({})
        assert any(line["fields"].get("outcome") == "reset_completed" for line in function.log())
    with Function(RESET_POLICY, {**settings, "POLICY_ARNS": "arn:aws:iam::000000000000:policy/nowhere"}, timeout=120) as function:
        failed, _ = function.call({})
        lines = function.log()
    assert failed and any(line["level"] == "ERROR" for line in lines)
    assert not any(line["fields"].get("outcome") == "reset_completed" for line in lines)
