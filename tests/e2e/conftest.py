"""End to end: the deployed release binaries on the local stack, over HTTP, with signatures and enforcement.

One stack keeps two policies, a role of its own account and a role of another one.
"""

import json
import os
import pathlib
import sys
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "local"))

import package  # noqa: E402
from account import Account  # noqa: E402
from browser import start_browser  # noqa: E402
from command import Program, binary  # noqa: E402
from emulator import ACCOUNT, POLICY_ARN, Stack  # noqa: E402
from home import Home  # noqa: E402
from proxy import Proxy  # noqa: E402

SECOND_ARN = f"arn:aws:iam::{ACCOUNT}:policy/team/a/second-gate"
JUMP_ARN = f"arn:aws:iam::{ACCOUNT}:role/jump"
# To the emulator an access key of twelve digits is root of that account.
OTHER_ACCOUNT = "222222222222"
OTHER_ARN = f"arn:aws:iam::{OTHER_ACCOUNT}:role/target"
HELPER_ARN = f"arn:aws:iam::{OTHER_ACCOUNT}:role/ip-gate"
OFFICE = "198.51.100.10/32"

CARL = f"arn:aws:iam::{ACCOUNT}:user/carl"
# Both forms in use: a Deny beside the Allow, and an Allow with the condition.
JUMP_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": CARL}, "Action": "sts:AssumeRole"},
        {
            "Effect": "Deny",
            "Principal": {"AWS": CARL},
            "Action": "sts:AssumeRole",
            "Condition": {"NotIpAddress": {"aws:SourceIp": [OFFICE]}},
        },
    ],
}
OTHER_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": CARL},
            "Action": "sts:AssumeRole",
            "Condition": {"IpAddress": {"aws:SourceIp": [OFFICE]}},
        }
    ],
}


def trust(*arns):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": list(arns)}, "Action": "sts:AssumeRole"}],
    }


# They come first: the other worker has time for all the rest.
LONGEST = ["test_real_account.py", "test_package.py"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """The package that `PACKAGE` names, for a release; otherwise one with the program that the tests have."""
    if given := os.environ.get("PACKAGE"):
        return pathlib.Path(given).resolve()
    return package.package(tmp_path_factory.mktemp("made") / "dist", binary())


@pytest.fixture(scope="module")
def emulator():
    """An emulator of its own for a module, with nothing deployed."""
    stack = Stack(quiet=True)
    try:
        stack.start()
        yield stack
    finally:
        stack.__exit__()


@pytest.fixture(scope="session")
def stack():
    parameters = {
        "PolicyArns": f"{POLICY_ARN},{SECOND_ARN}",
        "RoleArns": f"{JUMP_ARN},{OTHER_ARN}",
        "AssumeRoles": HELPER_ARN,
        "NotifyChanges": "true",
    }
    with Stack(quiet=True, before=prepare, parameters=parameters) as stack:
        roles = stack.outputs["FunctionRoles"].split(",")
        stack.aws(
            "iam",
            "update-assume-role-policy",
            "--role-name",
            "ip-gate",
            "--policy-document",
            json.dumps(trust(*roles)),
            key=OTHER_ACCOUNT,
        )
        yield stack


def prepare(stack):
    """What the administrator of both accounts has before they deploy."""
    document = (ROOT / "examples" / "policies" / "gate.json").read_text()
    stack.aws(
        "iam",
        "create-policy",
        "--path",
        "/team/a/",
        "--policy-name",
        "second-gate",
        "--policy-document",
        document,
    )
    stack.aws(
        "iam", "create-role", "--role-name", "jump", "--assume-role-policy-document", json.dumps(JUMP_TRUST)
    )
    stack.aws(
        "iam",
        "create-role",
        "--role-name",
        "target",
        "--assume-role-policy-document",
        json.dumps(OTHER_TRUST),
        key=OTHER_ACCOUNT,
    )
    helper = json.dumps(trust(f"arn:aws:iam::{ACCOUNT}:root"))
    stack.aws(
        "iam",
        "create-role",
        "--role-name",
        "ip-gate",
        "--assume-role-policy-document",
        helper,
        key=OTHER_ACCOUNT,
    )
    allowed = (
        (ROOT / "examples" / "other-account-policy.json").read_text().replace("111122223333", OTHER_ACCOUNT)
    )
    stack.aws(
        "iam",
        "put-role-policy",
        "--role-name",
        "ip-gate",
        "--policy-name",
        "ip-gate",
        "--policy-document",
        allowed,
        key=OTHER_ACCOUNT,
    )


@pytest.fixture(scope="session")
def user(stack):
    return stack.add_user("bob")


@pytest.fixture
def account(stack):
    """The account as a first-time administrator finds it: one version, an empty bucket, one member."""
    account = Account(stack.endpoint)
    account.empty_bucket(stack.outputs["StateBucket"])
    document = json.loads((ROOT / "examples" / "policies" / "gate.json").read_text())
    for arn in (POLICY_ARN, SECOND_ARN):
        account.start_over(arn, document)
    account.iam.update_assume_role_policy(RoleName="jump", PolicyDocument=json.dumps(JUMP_TRUST))
    Account(stack.endpoint, OTHER_ACCOUNT).iam.update_assume_role_policy(
        RoleName="target", PolicyDocument=json.dumps(OTHER_TRUST)
    )
    stack.add_member("alice")
    return account


@pytest.fixture
def site(stack, account):
    """-> (URL of the page through a proxy that keeps every request line, the proxy)"""
    with Proxy(stack.endpoint) as proxy:
        yield f"http://{urllib.parse.urlsplit(stack.url).hostname}:{proxy.port}/gate/", proxy


@pytest.fixture
def open_browser(tmp_path):
    """A function that starts a browser with an empty profile; every one is closed in the end."""
    browsers = []

    def start(**options):
        browsers.append(start_browser(tmp_path / str(len(browsers)), **options))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.quit()


@pytest.fixture(scope="session")
def program():
    return binary()


@pytest.fixture
def admin(stack, program, tmp_path):
    """The program in the hands of an administrator."""
    return Program(program, {**stack.environment(), "HOME": str(tmp_path)})


@pytest.fixture
def home(stack):
    urls = [stack.local_url(stack.outputs[name]) for name in ("AddUrl", "DualStackAddUrl")]
    with Home(stack.endpoint, "127.0.0.2", *urls) as home:
        yield home


@pytest.fixture
def member(stack, account, home, program, tmp_path):
    """The program in the hands of the member alice, who has no AWS credentials."""
    member = Program(program, {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    page = home.url(stack.local_url(stack.outputs["PageUrl"]))
    member.bookmark = f"{page}#key={stack.member_key}"
    return member
