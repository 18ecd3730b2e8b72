"""Servers on loopback that answer exactly what a test wants, byte for byte, and listeners that must stay untouched.

What belongs here: what the download tests connect to, and how they run one download.
What does not: any expectation.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from threading import Thread
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.pictures.download.downloader import (
    DownloadedPicture,
    DownloadLimits,
    NotModified,
    PictureDownloader,
)

BODY = b"the bytes of a picture"
SECRET = "signature-that-nobody-may-see"

Send = Callable[[bytes], None]
Answer = Callable[[Send], None]


class LoopbackServer:
    """An HTTP server on 127.0.0.1 whose answers are raw bytes, written by a function of the path.

    Attributes:
        requests: The head of every request, in the order of arrival.
        connections: How many were accepted.
        bytes_sent: Over all connections.
        was_cut_off: The client closed a connection while an answer was being sent.
    """

    def __init__(self, answers: Answer | dict[str, Answer], *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.bytes_sent = 0
        self.was_cut_off = False
        self._answers = answers
        self._tls = tls
        self._threads: list[Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, task: Callable[[], None]) -> None:
        thread = Thread(target=task)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._answer_requests(connection)
        except OSError:
            self.was_cut_off = True
        finally:
            connection.close()

    def _answer_requests(self, connection: socket.socket) -> None:
        def send(data: bytes) -> None:
            connection.sendall(data)
            self.bytes_sent += len(data)

        while head := _read_head(connection):
            self.requests.append(head)
            path = re.split(r"[ ?]", head)[1]
            answer = self._answers[path] if isinstance(self._answers, dict) else self._answers
            answer(send)
            if "connection: close" in head.lower():
                return


def _read_head(connection: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = connection.recv(4096)
        if not received:
            return ""
        head += received
    return head.decode("ascii")


class Victim:
    """A listener somewhere inside that no download may ever reach."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def was_reached(self) -> bool:
        """Whether anyone connected: the kernel completes a connection without this process accepting it."""
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True


class ScriptedResolver(AbstractResolver):
    """Gives out one list of addresses after the other, and the last one for ever, all at the given port."""

    def __init__(self, *answers: Sequence[str], port: int = 443) -> None:
        self.lookups: list[str] = []
        self._answers = answers
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self._answers[min(len(self.lookups), len(self._answers) - 1)]
        self.lookups.append(host)
        return [self._result(host, address) for address in answer]

    def _result(self, host: str, address: str) -> ResolveResult:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return ResolveResult(
            hostname=host, host=address, port=self._port, family=family, proto=0, flags=socket.AI_NUMERICHOST
        )

    async def close(self) -> None:
        return


def answer(*headers: str, status: str = "200 OK", body: bytes = BODY) -> Answer:
    """Answer with a complete response."""
    return raw_answer(f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, body=body)


def raw_answer(*lines: str, body: bytes = b"") -> Answer:
    """Answer with these lines and bytes and nothing else."""
    data = "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
    return lambda send: send(data)


def redirect(location: str, *, status: str = "302 Found") -> Answer:
    return answer(f"Location: {location}", status=status, body=b"")


def fetch(
    url: str,
    *,
    trusted: Sequence[str] = (),
    hosts: Sequence[str] = (),
    limits: DownloadLimits | None = None,
    resolver: AbstractResolver | None = None,
    expires_at: datetime | None = None,
    etag: str | None = None,
    clock: Clock = utc_now,
) -> DownloadedPicture | NotModified:
    """Run one download from beginning to end."""

    async def run() -> DownloadedPicture | NotModified:
        async with PictureDownloader(
            trusted_origins=frozenset(trusted), limits=limits or DownloadLimits(), clock=clock, resolver=resolver
        ) as downloader:
            return await downloader.download(SecretStr(url), hosts=hosts, expires_at=expires_at, etag=etag)

    return asyncio.run(run())


def fetch_from(
    server: LoopbackServer,
    path: str = "/picture.jpg",
    *,
    hosts: Sequence[str] = (),
    limits: DownloadLimits | None = None,
    etag: str | None = None,
) -> DownloadedPicture | NotModified:
    """Run one download from a server that is trusted, as the sandbox is."""
    return fetch(server.origin + path, trusted=[server.origin], hosts=hosts, limits=limits, etag=etag)
