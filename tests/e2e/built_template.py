"""What `sam build` has made of the template."""

import yaml

from tools import BUILT


def template():
    """The built template, for what the emulator takes without showing it."""
    return yaml.safe_load((BUILT / "template.yaml").read_text())


def resources():
    return template()["Resources"]


def properties(logical_id):
    return resources()[logical_id]["Properties"]


def of_type(kind):
    return {name: resource for name, resource in resources().items() if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]
