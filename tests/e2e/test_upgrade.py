"""The way back: what the first version needs to read of the state that these functions leave.

The first version reads `lease.json` strictly for some fields and ignores all others. It takes every `Deny`
on addresses for the gate, and only a grant without an end for a grant.
"""

import json
import re

import pytest

from emulator import POLICY_ARN
from proxy import Proxy
from runtime import ADD_IP, RESET_POLICY, Function, add
from waiting import wait_for

WRITERS = ("add", "reset")
# `Grant::from_listing` of the first version: a network, a slash, a member's name.
OLD_GRANT = re.compile(r"grants/[0-9a-f.:]+_\d+/[A-Za-z0-9._-]{1,64}\.json")


def assert_the_first_version_reads(record):
    """Its structs, field by field: what had no default must be there, of the same type."""
    assert record["nonce"] is None or isinstance(record["nonce"], str)
    assert isinstance(record["holder"], str) and isinstance(record["until"], str)
    assert record["kind"] in WRITERS
    assert all(isinstance(network, str) for network in record.get("networks", []))
    for target in record["targets"].values():
        assert re.fullmatch(r"v\d+", target.get("last", "v1"))
        for intent in target.get("pending", []):
            assert re.fullmatch(r"v\d+", intent["seen"]) and re.fullmatch(r"v\d+", intent["base"])
            assert isinstance(intent["sha256"], str) and intent["kind"] in WRITERS


class Recorder(Proxy):
    """Keeps every `lease.json` that was put."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self.leases = []

    def respond(self, request):
        if request.method == "PUT" and request.path.partition("?")[0].endswith("/lease.json"):
            self.leases.append(json.loads(request.body))
        return super().respond(request)


@pytest.fixture
def aws(stack, account):
    with Recorder(stack.endpoint) as aws:
        yield aws


@pytest.fixture
def settings(stack, aws):
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "POLICY_ARNS": POLICY_ARN,
        "STATE_BUCKET": stack.outputs["StateBucket"],
    }


def add_all(stack, account, settings):
    """An entry until the reset, and one with an end; both under a cutoff."""
    with Function(ADD_IP, {**settings, "CUTOFF_HOURS": "1"}) as function:
        for address, query in (("51.44.71.1", {}), ("51.44.71.2", {"for": "2h"})):
            status, body = add(function, stack.member_key, address, **query)
            assert (status, body["status"]) == (200, "added"), body
            wait_for(lambda: account.lease(settings["STATE_BUCKET"])["nonce"] is None)


def command(settings, event):
    with Function(RESET_POLICY, settings, timeout=120) as function:
        failed, report = function.call(event)
        assert not failed, report
        return report["status"]


def test_the_first_version_reads_every_lease_file(stack, account, aws, settings):
    add_all(stack, account, settings)
    assert command(settings, {"revoke_member": "alice"}) == "revoked"
    command(settings, {})
    wait_for(lambda: account.lease(settings["STATE_BUCKET"])["nonce"] is None)
    assert {record["kind"] for record in aws.leases} == set(WRITERS)
    assert any(record["nonce"] is None for record in aws.leases)
    assert any(record.get("void") for record in aws.leases)
    assert any(target.get("pending") for each in aws.leases for target in each["targets"].values())
    for record in aws.leases:
        assert_the_first_version_reads(record)


def test_a_reset_without_the_cutoff_leaves_what_the_first_version_knows(stack, account, settings):
    before = account.document(POLICY_ARN)
    add_all(stack, account, settings)
    # What it does not know: it would answer `ambiguous_gate`, and would never end the second entry in time.
    assert len(account.document(POLICY_ARN)["Statement"]) == 2
    grants = account.keys(settings["STATE_BUCKET"], "grants/")
    assert [OLD_GRANT.fullmatch(key) is not None for key in grants] == [True, False]
    # S3 tells times in seconds: what was granted in the second of a reset may be newer than it.
    wait_for(lambda: command(settings, {}) and not account.keys(settings["STATE_BUCKET"], "grants/"))
    assert account.document(POLICY_ARN) == before
    # An add between the reset and the deployment leaves what the first version would have written.
    with Function(ADD_IP, settings) as function:
        assert add(function, stack.member_key, "51.44.71.1")[0] == 200
    assert len(account.document(POLICY_ARN)["Statement"]) == 1
    [grant] = account.keys(settings["STATE_BUCKET"], "grants/")
    assert OLD_GRANT.fullmatch(grant)
