"""The binaries' start: settings are checked before anything else."""

import subprocess

import pytest

from runtime import ADD_IP, RESET_POLICY

RUNTIME = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_REGION": "us-east-1",
}


@pytest.mark.parametrize("bootstrap", [ADD_IP, RESET_POLICY])
@pytest.mark.parametrize(
    "environment, parts",
    [
        (RUNTIME, ["POLICY_ARNS", "STATE_BUCKET"]),
        (
            {**RUNTIME, "POLICY_ARNS": "nonsense", "TRUST_POLICY_LIMIT": "x"},
            ["`nonsense`", "STATE_BUCKET", "TRUST_POLICY_LIMIT"],
        ),
        (
            {"POLICY_ARNS": "arn:aws:iam::111122223333:policy/p", "STATE_BUCKET": "b"},
            ["AWS_LAMBDA_RUNTIME_API"],
        ),
    ],
)
def test_one_line_names_all_mistakes_in_the_settings(bootstrap, environment, parts):
    done = subprocess.run([bootstrap], env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode not in (0, None) and done.returncode > 0, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "panic" not in done.stderr, done.stderr
    assert all(part in lines[0] for part in parts), lines
