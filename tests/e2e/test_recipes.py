"""The scripts in docs/recipes.md, run as they are printed, and what the recipes say was tried."""

import configparser
import plistlib
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import pytest
import yaml
from botocore.config import Config

from account import REGION
from emulator import POLICY_ARN
from proxy import Proxy
from tools import ROOT

RECIPES = (ROOT / "docs" / "recipes.md").read_text()
OFFICE = "198.51.100.10/32"
HERE = "127.0.0.1"


def blocks(section, kind):
    """The code blocks of this kind in a section."""
    text = RECIPES[RECIPES.index(f"## {section}\n") :].split("\n## ", 1)[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(stack, account, user, tmp_path):
    """A machine that the gate refuses: the environment of its scripts."""
    stack.add_member("ci", key := "c" * 64)
    host = urllib.parse.urlsplit(stack.local_url(stack.outputs["AddUrl"])).netloc
    with Proxy(stack.endpoint, headers={"Host": host, "X-Forwarded-For": HERE}) as gateway:
        yield {
            **stack.environment(*user),
            "HOME": str(tmp_path),
            "IP_GATE_URL": gateway.endpoint + "/gate",
            "IP_GATE_KEY": key,
        }


def run(script, place, *arguments, folder=None):
    """-> exit status, output"""
    command = ["sh", "-c", script, "script", *arguments]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, env=place, cwd=folder, timeout=120, **output)
    return done.returncode, done.stdout


@pytest.mark.parametrize("status", [0, 3])
def test_the_plain_shell_leaves_nothing_behind(account, place, status):
    (script,) = blocks("A plain shell", "sh")
    assert run("aws s3 ls", place)[0] != 0, "the gate refuses"
    assert run(script, place, "sh", "-c", f"aws s3 ls && exit {status}")[0] == status
    assert account.entries(POLICY_ARN) == [OFFICE]


def test_the_plain_shell_removes_its_entry_when_it_is_ended(account, place):
    (script,) = blocks("A plain shell", "sh")
    command = ["sh", "-c", script, "script", "sh", "-c", "echo begun; sleep 2"]
    with subprocess.Popen(command, env=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        assert HERE + "/32" in account.entries(POLICY_ARN)
        process.terminate()
        assert process.wait(30) == 143
    assert account.entries(POLICY_ARN) == [OFFICE]


def test_gitlab_leaves_nothing_behind(account, place, tmp_path):
    (text,) = blocks("GitLab", "yaml")
    job = yaml.safe_load(text)["deploy"]
    assert run("set -e\n" + "\n".join(job["before_script"]), place, folder=tmp_path)[0] == 0
    assert run("aws s3 ls", place)[0] == 0
    assert run("\n".join(job["after_script"]), place, folder=tmp_path)[0] == 0
    assert account.entries(POLICY_ARN) == [OFFICE]


def test_an_address_is_kept_fresh(account, place, tmp_path):
    (script,) = blocks("Keep an address fresh", "sh")
    # The program keeps its bookmark beside it.
    (tmp_path / ".config" / "ip-gate").mkdir(parents=True)
    settings = tmp_path / ".config" / "ip-gate-refresh"
    settings.write_text("".join(f"{name}={place.pop(name)}\n" for name in ("IP_GATE_URL", "IP_GATE_KEY")))
    for _ in range(2):
        status, output = run(script, place)
        assert status == 0, output
    assert account.entries(POLICY_ARN) == [OFFICE, HERE + "/32"]
    settings.write_text(settings.read_text() + f"IP_GATE_KEY={'w' * 64}\n")
    status, output = run(script, place)
    assert (status != 0, "unauthorized" in output) == (True, True), output


def test_the_timers_are_well_formed():
    service, timer = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    for parsed, text in zip((service, timer), blocks("Keep an address fresh", "ini"), strict=True):
        parsed.read_string(text)
    assert service["Service"]["ExecStart"] == "%h/bin/ip-gate-refresh"
    section = RECIPES[RECIPES.index("## Keep an address fresh\n") :].split("\n# ", 1)[0]
    beginning, _, by_script = section.partition("**Without the program**")
    assert "ip-gate watch --for 2h --print-unit > ~/.config/systemd/user/ip-gate.service" in beginning
    assert not re.search(r"ip-gate\.(service|timer|plist)", by_script), "`--print-unit` uses these names"
    assert timer["Timer"]["OnCalendar"] == "*:0/30"
    (text,) = blocks("Keep an address fresh", "xml")
    agent = plistlib.loads(text.encode())
    assert agent["Label"] == "ip-gate-refresh"
    assert (agent["StartInterval"], agent["ProgramArguments"][0]) == (1800, "/bin/sh")


def test_recipes_advise_what_the_check_of_gates_accepts():
    japanese = (ROOT / "docs" / "recipes.ja.md").read_text()
    for text in (RECIPES, japanese):
        assert re.search(r'"BoolIfExists": ?\{ ?"aws:ViaAWSService"', text)
        assert not re.search(r'"Bool": ?\{ ?"aws:ViaAWSService"', text)
    assert "(`services_if_exists`)" in RECIPES, "the example has `Bool`"


def test_a_presigned_url_is_judged_by_who_uses_it(stack, account, user):
    bucket = "presigned"
    account.s3.create_bucket(Bucket=bucket)
    account.s3.put_object(Bucket=bucket, Key="report.txt", Body=b"for the team")
    signer = boto3.client(
        "s3",
        endpoint_url=stack.endpoint,
        region_name=REGION,
        aws_access_key_id=user[0],
        aws_secret_access_key=user[1],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "report.txt"})
    assert fetched(url) == 403
    stack.call(stack.member_key, HERE)
    assert fetched(url) == 200
    time.sleep(1.1)  # what was granted in the second of a reset may be newer than it
    account.invoke(stack.outputs["ResetFunction"])
    assert fetched(url) == 403, "the same URL, after the reset"


def fetched(url):
    """The status of a download, without any proxy of this machine."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_both_families_are_added_by_their_apis(stack, account):
    stack.call(stack.member_key, "127.0.0.2")
    url = stack.local_url(stack.outputs["DualStackAddUrl"])
    stack.call(stack.member_key, "2001:db8:1:2::9", url=url)
    assert account.entries(POLICY_ARN) == [OFFICE, "127.0.0.2/32", "2001:db8:1:2::/64"]
