"""Questions and how they are asked of a world.

A question is a function that returns whether the answer is as expected, and what was seen. Some only AWS
itself can answer: then the report of the local stack says so.
"""

import http.client

from botocore.exceptions import BotoCoreError, ClientError

from report import NOT_ASKED, one_line
from tools import Problem, say

NOT_HERE = "only AWS can answer this"
QUESTIONS = []
# What can go wrong in an account, on the way to it, or with an answer that looks otherwise than it should.
FAILURES = (ClientError, BotoCoreError, OSError, http.client.HTTPException, Problem)
FAILURES += (LookupError, TypeError, ValueError)


class NotAsked(Exception):
    """Why a question is not asked."""


def question(chapter, what, expected, real=False):
    """Adds a function to the questions; `real`: only AWS can answer."""

    def add(ask):
        QUESTIONS.append((chapter, what, expected, real, ask))
        return ask

    return add


def ask(world, report):
    """Asks everything, in the order in which it was added."""
    say("the questions for a real account")
    chapter = None
    for title, what, expected, real, act in QUESTIONS:
        if title != chapter:
            chapter = title
            report.chapter(title)
        if real and not world.real:
            seen, result = NOT_HERE, NOT_ASKED
        else:
            seen, result = answer(act, world, report)
        if isinstance(result, bool):
            report.check(what, expected, seen, result)
        else:
            report.row(what, expected, seen, result)
        print(f"  {mark(result)} {what}  {one_line(report.cleaned(str(seen)), 200)}", flush=True)


def mark(result):
    return {True: "ok        ", False: "DIFFERENT "}.get(result, "not asked ")


def answer(act, world, report):
    """One question that fails must not keep the others from being asked."""
    try:
        as_expected, seen = act(world, report)
        return seen, bool(as_expected)
    except NotAsked as reason:
        return str(reason), NOT_ASKED
    except FAILURES as error:
        return f"{type(error).__name__}: {error}", False
