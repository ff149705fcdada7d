"""What ships is what is tested: the features with which the functions are built."""

import re
import subprocess

import pytest

from tools import ROOT


def features(*selection):
    """-> {crate: its version and features} of a build, without what only tests need."""
    tree = ["cargo", "tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}|{f}"]
    target = ["--target", "x86_64-unknown-linux-gnu"]
    done = subprocess.run([*tree, *target, *selection], cwd=ROOT, check=True, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        package, _, enabled = line.removesuffix(" (*)").partition("|")
        if package:
            found[re.sub(r" \(.*\)", "", package)] = enabled
    return found


@pytest.mark.parametrize("function", ["add-ip", "reset-policy"])
def test_a_function_is_built_alike_from_the_root_and_alone(function):
    root, alone = features(), features("--package", function)
    assert alone and {package: root.get(package) for package in alone} == alone


def test_what_is_for_people_is_in_no_function():
    root, program = features(), features("--package", "ip-gate")
    names = {package.partition(" ")[0] for package in root}
    assert not names & {"clap", "aws-sdk-cloudformation", "aws-sdk-lambda", "aws-sdk-sso"}
    # A slow first handshake, and a C library to build: neither is for us.
    banned = {"aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"}
    assert not banned & {package.partition(" ")[0] for package in {**root, **program}}
