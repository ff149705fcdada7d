"""A stub of Lambda's Runtime API that runs a real bootstrap as a process of its own.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUILT = pathlib.Path(__file__).resolve().parents[2] / ".aws-sam" / "build"
ADD_IP, RESET_POLICY = BUILT / "AddIpFunction" / "bootstrap", BUILT / "ResetPolicyFunction" / "bootstrap"


class Function:
    """One process of a function. A context manager: the process ends with it."""

    def __init__(self, bootstrap, environment, timeout=28):
        self.events, self.answers, self.timeout = queue.Queue(), queue.Queue(), timeout
        function = self

        class Api(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event = function.events.get()
                if event is None:
                    return
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
                self.send_header(
                    "Lambda-Runtime-Deadline-Ms", str(int((time.time() + function.timeout) * 1000))
                )
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f"
                )
                self.send_header(
                    "Lambda-Runtime-Trace-Id",
                    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
                )
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                failed = self.path.endswith("/error")
                function.answers.put((failed, json.loads(body or b"null"), time.monotonic()))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

            def handle(self):
                # A function that is killed leaves its connection.
                with contextlib.suppress(ConnectionError):
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **environment,
        }
        self.bootstrap, self.process, self.output = bootstrap, None, []

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.bootstrap], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.reader = threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.events.put(None)
        self.server.shutdown()
        self.server.server_close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        """What the function has logged, as JSON lines; ends it."""
        self.kill()
        self.reader.join(10)
        return [json.loads(line) for line in self.output if line.startswith(b"{")]

    def send(self, event):
        self.events.put(event)

    def answer(self, timeout=60):
        """-> (failed, payload, when)"""
        return self.answers.get(timeout=timeout)

    def call(self, event):
        self.send(event)
        failed, payload, _ = self.answer()
        return failed, payload


def add_event(key, address, **query):
    return {
        "resource": "/add",
        "path": "/add",
        "httpMethod": "POST",
        "headers": {"Authorization": f"Bearer {key}"},
        "queryStringParameters": query or None,
        "requestContext": {"identity": {"sourceIp": address}},
    }


def add(function, key, address, **query):
    """-> HTTP status, body"""
    failed, payload = function.call(add_event(key, address, **query))
    assert not failed, payload
    return payload["statusCode"], json.loads(payload["body"])
