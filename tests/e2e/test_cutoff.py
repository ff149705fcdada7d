"""Entries that end by themselves: the expiry takes them off the list, and IAM refuses them at the cutoff."""

import time

import pytest

from emulator import POLICY_ARN
from proxy import Proxy
from runtime import ADD_IP, RESET_POLICY, Function, add
from waiting import wait_for

# All are loopback addresses, so that a user can call from each.
OFFICE, MEMBER, NEWCOMER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ALLOWED, DENIED = 200, 403
# S3's clock is moved back: from the add on it takes so many seconds until the entry ends.
SOON = 15


@pytest.fixture
def settings(stack, account):
    """What both functions run with. The baseline has the office alone."""
    document = account.document(POLICY_ARN)
    document["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"] = [f"{OFFICE}/32"]
    account.start_over(POLICY_ARN, document)
    return {"POLICY_ARNS": POLICY_ARN, "STATE_BUCKET": stack.outputs["StateBucket"], "ADDRESS_SCOPE": "any"}


def add_once(stack, account, settings, key, address, **query):
    """An add by a function that is gone when it has released the lease; -> the body of its answer."""
    with Function(ADD_IP, settings) as function:
        status, body = add(function, key, address, **query)
        assert status == 200, body
        wait_for(lambda: account.lease(stack.outputs["StateBucket"])["nonce"] is None)
    return body


def utc():
    # Without an argument gmtime reads a coarse clock, some milliseconds behind the emulator's.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))


def copies(account):
    """The statements that refuse by a date: the list and the date of each."""
    conditions = [each["Condition"] for each in account.document(POLICY_ARN)["Statement"][1:]]
    return [
        (each["NotIpAddress"]["aws:SourceIp"], each["DateGreaterThan"]["aws:CurrentTime"])
        for each in conditions
    ]


def test_iam_refuses_an_entry_at_the_cutoff_while_no_function_runs(stack, account, user, settings):
    with Proxy(stack.endpoint, ahead=SOON - 3600) as aws:
        settings |= {"AWS_ENDPOINT_URL": aws.endpoint, "CUTOFF_HOURS": "1"}
        body = add_once(stack, account, settings, stack.member_key, MEMBER)
        assert account.signed_status(user, MEMBER) == ALLOWED
        assert account.signed_status(user, NEWCOMER) == DENIED
        assert copies(account) == [([f"{OFFICE}/32"], body["ends"])]
        version, calls = account.default(POLICY_ARN), aws.counts.total()

        def is_refused():
            assert account.signed_status(user, OFFICE) == ALLOWED, "what is permanent never notices"
            return account.signed_status(user, MEMBER) == DENIED

        wait_for(is_refused, SOON + 30, "IAM does not refuse what is over")
        assert utc() >= body["ends"], "not before its time"
        assert is_refused()
        assert (account.default(POLICY_ARN), aws.counts.total()) == (version, calls), "no function ran"

        # The functions are back, the clock is right, and another member comes. By S3 the grant may be a
        # second younger than the answer said, which was decided before the object was put.
        younger = time.time() + 1
        wait_for(lambda: time.time() > younger)
        aws.ahead = 0
        stack.add_member("bob", key := "b" * 64)
        body = add_once(stack, account, settings, key, NEWCOMER)
        assert body["status"] == "added"
        assert account.entries(POLICY_ARN) == [f"{OFFICE}/32", f"{NEWCOMER}/32"]
        assert copies(account) == [([f"{OFFICE}/32"], body["ends"])]
        assert account.signed_status(user, NEWCOMER) == ALLOWED
        assert is_refused()
        body = add_once(stack, account, settings, key, OFFICE)
        assert (body["status"], body["ends"]) == ("already_allowed", None)


def test_an_entry_that_was_added_for_five_minutes_is_refused_after_them(stack, account, user, settings):
    with Proxy(stack.endpoint, ahead=SOON - 300) as aws:
        settings["AWS_ENDPOINT_URL"] = aws.endpoint
        ends = add_once(stack, account, settings, stack.member_key, MEMBER, **{"for": "5m"})["ends"]
        aws.ahead = 0
        with Function(RESET_POLICY, settings, timeout=120) as function:

            def has_expired():
                failed, report = function.call({"expire": True})
                assert not failed and report["status"] in ("unchanged", "expired"), report
                allowed = account.signed_status(user, MEMBER) == ALLOWED
                assert allowed == (report["status"] == "unchanged"), report
                return not allowed

            wait_for(has_expired, SOON + 30, "the expiry does not end what is over")
    assert utc() >= ends
    assert account.entries(POLICY_ARN) == [f"{OFFICE}/32"]
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []
