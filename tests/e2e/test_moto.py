"""A second opinion on IAM's versions and on S3's conditional writes: the same binaries on moto."""

import hashlib
import json
import socket
import subprocess
import time

import pytest

from account import Account
from emulator import free_port
from runtime import ADD_IP, RESET_POLICY, Function, add
from tools import STACK

ARN = "arn:aws:iam::123456789012:policy/gate"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": "198.51.100.10"}},
    },
}
KEY = "a-key-of-thirty-two-characters-or-more"
KEY_HASH = hashlib.sha256(KEY.encode()).hexdigest()


@pytest.fixture
def moto(tmp_path):
    port = free_port()
    with open(tmp_path / "moto.log", "wb") as log:
        server = subprocess.Popen(
            [STACK / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "moto.log").read_text()
            time.sleep(0.1)
        account = Account(f"http://127.0.0.1:{port}")
        account.s3.create_bucket(Bucket="state")
        account.s3.put_object(Bucket="state", Key=f"members/{KEY_HASH}.json", Body=b'{"name":"alice"}')
        account.iam.create_policy(PolicyName="gate", PolicyDocument=json.dumps(DOCUMENT))
        yield account
    finally:
        server.terminate()
        server.wait()


def test_moto_agrees_on_versions(moto):
    variables = {"AWS_ENDPOINT_URL": moto.endpoint, "POLICY_ARNS": ARN, "STATE_BUCKET": "state"}
    with Function(ADD_IP, variables) as function:
        for host in range(1, 10):
            status, body = add(function, KEY, f"51.44.71.{host}")
            assert (status, body["status"], body["targets"][0]["version"]) == (
                200,
                "added",
                f"v{host + 1}",
            ), body
        status, body = add(function, KEY, "51.44.71.1")
        assert (status, body["status"]) == (200, "already_allowed")
    assert [version["VersionId"] for version in moto.versions(ARN)] == ["v7", "v8", "v9", "v10"]
    assert moto.default(ARN) == "v10"
    assert len(moto.document(ARN)["Statement"]["Condition"]["NotIpAddress"]["aws:SourceIp"]) == 10
    with Function(RESET_POLICY, variables, timeout=120) as function:
        failed, report = function.call({})
        assert not failed and report["status"] == "reset", report
    assert moto.document(ARN) == DOCUMENT


def test_moto_agrees_on_a_default_that_is_not_the_newest(moto):
    for entry in ("203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"):
        moto.iam.create_policy_version(
            PolicyArn=ARN,
            PolicyDocument=json.dumps(DOCUMENT).replace("198.51.100.10", entry),
            SetAsDefault=False,
        )
    moto.iam.set_default_policy_version(PolicyArn=ARN, VersionId="v3")
    with Function(
        ADD_IP, {"AWS_ENDPOINT_URL": moto.endpoint, "POLICY_ARNS": ARN, "STATE_BUCKET": "state"}
    ) as function:
        status, body = add(function, KEY, "51.44.71.80")
        assert (status, body["targets"][0]["version"]) == (200, "v6"), body
    assert moto.document(ARN)["Statement"]["Condition"]["NotIpAddress"]["aws:SourceIp"] == [
        "203.0.113.2",
        "51.44.71.80/32",
    ]
