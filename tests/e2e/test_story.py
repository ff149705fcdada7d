"""The story is strict: one wrong answer fails the demo. A question that breaks does not end the others."""

import http.client

import pytest
from botocore.exceptions import EndpointConnectionError

import story
from asking import NotAsked, answer
from report import DIFFERENT, NOT_ASKED, OK, Report
from tools import Problem


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
    story.Show(world, report).step("do", expect, lambda: next(world.answers))
    return report


def test_without_patience_the_first_answer_counts():
    assert told(StubWorld("wrong", "right"), "right").count(DIFFERENT) == 1
    assert told(StubWorld("right"), "right").count(OK) == 1


def test_with_patience_a_later_answer_counts(monkeypatch):
    monkeypatch.setattr(story.time, "sleep", lambda _: None)
    world = StubWorld("wrong", "wrong", "right")
    world.patience = 60
    assert told(world, "right").count(OK) == 1


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
