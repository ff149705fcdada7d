"""The measurements of `make account`: what a lag is, and which roots an endpoint needs."""

import email.utils
import json
import socket
import ssl
import subprocess
import threading
import time
import types

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

import measure
from endpoints import answer_at, chain_of, handshake
from measure import Lag, Watch, refuses, truth, waits
from report import Report, distribution
from world import Answer


def failing(code):
    def act():
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "Do")

    return act


def test_a_lag_ends_where_the_answer_stays_true():
    answers = iter([False, None, True, False, True, True, True, True, True, True])
    begun = time.monotonic()
    lag = Lag(lambda: next(answers), begun, calm=0.05, pause=0.02)
    assert lag.relapses == 1 and 0.06 <= lag.seconds < 1


def test_a_lag_that_does_not_end_has_no_length():
    assert Lag(lambda: False, time.monotonic(), calm=0, limit=0.05, pause=0.01).seconds is None


def test_throttling_says_nothing_about_a_change():
    assert [truth(failing(code)) for code in ("Throttling", "NoSuchEntity")] == [None, False]
    assert (truth(refuses(failing("AccessDenied"))), truth(refuses(failing("Throttling")))) == (True, None)
    assert not refuses(failing("InvalidAccessKeyId"))() and not refuses(lambda: None)()


def test_a_network_that_fails_says_nothing_about_a_change():
    def act():
        raise ConnectTimeoutError(endpoint_url="https://iam.amazonaws.com")

    assert truth(act) is None and truth(refuses(act)) is None


def test_a_watch_counts_refusals_apart_from_other_errors():
    acts = iter([failing("AccessDenied"), failing("Throttling"), lambda: None])
    with Watch(lambda: next(acts, lambda: None)(), pause=0.01) as watch:
        while watch.calls < 4:
            time.sleep(0.01)
    assert (watch.refused, watch.other) == (1, 1)


def test_a_distribution_counts_what_did_not_end():
    assert distribution([3.0, 1.0, None, 2.0]) == (
        "n=3: min 1.00, median 2.00, 90 % 3.00, max 3.00 s, 1 not in time"
    )
    assert distribution([None]) == "none of 1 ended in time"


@pytest.fixture
def server(tmp_path):
    """A TLS server with a certificate of its own; -> its port, the certificate"""

    def certificate(name):
        key, pem = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key]
        command += ["-out", pem, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(command, check=True, capture_output=True)
        return key, pem

    key, pem = certificate("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], pem.read_text(), certificate("other")[1].read_text()
    listener.close()


def test_an_endpoint_is_trusted_with_its_own_root_and_with_no_other(server):
    port, own, other = server
    trusted, issuer = handshake("localhost", own, port, "127.0.0.1")
    assert trusted and issuer.startswith("issued by localhost until ")
    assert handshake("localhost", own + other, port, "127.0.0.1")[0]
    refused, why = handshake("localhost", other, port, "127.0.0.1")
    assert not refused and "CERTIFICATE_VERIFY_FAILED" in why


def test_the_chain_is_named_to_its_root(server):
    port, own, other = server

    def trusting(roots):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=roots)
        return context

    assert chain_of("localhost", port, "127.0.0.1", trusting(own)) == "localhost"
    assert chain_of("localhost", port, "127.0.0.1", trusting(other)).startswith("not verified: ")


class ColdWorld:
    """add-ip on AWS: each change of the configuration ends the environment, and a request starts one."""

    real, samples, calm, patience = True, 4, 0, 0
    # By AWS's clock, which is not this machine's.
    clock = 1_800_000_000

    def __init__(self, cold=lambda _: True):
        self.cold, self.lines, self.updates, self.is_cold, self.listed = cold, [], 0, False, False

    def resources(self):
        return {"AddIpFunction": "add-ip", "AddIpLogs": "logs"}

    def client(self, _):
        return self

    def update_function_configuration(self, **_):
        self.updates += 1
        self.is_cold = self.cold(self.updates)

    def get_waiter(self, _):
        return types.SimpleNamespace(wait=lambda **_: None)

    def get_paginator(self, _):
        return types.SimpleNamespace(paginate=lambda **_: [{"events": self.lines}])

    def call(self, _, path="add", *__):
        self.clock += 10
        metrics = {"durationMs": 5.0, **({"initDurationMs": 20.0} if self.is_cold else {})}
        line = json.dumps({"type": "platform.report", "record": {"metrics": metrics}})
        self.lines.append({"timestamp": self.clock * 1000, "message": line})
        self.is_cold = False
        status = "removed" if path == "remove" else "already_allowed" if self.listed else "added"
        self.listed = path == "add"
        date = email.utils.formatdate(self.clock, usegmt=True)
        return Answer(200, json.dumps({"status": status}), {"Date": date}, 0.5)


def test_a_cold_add_is_measured_and_proved_by_its_report():
    report = Report("x")
    report.chapter("c")
    assert waits(ColdWorld(), "key", report) == (True, "4 warm, 6 cold")
    [note] = report.chapters[0]["notes"]
    assert "`added`, cold | n=3" in note and "`already_allowed`, cold | n=3" in note


def test_a_request_that_was_not_cold_is_left_out_and_said():
    report = Report("x")
    report.chapter("c")
    good, seen = waits(ColdWorld(lambda number: number != 5), "key", report)
    assert good and seen == ("4 warm, 5 cold; 1 were not proved cold by their REPORT line, and are left out")
    assert "`added`, cold | n=2" in report.chapters[0]["notes"][0]
    good, _ = waits(ColdWorld(lambda number: number < 4), "key", report)
    assert not good and "`added`, cold | not one was proved cold" in report.chapters[0]["notes"][1]


class LateWorld(ColdWorld):
    """The lines come one at a time: each look shows one more."""

    patience = 60

    def __init__(self):
        super().__init__()
        self.looks = 0

    def get_paginator(self, _):
        self.looks += 1
        return types.SimpleNamespace(paginate=lambda **_: [{"events": self.lines[: self.looks]}])


def test_the_report_of_a_cold_add_may_come_late(monkeypatch):
    monkeypatch.setattr(measure.time, "sleep", lambda _: None)
    report, world = Report("x"), LateWorld()
    report.chapter("c")
    assert waits(world, "key", report) == (True, "4 warm, 6 cold")
    assert world.looks <= len(world.lines), "it looks no longer than it needs to"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_answer_over_ipv6_comes_over_tls(tmp_path):
    key, pem = tmp_path / "key", tmp_path / "pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key]
    command += ["-out", pem, "-subj", "/CN=x", "-addext", "subjectAltName=DNS:api.example.com"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 address of its own")
    asked = []

    def serve():
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as secure:
            asked.append(secure.recv(1000).decode())
            secure.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    trusting = ssl.create_default_context(cafile=pem)
    port = listener.getsockname()[1]
    assert answer_at("::1", "api.example.com", "/gate/add", port, trusting) == 401
    thread.join(10)
    assert asked[0].startswith("GET /gate/add HTTP/1.1\r\nHost: api.example.com\r\n")
    listener.close()
