"""Connections to AWS by hand: which roots an endpoint needs, and what an API answers at one address of it."""

import http.client
import re
import socket
import ssl

from report import table
from tools import ROOT

# The functions trust these and no others: shared/allowlist-aws/src/aws/ embeds the file.
ROOTS = ROOT / "shared" / "allowlist-aws" / "src" / "aws" / "amazon-roots.pem"


def certificates(world, report):
    """Whether the embedded roots alone are enough for each endpoint that the functions call, and which."""
    region, suffix = world.region, "amazonaws.com"
    hosts = [f"iam.{suffix}", f"s3.{region}.{suffix}", f"{world.bucket}.s3.{region}.{suffix}"]
    hosts += [f"sts.{region}.{suffix}", f"sns.{region}.{suffix}"]
    pems = re.findall(r"-----BEGIN.*?END CERTIFICATE-----", ROOTS.read_text(), re.DOTALL)
    named = re.findall(r"^# (.+)$", ROOTS.read_text(), re.MULTILINE)
    rows, trusted = [], True
    for host in hosts:
        ok, leaf = handshake(host, "\n".join(pems))
        anchors = [name for name, pem in zip(named, pems, strict=False) if handshake(host, pem)[0]]
        trusted &= ok
        shown = host.replace(world.bucket, "BUCKET")
        rows.append((shown, "yes" if ok else "no", ", ".join(anchors), chain_of(host), leaf))
    head = [
        "endpoint",
        "trusted with the embedded roots",
        "each root that is enough",
        "the chain, as this machine verifies it",
        "certificate, or error",
    ]
    report.note(table(head, rows))
    return trusted, f"{sum(row[1] == 'yes' for row in rows)} of {len(rows)} endpoints"


def handshake(host, roots, port=443, address=None):
    """-> whether the certificate holds with these roots, who issued it and until when"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=roots)
    try:
        with (
            socket.create_connection((address or host, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            found = secure.getpeercert()
    except OSError as error:
        return False, str(error)
    return True, f"issued by {name_in(found['issuer'])} until {found['notAfter']}"


def chain_of(host, port=443, address=None, context=None):
    """-> the names from the certificate to the root where this machine's own trust ends it"""
    context = context or ssl.create_default_context()
    try:
        with (
            socket.create_connection((address or host, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            # Python shows the chain from 3.13 on, and has it before.
            chain = [each.get_info() for each in secure._sslobj.get_verified_chain()]
    except OSError as error:
        return f"not verified: {error}"
    except AttributeError:
        return "this Python does not show it"
    return " < ".join(name_in(each["subject"]) for each in chain)


def name_in(subject):
    pairs = dict(pair for part in subject for pair in part)
    return pairs.get("commonName") or pairs.get("organizationalUnitName") or str(pairs)


def answer_at(address, host, path, port=443, context=None):
    """-> the status of a GET over TLS to this one address of a host"""
    context = context or ssl.create_default_context()
    with (
        socket.create_connection((address, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(secure)
        answer.begin()
        return answer.status
