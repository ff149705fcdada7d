"""Measurements: how long IAM takes to show a change, how long members wait, which roots endpoints need."""

import concurrent.futures
import itertools
import re
import socket
import ssl
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from report import distribution, table
from tools import ROOT, Problem
from world import error_code

ROOTS = ROOT / "shared" / "allowlist-aws" / "src" / "aws" / "amazon-roots.pem"
# An answer that says nothing about the change: asked again, not counted.
THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
}
DENIED = {"AccessDenied", "AccessDeniedException"}


def truth(act):
    """-> True or False; None if the answer says nothing"""
    try:
        return bool(act())
    except ClientError as error:
        return None if error_code(error) in THROTTLED else False
    except BotoCoreError:
        # The network: nothing was answered.
        return None


class Lag:
    """How long after `begun` a probe is true for good, and how often it was true and false again."""

    def __init__(self, probe, begun, calm, limit=90.0, pause=0.1):
        self.seconds, self.relapses = None, 0
        since = None
        while time.monotonic() - begun < limit:
            asked = time.monotonic()
            answer = truth(probe)
            if answer is True:
                since = since or asked
                if time.monotonic() - since >= calm:
                    self.seconds = max(0.0, since - begun)
                    return
            elif answer is False:
                self.relapses += since is not None
                since = None
            time.sleep(pause)


class Watch:
    """Calls again and again beside everything else. A context manager."""

    def __init__(self, probe, pause=0.25):
        self.probe, self.pause, self.calls, self.refused, self.other = probe, pause, 0, 0, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(self.pause):
            self.calls += 1
            try:
                self.probe()
            except ClientError as error:
                denied = error_code(error) in DENIED
                self.refused, self.other = self.refused + denied, self.other + (not denied)
            except Exception:
                self.other += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)


def probes(world):
    """-> the four ways to see a change. Three connections in turn may reach different replicas."""
    turn = itertools.count()
    # Made here: boto3 makes clients in one thread only.
    for number in range(3):
        for user in (None, world.user):
            world.client("iam", user=user, number=number)
        world.client("s3", user=world.user, number=number)
    world.client("s3", user=world.office_user)

    def client(service, user=None):
        return world.client(service, user=user, number=next(turn) % 3)

    def listed(version):
        found = client("iam").list_policy_versions(PolicyArn=world.gate)["Versions"]
        return any(each["VersionId"] == version and each["IsDefaultVersion"] for each in found)

    def got(version):
        return client("iam").get_policy_version(PolicyArn=world.gate, VersionId=version)

    def s3_admits():
        return client("s3", world.user).list_objects_v2(Bucket=world.bucket, MaxKeys=1)

    def iam_admits():
        return client("iam", world.user).get_user(UserName=world.user_name)

    return listed, got, s3_admits, iam_admits


def refuses(admits):
    def probe():
        try:
            admits()
        except ClientError as error:
            if error_code(error) in THROTTLED:
                raise
            return error_code(error) in DENIED
        return False

    return probe


def iam_lag(world, key, report):
    """Adds and removes the own address; -> whether nobody who is on the list was refused, what was seen"""
    listed, got, s3_admits, iam_admits = probes(world)
    names = ["list names the new default", "get finds the version", "S3 admits", "IAM admits"]
    names += ["S3 refuses after a removal", "IAM refuses after a removal"]
    seen, relapses = {name: [] for name in names}, dict.fromkeys(names, 0)
    waits = {"add": [], "remove": []}

    def look(name, probe, begun):
        lag = Lag(probe, begun, world.calm)
        seen[name].append(lag.seconds)
        relapses[name] += lag.relapses

    def office():
        world.client("s3", user=world.office_user).list_objects_v2(Bucket=world.bucket, MaxKeys=1)

    with Watch(office) as watch, concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(world.samples):
            # The office's own network is on its list already: only another one writes its policy.
            world.call(key, **world.second)
            added = world.call(key)
            begun = time.monotonic()
            if added.json().get("status") != "added":
                raise Problem(f"an add answered {added}")
            waits["add"].append(added.seconds)
            version = added.json()["targets"][0]["version"]
            looks = [
                (names[0], lambda version=version: listed(version)),
                (names[1], lambda version=version: got(version)),
                (names[2], s3_admits),
                (names[3], iam_admits),
            ]
            # A later add may have a later version: only this one's looks are under way.
            list(pool.map(lambda each, begun=begun: look(*each, begun), looks))
            removed = world.call(key, "remove", "?all=true", "POST")
            begun = time.monotonic()
            waits["remove"].append(removed.seconds)
            looks = [(names[4], refuses(s3_admits)), (names[5], refuses(iam_admits))]
            list(pool.map(lambda each, begun=begun: look(*each, begun), looks))
    rows = [(name, distribution(seen[name]), relapses[name]) for name in names]
    report.note(
        f"Seconds from the answer until it is so for {world.calm:g} s, of {world.samples} adds and removals. "
        "Relapses: how often it was so and then not:\n\n" + table(["what", "seconds", "relapses"], rows)
    )
    rows = [(f"`/{name}` that writes, warm", distribution(values)) for name, values in waits.items()]
    report.note("What the member waits:\n\n" + table(["request", "seconds"], rows))
    told = f"{watch.calls} calls, {watch.refused} refused, {watch.other} with another error"
    ended = all(value is not None for values in seen.values() for value in values)
    return ended and watch.calls > 0 and watch.refused == 0, told


def waits(world, key, report):
    """Warm and cold requests that write nothing. -> whether each was answered, what was seen"""
    name = world.resources()["AddIpFunction"]
    client = world.client("lambda")
    world.call(key)
    warm = [world.call(key) for _ in range(world.samples)]
    cold = []
    for number in range(max(3, world.samples // 4)):
        # A change of the configuration ends every environment.
        client.update_function_configuration(FunctionName=name, Description=f"cold start {number}")
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        cold.append(world.call(key))
    rows = [
        (f"`already_allowed`, {kind}", distribution([answer.seconds for answer in answers]))
        for kind, answers in [("warm", warm), ("cold", cold)]
    ]
    report.note("What the member waits:\n\n" + table(["request", "seconds"], rows))
    world.call(key, "remove", "?all=true", "POST")
    return all(answer.status == 200 for answer in warm + cold), f"{len(warm)} warm, {len(cold)} cold"


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
        rows.append((host.replace(world.bucket, "BUCKET"), "yes" if ok else "no", ", ".join(anchors), leaf))
    head = [
        "endpoint",
        "trusted with the embedded roots",
        "each root that is enough",
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
    issuer = dict(pair for part in found["issuer"] for pair in part)
    return True, f"issued by {issuer.get('commonName', issuer)} until {found['notAfter']}"
