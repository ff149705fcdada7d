"""The program `ip-gate` as people run it, with a record of what it prints."""

import os
import pathlib
import queue
import re
import subprocess
import threading
import time

from tools import ROOT

SNAPSHOTS = pathlib.Path(__file__).with_name("snapshots")


def binary():
    """-> the program; `IP_GATE` names one that is built already."""
    if "IP_GATE" in os.environ:
        return pathlib.Path(os.environ["IP_GATE"])
    # With the features of `cargo test --workspace`: nothing that was built for that is built again.
    build = ["cargo", "test", "--workspace", "--locked", "--quiet", "--no-run", "--test", "command_line"]
    subprocess.run(build, cwd=ROOT, check=True)
    return ROOT / "target" / "debug" / "ip-gate"


def masked(text):
    """Masks what differs from run to run."""
    for pattern, mask in [
        (r"\b[0-9a-f]{64}\b", "<64 hex digits>"),
        (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
        (r"http://\w+\.execute-api\.localhost:\d+", "http://<api>.execute-api.localhost:<port>"),
        (r"/\S*/bookmark\.json", "<folder>/bookmark.json"),
        (r"s3://[a-z0-9.-]+/", "s3://<bucket>/"),
        (r"\bv\d+\b", "v#"),
        (r"/\S*/ip-gate(?=</string>| watch| ip-gate)", "<folder>/ip-gate"),
        (r"(?<=\S) {2,}(?=\S)", "  "),
        (re.escape(f"{ROOT}/"), ""),
    ]:
        text = re.sub(pattern, mask, text)
    return text


def prompt(arguments):
    shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
    return f"$ ip-gate {shown}\n"


class Program:
    """Runs commands of one person, and keeps a transcript."""

    def __init__(self, path, environment):
        self.path, self.environment, self.transcript = path, environment, []

    def __call__(self, *arguments, expect=0, stdin=""):
        """-> what it prints, on standard output and then on standard error."""
        done = subprocess.run(
            [self.path, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}: {printed}"
        end = "" if expect == 0 else f"[{expect}]\n"
        self.transcript.append(f"{prompt(arguments)}{printed}{end}")
        return printed

    def check(self, name):
        """Compares the transcript with the snapshot; `UPDATE_SNAPSHOTS=1` writes it."""
        text, path = masked("".join(self.transcript)), SNAPSHOTS / f"{name}.txt"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"look at it, then set UPDATE_SNAPSHOTS=1: {path}"

    def start(self, *arguments):
        return Running(self, arguments)


class Running:
    """A command that runs on: a context manager that ends it, and adds it to the transcript."""

    def __init__(self, program, arguments):
        self.program, self.arguments = program, arguments
        self.process = subprocess.Popen(
            [program.path, *arguments],
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines, self.printed = queue.Queue(), []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def wait_for(self, part, seconds=30):
        """Waits for a line with this part; -> the line."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"`{part}` was not printed, only {self.printed}") from None
            self.printed.append(line)
            if part in line:
                return line

    def is_quiet(self, seconds):
        """Whether nothing is printed for so long."""
        time.sleep(seconds)
        return self.lines.empty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.reader.join(10)
        while not self.lines.empty():
            self.printed.append(self.lines.get())
        self.program.transcript.append(prompt(self.arguments) + "".join(self.printed))
