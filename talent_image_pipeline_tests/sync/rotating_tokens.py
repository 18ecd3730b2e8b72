"""A token endpoint on loopback that rotates as TikTok does, and can be held up or cut off at each step.

What belongs here: the endpoint and what a test may do to it.
What does not: TikTok's other paths (the sandbox has them all).
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class RotatingTokens:
    """Hands out pairs; a refresh token is spent the moment its successor exists.

    Attributes:
        answers: What becomes of the next requests, in order, then ``rotate``: ``rotate``; ``lose`` (rotates, and the
            connection breaks before the answer); ``drop`` (the connection breaks, nothing rotates); ``fail`` (500).
        rotations: How many pairs were handed out.
        requests: How many requests came.
        may_answer: Cleared by a test to hold answers back after the old token is spent.
        has_rotated: Set once a token was spent.
    """

    def __init__(self, first_refresh_token: str) -> None:
        self.answers: list[str] = []
        self.rotations = 0
        self.requests = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.has_rotated = threading.Event()
        self._living = first_refresh_token
        self._lock = threading.Lock()

    def is_living(self, refresh_token: str) -> bool:
        """Whether this is the one token that still works."""
        return refresh_token == self._living

    def take(self, refresh_token: str) -> tuple[str, dict[str, Any]]:
        """Count a request and return what becomes of it, with the body of its answer."""
        with self._lock:
            self.requests += 1
            action = self.answers.pop(0) if self.answers else "rotate"
            if action in {"drop", "fail"}:
                return action, {}
            if refresh_token != self._living:
                return action, {"error": "invalid_grant", "error_description": "spent", "log_id": "1"}
            self.rotations += 1
            self._living = f"rft.{self.rotations}"
        self.has_rotated.set()
        return action, {
            "access_token": f"act.{self.rotations}",
            "expires_in": 7200,
            "open_id": "open",
            "refresh_expires_in": 864000,
            "refresh_token": self._living,
            "scope": "user.info.basic",
            "token_type": "Bearer",
        }


@contextmanager
def serving(tokens: RotatingTokens) -> Iterator[str]:
    """Serve the endpoint and give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            action, body = tokens.take(form["refresh_token"][0])
            tokens.may_answer.wait(60)
            self.close_connection = True
            if action in {"drop", "lose"}:
                return
            content = json.dumps(body).encode()
            self.send_response(500 if action == "fail" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        tokens.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()
