"""Users who may assume a role only from listed addresses, in the jump account itself and in another one."""

import json

import pytest

from account import Account
from conftest import CARL, HELPER_ARN, JUMP_ARN, OFFICE, OTHER_ACCOUNT, OTHER_ARN, OTHER_TRUST
from runtime import ADD_IP, Function, add

ALLOWED, DENIED = 200, 403


@pytest.fixture(scope="session")
def carl(stack):
    """A user whom no gate policy holds back: only the roles' own trust policies do."""
    stack.aws("iam", "create-user", "--user-name", CARL.rpartition("/")[2])
    may = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [JUMP_ARN, OTHER_ARN]}],
    }
    stack.aws(
        "iam",
        "put-user-policy",
        "--user-name",
        "carl",
        "--policy-name",
        "jump",
        "--policy-document",
        json.dumps(may),
    )
    made = stack.aws("iam", "create-access-key", "--user-name", "carl")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def test_one_request_opens_roles_of_two_accounts(stack, account, carl):
    other = Account(stack.endpoint, OTHER_ACCOUNT)

    def statuses(source):
        return [account.assume_status(carl, source, role) for role in (JUMP_ARN, OTHER_ARN)]

    assert statuses("127.0.0.5") == [DENIED, DENIED]
    status, body = stack.call(stack.member_key, "127.0.0.5")
    assert status == 200, body
    assert [(t["arn"], t["status"], t["version"]) for t in json.loads(body)["targets"][2:]] == [
        (JUMP_ARN, "added", None),
        (OTHER_ARN, "added", None),
    ]
    assert account.trust_entries("jump", "NotIpAddress") == [OFFICE, "127.0.0.5/32"]
    assert other.trust_entries("target", "IpAddress") == [OFFICE, "127.0.0.5/32"]
    assert statuses("127.0.0.5") == [ALLOWED, ALLOWED]
    assert statuses("127.0.0.6") == [DENIED, DENIED]
    assert "baseline/222222222222/role/target.json" in account.keys(stack.outputs["StateBucket"], "baseline/")

    failed, report = account.invoke(stack.outputs["ResetFunction"])
    assert not failed and [t["removed"] for t in report["targets"]] == [["127.0.0.5/32"]] * 4, report
    assert statuses("127.0.0.5") == [DENIED, DENIED]
    assert other.trust_entries("target", "IpAddress") == [OFFICE]


def test_without_the_helper_role_the_error_names_what_is_missing(stack, account):
    other = Account(stack.endpoint, OTHER_ACCOUNT)
    trusted = other.iam.get_role(RoleName="ip-gate")["Role"]["AssumeRolePolicyDocument"]
    other.iam.update_assume_role_policy(RoleName="ip-gate", PolicyDocument=json.dumps(OTHER_TRUST))
    try:
        # A function that runs already keeps its credentials: ask one that has none yet.
        variables = {
            "AWS_ENDPOINT_URL": stack.endpoint,
            "ROLE_ARNS": OTHER_ARN,
            "STATE_BUCKET": stack.outputs["StateBucket"],
            "ASSUME_ROLES": HELPER_ARN,
        }
        with Function(ADD_IP, variables) as function:
            status, body = add(function, stack.member_key, "51.44.71.1")
        assert (status, body["error"]) == (502, "aws_error") and OTHER_ARN in body["message"], body
    finally:
        other.iam.update_assume_role_policy(RoleName="ip-gate", PolicyDocument=json.dumps(trusted))
