#!/usr/bin/env python3
"""Arrows point one way: only shared/src/aws, the mains and the tests may name the AWS SDK."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PURE = ["baseline", "config", "coverage", "document", "error", "gate", "gate_tests", "grant", "lease", "network", "notice", "plan", "target", "versions"]


def wrong():
    for path in sorted([*ROOT.glob("functions/**/*.rs"), *ROOT.glob("shared/**/*.rs")]):
        name = path.relative_to(ROOT).as_posix()
        code = re.sub(r"//.*", "", path.read_text())
        if re.search(r"\baws_(sdk|config|smithy)", code) and not (name.startswith("shared/src/aws/") or name.endswith("/main.rs")):
            yield f"{name} names the AWS SDK"
        if name in {f"shared/src/{module}.rs" for module in PURE}:
            for word in (r"crate::(aws|flow)", r"std::(env|time::(SystemTime|Instant))", "tokio", "tracing"):
                if re.search(rf"\b{word}\b", code.split("#[cfg(test)]")[0]):
                    yield f"{name} is pure and names `{word}`"


found = list(wrong())
print("\n".join(found) or "imports: arrows point one way")
sys.exit(bool(found))
