"""`log_filters.py` stands in for CloudWatch: it must tell apart what the template's patterns tell apart."""

import pytest

from log_filters import matches

LINE = {"level": "ERROR", "fields": {"outcome": "reset", "drift": True, "percent_full": 81}}


@pytest.mark.parametrize(
    "pattern, counted",
    [
        ('{ $.level = "ERROR" }', True),
        ('{ $.level = "WARN" }', False),
        ('{ $.fields.outcome = "reset" }', True),
        ('{ $.fields.missing = "reset" }', False),
        ("{ $.fields.percent_full > 0 }", True),
        ("{ $.fields.percent_full > 81 }", False),
        ("{ $.fields.outcome > 0 }", False),
        ('{ ($.fields.outcome = "reset") && ($.fields.drift IS TRUE) }', True),
        ('{ ($.fields.outcome = "other") && ($.fields.drift IS TRUE) }', False),
        ('{ ($.fields.outcome = "reset") && ($.fields.missing IS TRUE) }', False),
    ],
)
def test_a_pattern_counts_what_it_names(pattern, counted):
    assert matches(pattern, LINE) is counted


def test_a_pattern_of_another_form_is_an_error():
    with pytest.raises(AssertionError):
        matches("{ $.a = 1 || $.b = 2 }", LINE)
