"""The questions against AWS as its documentation describes it, where the emulator answers otherwise."""

import collections
import datetime
import email.utils
import json
import ssl
from unittest import mock

import pytest

import alarms
import gateway
import insights
import questions
import show
from asking import QUESTIONS, NotAsked, answer
from report import Report
from world import Answer

NOW = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.timezone.utc)


class CloudWatch:
    """Alarms, and the history of each. Without a name it would be the history of a whole account."""

    def __init__(self, **history):
        self.history, self.calls, self.states = history, [], {}

    def get_paginator(self, name):
        assert name == "describe_alarm_history"
        return self

    def paginate(self, **given):
        self.calls.append(given)
        items = [
            {"AlarmName": given["AlarmName"], "Timestamp": when, "HistoryData": data(state)}
            for when, state in self.history.get(given["AlarmName"].removeprefix("name-of-"), [])
            if when >= given["StartDate"]
        ]
        # In pages, and one of them is empty.
        return [{"AlarmHistoryItems": items[:1]}, {"AlarmHistoryItems": items[1:]}, {"AlarmHistoryItems": []}]

    def describe_alarms(self, AlarmNames):
        states = self.states.get(AlarmNames[0].removeprefix("name-of-"), ["OK"])
        return {"MetricAlarms": [{"StateValue": states.pop(0) if len(states) > 1 else states[0]}]}


def data(state):
    return json.dumps({"newState": {"stateValue": state}})


class AlarmWorld:
    real, alarm_minutes, calm, begun = True, 0, 0, NOW

    def __init__(self, cloudwatch):
        self.cloudwatch, self.excused, self.rung, self.knocks = cloudwatch, set(), set(), 0

    def client(self, _):
        return self.cloudwatch

    def stack_resources(self):
        names = [*alarms.RING, "ResetMissing"]
        found = [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": f"name-of-{name}",
                "ResourceType": "AWS::CloudWatch::Alarm",
            }
            for name in names
        ]
        return [*found, {"LogicalResourceId": "Alarms", "ResourceType": "AWS::SNS::Topic"}]

    def resources(self):
        return {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in self.stack_resources()
        }

    def call(self, _):
        self.knocks += 1


def later(minutes):
    return NOW + datetime.timedelta(minutes=minutes)


RANG = {name: [(later(30), "ALARM"), (later(40), "OK")] for name in alarms.RING}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(alarms.time, "sleep", lambda _: None)


def test_nothing_that_makes_an_alarm_ring_comes_before_the_alarms_are_quiet():
    order = [what for _, what, *_ in QUESTIONS]
    assert order[-1] == "If a role cannot be assumed, the error says what to correct."
    assert order.index("The alarms are quiet.") < order.index(
        "A reset without a baseline fails and names the policy."
    )


def world_to_widen():
    world = mock.MagicMock(real=True, patience=0, excused=set(), own_network="51.44.71.80/32", user_name="u")
    world.account, world.gate, world.office, world.role = "1", "g", "o", "r"
    world.arn.return_value, world.make_user.return_value = "a", ("AKIAEXAMPLE", "secret")
    return world


def test_a_second_policy_that_iam_shows_late_is_waited_for(monkeypatch):
    monkeypatch.setattr(questions, "Mailbox", lambda _: None)
    monkeypatch.setattr(show.time, "sleep", lambda _: None)
    tried = collections.Counter()

    def command(*arguments):
        tried[arguments] += 1
        if arguments[0] == "member":
            return True, "#key=" + "0" * 64
        late = tried[arguments] == 1
        return not late, "NoSuchEntity" if late else "saved as s3://x unchanged"

    world, report = world_to_widen(), Report("x")
    world.patience, world.command.side_effect = 60, command
    questions.widen(world, report)
    assert report.count("as expected") == 3 and report.count("DIFFERENT") == 0, report.markdown("")


def test_the_mailbox_listens_before_the_first_question(monkeypatch):
    steps = []
    monkeypatch.setattr(questions, "Mailbox", lambda world: steps.append("mailbox"))
    world = world_to_widen()
    world.deploy.side_effect = lambda **_: steps.append("deploy")
    world.command.return_value = True, "saved as s3://x unchanged #key=" + "0" * 64
    report = Report("x")
    questions.widen(world, report)
    assert steps == ["deploy", "mailbox"] and report.count("DIFFERENT") == 0


def test_only_knocking_may_ring_before_it_is_made_to():
    world = AlarmWorld(CloudWatch(Knocking=[(later(3), "ALARM")]))
    assert alarms.quiet(world, None)[0]
    # Each alarm by its name, and since the run began.
    assert {each["AlarmName"] for each in world.cloudwatch.calls} == set(world.resources().values()) - {""}
    assert all(each["StartDate"] == NOW for each in world.cloudwatch.calls)
    world = AlarmWorld(CloudWatch(ResetFailed=[(later(3), "ALARM")]))
    assert alarms.quiet(world, None) == (False, "['ResetFailed']")
    world.excused = {"ResetFailed"}
    assert alarms.quiet(world, None)[0]


def test_an_old_ring_is_no_ring():
    world = AlarmWorld(CloudWatch(**RANG))
    world.cloudwatch.history = {**RANG, "Knocking": []}
    alarms.quiet(world, None)
    assert alarms.ring(world, None)[0] is False and world.knocks == 25


def test_a_new_ring_of_each_is_waited_for():
    old = [(later(3), "ALARM"), (later(8), "OK")]
    cloudwatch = CloudWatch(Knocking=old)
    world = AlarmWorld(cloudwatch)
    alarms.quiet(world, None)
    cloudwatch.history = {**RANG, "Knocking": old}
    assert alarms.ring(world, None) == (False, sorted(set(alarms.RING) - {"Knocking"}))
    cloudwatch.states = {"Knocking": ["ALARM", "OK"]}

    class Rings(AlarmWorld):
        def call(self, key):
            super().call(key)
            # What rings already does not ring again.
            if cloudwatch.states["Knocking"] == ["OK"]:
                cloudwatch.history = {**RANG, "Knocking": [*old, (later(50), "ALARM")]}

    again = Rings(cloudwatch)
    again.rung, again.alarm_minutes = world.rung, 0.02
    assert alarms.ring(again, None)[0]


def test_what_rang_early_because_of_iam_counts():
    """ResetPolicyErrors looks back an hour: what rang early stays as it is."""
    world = AlarmWorld(CloudWatch(ResetPolicyErrors=[(later(1), "ALARM")]))
    world.excused = {"ResetPolicyErrors", "ResetFailed"}
    alarms.quiet(world, None)
    world.cloudwatch.history = {**RANG, "ResetPolicyErrors": [(later(1), "ALARM")]}
    assert alarms.ring(world, None) == (False, sorted(set(alarms.RING) - {"Knocking"}))


def test_messages_of_the_topic_are_waited_for(monkeypatch):
    world = AlarmWorld(None)
    texts = [f"name-of-{each}" for each in alarms.RING]
    answers = [texts[:1], texts[:2], texts[:3], texts]
    world.mailbox = mock.Mock(found=texts)
    world.mailbox.look.side_effect = lambda: answers.pop(0) if len(answers) > 1 else answers[0]
    world.alarm_minutes = 5
    assert alarms.told(world, None)[0]


class LambdaWorld:
    """reset-policy without its baseline, and Lambda, which filters lines by their level."""

    real, patience, calm, begun = True, 0, 0, NOW

    def __init__(self, filters=True, fails=False):
        self.config = {"LogFormat": "JSON", "LogGroup": "logs", "ApplicationLogLevel": "INFO"}
        self.filters, self.fails, self.lines, self.clock = filters, fails, [], 1_800_000_000

    def resources(self):
        return {"ResetPolicyFunction": "reset-policy", "ResetPolicyLogs": "logs"}

    def client(self, _):
        return self

    def stamped(self, **answer):
        self.clock += 5
        date = email.utils.formatdate(self.clock, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def get_function_configuration(self, **_):
        return self.stamped(LoggingConfig=dict(self.config))

    def update_function_configuration(self, LoggingConfig, **_):
        self.config = LoggingConfig

    def get_waiter(self, _):
        return mock.Mock()

    def invoke(self, **_):
        if self.fails:
            raise OSError("the network")
        for level in ("INFO", "ERROR"):
            if not self.filters or level == "ERROR" or self.config["ApplicationLogLevel"] == "INFO":
                line = json.dumps({"timestamp": "2026", "level": level})
                self.lines.append({"timestamp": (self.clock + 1) * 1000, "message": line})
        self.lines.append({"timestamp": (self.clock + 1) * 1000, "message": '{"type":"platform.report"}'})
        return self.stamped()

    def get_paginator(self, _):
        return self

    def paginate(self, startTime, endTime, **_):
        return [{"events": [each for each in self.lines if startTime <= each["timestamp"] <= endTime]}]


def test_the_level_filter_is_set_and_put_back():
    world = LambdaWorld()
    # What was logged before is not looked at.
    world.invoke()
    before = dict(world.config)
    assert alarms.level_filter(world, None) == (True, {"ERROR": 1})
    assert world.config == before
    assert alarms.level_filter(LambdaWorld(filters=False), None) == (False, {"INFO": 1, "ERROR": 1})
    world = LambdaWorld(fails=True)
    with pytest.raises(OSError):
        alarms.level_filter(world, None)
    assert world.config == before


class GatewayWorld:
    """add-ip behind its gateway, and how many requests it may serve at once."""

    patience = 60

    def __init__(self, concurrency=None, lag=2, fails=False):
        self.concurrency, self.lag, self.fails, self.changed = concurrency, lag, fails, []

    def resources(self):
        return {"AddIpFunction": "add-ip"}

    def client(self, _):
        return self

    def get_function_concurrency(self, **_):
        return {} if self.concurrency is None else {"ReservedConcurrentExecutions": self.concurrency}

    def put_function_concurrency(self, FunctionName, ReservedConcurrentExecutions):
        assert FunctionName == "add-ip"
        self.change(ReservedConcurrentExecutions)

    def delete_function_concurrency(self, FunctionName):
        self.change(None)

    def change(self, value):
        self.concurrency, self.left = value, self.lag
        self.changed.append(value)

    def call(self, path):
        if self.fails:
            raise OSError("the network")
        # A change needs some time.
        self.left -= 1
        if (self.concurrency == 0) == (self.left < 0):
            return Answer(500, '{"error":"gateway_error"}', {"Access-Control-Allow-Origin": "*"}, 0)
        return Answer(401, '{"error":"unauthorized"}', {"Access-Control-Allow-Origin": "*"}, 0)


@pytest.mark.parametrize("before", [None, 20])
def test_a_function_that_cannot_be_called_can_be_called_again(before):
    world = GatewayWorld(before)
    good, seen = gateway.function_away(world, None)
    assert good and seen.endswith("then 401"), seen
    assert world.changed == [0, before] and world.concurrency == before
    world = GatewayWorld(before, fails=True)
    with pytest.raises(OSError):
        gateway.function_away(world, None)
    assert world.concurrency == before


def test_the_saved_queries_are_run_until_their_lines_have_come(monkeypatch):
    monkeypatch.setattr(insights.time, "sleep", lambda _: None)
    names = ["Who added what", "What was taken out", "Refusals"]
    logs = mock.Mock()
    logs.describe_query_definitions.return_value = {
        "queryDefinitions": [
            {"name": f"p/{name}", "logGroupNames": [name], "queryString": f"query {name}"} for name in names
        ]
    }
    logs.start_query.side_effect = lambda **given: {"queryId": given["logGroupNames"][0]}
    empty, line = [], [{"field": "@timestamp", "value": "x"}]
    answers = {name: [("Running", empty), ("Complete", empty), ("Complete", [line])] for name in names}

    def results(queryId):
        status, rows = answers[queryId].pop(0) if len(answers[queryId]) > 1 else answers[queryId][0]
        return {"status": status, "results": rows}

    logs.get_query_results.side_effect = results
    world = mock.Mock(patience=60, stack_name="p")
    world.client.return_value = logs
    assert questions.saved_queries(world, None)[0]
    assert {call.kwargs["queryString"] for call in logs.start_query.mock_calls} == {
        f"query {name}" for name in names
    }
    answers["Refusals"], world.patience = [("Complete", empty)], 0
    assert questions.saved_queries(world, None) == (
        False,
        "Who added what: 1 lines, What was taken out: 1 lines, Refusals: 0 lines",
    )


def test_a_machine_without_ipv6_is_not_asked(monkeypatch):
    world = mock.Mock()
    world.url.return_value = "https://api.example.com/gate/add"
    monkeypatch.setattr(gateway, "ipv6_of", lambda _: {"2001:db8::1"})
    monkeypatch.setattr(gateway.socket, "create_connection", mock.Mock(side_effect=OSError("unreachable")))
    with pytest.raises(NotAsked, match="unreachable"):
        gateway.over_ipv6(world, None)
    # Where there is a way, a certificate that does not hold is an answer.
    monkeypatch.setattr(gateway.socket, "create_connection", mock.Mock())
    monkeypatch.setattr(gateway.endpoints, "answer_at", mock.Mock(side_effect=ssl.SSLError("bad")))
    assert answer(gateway.over_ipv6, world, None)[1] is False
    monkeypatch.setattr(gateway.endpoints, "answer_at", lambda *_: 401)
    assert gateway.over_ipv6(world, None)[0]
