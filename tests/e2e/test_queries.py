"""The saved queries and the dashboard: they name what the functions log, and what the stack has."""

import json
import re

import pytest

import log_queries
from conftest import SECOND_ARN
from emulator import POLICY_ARN, SAVED_QUERIES
from rendering import NAMES, Rendered
from runtime import ADD_IP, RESET_POLICY, Function, add, add_event
from tools import ROOT

TEMPLATE = Rendered(Dashboard="true").template
ALARMS = {name for name, given in TEMPLATE["Resources"].items() if given["Type"] == "AWS::CloudWatch::Alarm"}
METRIC_FILTERS = {
    name for name, given in TEMPLATE["Resources"].items() if given["Type"] == "AWS::Logs::MetricFilter"
}


def dashboard(**parameters):
    return json.loads(Rendered(Dashboard="true", **parameters).properties("AtAGlance")["DashboardBody"])


def widgets(kind):
    return [widget["properties"] for widget in dashboard()["widgets"] if widget["type"] == kind]


def queries():
    """-> [(title, log group, query)]"""
    rendered = Rendered()
    found = []
    for name in SAVED_QUERIES:
        given = rendered.properties(name)
        (group,) = given["LogGroupNames"]
        found.append((given["Name"], group, given["QueryString"]))
    for widget in widgets("log"):
        source, _, query = widget["query"].partition(" | ")
        found.append((widget["title"], re.fullmatch(r"SOURCE '(.+)'", source)[1], query))
    return found


QUERIES = queries()
TITLES = [title for title, _, _ in QUERIES]


# -- without a stack -----------------------------------------------------------------------------------------


def logged_fields():
    """The names of all fields in the functions' log statements, as they are in a line."""
    found = {"level", "fields.message", "span.requestId"}
    for path in [*ROOT.glob("functions/*/src/**/*.rs"), *ROOT.glob("shared/allowlist-aws/src/**/*.rs")]:
        for statement in re.findall(
            r"tracing::(?:info|warn|error)!\((.*?)\n\s*\);", path.read_text(), re.DOTALL
        ):
            for line in statement.splitlines():
                name = re.fullmatch(r"\s*([a-z_.]+)(?: = .*)?,", line)
                if name:
                    found.add(f"fields.{name[1]}")
    return found


def test_the_log_statements_are_found():
    # If the statements are written in another way some day, the next tests must not pass by finding nothing.
    assert {"fields.outcome", "fields.member", "fields.source.network", "fields.drift"} <= logged_fields()


@pytest.mark.parametrize("title, group, query", QUERIES, ids=TITLES)
def test_a_query_names_only_what_is_logged(title, group, query):
    assert log_queries.fields(query)
    assert log_queries.fields(query) <= logged_fields()


@pytest.mark.parametrize("name", sorted(METRIC_FILTERS))
def test_a_metric_filter_names_only_what_is_logged(name):
    given = TEMPLATE["Resources"][name]["Properties"]
    named = re.findall(r"\$\.([\w.]+)", given["FilterPattern"] + str(given["MetricTransformations"]))
    assert set(named) <= logged_fields()


def test_refusals_are_all_kinds_that_a_member_can_get():
    source = (ROOT / "functions" / "add-ip" / "src" / "http.rs").read_text()
    table = source[source.index("fn every_kind_has_its_status") :]
    kinds = set(re.findall(r'\d{3},\s*"([a-z_ ]+)"', table[: table.index("status(kind)")]))
    kinds = {kind for each in kinds for kind in each.split()}
    # The gateway answers unknown paths and methods: the function never sees them.
    kinds -= {"not_found", "method_not_allowed"}
    for title in ("ip-gate/Refusals", "Refusals by kind"):
        (query,) = (query for each, _, query in QUERIES if each == title)
        assert set(json.loads(re.search(r"in (\[.*?\])", query)[1])) == kinds


def test_the_dashboard_fits_its_grid_and_shows_every_alarm():
    for widget in dashboard()["widgets"]:
        assert widget["x"] >= 0 and widget["x"] + widget["width"] <= 24, widget
    (shown,) = widgets("alarm")
    assert {arn.split("ip-gate-")[1].removesuffix("-1") for arn in shown["alarms"]} == ALARMS
    without = dashboard(ResetMissingHours="0")["widgets"][0]["properties"]["alarms"]
    assert len(without) == len(ALARMS) - 1, "an alarm that is switched off is not shown"


def test_the_dashboard_s_metrics_are_those_of_the_stack():
    own = {
        TEMPLATE["Resources"][name]["Properties"]["MetricTransformations"][0]["MetricName"]
        for name in METRIC_FILTERS
    }
    functions = {NAMES["AddIpFunction"], NAMES["ResetPolicyFunction"]}
    for widget in widgets("metric"):
        for namespace, metric, *dimensions in widget["metrics"]:
            if namespace == "AWS/Lambda":
                assert metric in ("Errors", "Throttles", "Duration")
                assert dimensions[0] == "FunctionName" and dimensions[1] in functions
            else:
                assert (namespace, metric in own) == ("ip-gate", True), metric


def test_the_dashboard_is_off_unless_it_is_asked_for():
    assert TEMPLATE["Parameters"]["Dashboard"]["Default"] == "false"
    assert TEMPLATE["Resources"]["AtAGlance"]["Condition"] == "ShowsDashboard"
    assert not Rendered().holds(TEMPLATE["Conditions"]["ShowsDashboard"])


# -- with what the release binaries log ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def logs(stack):
    """-> the lines of both functions, by log group"""
    settings = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "POLICY_ARNS": f"{POLICY_ARN},{SECOND_ARN}",
        "STATE_BUCKET": stack.outputs["StateBucket"],
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    stack.add_member("alice")
    with Function(ADD_IP, settings) as function:
        event = add_event(stack.member_key, "51.44.71.1")
        for change in (
            {"queryStringParameters": {"for": "1h"}},
            {"resource": "/remove", "path": "/remove"},
            {"queryStringParameters": {"for": "1h"}},
        ):
            failed, answer = function.call({**event, **change})
            assert not failed and answer["statusCode"] == 200, answer
        assert add(function, "w" * 64, "51.44.71.1")[0] == 401
        assert add(function, stack.member_key, "10.0.0.1")[0] == 403
        added = function.log()
    with Function(RESET_POLICY, settings, timeout=120) as function:
        failed, report = function.call({"revoke": ["51.44.71.1/32"]})
        assert not failed and report["status"] == "revoked", report
        taken_out = function.log()
    return {NAMES["AddIpLogs"]: added, NAMES["ResetPolicyLogs"]: taken_out}


@pytest.mark.parametrize("title, group, query", QUERIES, ids=TITLES)
def test_a_query_finds_what_was_logged(logs, title, group, query):
    found = log_queries.kept(query, logs[group])
    assert found, logs[group]
    seen = {name for name in log_queries.fields(query) for line in found if line_has(line, name)}
    assert seen == log_queries.fields(query), found


def line_has(line, name):
    return log_queries.value_of(name, line) is not None


def test_the_queries_tell_who_and_what(logs):
    by_title = {title: log_queries.kept(query, logs[group]) for title, group, query in QUERIES}
    who = [line["fields"] for line in by_title["ip-gate/Who added what"]]
    assert {(line["outcome"], line["member"], line["source.network"]) for line in who} == {
        ("added", "alice", "51.44.71.1/32"),
        ("removed", "alice", "51.44.71.1/32"),
    }
    out = [line["fields"] for line in by_title["ip-gate/What was taken out"]]
    assert {(line["outcome"], line["removed"], line["target.arn"]) for line in out} == {
        ("revoked", "51.44.71.1/32", POLICY_ARN),
        ("revoked", "51.44.71.1/32", SECOND_ARN),
    }
    refused = [line["fields"]["outcome"] for line in by_title["ip-gate/Refusals"]]
    assert refused == ["unauthorized", "address_not_public"]


def test_the_emulator_deploys_the_dashboard(stack):
    stack.sam_deploy("shown", {"Dashboard": "true"})
    body = stack.aws("cloudwatch", "get-dashboard", "--dashboard-name", "shown-us-east-1")["DashboardBody"]
    stack.aws("cloudformation", "delete-stack", "--stack-name", "shown")
    shown = json.loads(body)["widgets"]
    assert "${" not in body and len(shown) == len(dashboard()["widgets"])
