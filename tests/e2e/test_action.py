"""The GitHub Action, run as the runner of GitHub runs it, on the deployed stack."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import pytest
import yaml

from conftest import SECOND_ARN
from emulator import POLICY_ARN
from proxy import Proxy
from runtime import RESET_POLICY, Function
from tools import LINT, ROOT
from waiting import wait_for

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
ALLOWED, DENIED = 200, 403
HERE = "127.0.0.9"


class Job:
    """A job with one step of the action. It passes inputs, state and outputs on, as the runner does."""

    def __init__(self, folder, **inputs):
        self.folder = folder
        declared = {name: str(given.get("default", "")) for name, given in ACTION["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(declared), given
        self.inputs = {f"INPUT_{name.upper()}": value for name, value in {**declared, **given}.items()}
        self.state, self.log, self.environment = folder / "state", "", {}
        self.state.touch()

    def start(self, step):
        state = dict(line.split("=", 1) for line in self.state.read_text().splitlines())
        env = {
            "PATH": os.environ["PATH"],
            "GITHUB_STATE": str(self.state),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            **self.inputs,
            **{f"STATE_{name}": value for name, value in state.items()},
            **self.environment,
        }
        command = [LINT / "bin" / "node", ROOT / ACTION["runs"][step]]
        return subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )

    @staticmethod
    def signal(process, number):
        """The `node` of PyPI is a script that starts Node: both get the signal."""
        os.killpg(process.pid, number)

    def finish(self, process):
        """-> its exit status"""
        self.log += process.communicate(timeout=120)[0]
        return process.returncode

    def run(self, step):
        return self.finish(self.start(step))

    def run_all(self, work):
        """The action's step, the job's own steps, and the post step in any case; -> the job's status."""
        status = self.run("main") or work()
        assert self.run("post") == 0, "the post step never fails a job"
        return status

    def networks(self):
        return (self.folder / "output").read_text().strip().removeprefix("networks=")


def door(stack, output="AddUrl", address=HERE, **options):
    """What the internet is to the API: a place to connect to, from which the gateway sees this address."""
    host = urllib.parse.urlsplit(stack.local_url(stack.outputs[output])).netloc
    return Proxy(stack.endpoint, headers={"Host": host, "X-Forwarded-For": address}, **options)


@pytest.fixture
def gateway(stack):
    with door(stack) as proxy:
        yield proxy


@pytest.fixture
def job(stack, account, gateway, tmp_path):
    stack.add_member("ci", key := "c" * 64)
    return Job(tmp_path, url=gateway.endpoint + "/gate/add", key=key, wait="0")


def test_every_input_that_the_code_reads_is_declared_and_described():
    code = "".join(path.read_text() for path in (ROOT / "action").glob("*.js"))
    read = set(re.findall(r'input(?:\(|: )"([a-z-]+)"', code))
    assert read == set(ACTION["inputs"])
    assert all(each["description"] for each in ACTION["inputs"].values())
    assert ACTION["runs"]["post-if"] == "always()"


@pytest.mark.parametrize("status", [0, 1], ids=["succeeds", "fails"])
def test_a_job_leaves_nothing_behind(stack, account, user, job, status):
    stack.call(job.inputs["INPUT_KEY"], "127.0.0.8")
    assert account.signed_status(user, HERE) == DENIED

    def work():
        assert account.signed_status(user, HERE) == ALLOWED
        return status

    assert job.run_all(work) == status, job.log
    assert job.networks() == HERE + "/32"
    assert account.signed_status(user, HERE) == DENIED
    assert "127.0.0.8/32" in account.entries(POLICY_ARN), "exactly the entry of this job is removed"
    assert "removed 127.0.0.9/32" in job.log, job.log
    key = job.inputs["INPUT_KEY"]
    assert key not in job.log.replace(f"::add-mask::{key}\n", ""), job.log


def test_an_entry_ends_after_an_hour_where_the_workflow_says_nothing(job):
    assert job.run("main") == 0, job.log
    ends = re.search(r"until (\S+)", job.log)[1]
    assert 3500 < seconds(ends) - time.time() < 3700


def seconds(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def test_the_wait_ends_when_the_probe_is_let_through(stack, account, user, tmp_path):
    stack.add_member("ci", key := "c" * 64)
    with door(stack, address="127.0.0.1") as gateway:
        job = Job(tmp_path, url=gateway.endpoint + "/gate", key=key, wait="aws s3 ls", wait_timeout="60s")
        job.environment = stack.environment(*user)
        assert stack.aws_raw("s3", "ls", key=user[0], secret=user[1]).returncode != 0
        assert job.run("main") == 0, job.log
        assert job.run("post") == 0, job.log
    assert stack.aws_raw("s3", "ls", key=user[0], secret=user[1]).returncode != 0


def test_a_probe_that_fails_for_good_fails_the_step(account, job):
    job.inputs |= {"INPUT_WAIT": "echo AccessDenied; exit 254", "INPUT_WAIT-TIMEOUT": "1s"}
    assert job.run("main") == 1
    assert "::error title=ip-gate::`echo AccessDenied; exit 254` did not succeed within 1s" in job.log
    assert HERE + "/32" in account.entries(POLICY_ARN)
    assert job.run("post") == 0, job.log
    assert HERE + "/32" not in account.entries(POLICY_ARN)


def test_a_job_that_is_cancelled_while_it_waits_is_taken_off_the_list(account, job):
    job.inputs["INPUT_WAIT"] = "60s"
    main = job.start("main")
    wait_for(lambda: HERE in job.state.read_text())
    job.signal(main, signal.SIGINT)
    assert job.finish(main) != 0
    assert job.run("post") == 0, job.log
    assert HERE + "/32" not in account.entries(POLICY_ARN)


def test_a_job_that_is_cancelled_before_it_has_its_answer_is_taken_off_the_list(stack, account, job):
    def cancel(name, status):
        if name == "POST add":
            job.signal(main, signal.SIGTERM)
            main.wait(10)

    with door(stack, hook=cancel) as gateway:
        job.inputs["INPUT_URL"] = gateway.endpoint + "/gate/add"
        main = job.start("main")
        assert job.finish(main) != 0
        assert HERE + "/32" in account.entries(POLICY_ARN), "added, and nobody has heard of it"
        assert job.run("post") == 0, job.log
    assert HERE + "/32" not in account.entries(POLICY_ARN)


def test_the_entry_of_a_job_that_was_killed_ends_by_itself(stack, account, user, job):
    job.inputs |= {"INPUT_FOR": "5m", "INPUT_WAIT": "60s"}
    main = job.start("main")
    wait_for(lambda: account.signed_status(user, HERE) == ALLOWED)
    job.signal(main, signal.SIGKILL)
    assert job.finish(main) == -signal.SIGKILL
    # The runner is gone, so no post step runs. Before the end the expiry finds nothing to do, after it the
    # entry goes.
    assert expire(stack, ahead=4 * 60)["status"] == "unchanged"
    assert account.signed_status(user, HERE) == ALLOWED
    assert expire(stack, ahead=6 * 60)["status"] == "expired"
    assert account.signed_status(user, HERE) == DENIED


def expire(stack, ahead):
    """The expiry as its schedule runs it, so many seconds from now by S3's clock."""
    with Proxy(stack.endpoint, ahead=ahead) as aws:
        settings = {
            "AWS_ENDPOINT_URL": aws.endpoint,
            "POLICY_ARNS": f"{POLICY_ARN},{SECOND_ARN}",
            "STATE_BUCKET": stack.outputs["StateBucket"],
            "ADDRESS_SCOPE": "any",
        }
        with Function(RESET_POLICY, settings, timeout=120) as function:
            failed, answer = function.call({"expire": True})
            assert not failed, answer
            return answer


def test_a_busy_gate_is_asked_again(stack, account, job):
    busy = [(503, {"Retry-After": "1"}), (429, {"Retry-After": "1"})]
    with door(stack, answers=busy) as gateway:
        job.inputs["INPUT_URL"] = gateway.endpoint + "/gate/add"
        assert job.run("main") == 0, job.log
        assert gateway.counts["POST add"] == 3
    assert HERE + "/32" in account.entries(POLICY_ARN)


def test_a_wrong_key_is_one_clear_error(account, job):
    job.inputs["INPUT_KEY"] = "w" * 64
    assert job.run("main") == 1
    (told,) = (line for line in job.log.splitlines() if line.startswith("::error"))
    assert "401 unauthorized: a valid member key is needed" in told, job.log
    assert job.run("post") == 0 and "there is no entry to remove" in job.log
    assert HERE + "/32" not in account.entries(POLICY_ARN)


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("KEY", "", "the input `key` is empty"),
        ("KEY", "short", "is not a member key"),
        ("URL", "http://example.com/gate", "must begin with https://"),
        ("DUAL-STACK-URL", "nonsense", "the input `dual-stack-url` is not a URL"),
        ("REMOVE", "no", "`remove` is neither true nor false"),
        ("FOR", "for ever", "400 bad_for"),
    ],
)
def test_an_input_that_must_be_mended_is_named(account, job, name, value, told):
    job.inputs[f"INPUT_{name}"] = value
    assert job.run("main") == 1
    assert told in job.log, job.log
    assert account.entries(POLICY_ARN) == ["198.51.100.10/32"]


def test_an_entry_is_left_where_the_workflow_says_so(account, job):
    job.inputs["INPUT_REMOVE"] = "false"
    assert job.run("main") == 0 and job.run("post") == 0, job.log
    assert HERE + "/32" in account.entries(POLICY_ARN)


def test_a_removal_that_fails_does_not_fail_the_job(stack, job):
    assert job.run("main") == 0, job.log
    with door(stack, answers=[(400, {})]) as gateway:
        job.inputs["INPUT_URL"] = gateway.endpoint + "/gate/add"
        assert job.run("post") == 0
    assert "::warning title=ip-gate::127.0.0.9/32 was not removed, it ends by itself" in job.log, job.log


def test_a_runner_with_ipv6_adds_and_removes_both_networks(stack, account, job):
    try:
        second = door(stack, "DualStackAddUrl", "2001:db8:1:2::9", host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with second:
        job.inputs["INPUT_DUAL-STACK-URL"] = second.endpoint + "/gate/add"
        assert job.run("main") == 0, job.log
        assert job.networks() == "127.0.0.9/32 2001:db8:1:2::/64"
        assert {"127.0.0.9/32", "2001:db8:1:2::/64"} <= set(account.entries(POLICY_ARN))
        assert job.run("post") == 0, job.log
    assert account.entries(POLICY_ARN) == ["198.51.100.10/32"]


def test_a_runner_without_ipv6_is_served_by_ipv4(stack, account, job):
    with door(stack, "DualStackAddUrl") as ipv4_only:
        # A literal of the other family: the connection fails as it does without IPv6.
        port = urllib.parse.urlsplit(ipv4_only.endpoint).port
        job.inputs["INPUT_DUAL-STACK-URL"] = f"http://[::1]:{port}/gate/add"
        assert job.run("main") == 0, job.log
    assert "this runner has no IPv6" in job.log
    assert json.loads(job.state.read_text().splitlines()[-1].split("=", 1)[1]) == [
        {"api": "url", "network": "127.0.0.9/32"}
    ]
    assert job.run("post") == 0, job.log
    assert account.entries(POLICY_ARN) == ["198.51.100.10/32"]
