"""What the template's bucket policy and roles allow on AWS, and whom.

The emulator cannot show it (`for_the_emulator` in local/emulator.py says why). So the policies are rendered
here and given to an evaluator that is not ours: an npm package, pinned in local/package-lock.json.
"""

import json
import subprocess

import pytest

from rendering import ACCOUNT, FUNCTION_ARN, GROUP_ARN, NAMES, REGION, TOPIC_ARN, Rendered
from tools import LINT, ROOT, install, install_npm_packages

GATE, SECOND = f"arn:aws:iam::{ACCOUNT}:policy/gate", f"arn:aws:iam::{ACCOUNT}:policy/team/second"
JUMP, HELPER = f"arn:aws:iam::{ACCOUNT}:role/jump", "arn:aws:iam::444455556666:role/ip-gate"
SSO = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Admin_*"
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"

STACKS = {
    "open": Rendered(PolicyArns=GATE),
    "guarded": Rendered(PolicyArns=GATE, AdminPrincipalArns=f"{SSO},{ANN}"),
    "whole": Rendered(
        PolicyArns=f"{GATE},{SECOND}",
        RoleArns=JUMP,
        AssumeRoles=HELPER,
        NotifyChanges="true",
        StateBucketName="an-older-bucket",
        AdminPrincipalArns=SSO,
    ),
}

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# By name: the ARN that `aws:PrincipalArn` has. The functions have their roles' policies; the policies of all
# others allow everything.
PRINCIPALS = {
    "add-ip": NAMES["AddIpRole.Arn"],
    "reset-policy": NAMES["ResetPolicyRole.Arn"],
    "sso-admin": SSO.replace("*A", "eu-west-1/A").replace("_*", "_0123456789abcdef"),
    "ann": ANN,
    "another-role": f"arn:aws:iam::{ACCOUNT}:role/another",
    "another-user": f"arn:aws:iam::{ACCOUNT}:user/another",
    # Names that only look like the ones that are let in.
    "anna": ANN + "a",
    "false-admin": f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Admin_0123456789abcdef",
    "false-add-ip": NAMES["AddIpRole.Arn"] + "-copy",
    "root": f"arn:aws:iam::{ACCOUNT}:root",
}
EVERYBODY_ELSE = ["another-role", "another-user", "anna", "false-admin", "false-add-ip"]
WRITES = [
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ReplicateObject",
    "s3:ReplicateDelete",
]
CREATE_ONLY = {"s3:if-none-match": "*"}


@pytest.fixture(scope="session")
def evaluate():
    """A function from a list of simulations to their results."""
    install(LINT, ROOT / "local" / "requirements-lint.txt")
    install_npm_packages()
    script = ROOT / "tests" / "e2e" / "evaluate.mjs"

    def run(simulations):
        done = subprocess.run(
            [LINT / "bin" / "node", script], input=json.dumps(simulations), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def request(rendered, who, action, resource, context=None):
    """A simulation of one request to the account, as AWS would see it."""
    arn = PRINCIPALS.get(who)
    function_role = {"add-ip": "AddIpRole", "reset-policy": "ResetPolicyRole"}.get(who)
    identity = rendered.role_policy(function_role) if function_role else EVERYTHING
    simulation = {
        "request": {
            "principal": session(arn) if arn else {"type": "Anonymous"},
            "action": action,
            "resource": {"resource": resource, "accountId": resource.split(":")[4] or ACCOUNT},
            "contextVariables": {
                "aws:SecureTransport": "true",
                **({"aws:PrincipalArn": arn} if arn else {}),
                **(context or {}),
            },
        },
        "identityPolicies": [{"name": "own", "policy": identity}] if arn else [],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if resource.startswith("arn:aws:s3:::"):
        simulation["resourcePolicy"] = rendered.properties("StateBucketPolicy")["PolicyDocument"]
    return simulation


def session(arn):
    """A role makes requests as a session; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
    if ":role/" not in arn:
        return arn
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.split('/')[-1]}/session"


def check(evaluate, rendered, rows):
    """Rows are (who, action, resource, context, allowed?); every one that differs is named."""
    results = evaluate([request(rendered, *row[:4]) for row in rows])
    wrong = [
        (row, result) for row, result in zip(rows, results, strict=True) if (result == "Allowed") != row[4]
    ]
    assert wrong == []


def objects(rendered, *keys):
    return [f"arn:aws:s3:::{rendered.bucket()}/{key}" for key in keys]


@pytest.mark.parametrize("name", STACKS)
def test_only_the_functions_and_administrators_write_grants_and_the_lease(evaluate, name):
    rendered = STACKS[name]
    grant, lease = objects(rendered, "grants/51.44.71.80_32/alice.json", "lease.json")
    administrators = {"open": [], "guarded": ["sso-admin", "ann"], "whole": ["sso-admin"]}[name]
    rows = [
        (who, action, resource, None, False)
        for who in EVERYBODY_ELSE
        for action in WRITES
        for resource in (grant, lease)
    ]
    rows += [
        (who, action, resource, None, True)
        for who in administrators
        for action in WRITES
        for resource in (grant, lease)
    ]
    rows += [(who, "s3:PutObject", lease, None, True) for who in ("add-ip", "reset-policy")]
    rows += [(who, "s3:DeleteObject", grant, None, True) for who in ("add-ip", "reset-policy")]
    rows += [(who, action, lease, None, False) for who in ("add-ip", "reset-policy") for action in WRITES[1:]]
    rows += [(who, "s3:DeleteObjectVersion", grant, None, False) for who in ("add-ip", "reset-policy")]
    rows += [
        ("add-ip", "s3:PutObject", grant, None, True),
        ("reset-policy", "s3:PutObject", grant, None, False),
    ]
    rows += [("root", action, resource, None, False) for action in WRITES for resource in (grant, lease)]
    check(evaluate, rendered, rows)


@pytest.mark.parametrize("name", ["guarded", "whole"])
def test_only_administrators_write_baselines_and_members(evaluate, name):
    rendered = STACKS[name]
    baseline, member = objects(rendered, f"baseline/{ACCOUNT}/policy/gate.json", "members/0a1b.json")
    rows = [
        (who, action, resource, None, False)
        for who in EVERYBODY_ELSE
        for action in WRITES
        for resource in (baseline, member)
    ]
    rows += [(who, "s3:PutObject", baseline, CREATE_ONLY, False) for who in [*EVERYBODY_ELSE, "reset-policy"]]
    rows += [
        ("sso-admin", action, resource, None, True) for action in WRITES for resource in (baseline, member)
    ]
    check(evaluate, rendered, rows)


def test_without_administrators_the_account_decides(evaluate):
    rendered = STACKS["open"]
    baseline, member = objects(rendered, f"baseline/{ACCOUNT}/policy/gate.json", "members/0a1b.json")
    check(
        evaluate,
        rendered,
        [
            (who, action, resource, None, True)
            for who in EVERYBODY_ELSE
            for action in WRITES
            for resource in (baseline, member)
        ],
    )


@pytest.mark.parametrize("name", STACKS)
def test_the_functions_never_replace_a_baseline_or_a_member(evaluate, name):
    rendered = STACKS[name]
    baseline, member = objects(rendered, f"baseline/{ACCOUNT}/policy/gate.json", "members/0a1b.json")
    rows = [
        ("add-ip", "s3:PutObject", baseline, CREATE_ONLY, True),
        ("add-ip", "s3:PutObject", baseline, None, False),
    ]
    rows += [("reset-policy", "s3:PutObject", baseline, context, False) for context in (None, CREATE_ONLY)]
    rows += [
        (who, action, baseline, None, False) for who in ("add-ip", "reset-policy") for action in WRITES[1:]
    ]
    rows += [
        (who, action, member, CREATE_ONLY if action == WRITES[0] else None, False)
        for who in ("add-ip", "reset-policy")
        for action in WRITES
    ]
    check(evaluate, rendered, rows)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("taken_away", ["identityPolicies", "resourcePolicy"])
def test_two_policies_keep_add_ip_from_replacing_a_baseline(evaluate, name, taken_away):
    rendered = STACKS[name]
    (baseline,) = objects(rendered, f"baseline/{ACCOUNT}/policy/gate.json")
    simulations = [
        request(rendered, "add-ip", "s3:PutObject", baseline, context) for context in (None, CREATE_ONLY)
    ]
    for simulation in simulations:
        del simulation[taken_away]
        simulation.setdefault("identityPolicies", [{"name": "too much", "policy": EVERYTHING}])
    assert [result == "Allowed" for result in evaluate(simulations)] == [False, True]


@pytest.mark.parametrize("name", STACKS)
def test_nobody_comes_without_tls_or_without_an_identity(evaluate, name):
    rendered = STACKS[name]
    keys = objects(rendered, "grants/a/b.json", "lease.json", "baseline/a.json", "members/a.json")
    rows = [
        (who, "s3:GetObject", key, {"aws:SecureTransport": "false"}, False)
        for who in PRINCIPALS
        for key in keys
    ]
    rows += [("anonymous", action, key, None, False) for action in ["s3:GetObject", *WRITES] for key in keys]
    check(evaluate, rendered, rows)


@pytest.mark.parametrize("name", STACKS)
def test_a_deployment_can_always_mend_the_bucket_policy(evaluate, name):
    rendered = STACKS[name]
    bucket = f"arn:aws:s3:::{rendered.bucket()}"
    actions = ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicy"]
    check(
        evaluate,
        rendered,
        [
            (who, action, bucket, None, True)
            for who in [*EVERYBODY_ELSE, "root", "sso-admin"]
            for action in actions
        ],
    )


@pytest.mark.parametrize("name", STACKS)
def test_everybody_who_may_read_reads(evaluate, name):
    rendered = STACKS[name]
    lease, baseline, member = objects(rendered, "lease.json", "baseline/a.json", "members/a.json")
    bucket = f"arn:aws:s3:::{rendered.bucket()}"
    rows = [
        (who, "s3:GetObject", key, None, True) for who in EVERYBODY_ELSE for key in (lease, baseline, member)
    ]
    rows += [(who, "s3:ListBucket", bucket, None, True) for who in ("add-ip", "reset-policy")]
    rows += [
        (who, "s3:GetObject", key, None, True)
        for who in ("add-ip", "reset-policy")
        for key in (lease, baseline)
    ]
    rows += [
        ("add-ip", "s3:GetObject", member, None, True),
        ("reset-policy", "s3:GetObject", member, None, False),
    ]
    check(evaluate, rendered, rows)


OWN_LOGS = {
    who: NAMES[f"{kind}Logs.Arn"].replace(":*", ":log-stream:a")
    for who, kind in [("add-ip", "AddIp"), ("reset-policy", "ResetPolicy")]
}
ON_POLICIES = [
    "iam:ListPolicyVersions",
    "iam:GetPolicyVersion",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicyVersion",
]
ON_ROLES = ["iam:GetRole", "iam:UpdateAssumeRolePolicy"]


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("who", ["add-ip", "reset-policy"])
def test_a_function_may_touch_its_own_targets_alone(evaluate, name, who):
    rendered, whole = STACKS[name], name == "whole"
    own = PRINCIPALS[who]
    rows = [(who, action, GATE, None, True) for action in ON_POLICIES]
    rows += [(who, action, SECOND, None, whole) for action in ON_POLICIES]
    rows += [(who, action, GATE + "-2", None, False) for action in ON_POLICIES]
    rows += [
        (who, action, GATE, None, False)
        for action in ("iam:SetDefaultPolicyVersion", "iam:DeletePolicy", "iam:TagPolicy")
    ]
    rows += [(who, action, JUMP, None, whole) for action in ON_ROLES]
    rows += [
        (who, action, own, None, False) for action in [*ON_ROLES, "iam:AttachRolePolicy", "iam:PutRolePolicy"]
    ]
    rows += [(who, "sts:AssumeRole", JUMP, None, False)]
    rows += [(who, "sns:Publish", TOPIC_ARN, None, whole or who == "reset-policy")]
    rows += [(who, "lambda:InvokeFunction", FUNCTION_ARN, None, False)]
    rows += [(who, "logs:PutLogEvents", logs, None, function == who) for function, logs in OWN_LOGS.items()]
    check(evaluate, rendered, rows)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("who", ["add-ip", "reset-policy"])
def test_a_function_assumes_only_the_roles_that_are_named(evaluate, name, who):
    others = [HELPER, HELPER + "-2"]
    simulations = [request(STACKS[name], who, "sts:AssumeRole", role) for role in others]
    for simulation in simulations:
        simulation["resourcePolicy"] = trusting(PRINCIPALS[who])
    assert [result == "Allowed" for result in evaluate(simulations)] == [name == "whole", False]


def trusting(arn):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}],
    }


@pytest.mark.parametrize("who", ["add-ip", "reset-policy"])
def test_no_statement_of_a_function_has_a_wildcard_where_a_name_belongs(who):
    for rendered in STACKS.values():
        kind = {"add-ip": "AddIpRole", "reset-policy": "ResetPolicyRole"}[who]
        for statement in rendered.role_policy(kind)["Statement"]:
            assert statement["Effect"] == "Allow"
            assert "*" not in str(statement["Action"])
            resources = (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
            assert not any("*" in resource.removesuffix("*") or resource == "*" for resource in resources), (
                statement
            )


@pytest.mark.parametrize(
    "group, account, allowed",
    [
        (GROUP_ARN, ACCOUNT, True),
        (f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default", ACCOUNT, False),
        (GROUP_ARN.replace(ACCOUNT, "444455556666"), "444455556666", False),
    ],
)
def test_only_the_stack_s_own_schedules_use_the_schedules_role(evaluate, group, account, allowed):
    role = f"arn:aws:iam::{ACCOUNT}:role/ip-gate-ScheduleRole-1"
    simulation = {
        "request": {
            "principal": "scheduler.amazonaws.com",
            "action": "sts:AssumeRole",
            "resource": {"resource": role, "accountId": ACCOUNT},
            "contextVariables": {"aws:SourceArn": group, "aws:SourceAccount": account},
        },
        "identityPolicies": [],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        "resourcePolicy": STACKS["open"].properties("ScheduleRole")["AssumeRolePolicyDocument"],
    }
    assert [result == "Allowed" for result in evaluate([simulation])] == [allowed]


def test_the_schedules_role_invokes_one_function():
    (statement,) = STACKS["open"].role_policy("ScheduleRole")["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("lambda:InvokeFunction", FUNCTION_ARN)
