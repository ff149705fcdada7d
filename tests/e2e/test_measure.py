"""The measurements of `make account`: what a lag is, and which roots an endpoint needs."""

import socket
import ssl
import subprocess
import threading
import time

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from measure import Lag, Watch, handshake, refuses, truth
from report import distribution


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
