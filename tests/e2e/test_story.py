"""The story is strict: one wrong answer fails the demo. A question that breaks does not end the others."""

import http.client
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError

import show
import story
import world
from asking import NotAsked, answer
from report import DIFFERENT, NOT_ASKED, OK, Report
from tools import Problem
from world import Answer, World


class StubWorld:
    real, patience = False, 0

    def __init__(self, *answers):
        self.answers = iter(answers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def facts(self):
        return []


def told(world, expect):
    report = Report("x")
    report.chapter("c")
    show.Show(world, report).step("do", expect, lambda: next(world.answers))
    return report


def test_without_patience_the_first_answer_counts():
    assert told(StubWorld("wrong", "right"), "right").count(DIFFERENT) == 1
    assert told(StubWorld("right"), "right").count(OK) == 1


def test_with_patience_a_later_answer_counts(monkeypatch):
    monkeypatch.setattr(show.time, "sleep", lambda _: None)
    world = StubWorld("wrong", "wrong", "right")
    world.patience = 60
    assert told(world, "right").count(OK) == 1


def called(monkeypatch, *texts, expect='"status":"added"'):
    """-> the row of a URL that answers so, one answer after the other"""
    monkeypatch.setattr(show.time, "sleep", lambda _: None)
    world, report = StubWorld(*texts), Report("x")
    world.patience = 60
    world.url = lambda path: f"https://x/gate/{path}"

    def call(*_, **__):
        text = next(world.answers)
        if isinstance(text, Exception):
            raise text
        return Answer(200, text, {}, 0)

    world.call = call
    report.chapter("c")
    show.Show(world, report).call("key", expect=expect)
    [row] = report.chapters[-1]["rows"]
    return row


ADDED = '{"status":"added","network":"n"}'


@pytest.mark.parametrize(
    "early", ['{"status":"already_allowed"}', '{"error":"busy"}', '{"network":"n","allowed":true}']
)
def test_no_patience_excuses_a_wrong_answer_of_a_function(monkeypatch, early):
    *_, seen, result = called(monkeypatch, early, ADDED)
    assert result == DIFFERENT and early in seen, seen


@pytest.mark.parametrize(
    "early",
    [
        '{"message":"Forbidden"}',
        '{"error":"not_found","message":"there is nothing here"}',
        "<html>",
        ConnectionResetError("by peer"),
        http.client.IncompleteRead(b""),
    ],
)
def test_what_comes_while_a_deployment_spreads_is_only_listed(monkeypatch, early):
    *_, seen, result = called(monkeypatch, early, early, ADDED)
    assert result == OK and "before that 2 times" in seen, seen


def test_the_delay_is_shown_always():
    assert "(after 0.0 s)" in told(StubWorld("right"), "right").chapters[-1]["rows"][0][2]


def test_a_reset_that_iam_refused_at_first_excuses_its_alarms(monkeypatch):
    monkeypatch.setattr(show.time, "sleep", lambda _: None)
    for texts, excused in [
        (["unchanged"], set()),
        (["no", "unchanged"], {"ResetFailed", "ResetPolicyErrors"}),
    ]:
        world, report = StubWorld(*texts), Report("x")
        world.patience, world.excused = 60, set()
        world.command = lambda *_, world=world: (True, next(world.answers))
        report.chapter("c")
        show.Show(world, report).command("reset", expect="unchanged")
        assert world.excused == excused and report.count(OK) == 1


def test_the_own_address_is_hidden_before_the_first_row(monkeypatch):
    monkeypatch.setattr(story.time, "sleep", lambda _: None)

    class Watched(Report):
        def check(self, *_):
            assert self.cleaned("51.44.71.80/32") == "THIS-ADDRESS/32"
            raise StopIteration

    class Spreading(StubWorld):
        """The gateway answers before its deployment has spread."""

        account, bucket, patience = "1", "b", 60

        def make_gate(self):
            pass

        deploy = make_gate

        def call(self, **_):
            text = next(self.answers)
            if isinstance(text, Exception):
                raise text
            return Answer(200, text, {}, 0)

    no_name = OSError("Name or service not known")
    world = Spreading(no_name, '{"message":"Forbidden"}', '{"network":"51.44.71.80/32"}')
    with pytest.raises(StopIteration):
        story.tell(world, Watched("x"))
    assert world.own_network == "51.44.71.80/32"


def test_an_old_version_does_not_mean_that_the_schedule_has_fired(monkeypatch):
    """IAM shows the version before the add, then the add's, then the reset's."""
    monkeypatch.setattr(world.time, "sleep", lambda _: None)
    seen = iter(["v6", "v7", "v6", "v10"])

    class Lagging(World):
        def schedule(self, _):
            return {"GroupName": "g", "Target": {}}

        def client(self, *_):
            return mock.Mock()

        def default_version(self, arn=None):
            return next(seen)

    Lagging("x").fire_schedule(after="v7")
    assert list(seen) == []


def test_one_wrong_answer_fails_the_demo(monkeypatch, tmp_path):
    def tell(_, report):
        report.chapter("c")
        report.check("what", "this", "that", False)

    monkeypatch.setattr(story, "LocalWorld", lambda _: StubWorld())
    monkeypatch.setattr(story, "tell", tell)
    monkeypatch.setattr(story, "widen", lambda *_: None)
    monkeypatch.setattr(story, "ask", lambda *_: None)
    with pytest.raises(Problem, match="1 steps of the demo"):
        story.demo(None, tmp_path / "report.md")
    assert "**DIFFERENT**" in (tmp_path / "report.md").read_text()


def test_each_question_has_an_outcome():
    def breaks(*_):
        raise KeyError("x")

    def not_asked(*_):
        raise NotAsked("why")

    def loses_the_network(*_):
        raise EndpointConnectionError(endpoint_url="https://x")

    def loses_the_answer(*_):
        raise http.client.IncompleteRead(b"")

    assert answer(loses_the_network, None, None)[1] is False
    assert answer(loses_the_answer, None, None)[1] is False
    assert answer(breaks, None, None) == ("KeyError: 'x'", False)
    assert answer(not_asked, None, None) == ("why", NOT_ASKED)
    assert answer(lambda *_: ({"a"}, "seen"), None, None) == ("seen", True)
