"""What CloudWatch Logs Insights makes of the queries in the template.

Only the part of the syntax that the template uses:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

import json
import re

from log_filters import select

COMMANDS = ("SOURCE", "fields", "filter", "stats", "sort", "limit")
FIELD = re.compile(r"(?<![\w.@\"])(?:fields\.[\w.]+|span\.\w+|level)")


def commands(query):
    """-> [(command, its arguments)]"""
    found = [part.strip().partition(" ")[::2] for part in query.strip().split("|")]
    assert all(name in COMMANDS for name, _ in found), f"`{query}` has a command that this file does not know"
    return found


def fields(query):
    """The fields of log lines that a query names. What stands in quotation marks is no field."""
    return set(FIELD.findall(re.sub(r'"[^"]*"', '""', query)))


def kept(query, lines):
    """The lines, given as what their JSON holds, that the filters of a query let through."""
    for name, condition in commands(query):
        if name == "filter":
            lines = [line for line in lines if all(holds(term, line) for term in condition.split(" and "))]
    return lines


def holds(term, line):
    name, operator, value = re.fullmatch(r"(\S+) (in|!=) (.+)", term).groups()
    found, value = value_of(name, line), json.loads(value)
    return found in value if operator == "in" else found != value


def value_of(name, line):
    """A field by its flattened name: the functions' own fields have dots in their names.

    Insights joins the names of nested fields by dots, also if a name has dots itself; the example there is
    `EC2.InstanceId`, and a dot needs no quotes:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Guidelines.html
    """
    scope, _, rest = name.partition(".")
    holder = select(line, scope)
    return holder.get(rest) if isinstance(holder, dict) else holder
