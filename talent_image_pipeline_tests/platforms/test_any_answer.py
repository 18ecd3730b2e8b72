"""Whatever a platform answers becomes exactly one outcome for each account, and shows no secret."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Outcome, PlatformClient
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline_tests.platforms.scripted_server import NOW, Reply, ScriptedServer, values_for

SIGNED = "https://x.fbcdn.net/v/1_n.jpg?oh=signed-SECRET&oe=7"
ACCOUNTS = (
    Account(
        account_id="own",
        handle="ada",
        access_token=SecretStr("access-SECRET"),
        refresh_token=SecretStr("refresh-SECRET"),
        content_id="1_n.jpg",
    ),
    Account(account_id="handle", handle="grace"),
    Account(account_id="channel", handle="UC_x5XG1OV2P6uZZ5FSM9Ttw"),
)

# Words that the contracts know, so that bodies come close to real ones more often than by rng.
KEYS = st.sampled_from(
    [
        "error", "code", "error_subcode", "is_transient", "message", "data", "user", "open_id", "avatar_url", "items",
        "id", "snippet", "thumbnails", "high", "url", "width", "reason", "errors", "details", "status", "kind",
        "user_id", "profile_picture_url", "has_profile_pic", "body", "business_discovery", "username", "access_token",
        "expires_in", "refresh_token", "refresh_expires_in", "\x00", "\ud800",
    ]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(
        [
            4, 10, 17, 33, 100, 110, 190, 200, 368, 463, 613, 2207013, 80002, 1e308, "ok", "invalid_grant",
            "rate_limit_exceeded", "quotaExceeded", "youtube#channelListResponse", "UC_x5XG1OV2P6uZZ5FSM9Ttw",
            "secret text: access-SECRET refresh-SECRET", SIGNED, "http://[", "https://h/a?oe=zz&x-expires=9e9",
        ]
    ),
)  # fmt: skip
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5) | inner.map(json.dumps),
    max_leaves=25,
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 418, 429, 500, 502, 503])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(st.sampled_from(["120", "-1", "9" * 40, "Sat, 99 Nov 2026", "{}"]), BODIES.map(json.dumps))
        for name in ("retry-after", "x-app-usage", "x-business-use-case-usage")
    },
)


@dataclass(frozen=True)
class Stage:
    """A running server, and the clients of all platforms that talk to it."""

    runner: asyncio.Runner
    server: ScriptedServer
    clients: tuple[PlatformClient, ...]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        server = ScriptedServer(lambda _: Reply())
        runner.run(server.start())
        pool = open_api_client()
        values = values_for(server.origin)
        clients = tuple(platform.open_client(values, ApiTransport(pool), lambda: NOW) for platform in PLATFORMS)
        yield Stage(runner=runner, server=server, clients=clients)
        runner.run(pool.aclose())
        runner.run(server.stop())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES, status=STATUSES, headers=HEADERS)
def test_any_json_at_any_status_becomes_one_outcome_for_each_account(
    stage: Stage, *, body: Any, status: int, headers: dict[str, str]
) -> None:
    play(stage, Reply(status=status, body=json.dumps(body).encode(), headers=headers))


@settings(max_examples=40)
@given(body=st.binary(max_size=200), status=STATUSES)
def test_any_bytes_become_one_outcome_for_each_account(stage: Stage, *, body: bytes, status: int) -> None:
    play(stage, Reply(status=status, body=body))


def play(stage: Stage, reply: Reply) -> None:
    stage.server.script = lambda _: reply
    for client in stage.clients:
        stage.runner.run(play_with(client))


async def play_with(client: PlatformClient) -> None:
    calls = client.plan_calls(ACCOUNTS)
    assert sorted(account.account_id for call in calls for account in call.accounts) == ["channel", "handle", "own"]
    for call in calls:
        result = await client.read(call)
        assert len(result.readings) == len(call.accounts)
        for reading in result.readings:
            assert reading.outcome in Outcome
            assert reading.message
            assert (reading.picture is not None) == (reading.outcome in {Outcome.PICTURE, Outcome.UNCHANGED})
            stored = [reading.message, reading.upstream_id, reading.picture.content_id if reading.picture else None]
            assert all("\0" not in text and text.encode() for text in stored if text is not None)
        assert "SECRET" not in repr(result)
    ended = await client.refresh_token(ACCOUNTS[0])
    assert (ended.token is None) != (ended.failure is None)
    assert "SECRET" not in repr(ended)
