"""The questions against AWS as its documentation describes it, where the emulator answers otherwise."""

import datetime
import json
from unittest import mock

import pytest

import alarms
import questions
from asking import QUESTIONS
from report import Report

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


def test_the_mailbox_listens_before_the_first_question(monkeypatch):
    steps = []
    monkeypatch.setattr(questions, "Mailbox", lambda world: steps.append("mailbox"))
    world = mock.MagicMock(real=True, patience=0, excused=set(), own_network="51.44.71.80/32", user_name="u")
    world.account, world.gate, world.office, world.role = "1", "g", "o", "r"
    world.arn.return_value, world.make_user.return_value = "a", ("AKIAEXAMPLE", "secret")
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
