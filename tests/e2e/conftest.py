"""End to end: the deployed release binaries on the local stack, over real HTTP, with real signatures and enforcement."""
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "local"))

from account import Account  # noqa: E402
from stack import ACCOUNT, POLICY_ARN, Stack  # noqa: E402

SECOND_ARN = f"arn:aws:iam::{ACCOUNT}:policy/team/a/second-gate"


@pytest.fixture(scope="session")
def stack():
    with Stack(quiet=True, before=make_second_policy, policies=[POLICY_ARN, SECOND_ARN]) as stack:
        yield stack


def make_second_policy(stack):
    document = (ROOT / "local" / "gate-policy.json").read_text()
    stack.aws("iam", "create-policy", "--path", "/team/a/", "--policy-name", "second-gate", "--policy-document", document)


@pytest.fixture(scope="session")
def user(stack):
    return stack.add_user("bob")


@pytest.fixture
def account(stack):
    """The account as a first-time administrator finds it: one version with the office, an empty bucket, one member."""
    account = Account(stack.endpoint)
    account.empty_bucket(stack.outputs["StateBucket"])
    document = json.loads((ROOT / "local" / "gate-policy.json").read_text())
    for arn in (POLICY_ARN, SECOND_ARN):
        account.start_over(arn, document)
    stack.add_member("alice")
    return account
