"""What a cold start has to load: the bootstraps as `sam build` makes them."""
import io
import zipfile

import pytest
from runtime import ADD_IP, RESET_POLICY

LARGEST = 3_000_000


@pytest.mark.parametrize("bootstrap", [ADD_IP, RESET_POLICY], ids=["add-ip", "reset-policy"])
def test_a_zipped_bootstrap_has_three_megabytes_at_most(bootstrap):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap, "bootstrap")
    assert len(package.getvalue()) <= LARGEST, f"{len(package.getvalue()):,} bytes"
