#!/usr/bin/env python3
"""The package: everything that a deployment needs, the program `ip-gate` too, and nothing to build.

    package.py               make dist/ip-gate-<version>-<architecture>.zip from what `sam build` has left
    package.py program       make dist/ip-gate-program-<version>-….zip: the program alone
    package.py reproducible  build this commit twice, in different folders, and compare the packages (slow)

The bytes of a package depend on the commit and the compiler alone. Nothing is compressed: compressors give
other bytes in other versions, and `sam deploy` compresses what it uploads.
"""

import argparse
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

from tools import BUILT, ROOT, VENVS, Problem, architecture, build_program, install_tools, say, this_processor

FUNCTIONS = {"AddIpFunction": "add-ip", "ResetPolicyFunction": "reset-policy"}
FILES = ["samconfig.toml", "LICENSE", "README.md", "README.ja.md", "CHANGELOG.md", "CONTRIBUTING.md"]
FOLDERS = ["examples", "docs"]
# e_machine: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINES = {62: "x86_64", 183: "arm64"}


def architecture_of(binary):
    """The processor that a binary is for, from its ELF header."""
    try:
        found = elf_machine(binary)
    except OSError:
        raise Problem(f"`{binary.name}` of {binary.parent.name} is missing: run `make build`") from None
    if not found:
        raise Problem(f"`{binary.parent.name}/{binary.name}` is no Linux program: run `make build` on Linux")
    return found


def elf_machine(binary):
    """-> the processor of a Linux program; None if it is no Linux program"""
    with binary.open("rb") as opened:
        head = opened.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return MACHINES.get(machine, f"an unknown processor ({machine})")


def check_runs_here(program, system=sys.platform, processor=None):
    """Refuses an `ip-gate` of another machine: a package's is for Linux on the functions' processor."""
    here, processor = ("macOS" if system == "darwin" else "Linux"), processor or this_processor()
    try:
        found = elf_machine(program)
    except OSError as error:
        raise Problem(f"the program cannot be read: {error}") from None
    if system == "darwin":
        runs, is_for = not found, f"Linux on {found}"
    else:
        runs, is_for = found == processor, f"Linux on {found}" if found else "another system"
    if not runs:
        raise Problem(
            f"`{program.name}` is for {is_for}, and this machine is {here} on {processor}: unpack "
            f"ip-gate-program-{version()}-{here.lower()}-{processor}.zip of the release, and give "
            'OPTIONS="--program <its folder>/ip-gate"'
        )
    if not os.access(program, os.X_OK):
        raise Problem(f"`{program}` cannot be run: `chmod +x` it")


def check_architecture(wanted, built=BUILT):
    """Refuses binaries that the functions could not run."""
    for name in FUNCTIONS:
        found = architecture_of(built / name / "bootstrap")
        if found != wanted:
            raise Problem(
                f"{name} was built for {found}, not for {wanted}: run `make build ARCHITECTURE={wanted}` "
                f"on a machine with that processor, or `make build ARCHITECTURE={found}` for {found}"
            )


def only_architecture(template, architecture):
    """The template with no other choice than this processor; as text, since Python itself has no YAML."""
    block = re.search(r"^  Architecture:\n(?:    .*\n)+", template, re.MULTILINE)
    if not block:
        raise Problem("the template has no parameter `Architecture`")
    fixed = re.sub(r"AllowedValues:(?: .*|(?:\n    - .*)+)", f"AllowedValues: [{architecture}]", block[0])
    fixed = re.sub(r"Default: .*", f"Default: {architecture}", fixed)
    return template.replace(block[0], fixed, 1)


def packaged_template(template, architecture):
    """The template, with binaries in place of builds, and with no other choice of processor."""
    for name, folder in FUNCTIONS.items():
        start = template.index(f"\n  {name}:\n")
        head, body = template[:start], template[start:]
        metadata = f"      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: {folder}\n"
        for old, new in [
            # So that `sam build`, by habit, does no harm.
            (metadata, "      SkipBuild: true\n"),
            ("    Properties:\n", f"    Properties:\n      CodeUri: {folder}/\n"),
        ]:
            if old not in body:
                raise Problem(f"template.yaml has changed, package.py does not find this in {name}:\n{old}")
            body = body.replace(old, new, 1)
        template = head + body
    return only_architecture(template.replace("    CodeUri: .\n", "", 1), architecture)


def version():
    return re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def contents(architecture, program):
    """-> {path in the package: (bytes, whether it can be run)}"""
    template = packaged_template((ROOT / "template.yaml").read_text(), architecture)
    found = {"template.yaml": (template.encode(), False)}
    for name, folder in FUNCTIONS.items():
        found[f"{folder}/bootstrap"] = ((BUILT / name / "bootstrap").read_bytes(), True)
    found["ip-gate"] = (program.read_bytes(), True)
    paths = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in paths:
        if "__pycache__" not in path.parts:
            data = path.read_bytes()
            found[path.relative_to(ROOT).as_posix()] = (data, data.startswith(b"#!"))
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, (data, _) in sorted(found.items())]
    found["SHA256SUMS"] = ("".join(sums).encode(), False)
    return found


def package(target=ROOT / "dist", program=None):
    """-> the path of the package. `program` is an `ip-gate` that is built already."""
    processor = architecture_of(BUILT / "AddIpFunction" / "bootstrap")
    check_architecture(architecture() if os.environ.get("ARCHITECTURE") else processor)
    program = program or build_program(release=True)
    if architecture_of(program) != processor:
        raise Problem(f"the functions are for {processor}: make the package on such a machine")
    name = f"ip-gate-{version()}-{processor}"
    target.mkdir(exist_ok=True)
    path = target / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for inside, (data, runs) in sorted(contents(processor, program).items()):
            # The oldest time that a zip can hold; rw-r--r-- or rwxr-xr-x; made on Unix.
            entry = zipfile.ZipInfo(f"{name}/{inside}", (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (0o100755 if runs else 0o100644) << 16
            archive.writestr(entry, data)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".zip.sha256").write_text(f"{digest}  {path.name}\n")
    say(f"{path.relative_to(target.parent)}  {digest}")
    return path


def program_alone(target=ROOT / "dist"):
    """The program for this machine, which may be a Mac; -> the path of its zip"""
    system = "macos" if sys.platform == "darwin" else "linux"
    name = f"ip-gate-program-{version()}-{system}-{architecture()}"
    target.mkdir(exist_ok=True)
    path = target / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for source in (build_program(release=True), ROOT / "LICENSE"):
            archive.write(source, f"{name}/{source.name}")
    say(str(path.relative_to(target.parent)))
    return path


def unpack(archive, target):
    """-> the folder with the package's files. Python's own unzip forgets which files can be run."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(target)
        for entry in opened.infolist():
            if not entry.is_dir():
                (target / entry.filename).chmod(entry.external_attr >> 16 & 0o777)
        return target / opened.namelist()[0].split("/")[0]


def link_tools(clone):
    """The tools that are installed here: a link to nothing could not be installed into."""
    for venv in VENVS:
        if venv.exists():
            (clone / venv.name).symlink_to(venv)


def reproducible():
    """Two clones in folders of different names and depths share nothing but the tools."""
    install_tools()
    with tempfile.TemporaryDirectory() as folder:
        packages = []
        for name in ("a", "another/folder"):
            clone = pathlib.Path(folder, name)
            subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
            link_tools(clone)
            for step in (["local/stack.py", "build"], ["local/package.py"]):
                env = {**os.environ, "CARGO_TARGET_DIR": str(clone / "target")}
                if subprocess.run([sys.executable, *step], cwd=clone, env=env).returncode != 0:
                    raise Problem(f"`{' '.join(step)}` failed in {clone}")
            packages += sorted((clone / "dist").glob("*.zip"))
        first, second = (path.read_bytes() for path in packages)
        if first != second:
            raise Problem("the two packages differ in " + ", ".join(differing(*packages)))
        say(f"the same {len(first):,} bytes twice: {packages[0].name} {hashlib.sha256(first).hexdigest()}")


def differing(first, second):
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        names = sorted({*one.namelist(), *other.namelist()})
        return [
            name
            for name in names
            if name not in one.namelist()
            or name not in other.namelist()
            or one.read(name) != other.read(name)
        ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["make", "program", "reproducible"], default="make")
    run = {"make": package, "program": program_alone, "reproducible": reproducible}
    try:
        run[parser.parse_args().command]()
    except Problem as problem:
        print(f"package: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
