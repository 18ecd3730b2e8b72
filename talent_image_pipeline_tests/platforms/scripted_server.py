"""A small HTTP server on loopback that answers as a test's script says, and a conversation with it.

What belongs here: what the tests of all platforms share. What does not: any platform's bodies (each test's own).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.platforms.contract import (
    Account,
    CallResult,
    Platform,
    PlatformClient,
    QuotaUsage,
    Reading,
    TokenRefresh,
)
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as the server got it."""

    method: str
    path: str
    query: Mapping[str, str]
    queries: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server answers: a status, headers and a body, or whatever ``write`` does with the connection."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None


Script = Callable[[Received], Reply]


def reply_json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers or {})


class ScriptedServer:
    """Listens on a free port of 127.0.0.1 and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.received: list[Received] = []
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def origin(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            while (received := await _read_request(reader)) is not None:
                self.received.append(received)
                await _write_reply(writer, self.script(received))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._conversations.discard(task)
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    request_line = (await reader.readline()).decode("latin-1").split(" ")
    if len(request_line) < 3:
        return None
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    target = urlsplit(request_line[1])
    return Received(
        method=request_line[0],
        path=target.path,
        query=dict(parse_qsl(target.query)),
        queries=parse_qsl(target.query),
        headers=headers,
        form=dict(parse_qsl(body.decode())),
    )


async def _write_reply(writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.write is not None:
        await reply.write(writer)
        writer.close()
        return
    has_body = reply.status not in (204, 304)
    headers = {"content-length": str(len(reply.body) if has_body else 0), **reply.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n{head}\r\n".encode() + (reply.body if has_body else b""))
    await writer.drain()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(script)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def values_for(origin: str, **changes: Any) -> dict[str, Any]:
    """Settings of all platforms whose addresses carry a path each, as behind a gateway; ``changes`` replaces parts."""
    return {
        "instagram_api_url": f"{origin}/graph.instagram.com",
        "facebook_api_url": f"{origin}/graph.facebook.com",
        "tiktok_api_url": f"{origin}/open.tiktokapis.com",
        "youtube_api_url": f"{origin}/youtube.googleapis.com",
        "instagram_business_account_id": "17841406338772941",
        "instagram_business_token": SecretStr("agency-token-SECRET"),
        "tiktok_client_key": SecretStr("client-key-SECRET"),
        "tiktok_client_secret": SecretStr("client-secret-SECRET"),
        "youtube_api_key": SecretStr("api-key-SECRET"),
        **changes,
    }


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What came of planning and reading some accounts: readings by account id, and everything that was sent."""

    readings: Mapping[str, Reading]
    results: Sequence[CallResult]
    costs: Sequence[tuple[str, int]]
    received: Sequence[Received]
    counted: int

    @property
    def reading(self) -> Reading:
        """The only reading."""
        (only,) = self.readings.values()
        return only

    @property
    def usage(self) -> QuotaUsage | None:
        """The usage that the only call reported."""
        (only,) = self.results
        return only.usage


@asynccontextmanager
async def client_of(
    platform: Platform, script: Script, *, deadline_seconds: float = 10.0, **changes: Any
) -> AsyncIterator[tuple[PlatformClient, ApiTransport, ScriptedServer]]:
    async with serving(script) as server, open_api_client() as pool:
        transport = ApiTransport(pool, deadline_seconds=deadline_seconds)
        values = values_for(server.origin, **changes)
        yield platform.open_client(values, transport, lambda: NOW), transport, server


def converse(
    platform: Platform, accounts: Sequence[Account], script: Script, *, deadline_seconds: float = 10.0, **changes: Any
) -> Conversation:
    """Plan and read the accounts against a server that follows the script."""

    async def run() -> Conversation:
        async with client_of(platform, script, deadline_seconds=deadline_seconds, **changes) as parts:
            client, transport, server = parts
            calls = client.plan_calls(accounts)
            results = [await client.read(call) for call in calls]
            readings = {
                account.account_id: reading
                for call, result in zip(calls, results, strict=True)
                for account, reading in zip(call.accounts, result.readings, strict=True)
            }
            return Conversation(
                readings=readings,
                results=results,
                costs=[(call.quota, call.cost) for call in calls],
                received=server.received,
                counted=transport.calls,
            )

    return asyncio.run(run())


def refresh(
    platform: Platform, account: Account, script: Script, **changes: Any
) -> tuple[TokenRefresh, list[Received]]:
    """Refresh the account's token against a server that follows the script."""

    async def run() -> tuple[TokenRefresh, list[Received]]:
        async with client_of(platform, script, **changes) as (client, _, server):
            return await client.refresh_token(account), server.received

    return asyncio.run(run())


def build_client(
    platform: Platform, environment: Mapping[str, str], transport: ApiTransport, clock: Clock
) -> PlatformClient:
    """Build a platform's client from the names and values of environment variables."""
    return platform.open_client({name.lower(): value for name, value in environment.items()}, transport, clock)
