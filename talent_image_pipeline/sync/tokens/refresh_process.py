"""The process in which tokens are refreshed: it outlives the run, so that killing the run loses no token.

What belongs here: starting that process when the first refresh is due, talking to it, and what it runs.
What does not: the course of a refresh (``refresh.py``).

The run and its keeper exchange lines of JSON over pipes; nothing secret is in an argument, the environment or a file.
The keeper has a session of its own and ignores SIGINT and SIGTERM: it ends when its standard input closes, which the
operating system sees to however the run ends, and after every refresh under way is stored.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.abc
import anyio.to_thread
import sqlalchemy as sa
from pydantic import SecretStr, TypeAdapter

import talent_image_pipeline
from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.database.engine import ConnectionShare, DatabaseUnavailableError, open_engine
from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.database.token_queries import SeenTokens
from talent_image_pipeline.platforms.contract import Outcome, Reading
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.sync.tokens.refresh import RefreshReport, refresh_account_token

LONGEST_LINE = 1024 * 1024

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KeeperOrders:
    """What a keeper is told once: where the database is, and what the platforms know us by."""

    database_url: SecretStr
    platform_values: Mapping[str, str | None] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RefreshRequest:
    """One refresh: of which account, with which tokens, and what time it is for the run that asks."""

    number: int
    platform: str
    account_id: str
    access_token: SecretStr | None
    refresh_token: SecretStr | None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class RefreshAnswer:
    """How the refresh of that number ended. The pair itself never comes back: it is in the app's row."""

    number: int
    report: RefreshReport


_ORDERS = TypeAdapter(KeeperOrders)
_REQUEST = TypeAdapter(RefreshRequest)
_ANSWER = TypeAdapter(RefreshAnswer)


def _line(message: KeeperOrders | RefreshRequest | RefreshAnswer) -> bytes:
    """Write a message with its secrets in the clear: for the pipe between a run and its keeper only."""
    return json.dumps(asdict(message), default=_plain).encode() + b"\n"


def _is_whole(line: bytes) -> bool:
    """Whether the other side lived to write the whole line."""
    return line.endswith(b"\n")


def _plain(value: object) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a message holds a {type(value).__name__}")


@asynccontextmanager
async def open_refresh_process(
    *, database_url: SecretStr, platform_values: Mapping[str, Any], clock: Clock = utc_now
) -> AsyncIterator["RefreshProcess"]:
    """Offer token refreshes for the length of a run. The process is started with the first one.

    Leaving waits for the refreshes under way. If the run is cancelled it does not wait: the keeper goes on alone.
    """
    orders = KeeperOrders(database_url=database_url, platform_values=dict(platform_values))
    async with anyio.create_task_group() as tasks:
        keeper = RefreshProcess(orders=orders, tasks=tasks, clock=clock)
        try:
            yield keeper
        finally:
            keeper.close()


class RefreshProcess:
    """Refreshes tokens on behalf of one run; many at once, in one process. Made by :func:`open_refresh_process`."""

    def __init__(self, *, orders: KeeperOrders, tasks: anyio.abc.TaskGroup, clock: Clock) -> None:
        self._orders = orders
        self._tasks = tasks
        self._clock = clock
        self._numbers = count(1)
        self._starting = anyio.Lock()
        self._process: _KeeperProcess | None = None

    async def refresh(self, account: AccountRecord) -> RefreshReport:
        """Refresh one account's token.

        Returns:
            A report without a failure when the app's row holds a working pair now; load the account anew then. Raises
            nothing that a platform, the database or the end of the process can cause.
        """
        request = RefreshRequest(
            number=next(self._numbers),
            platform=account.platform,
            account_id=account.account_id,
            access_token=account.access_token,
            refresh_token=account.refresh_token,
            now=self._clock(),
        )
        async with self._starting:
            if self._process is None or self._process.has_ended:
                self._process = await _start_keeper(self._orders)
                self._tasks.start_soon(self._process.take_answers)
        return await self._process.ask(request)

    def close(self) -> None:
        """Ask for no more: the process ends when the refreshes under way are stored."""
        if self._process is not None:
            self._process.close()


@dataclass(eq=False, kw_only=True)
class _KeeperProcess:
    """A running keeper as its run sees it."""

    requests: IO[bytes]
    answers: asyncio.StreamReader
    answers_transport: asyncio.ReadTransport
    waiting: dict[int, "asyncio.Future[RefreshReport]"] = field(default_factory=dict)
    writing: anyio.Lock = field(default_factory=anyio.Lock)
    has_ended: bool = False

    async def ask(self, request: RefreshRequest) -> RefreshReport:
        answer: asyncio.Future[RefreshReport] = asyncio.get_running_loop().create_future()
        self.waiting[request.number] = answer
        try:
            async with self.writing:
                await anyio.to_thread.run_sync(self._write, _line(request))
        except (OSError, ValueError):
            return _keeper_ended()
        if self.has_ended and not answer.done():
            return _keeper_ended()
        return await answer

    def _write(self, line: bytes) -> None:
        self.requests.write(line)
        self.requests.flush()

    async def take_answers(self) -> None:
        """Hand each answer to whoever waits for it, until the process ends."""
        try:
            async for line in self.answers:
                if _is_whole(line):
                    answer = _ANSWER.validate_json(line)
                    self._resolve(answer.number, answer.report)
        finally:
            self.has_ended = True
            self.close()
            self.answers_transport.close()
            for number in tuple(self.waiting):
                self._resolve(number, _keeper_ended())

    def _resolve(self, number: int, report: RefreshReport) -> None:
        waiting = self.waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(report)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.requests.close()


def _keeper_ended() -> RefreshReport:
    message = "The process that refreshes tokens ended before it answered."
    return RefreshReport(failure=Reading(outcome=Outcome.UNAVAILABLE, message=message))


async def _start_keeper(orders: KeeperOrders) -> _KeeperProcess:
    """Start a keeper and tell it its orders.

    Not through asyncio: its subprocesses are killed together with their event loop.
    """
    process = await anyio.to_thread.run_sync(_spawn)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process was started without its pipes")
    # It is waited for wherever the run stands when it ends, and the run's own end is not held up by it.
    threading.Thread(target=process.wait, name="token keeper", daemon=True).start()
    answers = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(answers), process.stdout)
    keeper = _KeeperProcess(requests=process.stdin, answers=answers, answers_transport=transport)
    with contextlib.suppress(OSError):
        keeper._write(_line(orders))
    return keeper


def _spawn() -> "subprocess.Popen[bytes]":
    source = str(Path(talent_image_pipeline.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "talent_image_pipeline.sync.tokens.refresh_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def main() -> None:
    """Refresh what is asked for on standard input, until it closes and all that was begun is stored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Answers go out under a number of their own: whatever a library prints goes to standard error.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    anyio.run(_keep, answers)


async def _keep(answers: int) -> None:
    requests = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    standard_input, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    first_line = await requests.readline()
    if not first_line:
        return
    orders = _ORDERS.validate_json(first_line)
    try:
        engine = await anyio.to_thread.run_sync(_open_database, orders.database_url.get_secret_value())
    except DatabaseUnavailableError as error:
        _logger.error("[TALENT_IMAGE] no token can be refreshed: %s", error)
        return
    try:
        async with open_api_client() as api, anyio.create_task_group() as tasks:
            transport = ApiTransport(api)
            keeping = _Keeping(
                engine=engine, transport=transport, platform_values=orders.platform_values, answers=answers
            )
            async for line in requests:
                if _is_whole(line):
                    tasks.start_soon(keeping.answer, _REQUEST.validate_json(line))
    finally:
        engine.dispose()
        standard_input.close()


def _open_database(url: str) -> sa.Engine:
    return open_engine(url, share=ConnectionShare.REFRESHING)


@dataclass(eq=False, kw_only=True)
class _Keeping:
    """What the keeper's refreshes share."""

    engine: sa.Engine
    transport: ApiTransport
    platform_values: Mapping[str, str | None] = field(repr=False)
    answers: int
    writing: anyio.Lock = field(default_factory=anyio.Lock)

    async def answer(self, request: RefreshRequest) -> None:
        """Refresh one token and say how it ended, if there is still somebody to tell.

        Nothing that goes wrong with one account cuts off the refresh of another.
        """
        with anyio.CancelScope(shield=True):
            try:
                report = await self._refresh(request)
            except Exception as error:  # noqa: BLE001 - texts of errors may show tokens, and others are under way
                message = f"The token could not be refreshed ({type(error).__name__})."
                report = RefreshReport(failure=Reading(outcome=Outcome.UNAVAILABLE, message=message))
            line = _line(RefreshAnswer(number=request.number, report=report))
            async with self.writing:
                with contextlib.suppress(OSError):
                    await anyio.to_thread.run_sync(self._write, line)

    async def _refresh(self, request: RefreshRequest) -> RefreshReport:
        platform = platform_named(request.platform)
        if platform is None:
            raise ValueError(f"{request.platform!r} is no platform that we know")
        clock = _clock_showing(request.now)
        return await refresh_account_token(
            account_id=request.account_id,
            seen=SeenTokens(access_token=request.access_token, refresh_token=request.refresh_token),
            label=platform.label,
            engine=self.engine,
            client=platform.open_client(self.platform_values, self.transport, clock),
            clock=clock,
        )

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self.answers, rest) :]


def _clock_showing(now: datetime) -> Clock:
    """Return a clock that shows ``now`` now: the run's time, whatever this machine's clock says."""
    offset: timedelta = now - utc_now()
    return lambda: utc_now() + offset


if __name__ == "__main__":
    main()
