"""The pinned tools in `.venv-*` and what they build: the two functions and the program.

Every module of local/ takes the places in the checkout from here.
"""

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENVS = BUILD, STACK, LINT = ROOT / ".venv-build", ROOT / ".venv-stack", ROOT / ".venv-lint"
NODE20 = ROOT / ".venv-node20"
PEER = ROOT / ".venv-peer"
BUILT = ROOT / ".aws-sam" / "build"
PROGRAM = ROOT / "target" / "debug" / "ip-gate"
REGION = "us-east-1"


class Problem(Exception):
    """A problem that the person at the keyboard must solve: one clear line."""


def say(text):
    print(f"\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"== {text}", flush=True)


def print_if_possible(text):
    """A terminal that is gone must not keep a clean-up from running."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def check_machine(rust=True):
    if sys.version_info < (3, 10):  # noqa: UP036, older ones do run this file
        raise Problem("Python 3.10 or newer is needed, this is " + sys.version.split()[0])
    if not importlib.util.find_spec("ensurepip"):
        raise Problem(
            "Python cannot make virtual environments: install its `venv` package (Debian: python3-venv)"
        )
    needed = {"cargo": "install Rust from https://rustup.rs", "cc": "install a C compiler (Debian: gcc)"}
    for tool, hint in needed.items() if rust else []:
        if not shutil.which(tool):
            raise Problem(f"`{tool}` is missing: {hint}")


def install(folder, requirements):
    """A virtual environment with exactly these requirements; made once, and again when they change.

    Every package is a wheel with a known hash, so nothing of a package runs while it is installed.
    """
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing {requirements.name} into {folder.name} (once)")
    venv.create(folder, with_pip=True, clear=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Python compiles what is imported; compiling everything takes longer than the rest.
    pip += ["--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", requirements]
    if subprocess.run(pip, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem(
            f"the packages of {requirements.name} could not be installed: is the package registry reachable?"
        )
    stamp.write_text(wanted)


def install_npm_packages():
    """The packages of package-lock.json, by the Node of `.venv-lint`; made once, and when they change."""
    folder = ROOT / "local"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / "package-lock.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("installing package-lock.json into local/node_modules (once)")
    env = {**os.environ, "PATH": os.pathsep.join([str(LINT / "bin"), os.environ["PATH"]])}
    npm = [LINT / "bin" / "npm", "ci", "--silent"]
    if subprocess.run(npm, cwd=folder, env=env, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem("`npm ci` in local/ failed: is the package registry reachable?")
    stamp.write_text(wanted)


def install_together(*folders):
    """These virtual environments, each with its own requirements, two at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        names = [folder.name.removeprefix(".venv-") for folder in folders]
        files = [ROOT / "local" / f"requirements-{name}.txt" for name in names]
        list(pool.map(install, folders, files))


def install_tools(rust=True):
    """What builds the functions and runs the local stack."""
    check_machine(rust)
    install_together(BUILD, STACK)


def install_all_tools():
    """What the tests and `make lint` need, too."""
    check_machine()
    install_together(BUILD, STACK, LINT, NODE20)
    install_npm_packages()


def build_environment():
    """Ours alone, without the person's AWS profile and telemetry settings."""
    path = os.pathsep.join([str(BUILD / "bin"), os.environ["PATH"]])
    # A panic's message names its source file. Without the folder's name the same commit gives the same bytes
    # everywhere. Cargo's `trim-paths` would do it too, but is not stable. `RUSTFLAGS` would replace the flags
    # that cargo-lambda gives to Cargo; this one is added to them.
    cargo = os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo"
    flags = f"--remap-path-prefix={ROOT}=/ip-gate --remap-path-prefix={cargo}=/cargo"
    return {
        **os.environ,
        "PATH": path,
        # The build scripts of the functions refuse arm64 unless it is asked for.
        "ARCHITECTURE": architecture(),
        "CARGO_BUILD_RUSTFLAGS": flags,
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
    }


def this_processor():
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def architecture():
    """The processor to build for: the one that was asked for, or this machine's."""
    wanted = os.environ.get("ARCHITECTURE") or this_processor()
    if wanted not in ("x86_64", "arm64"):
        raise Problem(f"ARCHITECTURE is `{wanted}`, set it to x86_64 or arm64")
    return wanted


def build_program(release=False):
    """Builds `ip-gate`, quickly or for a package; -> its path"""
    if release:
        say("cargo build --release: the program ip-gate (some minutes the first time)")
        command, env = ["--release", "--target-dir", ROOT / "target" / "package"], build_environment()
    else:
        say("cargo build: the program ip-gate (some minutes the first time)")
        command, env = [], None
    command = ["cargo", "build", "--locked", "--quiet", "--package", "ip-gate", *command]
    if subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem("`cargo build` failed, see above")
    return ROOT / "target" / "package" / "release" / "ip-gate" if release else PROGRAM
