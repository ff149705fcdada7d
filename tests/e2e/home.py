"""A member's connection to the internet: it has an address, it can have another one, and it can be gone."""

import json
import urllib.parse

from relay import Answer, Relay


class Home(Relay):
    """A context manager. `addresses`: what an API sees, by its name; `None` stands for all others."""

    def __init__(self, endpoint, address, *urls):
        super().__init__(endpoint)
        self.addresses, self.connected = {None: address}, True
        self.apis = [urllib.parse.urlsplit(url).hostname.partition(".")[0] for url in urls]
        self.dual_stack_api = self.apis[-1]
        self.refusals = {}  # what is answered to a POST instead, by the API's name: (status, JSON)
        self.busy = {}  # how many looks (GET) an API refuses, by its name: too many requests
        self.seen = []  # the line of every request

    def respond(self, request):
        if not self.connected:
            return None
        self.seen.append(request.line)
        api = request.headers["host"].partition(".")[0]
        if request.method == "POST" and api in self.refusals:
            status, told = self.refusals[api]
            return Answer(status, {}, json.dumps(told).encode())
        if request.method == "GET" and self.busy.get(api, 0):
            self.busy[api] -= 1
            return Answer(429, {"retry-after": "1"}, b'{"message":"Too Many Requests"}')
        address = self.addresses.get(api, self.addresses[None])
        # The emulator takes the first entry for the peer's address, which AWS itself does not.
        return self.forward(request, **{"x-forwarded-for": address})

    def url(self, url):
        """A URL of the local stack, as it is reached from here."""
        parts = urllib.parse.urlsplit(url)
        return parts._replace(netloc=f"{parts.hostname}:{self.port}").geturl()
