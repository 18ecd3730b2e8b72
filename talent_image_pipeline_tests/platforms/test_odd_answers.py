"""Answers that come with status 200, or about one account, and must take nothing away from anybody: over real HTTP.

Each row is a situation of the sandbox, and what the client makes of it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.platforms.contract import (
    Account,
    CallResult,
    Outcome,
    Platform,
    QuotaUsage,
    Reading,
    Scope,
    is_other_account,
)
from talent_image_pipeline.platforms.instagram import INSTAGRAM
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.platforms.youtube import YOUTUBE
from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network, Situation
from talent_image_pipeline.sandbox.situations import Platform as Api
from talent_image_pipeline.sandbox.world import NO_TROUBLE, World
from talent_image_pipeline_tests.platforms.scripted_server import build_client

HANDLES = ("ada", "ben", "cleo")


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    """Three accounts on each network, served once for the whole file."""
    world = World()
    for network in Network:
        for handle in HANDLES:
            world.add_account(network, handle)
    with running_sandbox(world) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """The same, with nothing the matter before and after."""
    yield shared_sandbox
    for account in shared_sandbox.world.accounts():
        account.trouble = NO_TROUBLE
    for state in shared_sandbox.world.platforms.values():
        state.trouble = NO_TROUBLE


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the calls brought, by handle."""

    readings: dict[str, Reading]
    results: list[CallResult]

    @property
    def usage(self) -> QuotaUsage | None:
        (result,) = self.results
        return result.usage


def with_token(sandbox: RunningSandbox, platform: Platform, handle: str) -> Account:
    tokens = sandbox.world.connect(Network(platform.name), handle)
    return Account(account_id=handle, handle=handle, access_token=SecretStr(tokens.access_token))


def by_handle(handle: str) -> Account:
    return Account(account_id=handle, handle=f"@{handle}")


def channel(sandbox: RunningSandbox, handle: str) -> Account:
    return Account(account_id=handle, handle=sandbox.world.account(Network.YOUTUBE, handle).account_id)


def read(sandbox: RunningSandbox, platform: Platform, *accounts: Account) -> Answered:
    async def run() -> Answered:
        async with open_api_client() as pool:
            client = build_client(platform, sandbox.environment, ApiTransport(pool), utc_now)
            calls = client.plan_calls(accounts)
            results = [await client.read(call) for call in calls]
            readings = {
                account.account_id: reading
                for call, result in zip(calls, results, strict=True)
                for account, reading in zip(call.accounts, result.readings, strict=True)
            }
            return Answered(readings=readings, results=results)

    return asyncio.run(run())


ABSENT = [
    (INSTAGRAM, Situation.PICTURE_LEFT_OUT, Outcome.UNCONFIRMED),
    (INSTAGRAM, Situation.PICTURE_PROMISED, Outcome.UNAVAILABLE),
    (INSTAGRAM, Situation.NO_PICTURE, Outcome.NO_PICTURE),
    (TIKTOK, Situation.PICTURE_LEFT_OUT, Outcome.UNAVAILABLE),
    (TIKTOK, Situation.NO_PICTURE, Outcome.NO_PICTURE),
    (YOUTUBE, Situation.PICTURE_LEFT_OUT, Outcome.UNAVAILABLE),
    (YOUTUBE, Situation.NO_PICTURE, Outcome.NO_PICTURE),
    (YOUTUBE, Situation.DELETED, Outcome.UNCONFIRMED),
]


@pytest.mark.parametrize(("platform", "situation", "outcome"), ABSENT)
def test_only_an_explicit_word_says_that_there_is_no_picture(
    sandbox: RunningSandbox, platform: Platform, situation: Situation, outcome: Outcome
) -> None:
    sandbox.world.set_situation(platform.name, "ada", situation)
    account = channel(sandbox, "ada") if platform is YOUTUBE else with_token(sandbox, platform, "ada")
    assert read(sandbox, platform, account).readings["ada"].outcome is outcome


@pytest.mark.parametrize(("situation", "outcome"), [row[1:] for row in ABSENT if row[0] is INSTAGRAM])
def test_a_look_up_tells_the_same_apart(sandbox: RunningSandbox, situation: Situation, outcome: Outcome) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ada", situation)
    found = read(sandbox, INSTAGRAM, by_handle("ada"), by_handle("ben")).readings
    assert (found["ada"].outcome, found["ben"].outcome) == (outcome, Outcome.PICTURE)


@pytest.mark.parametrize("sends_items", [True, False])
def test_a_day_on_which_no_channel_is_listed_declares_none_of_them_gone(
    sandbox: RunningSandbox, *, sends_items: bool
) -> None:
    sandbox.world.rules.youtube_sends_empty_items = sends_items
    sandbox.world.set_platform_situation(Api.YOUTUBE, Situation.DELETED)
    found = read(sandbox, YOUTUBE, *(channel(sandbox, handle) for handle in HANDLES)).readings
    assert {(reading.outcome, reading.suggests) for reading in found.values()} == {(Outcome.UNCONFIRMED, Outcome.GONE)}


@pytest.mark.parametrize("error", ["403 channelClosed", "403 channelForbidden", "404 channelNotFound", ""])
def test_halving_a_refused_call_finds_the_offender_and_reads_the_others(sandbox: RunningSandbox, error: str) -> None:
    sandbox.world.set_situation(Network.YOUTUBE, "ben", Situation.CHANNEL_REFUSED, error=error)
    whole = read(sandbox, YOUTUBE, *(channel(sandbox, handle) for handle in HANDLES))
    assert [result.must_split for result in whole.results] == [True]
    assert {reading.outcome for reading in whole.readings.values()} == {Outcome.UNAVAILABLE}
    others = read(sandbox, YOUTUBE, channel(sandbox, "ada"), channel(sandbox, "cleo"))
    assert {reading.outcome for reading in others.readings.values()} == {Outcome.PICTURE}
    alone = read(sandbox, YOUTUBE, channel(sandbox, "ben"))
    assert [result.must_split for result in alone.results] == [False]
    is_missing = "NotFound" in error
    assert alone.readings["ben"].outcome is (Outcome.UNCONFIRMED if is_missing else Outcome.HIDDEN)


def test_a_handle_that_another_channel_got_is_followed_once_the_first_channel_is_gone(sandbox: RunningSandbox) -> None:
    account = Account(account_id="a", handle="@moving")
    sandbox.world.add_account(Network.YOUTUBE, "moving")
    first = read(sandbox, YOUTUBE, account).readings["a"]
    successor = sandbox.world.give_handle_away(Network.YOUTUBE, "moving")
    gone = read(sandbox, YOUTUBE, replace(account, upstream_id=first.upstream_id)).readings["a"]
    assert (gone.outcome, gone.suggests) == (Outcome.UNCONFIRMED, Outcome.GONE)
    assert not is_other_account(first.upstream_id, gone)
    found = read(sandbox, YOUTUBE, replace(account, upstream_id=gone.upstream_id)).readings["a"]
    assert found.outcome is Outcome.PICTURE
    assert found.upstream_id == f"{successor.account_id} via @moving"
    assert is_other_account(first.upstream_id, found)


def test_a_channel_of_another_handle_is_not_taken(sandbox: RunningSandbox) -> None:
    sandbox.world.set_situation(Network.YOUTUBE, "ada", Situation.WRONG_HANDLE)
    reading = read(sandbox, YOUTUBE, by_handle("ada")).readings["ada"]
    assert (reading.outcome, reading.scope) == (Outcome.UNAVAILABLE, Scope.ACCOUNT)


def test_a_batch_in_another_order_is_matched_by_name(sandbox: RunningSandbox) -> None:
    accounts = [by_handle(handle) for handle in HANDLES]
    in_order = read(sandbox, INSTAGRAM, *accounts).readings
    sandbox.world.set_platform_situation(Api.FACEBOOK, Situation.REORDERED)
    reordered = read(sandbox, INSTAGRAM, *accounts).readings
    assert {handle: reading.upstream_id for handle, reading in reordered.items()} == {
        handle: reading.upstream_id for handle, reading in in_order.items()
    }


@pytest.mark.parametrize("is_look_up", [True, False])
def test_used_up_limits_of_ads_and_of_others_hold_nothing_up(sandbox: RunningSandbox, *, is_look_up: bool) -> None:
    sandbox.world.set_platform_situation(Api.FACEBOOK if is_look_up else Api.INSTAGRAM, Situation.ADS_LIMITED)
    account = by_handle("ada") if is_look_up else with_token(sandbox, INSTAGRAM, "ada")
    answered = read(sandbox, INSTAGRAM, account)
    assert answered.readings["ada"].outcome is Outcome.PICTURE
    assert answered.usage is not None
    assert (answered.usage.percent < 10, answered.usage.regain_at) == (True, None)


ABOUT_ONE: list[tuple[Platform, Situation, dict[str, Any]]] = [
    (INSTAGRAM, Situation.WRONG_KIND_OF_TOKEN, {"outcome": Outcome.NEEDS_RECONNECT}),
    (INSTAGRAM, Situation.CHECKPOINT, {"outcome": Outcome.NEEDS_RECONNECT, "is_read_daily": True}),
    (INSTAGRAM, Situation.UNCONFIRMED, {"outcome": Outcome.NEEDS_RECONNECT, "is_read_daily": True}),
    (INSTAGRAM, Situation.APP_BLOCKED, {"outcome": Outcome.MISCONFIGURED, "scope": Scope.ACCOUNT}),
    (INSTAGRAM, Situation.FIELD_REMOVED, {"outcome": Outcome.MISCONFIGURED, "scope": Scope.ACCOUNT}),
    (INSTAGRAM, Situation.CUSTOM_LIMIT, {"outcome": Outcome.RATE_LIMITED, "scope": Scope.ACCOUNT}),
    (INSTAGRAM, Situation.PAGE_LIMIT, {"outcome": Outcome.RATE_LIMITED, "scope": Scope.ACCOUNT}),
    (INSTAGRAM, Situation.COMPRESSED, {"outcome": Outcome.UNAVAILABLE}),
    (TIKTOK, Situation.FIELD_REMOVED, {"outcome": Outcome.MISCONFIGURED, "scope": Scope.ACCOUNT}),
    (TIKTOK, Situation.COMPRESSED, {"outcome": Outcome.UNAVAILABLE}),
]


@pytest.mark.parametrize(("platform", "situation", "expected"), ABOUT_ONE)
def test_what_one_token_hears_is_about_its_account(
    sandbox: RunningSandbox, platform: Platform, situation: Situation, expected: dict[str, Any]
) -> None:
    sandbox.world.set_situation(platform.name, "ada", situation)
    reading = read(sandbox, platform, with_token(sandbox, platform, "ada")).readings["ada"]
    assert {name: getattr(reading, name) for name in expected} == expected


def test_a_refresh_refused_as_invalid_is_about_its_account(sandbox: RunningSandbox) -> None:
    sandbox.world.set_situation(Network.TIKTOK, "ada", Situation.REFRESH_ERROR, error="invalid_request")
    pair = sandbox.world.connect(Network.TIKTOK, "ada")
    account = replace(with_token(sandbox, TIKTOK, "ada"), refresh_token=SecretStr(pair.refresh_token or ""))

    async def refresh() -> Reading | None:
        async with open_api_client() as pool:
            client = build_client(TIKTOK, sandbox.environment, ApiTransport(pool), utc_now)
            return (await client.refresh_token(account)).failure

    failure = asyncio.run(refresh())
    assert failure is not None
    assert (failure.outcome, failure.scope) == (Outcome.MISCONFIGURED, Scope.ACCOUNT)


@pytest.mark.parametrize(
    ("platform", "situation", "is_other"),
    [
        (INSTAGRAM, Situation.OK, False),
        (INSTAGRAM, Situation.ID_LEFT_OUT, False),
        (INSTAGRAM, Situation.WRONG_ACCOUNT, True),
        (TIKTOK, Situation.OK, False),
        (TIKTOK, Situation.ID_LEFT_OUT, False),
        (TIKTOK, Situation.NEW_OPEN_ID, False),
        (TIKTOK, Situation.WRONG_ACCOUNT, True),
    ],
)
def test_ids_are_compared_like_with_like(
    sandbox: RunningSandbox, platform: Platform, situation: Situation, *, is_other: bool
) -> None:
    account = with_token(sandbox, platform, "ada")
    remembered = read(sandbox, platform, account).readings["ada"].upstream_id
    assert remembered is not None
    sandbox.world.set_situation(platform.name, "ada", situation)
    reading = read(sandbox, platform, account).readings["ada"]
    assert reading.outcome is Outcome.PICTURE
    assert is_other_account(remembered, reading) is is_other


def test_own_token_and_look_up_give_the_same_id(sandbox: RunningSandbox) -> None:
    own = read(sandbox, INSTAGRAM, with_token(sandbox, INSTAGRAM, "ada")).readings["ada"]
    looked_up = read(sandbox, INSTAGRAM, by_handle("ada")).readings["ada"]
    assert own.upstream_id == looked_up.upstream_id is not None
