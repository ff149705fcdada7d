"""A proxy in front of the emulator: counts calls, lets a test act on one of them, and can move the clock.

The functions call AWS through it, or a client calls the URL.
"""

import collections
import datetime
import email.utils
import re
import threading
import time
import urllib.parse

from relay import Answer, Relay

# One object of a listing of S3.
LISTED = re.compile(r"<Key>(?P<key>[^<]*)</Key><LastModified>(?P<time>[^<Z]*)(?=Z)")


class Proxy(Relay):
    """A context manager. `hook(name, status)` runs after a call was answered, before its caller has it.

    `headers` replace those of each request. `answers` are (status, headers): each is given once, in this
    order, before anything is passed on. `ahead` moves S3's clock forward by so many seconds: what answers
    tell as their `Date`, and when an object was put. A test may change it: then time has passed.
    """

    def __init__(self, endpoint, hook=None, delay=0.0, headers=None, answers=(), ahead=0, host="127.0.0.1"):
        super().__init__(endpoint, host)
        self.hook, self.delay, self.answers, self.ahead = hook, delay, list(answers), ahead
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.counts, self.lock = collections.Counter(), threading.Lock()
        self.seen = []  # of every request: its line, and where it came from as the browser tells
        self.put_ahead = {}  # by object: how far ahead the clock was when it was put

    def respond(self, request):
        name = self.name(request.method, request.path, request.body)
        with self.lock:
            self.counts[name] += 1
            self.seen.append((request.line, request.headers.get("referer", "")))
            instead = self.answers.pop(0) if self.answers else None
        if instead:
            return Answer(*instead)
        time.sleep(self.delay)
        answer = self.forward(request, **self.headers)
        if self.hook:
            self.hook(name, answer.status)
        self.tell_time(request, answer)
        return answer

    def tell_time(self, request, answer):
        """Moves the times of an answer as the clock was moved when they were true."""
        bucket, _, key = urllib.parse.unquote(urllib.parse.urlsplit(request.path).path)[1:].partition("/")
        if request.method == "PUT" and answer.status == 200:
            self.put_ahead[bucket, key] = self.ahead
        move(answer.headers, "date", self.ahead)
        move(answer.headers, "last-modified", self.put_ahead.get((bucket, key), 0))
        if request.method == "GET" and not key and any(self.put_ahead.values()):
            answer.content = LISTED.sub(
                lambda listed: moved_listing(listed, self.put_ahead.get((bucket, listed["key"]), 0)),
                answer.content.decode(),
            ).encode()

    @staticmethod
    def name(method, path, body):
        if path == "/":
            return dict(urllib.parse.parse_qsl(body.decode())).get("Action", "GET page")
        parts = urllib.parse.urlsplit(path)
        key = parts.path.lstrip("/").partition("/")[2]
        return f"{'LIST' if method == 'GET' and not key else method} {key.split('/')[0] or 'bucket'}"


def move(headers, name, seconds):
    if name in headers and seconds:
        then = email.utils.parsedate_to_datetime(headers[name]).timestamp()
        headers[name] = email.utils.formatdate(then + seconds, usegmt=True)


def moved_listing(listed, seconds):
    then = datetime.datetime.fromisoformat(listed["time"]) + datetime.timedelta(seconds=seconds)
    return listed[0].replace(listed["time"], then.isoformat())
