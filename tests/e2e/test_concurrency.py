"""Many functions at once, each a process of its own, on one account."""

import contextlib
import json
import threading
import time

from conftest import SECOND_ARN
from emulator import POLICY_ARN
from proxy import Proxy
from runtime import ADD_IP, RESET_POLICY, Function, add, add_event
from waiting import wait_for

OFFICE = "198.51.100.10/32"


def variables(stack, endpoint):
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "POLICY_ARNS": POLICY_ARN,
        "STATE_BUCKET": stack.outputs["StateBucket"],
        "MAX_GRANTS_PER_MEMBER": "1000",
    }


def test_fifty_members_at_once_are_all_let_in(stack, account, capsys):
    addresses = [f"51.44.71.{host}" for host in range(1, 51)]
    with Proxy(stack.endpoint) as proxy, contextlib.ExitStack() as processes:
        functions = [
            processes.enter_context(Function(ADD_IP, variables(stack, proxy.endpoint))) for _ in addresses
        ]
        started = time.monotonic()
        for function, address in zip(functions, addresses, strict=True):
            function.send(add_event(stack.member_key, address))
        answers = [function.answer() for function in functions]
        took = max(when for _, _, when in answers) - started
        # The last holder still prunes and releases after its answer.
        wait_for(lambda: account.lease(stack.outputs["StateBucket"])["nonce"] is None)
        counts = dict(proxy.counts)
    for failed, payload, _ in answers:
        assert not failed and payload["statusCode"] == 200, payload
        assert json.loads(payload["body"])["status"] == "added"
    entries = account.entries(POLICY_ARN)
    assert sorted(entries) == sorted([OFFICE] + [address + "/32" for address in addresses])
    assert counts["CreatePolicyVersion"] <= 6, counts
    assert len(account.versions(POLICY_ARN)) <= 4
    with capsys.disabled():
        print(
            f"\n50 functions at once: {took:.2f} s, {counts['CreatePolicyVersion']} versions written, "
            f"{sum(counts.values())} calls: {counts}"
        )


def test_adds_racing_resets_end_in_a_state_that_explains_every_answer(stack, account, capsys):
    settings = variables(stack, stack.endpoint)
    with Function(ADD_IP, settings) as function:
        assert add(function, stack.member_key, "51.44.71.1")[0] == 200
    reports, added, stop = [], [], threading.Event()

    def resets():
        with Function(RESET_POLICY, settings, timeout=120) as function:
            while not stop.is_set():
                reports.append(function.call({}))

    thread = threading.Thread(target=resets)
    thread.start()
    try:
        with contextlib.ExitStack() as processes:
            functions = [processes.enter_context(Function(ADD_IP, settings)) for _ in range(6)]
            for turn in range(4):
                for number, function in enumerate(functions):
                    function.send(add_event(stack.member_key, f"51.44.{turn + 80}.{number + 1}"))
                added += [function.answer() for function in functions]
            wait_for(lambda: account.lease(stack.outputs["StateBucket"])["kind"] == "reset", 30)
    finally:
        stop.set()
        thread.join()
    statuses = [payload["statusCode"] for failed, payload, _ in added]
    assert set(statuses) <= {200, 503}, statuses
    assert not any(failed for failed, _ in reports), reports
    versions = account.versions(POLICY_ARN)
    assert len(versions) <= 5
    # One more reset with nobody about: S3 tells times in seconds, so what came in the last one may stay.
    time.sleep(1.1)
    with Function(RESET_POLICY, settings, timeout=120) as function:
        failed, report = function.call({})
    assert not failed, report
    assert account.entries(POLICY_ARN) == [OFFICE]
    assert account.keys(stack.outputs["StateBucket"], "grants/") == []
    with capsys.disabled():
        print(
            f"\n{len(statuses)} adds racing {len(reports)} resets: "
            f"{statuses.count(200)} let in, {statuses.count(503)} told to try again"
        )


def test_a_function_killed_while_it_holds_the_lease_delays_the_next_by_one_lease(stack, account, capsys):
    killed, put = threading.Event(), set()

    def kill_holder(name, status):
        # Its grant and the lease are put at the same time.
        put.update({name} if status == 200 else ())
        if {"PUT grants", "PUT lease.json"} <= put and not killed.is_set():
            killed.set()
            victim.kill()

    with Proxy(stack.endpoint, kill_holder) as proxy:
        with Function(ADD_IP, variables(stack, proxy.endpoint)) as victim:
            victim.send(add_event(stack.member_key, "51.44.71.1"))
            assert killed.wait(30)
        assert account.lease(stack.outputs["StateBucket"])["nonce"] is not None
        with Function(ADD_IP, variables(stack, proxy.endpoint)) as function:
            started = time.monotonic()
            status, body = add(function, stack.member_key, "51.44.71.2")
            took = time.monotonic() - started
            wait_for(lambda: account.lease(stack.outputs["StateBucket"])["nonce"] is None)
    assert (status, body["status"]) == (200, "added"), body
    assert took < 16, took
    # The dead one's grant was there: its address is let in as well.
    assert account.entries(POLICY_ARN) == [OFFICE, "51.44.71.2/32", "51.44.71.1/32"]
    assert account.document(SECOND_ARN)["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"] == [
        OFFICE
    ]
    with capsys.disabled():
        print(f"\nafter a SIGKILL under the lease the next add took {took:.1f} s")
