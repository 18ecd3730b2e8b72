"""One HTTP connection: how much it may send, how long it may take, and pictures in memory answered at once.

What belongs here: bounds and deadlines that hold before any application code runs, on top of uvicorn's own protocol.
What does not: what is answered to everything else (``app.py``) and listening (``server.py``).
"""

import json
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from talent_image_pipeline.service.picture_memory import KeptPicture, PictureMemory, names_entity_tag
from talent_image_pipeline.service.safe_headers import SAFE_HEADERS

_SWEEP_SECONDS: Final = 1.0
_CONDITIONS_OF_A_BODY: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
#: The event loop says only between two reads that a client does not keep up, and a read may hold thousands of requests.
_MOST_UNREAD: Final = 262_144
_NEVER: Final = float("inf")


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What a connection, a client and all of them together may take.

    Attributes:
        header_bytes: Request line and headers of one request.
        headers: How many of them.
        body_bytes: Of one request.
        header_seconds: From the first byte of a request, or from the connection's begin, to the end of its headers.
        body_seconds: From there to the end of its body.
        idle_seconds: Between two requests.
        stalled_seconds: How long a client may leave an answer unread.
        unanswered: Requests that a client may send before it has the answer to the first of them.
        connections: At once; beyond that, the one that has been idle for the longest is closed.
        connections_per_client: At once from one address.
    """

    header_bytes: int = 16_384
    headers: int = 64
    body_bytes: int = 65_536
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: float = 30.0
    stalled_seconds: float = 30.0
    unanswered: int = 100
    connections: int = 2000
    connections_per_client: int = 500


class ConnectionTable:
    """All connections of a server: how many there are of each client, and which of them took too long."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: dict[BoundedProtocol, None] = {}
        self._by_client: Counter[str] = Counter()
        self._is_sweeping = False

    def admit(self, connection: "BoundedProtocol") -> bool:
        """Take a connection in; says no when its client has too many, or nobody can be sent away for it."""
        if self._by_client[connection.address] >= self.limits.connections_per_client:
            return False
        if len(self._open) >= self.limits.connections and not self._close_longest_idle():
            return False
        self._open[connection] = None
        self._by_client[connection.address] += 1
        if not self._is_sweeping:
            self._is_sweeping = True
            connection.loop.call_later(_SWEEP_SECONDS, self._sweep, connection.loop)
        return True

    def forget(self, connection: "BoundedProtocol") -> None:
        """Take note that a connection is closed."""
        if connection not in self._open:
            return
        del self._open[connection]
        self._by_client[connection.address] -= 1
        if not self._by_client[connection.address]:
            del self._by_client[connection.address]

    def _close_longest_idle(self) -> bool:
        idle = min(self._open, key=lambda connection: connection.idle_since, default=None)
        if idle is None or idle.idle_since == _NEVER:
            return False
        idle.abort()
        return True

    def _sweep(self, loop: Any) -> None:
        now = loop.time()
        for connection in list(self._open):
            connection.end_if_late(now)
        self._is_sweeping = bool(self._open)
        if self._is_sweeping:
            loop.call_later(_SWEEP_SECONDS, self._sweep, loop)


class _Answered:
    """Stands for a request that was answered here, where uvicorn looks for its own bookkeeping of one."""

    response_complete = True
    disconnected = False
    keep_alive = True

    class message_event:  # noqa: N801 - the name that uvicorn gives it
        """Nobody waits for it."""

        @staticmethod
        def set() -> None:
            """Do nothing."""


_ANSWERED: Final[Any] = _Answered()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds. The application carries ``connections`` and ``picture_memory`` for it."""

    cycle: RequestResponseCycle

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._table: ConnectionTable = self.config.loaded_app.connections
        self._memory: PictureMemory = self.config.loaded_app.picture_memory
        self._limits = self._table.limits
        self._is_refused = False
        self._header_bytes = 0
        self._body_bytes = 0
        self._unread = 0
        self._stalled_since = _NEVER
        self._reads_headers = True
        self.idle_since = _NEVER
        self._deadline = _NEVER
        self.address = ""

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Take the connection in, or close it at once with a word of why."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.idle_since = self.loop.time()
        self._deadline = self.idle_since + self._limits.header_seconds
        if not self._table.admit(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "Too many connections; close some.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place to others."""
        self._table.forget(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection now, whatever is under way, and give the place to others."""
        self._table.forget(self)
        self.transport.abort()

    def end_if_late(self, now: float) -> None:
        """Close the connection when a deadline has passed."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread != self._unread:
            self._unread, self._stalled_since = unread, now if unread else _NEVER
        if now - self._stalled_since > self._limits.stalled_seconds:
            self.abort()
        elif now < self._deadline:
            return
        elif self.idle_since != _NEVER or self._has_answered():
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request did not come in time.")

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Count what comes before it is parsed: a line without an end would be kept and joined again and again."""
        if self._is_refused:
            return
        if self._reads_headers:
            if self.idle_since != _NEVER:
                now = self.loop.time()
                self.idle_since, self._deadline = _NEVER, now + self._limits.header_seconds
            self._header_bytes += len(data)
        super().data_received(data)
        if self._reads_headers and self._header_bytes > self._limits.header_bytes:
            self._refuse_headers()

    def on_message_begin(self) -> None:
        """Begin to count anew."""
        super().on_message_begin()
        self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, unless there are too many."""
        if len(self.headers) < self._limits.headers:
            super().on_header(name, value)
        elif not self._is_refused:
            self._refuse_headers()

    def on_headers_complete(self) -> None:
        """Answer a picture in memory at once; hand everything else to the application."""
        self._reads_headers = False
        self._header_bytes = 0
        if self._is_refused:
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.header_bytes:
            self._refuse_headers()
            return
        if self._answer_from_memory():
            return
        if len(self.pipeline) >= self._limits.unanswered:
            self._is_refused = True
            self.abort()
            return
        self._deadline = self.loop.time() + self._limits.body_seconds
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand the body on, as far as it is bounded."""
        if self._is_refused or self.cycle is _ANSWERED:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", "The body is too large.")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request, or for the answer to this one."""
        self._reads_headers = True
        if self._is_refused:
            return
        self._deadline = _NEVER
        if self.cycle is _ANSWERED:
            self._wait_for_next()
            return
        super().on_message_complete()
        if self.cycle.response_complete and not self.pipeline:
            self._wait_for_next()

    # What goes out

    def on_response_complete(self) -> None:
        """Wait for the next request, for so long."""
        super().on_response_complete()
        # One timer for all connections, in place of one for each request.
        self._unset_keepalive_if_required()
        if self._reads_headers and not self.pipeline and not self._header_bytes:
            self._wait_for_next()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the shape of every error."""
        self._refuse(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", msg)

    def _has_answered(self) -> bool:
        """Whether the request whose body is still coming was answered already."""
        return not self._reads_headers and self.cycle is not None and self.cycle.response_complete

    def _wait_for_next(self) -> None:
        self.idle_since = self.loop.time()
        self._deadline = self.idle_since + self._limits.idle_seconds

    def _answer_from_memory(self) -> bool:
        """Answer a picture that is in memory, where nothing about the request needs more than that."""
        is_free = self.cycle is None or self.cycle.response_complete
        if not is_free or self.parser.get_http_version() != "1.1":
            return False
        if self.flow.write_paused or self.transport.get_write_buffer_size() > _MOST_UNREAD:
            return False
        method = self.parser.get_method()
        if method not in (b"GET", b"HEAD") or not self.parser.should_keep_alive():
            return False
        kept = self._memory.find(self.url)
        if kept is None:
            return False
        asked = None
        for name, value in self.headers:
            if name in _CONDITIONS_OF_A_BODY:
                return False
            if name == b"if-none-match":
                asked = value if asked is None else asked + b"," + value
        self._write(kept, asked=asked, has_body=method == b"GET")
        return True

    def _write(self, kept: KeptPicture, *, asked: bytes | None, has_body: bool) -> None:
        date = b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)
        if asked is not None and names_entity_tag(asked, kept.entity_tag):
            self.transport.write(b"HTTP/1.1 304 Not Modified\r\n" + date + kept.not_modified_head)
        elif has_body:
            self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", date, kept.head, kept.body)))
        else:
            self.transport.write(b"HTTP/1.1 200 OK\r\n" + date + kept.head)
        self.cycle = _ANSWERED
        self.server_state.total_requests += 1

    def _refuse_headers(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HEADERS_TOO_LARGE", "The request's headers are too large."
        )

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        """Answer an error, close the connection, and read no more of it."""
        self._is_refused = True
        is_answering = self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started
        if not is_answering and not self.transport.is_closing():
            self.transport.write(_error(status, code, message, self.server_state.default_headers))
        if self.cycle is not None and self.cycle is not _ANSWERED:
            # What the application says now is said to nobody.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def _error(status: HTTPStatus, code: str, message: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    body = json.dumps({"success": False, "error": {"code": code, "message": message}}).encode()
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()),
    ]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), lines, body)
