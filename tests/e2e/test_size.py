"""What a cold start has to load, and the memory of an add: the bootstraps as `sam build` makes them."""

import io
import pathlib
import re
import zipfile

import pytest

from emulator import POLICY_ARN
from runtime import ADD_IP, RESET_POLICY, Function, add

LARGEST_PACKAGE = 3_000_000
MOST_MEMORY = 12_000_000


@pytest.mark.parametrize("bootstrap", [ADD_IP, RESET_POLICY], ids=["add-ip", "reset-policy"])
def test_a_zipped_bootstrap_has_three_megabytes_at_most(bootstrap):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap, "bootstrap")
    assert len(package.getvalue()) <= LARGEST_PACKAGE, f"{len(package.getvalue()):,} bytes"


def test_an_add_takes_twelve_megabytes_of_memory_at_most(stack, account):
    settings = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "POLICY_ARNS": POLICY_ARN,
        "STATE_BUCKET": stack.outputs["StateBucket"],
    }
    with Function(ADD_IP, settings) as function:
        assert add(function, stack.member_key, "51.44.71.1")[0] == 200
        status = pathlib.Path(f"/proc/{function.process.pid}/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    assert peak <= MOST_MEMORY, f"{peak:,} bytes"
