"""The template as it was built and as it was deployed."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from built_template import as_list, of_type, properties, resources, template
from conftest import HELPER_ARN, JUMP_ARN, OTHER_ARN, SECOND_ARN
from emulator import POLICY_ARN, SAVED_QUERIES, local_template, nightly_reset
from tools import BUILT, ROOT, Problem

ROUTES = {
    ("/", "get"),
    ("/add", "get"),
    ("/add", "post"),
    ("/status", "get"),
    ("/status", "post"),
    ("/remove", "post"),
}
# DESIGN of the settings: what each function is given, and nothing else.
BOTH = {
    "POLICY_ARNS",
    "ROLE_ARNS",
    "ASSUME_ROLES",
    "STATE_BUCKET",
    "GATE_SIDS",
    "CUTOFF_HOURS",
    "ADDRESS_SCOPE",
    "MAX_GRANTS_PER_MEMBER",
    "TRUST_POLICY_LIMIT",
    "NOTIFY_TOPIC",
    "MALLOC_ARENA_MAX",
}
ADD_IP_ONLY = {
    "OPEN_ACCESS",
    "EXPLICIT_IP",
    "IPV6_PREFIX_LENGTH",
    "MAX_ENTRY_HOURS",
    "RESET_DESCRIPTION",
    "RESET_SCHEDULE",
    "RESET_TIME_ZONE",
}


# -- what is deployed locally --------------------------------------------------------------------------------


def test_the_local_template_lacks_exactly_what_cannot_hold_in_the_emulator(stack):
    built = template()
    local = yaml.safe_load((BUILT / "template-local.yaml").read_text())
    for name in ("StateBucketPolicy", *SAVED_QUERIES):
        del built["Resources"][name]
    assert create_only(built).pop("Condition") == {"Null": {"s3:if-none-match": "false"}}
    assert built == local


def create_only(template):
    statements = template["Resources"]["AddIpRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    return next(statement for statement in statements if statement.get("Sid") == "CreateBaseline")


def test_guided_deploys_with_enter_at_every_question_but_one(stack, tmp_path):
    # `--guided` saves its answers, so it gets a copy.
    config = shutil.copy(ROOT / "samconfig.toml", tmp_path)
    command = [
        "sam",
        "deploy",
        "--guided",
        "--config-file",
        config,
        "--template-file",
        local_template(),
        "--stack-name",
        "guided",
    ]
    name_and_region = "\n\n"
    done = subprocess.run(
        command,
        cwd=BUILT,
        env=stack.environment(),
        input=f"{name_and_region}{POLICY_ARN}\n" + "\n" * 60,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "Successfully created/updated stack - guided" in done.stdout, done.stdout
    stack.aws("cloudformation", "delete-stack", "--stack-name", "guided")


def test_a_stack_without_a_target_is_refused(stack):
    with pytest.raises(Problem, match="Set PolicyArns to the ARN of the managed policy that is your IP gate"):
        stack.sam_deploy("no-target", {"PolicyArns": '""'})


# -- parameters ----------------------------------------------------------------------------------------------

ACCOUNT_POLICY = "arn:aws:iam::111122223333:policy/"
ACCOUNT_ROLE = "arn:aws:iam::111122223333:role/"


@pytest.mark.parametrize(
    "name, accepted, refused",
    [
        (
            "PolicyArns",
            [
                "",
                ACCOUNT_POLICY + "gate",
                ACCOUNT_POLICY + "team/a/gate_1," + ACCOUNT_POLICY + "b+=.@-",
                "arn:aws-us-gov:iam::111122223333:policy/g",
            ],
            [
                ACCOUNT_POLICY + "*",
                ACCOUNT_POLICY + "ga?e",
                ACCOUNT_POLICY + "${aws:username}",
                ACCOUNT_POLICY,
                "arn:aws:iam::*:policy/gate",
                ACCOUNT_POLICY + "a, " + ACCOUNT_POLICY + "b",
                ACCOUNT_POLICY + "a,",
                "arn:aws:iam::aws:policy/ReadOnlyAccess",
                ACCOUNT_ROLE + "gate",
            ],
        ),
        (
            "RoleArns",
            ["", ACCOUNT_ROLE + "jump", ACCOUNT_ROLE + "a/b," + ACCOUNT_ROLE + "c"],
            [ACCOUNT_ROLE + "*", ACCOUNT_POLICY + "gate", "*"],
        ),
        (
            "AssumeRoles",
            ["", ACCOUNT_ROLE + "ip-gate"],
            [ACCOUNT_ROLE + "*", "arn:aws:iam::111122223333:root"],
        ),
        (
            "AdminPrincipalArns",
            [
                "",
                ACCOUNT_ROLE + "admin",
                "arn:aws:iam::111122223333:user/ann",
                ACCOUNT_ROLE + "admin,arn:aws:iam::111122223333:user/ann",
                ACCOUNT_ROLE + "aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Admin_*",
            ],
            [
                "*",
                "arn:aws:iam::*:role/admin",
                "arn:aws:sts::111122223333:assumed-role/admin/ann",
                "arn:aws:iam::111122223333:root",
                "admin",
                ACCOUNT_ROLE + "admin, " + ACCOUNT_ROLE + "b",
            ],
        ),
        (
            "PermissionsBoundaryArn",
            [
                "",
                ACCOUNT_POLICY + "boundary",
                "arn:aws:iam::aws:policy/PowerUserAccess",
                "arn:aws:iam::aws:policy/job-function/Billing",
            ],
            [ACCOUNT_POLICY + "*", "arn:aws:iam::other:policy/x", ACCOUNT_ROLE + "x"],
        ),
        ("AlarmEmail", ["none", "", "ops@example.com"], ["ops", "None", "a b@example.com"]),
        (
            "ExpirySchedule",
            ["", "none", "rate(15 minutes)", "cron(0/5 * * * ? *)"],
            ["15 minutes", "rate()", "off"],
        ),
        (
            "ResetSchedule",
            ["cron(0 0 * * ? *)", "rate(1 day)", "at(2027-01-01T00:00:00)"],
            ["", "none", "daily"],
        ),
        ("ReservedConcurrency", ["", "0", "10"], ["ten", "-1", "1.5"]),
    ],
)
def test_a_parameter_takes_what_is_safe(name, accepted, refused):
    pattern = template()["Parameters"][name]["AllowedPattern"]
    assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
    assert [value for value in refused if re.fullmatch(pattern, value)] == []


@pytest.mark.parametrize(
    "name, default, least, most",
    [
        ("MaxEntryHours", 24, 1, 8760),
        ("CutoffHours", 0, 0, 720),
        ("ResetMissingHours", 26, 0, 168),
        ("MemorySize", 512, 128, 10240),
        ("ThrottlingRate", 2, 1, None),
        ("ThrottlingBurst", 20, 1, None),
    ],
)
def test_a_number_has_a_default_within_its_range(name, default, least, most):
    parameter = template()["Parameters"][name]
    assert (parameter["Default"], parameter.get("MinValue"), parameter.get("MaxValue")) == (
        default,
        least,
        most,
    )


def test_every_parameter_is_described_and_in_a_group():
    built = template()
    groups = built["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(built["Parameters"])
    assert all(parameter["Description"] for parameter in built["Parameters"].values())


def test_each_function_is_given_its_settings_and_no_others():
    common = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert set(common) == BOTH
    assert set(properties("AddIpFunction")["Environment"]["Variables"]) == ADD_IP_ONLY
    assert "Environment" not in properties("ResetPolicyFunction")


# -- the gateway ---------------------------------------------------------------------------------------------


def events(api):
    found = [event["Properties"] for event in properties("AddIpFunction")["Events"].values()]
    return [event for event in found if event["RestApiId"] == {"Ref": api}]


@pytest.mark.parametrize("api", ["Api", "DualStackApi"])
def test_both_apis_have_the_same_routes(api):
    assert {(event["Path"], event["Method"]) for event in events(api)} == ROUTES
    # Without this line `sam deploy --guided` stops at "Security Constraints Not Satisfied".
    assert all(event["Auth"] == {"ApiKeyRequired": False} for event in events(api))


def test_the_throttling_that_the_parameters_promise_is_the_one_that_holds():
    methods = len(events("Api")) + len(events("DualStackApi"))
    for name, limit in [
        ("ThrottlingRate", "ThrottlingRateLimit"),
        ("ThrottlingBurst", "ThrottlingBurstLimit"),
    ]:
        parameter = template()["Parameters"][name]
        assert str(methods) in parameter["Description"].split(), parameter["Description"]
        assert f"at most {methods * parameter['Default']} " in parameter["Description"], parameter[
            "Description"
        ]
        for api in ("Api", "DualStackApi"):
            (setting,) = properties(api)["MethodSettings"]
            assert (setting["ResourcePath"], setting["HttpMethod"], setting[limit]) == (
                "/*",
                "*",
                {"Ref": name},
            )


@pytest.mark.parametrize("api", ["Api", "DualStackApi"])
def test_the_gateway_answers_in_fixed_sentences_that_the_other_api_s_page_can_read(api):
    answers = properties(api)["GatewayResponses"]
    assert {
        "MISSING_AUTHENTICATION_TOKEN",
        "INVALID_SIGNATURE",
        "THROTTLED",
        "DEFAULT_4XX",
        "DEFAULT_5XX",
    } == set(answers)
    for answer in answers.values():
        (body,) = answer["ResponseTemplates"].values()
        assert set(json.loads(body)) == {"error", "message"}
        assert "$" not in body, "a variable can repeat a header"
        headers = answer["ResponseParameters"]["Headers"]
        assert (headers["Access-Control-Allow-Origin"], headers["Cache-Control"]) == ("'*'", "'no-store'")
    assert answers["INVALID_SIGNATURE"] == answers["MISSING_AUTHENTICATION_TOKEN"]
    assert answers["INVALID_SIGNATURE"]["StatusCode"] == "404"
    assert "Retry-After" in answers["THROTTLED"]["ResponseParameters"]["Headers"]


# -- roles ---------------------------------------------------------------------------------------------------


def roles(stack):
    """The rendered statements of both functions' roles, by function."""
    found = {}
    for arn in stack.outputs["FunctionRoles"].split(","):
        role = arn.split("/")[-1]
        kind = next(kind for kind in ("AddIp", "ResetPolicy") if f"-{kind}Role-" in role)
        (name,) = stack.aws("iam", "list-role-policies", "--role-name", role)["PolicyNames"]
        policy = stack.aws("iam", "get-role-policy", "--role-name", role, "--policy-name", name)
        found[kind] = policy["PolicyDocument"]["Statement"]
        attached = stack.aws("iam", "list-attached-role-policies", "--role-name", role)
        assert attached["AttachedPolicies"] == [], "the roles are written out"
    return found


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
                        assert resource in (bucket, bucket + "/lease.json") or resource.endswith(
                            ("/baseline/*", "/members/*", "/grants/*")
                        )
        allowed = {
            (action, resource.removeprefix(bucket))
            for s in statements
            for action in as_list(s["Action"])
            for resource in as_list(s["Resource"])
        }
        writes = {resource for action, resource in allowed if action in ("s3:PutObject", "s3:DeleteObject")}
        if kind == "AddIp":
            assert writes == {"/grants/*", "/lease.json", "/baseline/*"}
            assert ("s3:DeleteObject", "/baseline/*") not in allowed
        else:
            assert writes == {"/grants/*", "/lease.json"}
            assert not any(resource.startswith("/members") for _, resource in allowed)


def test_every_role_has_the_boundary():
    for name, role in of_type("AWS::IAM::Role").items():
        assert "HasBoundary" in str(role["Properties"].get("PermissionsBoundary")), name


# -- schedules -----------------------------------------------------------------------------------------------


def test_the_nightly_reset_is_scheduled(stack):
    schedule = nightly_reset(stack)
    assert (schedule["ScheduleExpression"], schedule["Target"]["Input"]) == ("cron(0 0 * * ? *)", "{}")
    # The emulator drops the time zone, so it is looked for in what was deployed.
    assert properties("NightlyReset")["ScheduleExpressionTimezone"] == {"Ref": "ResetTimeZone"}


def test_the_expiry_is_scheduled(stack):
    schedules = {
        item["Name"]: item["GroupName"] for item in stack.aws("scheduler", "list-schedules")["Schedules"]
    }
    (name,) = (name for name in schedules if name.startswith("ip-gate-Expiry-"))
    schedule = stack.aws("scheduler", "get-schedule", "--name", name, "--group-name", schedules[name])
    assert (schedule["ScheduleExpression"], json.loads(schedule["Target"]["Input"])) == (
        "rate(15 minutes)",
        {"expire": True},
    )


def test_the_longest_stack_name_deploys_without_an_expiry(stack):
    name = "n" + "a" * 127
    stack.sam_deploy(name, {"ExpirySchedule": "none", "ResetMissingHours": "0", "ReservedConcurrency": "5"})
    found = [
        item
        for item in stack.aws("scheduler", "list-schedules")["Schedules"]
        if item["Name"].startswith("na")
    ]
    alarms = stack.aws("cloudwatch", "describe-alarms", "--alarm-name-prefix", name)["MetricAlarms"]
    stack.aws("cloudformation", "delete-stack", "--stack-name", name)
    assert len(found) == 1 and len(found[0]["Name"]) <= 64, found
    assert alarms and not any(alarm["MetricName"] == "ResetsCompleted" for alarm in alarms)


def test_no_schedule_has_a_name_that_could_be_too_long():
    schedules = {**of_type("AWS::Scheduler::Schedule"), **of_type("AWS::Scheduler::ScheduleGroup")}
    assert len(schedules) == 3
    assert not any("Name" in schedule.get("Properties", {}) for schedule in schedules.values())


# -- what is kept --------------------------------------------------------------------------------------------


def test_old_leases_and_grants_end_and_baselines_are_kept():
    rules = properties("StateBucket")["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"] for rule in rules} == {"lease.json", "grants/"}
    assert all(
        set(rule) <= {"Id", "Status", "Prefix", "NoncurrentVersionExpiration", "ExpiredObjectDeleteMarker"}
        for rule in rules
    )


def test_what_must_outlive_the_stack_is_kept_unless_the_creation_failed():
    kept = {name: resource for name, resource in resources().items() if "DeletionPolicy" in resource}
    assert set(kept) == {"StateBucket", "AddIpLogs", "ResetPolicyLogs"}
    assert {(resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) for resource in kept.values()} == {
        ("RetainExceptOnCreate", "Retain")
    }


# -- outputs -------------------------------------------------------------------------------------------------


def test_the_command_that_makes_a_member_works_as_printed(stack, account):
    printed = stack.outputs["CreateMemberCommand"]
    assert "sha256sum" not in printed, "Macs have none"
    done = subprocess.run(["bash", "-c", printed], env=stack.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    key = re.search(r"^[0-9a-f]{64}$", done.stdout, re.MULTILINE)[0]
    status, body = stack.call(key, "127.0.0.5")
    assert (status, json.loads(body)["member"]) == (200, "alice")
