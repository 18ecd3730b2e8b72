"""Reading a platform for a run: over real sockets, with real pictures, databases and workers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline_tests.pictures.picture_files import gif_with_a_huge_frame, small_file
from talent_image_pipeline_tests.platforms.scripted_server import Reply, reply_json
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim
from talent_image_pipeline_tests.sync.loopback_networks import Networks, Reader, reading

#: A token of unknown age would be refreshed first.
FAR = utc_now() + timedelta(days=50)

Act = Callable[[Reader], Awaitable[None]]


class Go(Protocol):
    """Runs a test's actions against the networks on loopback."""

    def __call__(
        self, act: Act, *, networks: Networks | None = None, limits: ReadingLimits | None = None
    ) -> Networks: ...


@dataclass(frozen=True)
class _Go:
    engine: sa.Engine
    directory: Path

    def __call__(self, act: Act, *, networks: Networks | None = None, limits: ReadingLimits | None = None) -> Networks:
        async def run() -> Networks:
            async with reading(self.engine, self.directory, networks=networks, limits=limits) as reader:
                await asyncio.wait_for(act(reader), timeout=60)
                return reader.networks

        return asyncio.run(run())


@pytest.fixture
def go(migrated_engine: sa.Engine, tmp_path: Path) -> Go:
    return _Go(migrated_engine, tmp_path)


def connect(engine: sa.Engine, number: int, **changes: Any) -> list[str]:
    """Connect so many Instagram accounts, whose ids are their handles."""
    handles = [f"handle.{index:03}" for index in range(number)]
    with engine.begin() as connection:
        for handle in handles:
            insert_talent(connection, id=f"talent of {handle}")
            values: dict[str, Any] = {
                "handle": handle,
                "access_token": f"token-of-{handle}",
                "expires_at": FAR,
            } | changes
            insert_account(connection, id=handle, talent_id=f"talent of {handle}", **values)
    return handles


def outcomes_of(engine: sa.Engine) -> dict[str, str]:
    with engine.begin() as connection:
        return {
            row[0]: row[1]
            for row in connection.execute(sa.select(platform_images.c.account_id, platform_images.c.outcome))
        }


def claims_in(engine: sa.Engine) -> set[str]:
    with engine.begin() as connection:
        return set(
            connection.scalars(sa.select(platform_images.c.claimed_by).where(platform_images.c.claimed_by.is_not(None)))
        )


def failing(status: int, code: int | None = None) -> Callable[[], Reply]:
    return lambda: reply_json({"error": {"message": "no", "code": code}} if code else {}, status=status)


def test_what_is_read_is_owned_written_and_not_downloaded_again(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 3)

    async def act(reader: Reader) -> None:
        first = await reader.read(handles)
        assert first.outcomes == {Outcome.PICTURE: 3}
        assert (first.api_calls, first.downloads) == (3, 3)
        again = await reader.read(handles, run_id="again", force=True)
        assert again.outcomes == {Outcome.UNCHANGED: 3}
        assert (again.api_calls, again.downloads) == (3, 0)
        for account in sim.load(migrated_engine, *handles):
            assert account.ledger is not None
            assert account.ledger.picture_hash is not None
            assert await reader.store.has(account.ledger.picture_hash)

    go(act, networks=Networks(has_pictures=True))
    assert claims_in(migrated_engine) == set()


def test_of_two_runs_at_once_each_account_is_read_by_one(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 12)

    async def act(reader: Reader) -> None:
        one, two = await asyncio.gather(reader.read(handles[:8], run_id="one"), reader.read(handles[4:], run_id="two"))
        assert one.outcomes[Outcome.NO_PICTURE] + two.outcomes[Outcome.NO_PICTURE] == 12
        assert one.claimed_by_other_run + two.claimed_by_other_run == 4
        assert one.superseded == two.superseded == 0

    networks = go(act)
    assert set(networks.reads.values()) == {1}
    assert set(outcomes_of(migrated_engine).values()) == {"no_picture"}


def test_a_refresh_waits_for_the_run_that_reads_the_account_and_uses_its_result(
    migrated_engine: sa.Engine, go: Go
) -> None:
    (handle,) = connect(migrated_engine, 1)

    async def act(reader: Reader) -> None:
        reader.networks.held[handle] = asyncio.Event()
        running = asyncio.create_task(reader.read([handle], run_id="running"))
        await reader.until_asked_for(handle)
        refreshing = asyncio.create_task(reader.read([handle], run_id="refreshing", force=True))
        await asyncio.sleep(0.5)
        assert not refreshing.done()
        reader.networks.held[handle].set()
        assert (await running).outcomes == {Outcome.NO_PICTURE: 1}
        report = await refreshing
        assert (report.reads, report.claimed_by_other_run) == (0, 1)

    assert go(act).reads == {handle: 1}


def test_a_refresh_takes_over_from_a_run_that_was_killed(migrated_engine: sa.Engine, go: Go) -> None:
    (handle,) = connect(migrated_engine, 1)
    soon = timedelta(seconds=1)
    sim.claim(migrated_engine, sim.load(migrated_engine, handle), run_id="killed", now=utc_now(), lasts=soon)

    async def act(reader: Reader) -> None:
        report = await reader.read([handle], force=True)
        assert (report.outcomes, report.claimed_by_other_run) == ({Outcome.NO_PICTURE: 1}, 0)

    go(act)


def test_a_run_that_is_not_a_refresh_leaves_out_what_another_run_reads(migrated_engine: sa.Engine, go: Go) -> None:
    first, second = connect(migrated_engine, 2)
    sim.claim(migrated_engine, sim.load(migrated_engine, first), run_id="other", now=utc_now())

    async def act(reader: Reader) -> None:
        report = await reader.read([first, second])
        assert (report.outcomes, report.claimed_by_other_run) == ({Outcome.NO_PICTURE: 1}, 1)

    assert go(act).reads == {second: 1}
    assert claims_in(migrated_engine) == {"other"}


def test_a_run_that_lives_longer_than_its_claims_keeps_them(migrated_engine: sa.Engine, go: Go) -> None:
    (handle,) = connect(migrated_engine, 1)

    async def act(reader: Reader) -> None:
        reader.networks.held[handle] = asyncio.Event()
        running = asyncio.create_task(reader.read([handle], run_id="running"))
        await reader.until_asked_for(handle)
        await asyncio.sleep(2.5)
        assert (await reader.read([handle], run_id="other")).claimed_by_other_run == 1
        reader.networks.held[handle].set()
        assert (await running).outcomes == {Outcome.NO_PICTURE: 1}

    go(act, limits=ReadingLimits(claim_seconds=1.5))


@pytest.mark.parametrize(
    "changes", [{"connected": False}, {"handle": "another"}, {"accessToken": "another"}, {"creatorId": "somebody"}]
)
def test_a_slow_read_of_an_account_that_changes_meanwhile_is_not_written(
    migrated_engine: sa.Engine, go: Go, changes: dict[str, Any]
) -> None:
    (handle,) = connect(migrated_engine, 1)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="somebody")

    async def act(reader: Reader) -> None:
        await reader.read([handle])
        before = sim.ledger_of(migrated_engine, handle)
        reader.networks.held[handle] = asyncio.Event()
        slow = asyncio.create_task(reader.read([handle], run_id="slow", force=True))
        while reader.networks.reads[handle] < 2:  # noqa: ASYNC110 - the server counts, and tells nobody
            await asyncio.sleep(0.01)
        sim.change_account(migrated_engine, handle, **changes)
        reader.networks.held[handle].set()
        report = await slow
        assert (report.superseded, report.reads) == (1, 0)
        assert sim.ledger_of(migrated_engine, handle) == before

    go(act)
    assert handle in {finding.account_id for finding in sim.found_by_sensor(migrated_engine, now=utc_now())}


def test_a_run_whose_claims_were_taken_over_writes_nothing(migrated_engine: sa.Engine, go: Go) -> None:
    (handle,) = connect(migrated_engine, 1)

    async def act(reader: Reader) -> None:
        reader.networks.held[handle] = asyncio.Event()
        stalled = asyncio.create_task(reader.read([handle], run_id="stalled"))
        await reader.until_asked_for(handle)
        later = utc_now() + sim.CLAIM
        assert sim.claim(migrated_engine, sim.load(migrated_engine, handle), run_id="owner", now=later) == {handle}
        reader.networks.held[handle].set()
        assert (await stalled).superseded == 1

    go(act)
    assert claims_in(migrated_engine) == {"owner"}
    assert outcomes_of(migrated_engine) == {handle: None}


def test_a_platform_that_is_down_is_left_alone_after_a_few_calls_and_changes_no_picture(
    migrated_engine: sa.Engine, go: Go
) -> None:
    handles = connect(migrated_engine, 40)

    async def act(reader: Reader) -> None:
        await reader.read(handles[:1])
        owned = sim.load(migrated_engine, handles[0])[0].ledger
        reader.networks.answers = dict.fromkeys(handles, failing(500))
        reader.networks.reads.clear()
        report = await reader.read(handles, run_id="down", force=True)
        assert report.outcomes == {Outcome.UNAVAILABLE: 40}
        assert report.ended_unanswered
        assert reader.networks.reads.total() < 20
        assert report.without_call > 20
        after = sim.load(migrated_engine, handles[0])[0].ledger
        assert owned is not None
        assert after is not None
        assert (after.picture_hash, after.content_id) == (owned.picture_hash, owned.content_id)

    go(act, networks=Networks(has_pictures=True), limits=ReadingLimits(api_concurrency=4))


def test_a_platform_that_says_stop_gets_no_further_call_in_this_run_nor_in_the_next(
    migrated_engine: sa.Engine, go: Go
) -> None:
    handles = connect(migrated_engine, 10)

    async def act(reader: Reader) -> None:
        reader.networks.answers = dict.fromkeys(handles, failing(400, code=4))
        for run_id in ("one", "two"):
            report = await reader.read(handles, run_id=run_id, force=True)
            assert report.outcomes == {Outcome.RATE_LIMITED: 10}

    assert go(act, limits=ReadingLimits(api_concurrency=1)).reads.total() == 1
    with migrated_engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.min(platform_images.c.next_read_at))) > utc_now()


def test_a_request_that_two_accounts_hear_refused_is_not_made_for_a_third(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 10)

    async def act(reader: Reader) -> None:
        reader.networks.answers = dict.fromkeys(handles, failing(400, code=100))
        report = await reader.read(handles)
        assert report.outcomes == {Outcome.MISCONFIGURED: 10}

    assert go(act, limits=ReadingLimits(api_concurrency=1)).reads.total() == 2


def test_a_token_that_is_refused_is_refreshed_once_and_the_account_is_read(migrated_engine: sa.Engine, go: Go) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(
            connection,
            id="tiktok",
            talent_id="ada",
            platform="TIKTOK",
            access_token="dead-token",
            refresh_token="r1",
            expires_at=utc_now() + timedelta(hours=20),
        )

    async def act(reader: Reader) -> None:
        report = await reader.read(["tiktok"], platform=TIKTOK)
        assert report.outcomes == {Outcome.PICTURE: 1}
        assert (report.token_refreshes, report.api_calls) == (1, 3)

    assert go(act).refreshes == 1
    (account,) = sim.load(migrated_engine, "tiktok")
    assert account.ledger is not None
    assert account.ledger.fingerprint == account.fingerprint


def test_a_token_that_is_refused_although_it_is_new_is_not_refreshed_for_ever(
    migrated_engine: sa.Engine, go: Go
) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(
            connection,
            id="tiktok",
            talent_id="ada",
            platform="TIKTOK",
            access_token="dead-token",
            refresh_token="r1",
            expires_at=utc_now() + timedelta(seconds=1),
        )

    async def act(reader: Reader) -> None:
        refused = failing_tiktok
        reader.networks.answers = {"new-token": refused, "dead-token": refused}
        report = await reader.read(["tiktok"], platform=TIKTOK)
        assert report.outcomes == {Outcome.NEEDS_RECONNECT: 1}

    assert go(act).refreshes == 1


def failing_tiktok() -> Reply:
    return reply_json({"data": {}, "error": {"code": "access_token_invalid"}}, status=401)


@pytest.mark.parametrize(
    "bomb",
    [gif_with_a_huge_frame(), b"<html>not a picture</html>", small_file("JPEG")[:-500]],
    ids=["bomb", "page", "truncated"],
)
def test_one_picture_that_is_none_stops_no_other(migrated_engine: sa.Engine, go: Go, bomb: bytes) -> None:
    handles = connect(migrated_engine, 6)

    async def act(reader: Reader) -> None:
        reader.networks.bodies[handles[2]] = bomb
        report = await reader.read(handles)
        assert report.outcomes == {Outcome.PICTURE: 5, Outcome.REFUSED: 1}
        assert [failure.handle for failure in report.failures] == [handles[2]]
        assert report.internal_errors == 0

    go(act, networks=Networks(has_pictures=True))


def test_cancelling_keeps_what_is_read_and_gives_the_rest_back(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 6)
    held = handles[3]

    async def act(reader: Reader) -> None:
        reader.networks.held[held] = asyncio.Event()
        running = asyncio.create_task(reader.read(handles))
        while list(outcomes_of(migrated_engine).values()).count("no_picture") < 5:  # noqa: ASYNC110 - as another run sees it
            await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    go(act)
    assert outcomes_of(migrated_engine) == {handle: "no_picture" for handle in handles if handle != held}
    assert claims_in(migrated_engine) == set()


def test_accounts_that_the_deadline_leaves_are_not_touched(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 3)

    async def act(reader: Reader) -> None:
        report = await reader.read(handles)
        assert (report.not_reached, report.reads) == (3, 0)

    assert go(act, limits=ReadingLimits(run_deadline_seconds=0)).reads.total() == 0
    assert outcomes_of(migrated_engine) == {}


def test_more_accounts_than_are_claimed_at_a_time_are_all_read(migrated_engine: sa.Engine, go: Go) -> None:
    handles = connect(migrated_engine, 450)

    async def act(reader: Reader) -> None:
        report = await reader.read(handles)
        assert report.outcomes == {Outcome.NO_PICTURE: 450}

    assert go(act).reads.total() == 450
    assert claims_in(migrated_engine) == set()


def test_nothing_to_read_costs_nothing(migrated_engine: sa.Engine, go: Go) -> None:
    async def act(reader: Reader) -> None:
        nobody: Sequence[str] = ()
        report = await reader.read(nobody)
        assert (report.accounts, report.reads, report.api_calls) == (0, 0, 0)

    go(act)
