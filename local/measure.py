"""Measurements: how long IAM takes to show a change, and how long members wait."""

import concurrent.futures
import email.utils
import itertools
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

import insights
from report import distribution, table
from tools import Problem
from world import error_code, wait_for

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


class ColdStarts:
    """Requests to environments that do not exist yet, and Lambda's own word that they did not."""

    def __init__(self, world):
        self.world, self.name = world, world.resources()["AddIpFunction"]
        self.group, self.samples = world.resources()["AddIpLogs"], []

    def call(self, key):
        """A change of the configuration ends every environment."""
        client = self.world.client("lambda")
        client.update_function_configuration(
            FunctionName=self.name, Description=f"cold start {len(self.samples)}"
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=self.name)
        answer = self.world.call(key)
        self.samples.append((answer, self.window(answer)))
        # So that no other request is reported in its time.
        time.sleep(2 * self.world.calm)
        return answer

    def window(self, answer):
        """In which seconds Lambda reports the request, by AWS's clock."""
        date = answer.headers["Date"]
        at = email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()
        return at - answer.seconds - 1, at + 2 * self.world.calm

    def proved(self):
        """-> the answers whose REPORT line has the time of a start"""
        reports = wait_for(self.reports, self.world.patience, enough=self.has_all)
        starts = [(when, text) for when, text in reports if is_start(text)]
        return [answer for answer, window in self.samples if within(window, starts)]

    def has_all(self, reports):
        return all(within(window, reports) for _, window in self.samples)

    def reports(self):
        """-> [(when, line)]"""
        since = int(min(window[0] for _, window in self.samples) * 1000)
        found = insights.events(self.world, self.group, '?"platform.report" ?REPORT', startTime=since)
        return [(event["timestamp"] / 1000, event["message"]) for event in found]


def within(window, reports):
    return any(window[0] <= when <= window[1] for when, _ in reports)


def is_start(line):
    """https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#ReportMetrics"""
    return "initDurationMs" in line or "Init Duration" in line


def waits(world, key, report):
    """Warm and cold requests. -> whether each was answered and each kind was seen, what was seen"""
    world.call(key)
    warm = [world.call(key) for _ in range(world.samples)]
    cold, times = ColdStarts(world), max(3, world.samples // 4)
    kinds = {"`already_allowed`": [cold.call(key) for _ in range(times)], "`added`": []}
    for _ in range(times):
        world.call(key, "remove", "?all=true", "POST")
        kinds["`added`"].append(cold.call(key))
    answered = all(answer.status == 200 for answer in [*warm, *kinds["`already_allowed`"]])
    answered &= all(answer.json().get("status") == "added" for answer in kinds["`added`"])
    rows = [("`already_allowed`, warm", distribution([answer.seconds for answer in warm]))]
    # Only AWS says of a request that its environment was new.
    proved = cold.proved() if world.real else [answer for answer, _ in cold.samples]
    known, dropped = True, 2 * times - len(proved)
    for kind, answers in kinds.items():
        kept = [answer.seconds for answer in answers if answer in proved]
        known &= bool(kept)
        label = "cold" if world.real else "cold, which only AWS can prove"
        rows.append((f"{kind}, {label}", distribution(kept) if kept else "not one was proved cold"))
    report.note("What the member waits:\n\n" + table(["request", "seconds"], rows))
    world.call(key, "remove", "?all=true", "POST")
    left_out = f"; {dropped} were not proved cold by their REPORT line, and are left out" if dropped else ""
    return answered and known, f"{len(warm)} warm, {len(proved)} cold{left_out}"
