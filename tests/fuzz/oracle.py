"""Says what Python makes of JSON documents and of networks: one line in, one line out (tests/fuzz/python.rs).

A line in is `json` or `networks`, then the text in hex.
"""

import ipaddress
import json
import re
import sys


class Number(str):
    """A number as it is written."""


class Object(list):
    """Pairs in their order, whatever names stand twice."""


def refuse(constant):
    raise ValueError(f"{constant} is no JSON")


class Document:
    """The answer `<marks> <form>`: the form is the same for two texts that mean the same."""

    def __init__(self, text):
        value = json.loads(
            text, object_pairs_hook=Object, parse_int=Number, parse_float=Number, parse_constant=refuse
        )
        self.marks = set() if isinstance(value, Object) else {"no-object"}
        self.form = self.form_of(value, 1)

    def form_of(self, value, depth):
        if isinstance(value, Number):
            return "#" + re.sub(r"e(?=\d)", "e+", value.lower())
        if isinstance(value, str):
            return self.text(value)
        if depth > 126 and isinstance(value, list):
            self.marks.add("deep")
        if isinstance(value, Object):
            if len({name for name, _ in value}) < len(value):
                self.marks.add("twice")
            if any(name.startswith("$serde_json::private::") for name, _ in value):
                self.marks.add("token")
            return "{" + ",".join(f"{self.text(k)}:{self.form_of(v, depth + 1)}" for k, v in value) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self.form_of(item, depth + 1) for item in value) + "]"
        return {True: "t", False: "f", None: "z"}[value]

    def text(self, text):
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.marks.add("surrogate")
        return '"' + text.encode("utf-8", "surrogatepass").hex()

    def __str__(self):
        return f"{'+'.join(sorted(self.marks)) or 'plain'} {self.form}"


def document(text):
    try:
        return str(Document(text))
    except RecursionError:
        return "refused deep"
    except ValueError:
        return "refused"


def network(text):
    """-> The network that a text names, without IPv4 inside of IPv6; None for none.

    A scope (`fe80::1%eth0`) is a name inside of one machine: no network that anybody could list.
    """
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if "%" in text:
        return None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped and found.prefixlen >= 96:
        return ipaddress.ip_network((mapped, found.prefixlen - 96))
    return found


def networks(text):
    """-> Of each line: the network, whether both its ends are global, and which of the lines it covers."""
    found = [network(line) for line in text.split("\n")]
    answers = []
    for one in found:
        if one is None:
            answers.append("-")
            continue
        covers = "".join(
            "1" if other and other.version == one.version and other.subnet_of(one) else "0" for other in found
        )
        ends = "".join("G" if end.is_global else "s" for end in (one[0], one[-1]))
        answers.append(f"{one.with_prefixlen} {ends} {covers}")
    return ";".join(answers)


WORK = {"json": document, "networks": networks}

for line in sys.stdin:
    work, _, text = line.strip().partition(" ")
    print(WORK[work](bytes.fromhex(text).decode()), flush=True)
