"""What the administrator's commands have in common: the stack's outputs, the AWS CLI, calls of reset-policy.

They use the AWS CLI as it is set up (profile, region, `AWS_ENDPOINT_URL` for the local stack).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse


class Problem(Exception):
    """Something that the person at the keyboard must mend: one clear line."""


def aws(*arguments, stdin=None):
    """Runs the AWS CLI; -> what it prints, as text."""
    try:
        done = subprocess.run(["aws", *arguments], input=stdin or "", capture_output=True, text=True)
    except FileNotFoundError:
        raise Problem("the AWS CLI is missing: install it, https://aws.amazon.com/cli/") from None
    if done.returncode != 0:
        raise Problem(f"`aws {' '.join(arguments[:2])}` failed: {done.stderr.strip()}")
    return done.stdout


def aws_json(*arguments):
    text = aws(*arguments, "--output", "json")
    return json.loads(text) if text.strip() else {}


class Stack:
    """The deployed stack by its name."""

    def __init__(self, name):
        stack = aws_json("cloudformation", "describe-stacks", "--stack-name", name)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        self.parameters = {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])}
        self.bucket = self.outputs["StateBucket"]

    def url(self, output):
        """An output that is a URL; on the local stack, as that is reached."""
        url = urllib.parse.urlsplit(self.outputs[output])
        local = urllib.parse.urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
        if local.hostname in ("127.0.0.1", "localhost"):
            host = f"{url.hostname.split('.')[0]}.execute-api.localhost:{local.port}"
            url = url._replace(scheme="http", netloc=host)
        return url.geturl()

    def objects(self, prefix):
        """-> [(key, time)]"""
        listing = aws_json("s3api", "list-objects-v2", "--bucket", self.bucket, "--prefix", prefix)
        return [(item["Key"], item["LastModified"]) for item in listing.get("Contents", [])]

    def get(self, key):
        return aws("s3", "cp", f"s3://{self.bucket}/{key}", "-")

    def put(self, key, body):
        aws("s3", "cp", "-", f"s3://{self.bucket}/{key}", "--content-type", "application/json", stdin=body)

    def remove(self, key):
        aws("s3", "rm", f"s3://{self.bucket}/{key}")

    def invoke(self, event):
        """Invokes reset-policy and waits; -> its report."""
        with tempfile.TemporaryDirectory() as folder:
            payload, answer = pathlib.Path(folder, "event.json"), pathlib.Path(folder, "answer.json")
            payload.write_text(json.dumps(event))
            # `fileb://` means the same to both versions of the AWS CLI.
            told = aws_json(
                "lambda",
                "invoke",
                "--function-name",
                self.outputs["ResetFunction"],
                "--cli-read-timeout",
                "150",
                "--payload",
                f"fileb://{payload}",
                str(answer),
            )
            report = json.loads(answer.read_text())
        if told.get("FunctionError"):
            raise Problem(report.get("errorMessage", json.dumps(report)))
        if report.get("status") in ("refused", "failed"):
            raise Problem(report["message"])
        return report


def show(report):
    """Prints a report of reset-policy."""
    print(report["status"])
    for target in report["targets"]:
        print(f"  {target['arn']}: {target['status']}, version {target['version'] or '-'}")
        for what in ("removed", "restored"):
            for entry in target[what]:
                print(f"    {what} {entry}")
        if target["drift"]:
            print("    something outside the list differed from the baseline")


def run(main, parser):
    """Runs a command on a deployed stack, with `--stack`."""
    parser.add_argument(
        "--stack", default=os.environ.get("STACK_NAME", "ip-gate"), help="the stack's name (default: ip-gate)"
    )
    run_alone(lambda arguments: main(arguments, Stack(arguments.stack)), parser)


def run_alone(main, parser):
    """Runs a command; a problem is one line on standard error."""
    try:
        main(parser.parse_args())
    except Problem as problem:
        print(f"{os.path.basename(sys.argv[0])}: {problem}", file=sys.stderr)
        sys.exit(1)
