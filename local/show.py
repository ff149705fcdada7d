"""The steps of the story: each runs a command, prints it with its answer, and is a row of the report."""

import collections
import http.client
import json
import time

from report import one_line
from tools import say

# Answers of the gateway itself that have the form of the functions' errors.
OF_THE_GATEWAY = {"not_found", "bad_request"}
# What is in every answer of a function, one of them.
OF_A_FUNCTION = {"status", "error", "allowed"}


class Show:
    """Runs commands and prints them with what they answer. Each is a row of the report."""

    def __init__(self, world, report):
        self.world, self.report = world, report
        # How often the last step was repeated.
        self.repeated = 0

    def chapter(self, title):
        say(title)
        self.report.chapter(title[0].upper() + title[1:])

    def aws(self, *arguments, expect, user=False, then=None):
        """`then` gives more to look at after the command."""
        who = "alice$" if user else "admin$"
        shown = " ".join(a if a.replace("-", "").replace("/", "").isalnum() else f"'{a}'" for a in arguments)

        def act():
            _, text = self.world.aws(*arguments, user=self.world.user if user else None)
            return text + ("\n" + then() if then else "")

        return self.step(f"{who} aws {shown}", expect, act)

    def command(self, *arguments, expect, shown=None):
        """`shown` are the arguments as the report has them, where they name a file of this machine."""

        def act():
            return self.world.command(*arguments)[1]

        text = self.step(" ".join(["admin$ ip-gate", *(shown or arguments)]), expect, act)
        if arguments[0] == "reset" and self.repeated:
            # The function's role is as new as the stack. A reset that IAM refuses rings these alarms.
            self.world.excused |= {"ResetFailed", "ResetPolicyErrors"}
        return text

    def call(self, key, path="add", query="", method="GET", source=None, expect=""):
        bearer = " -H 'Authorization: Bearer $KEY'" if key else ""
        post = " -X POST" if method == "POST" else ""
        shown = f"alice$ curl{post}{bearer} {self.world.url(path)}{query}"
        shown += f"    # from {source}" if source else ""

        def act():
            try:
                return str(self.world.call(key, path=path, query=query, method=method, source=source))
            except (OSError, http.client.HTTPException) as error:
                return f"{type(error).__name__}: {error}"

        return self.step(shown, expect, act, is_wrong=by_a_function)

    def step(self, command, expect, act, is_wrong=lambda _: False):
        """IAM needs some seconds to show a change: a real account is asked again while its patience lasts.

        What came before the right answer is shown. `is_wrong` says of such an answer that no lag excuses it.
        """
        print(f"  {command}", flush=True)
        begun, before = time.monotonic(), []
        while True:
            text = act()
            seconds = time.monotonic() - begun
            if expect in text or seconds > self.world.patience:
                break
            before.append(text)
            time.sleep(1)
        self.repeated = len(before)
        as_expected = expect in text and not [each for each in before if is_wrong(each)]
        for line in text.splitlines() or [""]:
            print(f"         {line}")
        if not as_expected:
            print("         ^^ this is not what should have happened")
        print(flush=True)
        seen = f"{self.shown(text, 300)} (after {seconds:.1f} s)"
        for each, times in collections.Counter(before).items():
            seen += f"; before that {times} times {self.shown(each, 150)}"
        self.report.check(f"`{command}`", f"`{expect}`" if expect else "an answer", seen, as_expected)
        return text

    def shown(self, text, limit):
        return f"`{one_line(self.report.cleaned(text), limit)}`" if text else "nothing"


def body_of(text):
    """-> what the answer of a URL holds, as it is in `str(Answer)`"""
    try:
        body = json.loads(text.partition("  ")[2])
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def by_a_function(text):
    """Whether a function gave this answer of a URL, and not the gateway while a deployment spreads."""
    body = body_of(text)
    of_the_gateway = body.get("error") in OF_THE_GATEWAY or text.startswith("HTTP 429")
    return bool(OF_A_FUNCTION & set(body)) and not of_the_gateway
