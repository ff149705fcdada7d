"""A member's connection to the internet: it has an address, it can have another one, and it can be gone."""

import contextlib
import http.client
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Home:
    """A context manager. `addresses`: what an API sees, by its name; `None` stands for all others."""

    def __init__(self, endpoint, address):
        upstream = urllib.parse.urlsplit(endpoint)
        home = self
        self.addresses, self.connected = {None: address}, True
        self.refusals = {}  # what is answered to a POST instead, by the API's name: (status, JSON)
        self.seen = []  # the line of every request

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not home.connected:
                    self.close_connection = True
                    return
                home.seen.append(self.requestline)
                api = self.headers["Host"].partition(".")[0]
                if self.command == "POST" and api in home.refusals:
                    status, told = home.refusals[api]
                    content = json.dumps(told).encode()
                    self.send_response_only(status)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                    return
                connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for header, value in self.headers.items():
                    connection.putheader(header, value)
                # The emulator takes the first entry for the peer's address, which AWS itself does not.
                connection.putheader("X-Forwarded-For", home.addresses.get(api, home.addresses[None]))
                connection.endheaders(body or None)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                self.send_response_only(answer.status)
                for header, value in answer.getheaders():
                    if header.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(header, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):
                    super().handle()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Forward)
        self.port = self.server.server_address[1]

    def url(self, url):
        """A URL of the local stack, as it is reached from here."""
        parts = urllib.parse.urlsplit(url)
        return parts._replace(netloc=f"{parts.hostname}:{self.port}").geturl()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
