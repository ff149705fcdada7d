"""The package alone: no source, no Rust on the PATH, from nothing to a member who comes and goes."""

import os
import re
import shutil
import struct
import subprocess
import sys

import pytest

import package
from emulator import for_the_emulator
from report import DIFFERENT, Report
from story import tell
from tools import BUILD, BUILT, ROOT, STACK, Problem
from world import LocalWorld

TOOLS = ["bash", "env", "openssl", "cut", "printf", "sha256sum", "sort"]


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory):
    return package.unpack(archive, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """A folder with what a new user has: the SAM CLI, the AWS CLI, Python. No Rust."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "python3").symlink_to(sys.executable)
    (folder / "sam").symlink_to(BUILD / "bin" / "sam")
    (folder / "aws").symlink_to(STACK / "bin" / "aws")
    for name in TOOLS:
        if shutil.which(name):
            (folder / name).symlink_to(shutil.which(name))
    assert shutil.which("cargo", path=str(folder)) is None
    return folder


class PackageWorld(LocalWorld):
    """The local stack, deployed by hand from the unpacked package."""

    def __init__(self, folder, tools):
        super().__init__()
        self.folder, self.tools = folder, tools

    def environment(self, user=None):
        return {**super().environment(user), "PATH": str(self.tools), "TMPDIR": str(self.emulator.folder)}

    def deploy(self, **parameters):
        assert not parameters
        name_and_region, until_address_scope = "\n\n", "\n" * 6
        done = subprocess.run(
            ["sam", "deploy", "--guided"],
            cwd=self.folder,
            env=self.environment(),
            input=f"{name_and_region}{self.gate}\n{until_address_scope}any\n" + "\n" * 60,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert "Successfully created/updated stack - ip-gate" in done.stdout, done.stdout
        self.read_outputs()


def test_the_story_needs_the_package_alone(unpacked, tools):
    template = unpacked / "template.yaml"
    kept = template.read_bytes()
    template.write_text(for_the_emulator(template.read_text()))
    before = {path for path in unpacked.rglob("*") if path.is_file()}
    report = Report("the package")
    try:
        with PackageWorld(unpacked, tools) as world:
            tell(world, report)
    finally:
        template.write_bytes(kept)
    assert report.count(DIFFERENT) == 0, report.markdown("")
    made = {path for path in unpacked.rglob("*") if path.is_file()} - before
    assert not [path for path in made if path.name == "bootstrap"], "nothing was built"


def test_the_package_holds_what_its_checksums_say(archive, unpacked, tmp_path):
    fresh = package.unpack(archive, tmp_path)
    names = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".rs", ".toml")) and name != "samconfig.toml"]
    for folder in ("add-ip", "reset-policy"):
        assert os.access(fresh / folder / "bootstrap", os.X_OK)
    assert os.access(fresh / "ip-gate", os.X_OK)
    listed = [line.split("  ")[1] for line in (fresh / "SHA256SUMS").read_text().splitlines()]
    assert set(listed) == names - {"SHA256SUMS"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=fresh, check=True)


def test_sam_build_by_habit_builds_nothing(archive, tools, tmp_path):
    fresh = package.unpack(archive, tmp_path)
    env = {**os.environ, "PATH": str(tools), "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(["sam", "build"], cwd=fresh, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_build_gives_the_same_bytes(archive, unpacked, tmp_path):
    assert package.package(tmp_path / "dist", unpacked / "ip-gate").read_bytes() == archive.read_bytes()


def test_a_fresh_clone_is_compared_with_the_tools_that_it_has(monkeypatch, tmp_path):
    """No tool of the lint is installed there, and the others only once somebody asked for them."""
    here, absent, linked = tmp_path / ".venv-build", tmp_path / ".venv-lint", []

    def run(command, cwd=None, **_):
        if "clone" in command:
            command[-1].mkdir(parents=True)
        elif command[-1] == "local/package.py":
            linked.append({path.name for path in cwd.glob(".venv-*") if path.exists()})
            assert not [path for path in cwd.glob(".venv-*") if not path.exists()], "a link to nothing"
            (cwd / "dist").mkdir()
            (cwd / "dist" / "x.zip").write_bytes(b"the same")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(package, "VENVS", (here, absent))
    monkeypatch.setattr(package, "install_tools", here.mkdir)
    monkeypatch.setattr(package.subprocess, "run", run)
    package.reproducible()
    assert linked == [{".venv-build"}, {".venv-build"}]


def test_every_step_of_a_release_that_builds_or_tests_is_a_target():
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    ran = re.findall(r"run: (.+)", workflow)
    assert [each for each in ran if not each.startswith(("make ", "test ", "gh release "))] == []
    phony = re.search(r"\.PHONY: (.+)", (ROOT / "Makefile").read_text())[1].split()
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in [each.split()[1] for each in ran if each.startswith("make ")]:
        assert target in phony and f"make {target} " in helped, target


def test_checksums_are_of_every_zip(tmp_path):
    (tmp_path / "dist").mkdir()
    for name in ("a.zip", "b.zip", "c.txt"):
        (tmp_path / "dist" / name).write_text(name)
    make = ["make", "-f", ROOT / "Makefile", "checksums"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    listed = (tmp_path / "dist" / "SHA256SUMS").read_text()
    assert [line.split("  ")[1] for line in listed.splitlines()] == ["a.zip", "b.zip"]


@pytest.mark.parametrize("name", package.FUNCTIONS)
def test_a_binary_names_no_folder_of_the_machine_that_built_it(name):
    data = (BUILT / name / "bootstrap").read_bytes()
    for folder in (str(ROOT), os.path.expanduser("~/.cargo")):
        assert folder.encode() not in data


def binary(folder, machine):
    """The beginning of a Linux program for a processor."""
    folder.mkdir(parents=True)
    (folder / "bootstrap").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine))


@pytest.mark.parametrize(
    "machines, wanted, refused",
    [
        ((62, 62), "x86_64", None),
        ((183, 183), "arm64", None),
        ((183, 183), "x86_64", "AddIpFunction was built for arm64, not for x86_64: run `make build"),
        ((62, 183), "x86_64", "ResetPolicyFunction was built for arm64, not for x86_64"),
        ((40, 40), "arm64", "an unknown processor"),
    ],
)
def test_a_binary_for_the_wrong_processor_is_refused_in_one_line(tmp_path, machines, wanted, refused):
    for name, machine in zip(package.FUNCTIONS, machines, strict=True):
        binary(tmp_path / name, machine)
    if refused is None:
        package.check_architecture(wanted, tmp_path)
    else:
        with pytest.raises(Problem, match=refused) as raised:
            package.check_architecture(wanted, tmp_path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("function", ["add-ip", "reset-policy"])
def test_a_build_for_arm64_that_nobody_asked_for_is_refused(function, tmp_path):
    """`sam build` on an arm64 machine builds for it, whatever the template says."""
    script = tmp_path / "build-script"
    folder = ROOT / "functions" / function
    manifest = (folder / "Cargo.toml").read_text()
    source = folder / re.search(r'^build = "(.+)"$', manifest, re.MULTILINE)[1]
    subprocess.run(["rustc", "--edition", "2024", source, "-o", script], check=True)

    def errors(**environment):
        done = subprocess.run([script], env={"PROFILE": "release", **environment}, stdout=subprocess.PIPE)
        return [line for line in done.stdout.decode().splitlines() if line.startswith("cargo::error=")]

    assert "run `make build`" in errors(CARGO_CFG_TARGET_ARCH="aarch64")[0]
    assert len(errors(CARGO_CFG_TARGET_ARCH="aarch64", ARCHITECTURE="x86_64")) == 1
    assert errors(CARGO_CFG_TARGET_ARCH="aarch64", ARCHITECTURE="arm64") == []
    assert errors(CARGO_CFG_TARGET_ARCH="aarch64", PROFILE="debug") == []
    assert errors(CARGO_CFG_TARGET_ARCH="x86_64") == []


def test_what_is_no_program_is_refused(tmp_path):
    with pytest.raises(Problem, match="is missing: run `make build`"):
        package.check_architecture("x86_64", tmp_path)
    (tmp_path / "AddIpFunction").mkdir()
    (tmp_path / "AddIpFunction" / "bootstrap").write_text("#!/bin/sh\n")
    with pytest.raises(Problem, match="is no Linux program"):
        package.check_architecture("x86_64", tmp_path)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("template", [ROOT / "template.yaml", BUILT / "template.yaml"])
def test_a_template_can_be_fixed_to_one_processor(template, architecture):
    fixed = package.only_architecture(template.read_text(), architecture)
    assert f"AllowedValues: [{architecture}]" in fixed and f"Default: {architecture}\n" in fixed
