"""A server between a caller and the emulator. A class derived from it decides what becomes of a request."""

import contextlib
import dataclasses
import http.client
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Request:
    line: str
    method: str
    path: str
    headers: dict  # by lower-case name
    body: bytes


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict  # by lower-case name
    content: bytes = b""


class Relay:
    """A context manager. `respond` gets each request, in a thread of the caller's connection."""

    def __init__(self, upstream, host="127.0.0.1"):
        self.upstream = urllib.parse.urlsplit(upstream)
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = relay.respond(Request(self.requestline, self.command, self.path, headers, body))
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for field in {**answer.headers, "content-length": str(len(answer.content))}.items():
                    self.send_header(*field)
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = handle_request

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):
                    super().handle()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.endpoint = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def respond(self, request):
        """-> the answer, or `None` to close the connection without one."""
        return self.forward(request)

    def forward(self, request, **headers):
        """Asks the emulator, with these headers in place of the request's own."""
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
        with contextlib.closing(connection):
            # Signatures cover the host: it is passed on as it came.
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for field in {**request.headers, **headers}.items():
                connection.putheader(*field)
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            given = {name.lower(): value for name, value in answer.getheaders()}
            for name in ("transfer-encoding", "connection"):
                given.pop(name, None)
            return Answer(answer.status, given, answer.read())

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
