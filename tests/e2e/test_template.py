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
