"""A proxy in front of the emulator: counts calls, lets a test act on one of them, and can move the clock.

The functions call AWS through it, or a client calls the URL.
"""

import collections
import contextlib
import email.utils
import http.client
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy:
    """A context manager. `hook(name, status)` runs after a call was answered, before its caller has it.

    `headers` replace those of each request. `answers` are (status, headers): each is given once, in this
    order, before anything is passed on. `ahead` moves the clock that answers tell (S3's `Date`) forward by so
    many seconds.
    """

    def __init__(self, endpoint, hook=None, delay=0.0, headers=None, answers=(), ahead=0, host="127.0.0.1"):
        upstream = urllib.parse.urlsplit(endpoint)
        proxy = self
        self.counts, self.lock, self.hook = collections.Counter(), threading.Lock(), hook
        self.seen = []  # of every request: its line, and where it came from as the browser tells
        local = threading.local()
        answers, headers = list(answers), {name.lower(): value for name, value in (headers or {}).items()}

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                name = proxy.name(self.command, self.path, body)
                with proxy.lock:
                    proxy.counts[name] += 1
                    proxy.seen.append((self.requestline, self.headers.get("Referer", "")))
                    instead = answers.pop(0) if answers else None
                if instead:
                    status, fields = instead
                    self.send_response_only(status)
                    for field in {**fields, "Content-Length": "0"}.items():
                        self.send_header(*field)
                    self.end_headers()
                    return
                time.sleep(delay)
                # Signatures cover the host: it is passed on as it came.
                if not hasattr(local, "connection"):
                    local.connection = http.client.HTTPConnection(
                        upstream.hostname, upstream.port, timeout=60
                    )
                local.connection.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                given = {name.lower(): value for name, value in self.headers.items()}
                for header, value in {**given, **headers}.items():
                    local.connection.putheader(header, value)
                local.connection.endheaders(body or None)
                answer = local.connection.getresponse()
                content = answer.read()
                if proxy.hook:
                    proxy.hook(name, answer.status)
                self.send_response_only(answer.status)
                for header, value in answer.getheaders():
                    if header.lower() == "date" and ahead:
                        moved = email.utils.parsedate_to_datetime(value).timestamp() + ahead
                        value = email.utils.formatdate(moved, usegmt=True)
                    if header.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(header, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = forward

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):
                    super().handle()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self.server = Server((host, 0), Forward)
        shown = f"[{host}]" if ":" in host else host
        self.endpoint = f"http://{shown}:{self.server.server_address[1]}"

    @staticmethod
    def name(method, path, body):
        if path == "/":
            return dict(urllib.parse.parse_qsl(body.decode())).get("Action", "GET page")
        parts = urllib.parse.urlsplit(path)
        key = parts.path.lstrip("/").partition("/")[2]
        return f"{'LIST' if method == 'GET' and not key else method} {key.split('/')[0] or 'bucket'}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
