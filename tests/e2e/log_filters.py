"""What CloudWatch Logs makes of the filter patterns in the template.

Only the part of the syntax that the template uses:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import operator
import re

TERM = re.compile(r'(\$[\w.]+) (?:(=|>) (?:"([^"]*)"|(\d+))|IS (TRUE))')
COMPARE = {"=": operator.eq, ">": operator.gt}


def matches(pattern, line):
    """Whether a line, given as what its JSON holds, is counted by the pattern."""
    expression = re.fullmatch(r"\{ (.*) \}", pattern)[1]
    terms = expression.removeprefix("(").removesuffix(")").split(") && (")
    return all(term_matches(term, line) for term in terms)


def term_matches(term, line):
    found = TERM.fullmatch(term)
    assert found, f"`{term}` is more than this file knows"
    selector, compare, text, number, is_true = found.groups()
    value = select(line, selector.removeprefix("$."))
    if is_true:
        return value is True
    if text is not None:
        return COMPARE[compare](value, text)
    return isinstance(value, (int, float)) and COMPARE[compare](value, int(number))


def select(line, path):
    for name in path.split("."):
        line = line.get(name) if isinstance(line, dict) else None
    return line
