"""Killing a run between the platform's answer and the stored row loses no account.

The sandbox rotates as TikTok does: the old refresh token is dead before the answer leaves. A test holds that answer
back, kills the run, lets the answer go, and then asks the sandbox whether what the app's row holds still works.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.ledger_queries import claim_accounts
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.platforms.contract import Account, Outcome
from talent_image_pipeline.platforms.credentials import credentials_from
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.sandbox.server import running_sandbox
from talent_image_pipeline.sandbox.situations import Network, Situation
from talent_image_pipeline.sandbox.world import Credentials, World
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline_tests.rows import insert_account, insert_talent

PROJECT_ROOT = Path(__file__).parents[2]
ACCOUNT = "account-1"
HANDLE = "ada"

on_sqlite = pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tiktok(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The platform with the account on it, which rotates its tokens and holds the answers back until they may go."""
    world = World()
    world.add_account(Network.TIKTOK, HANDLE)
    # Less than the ten seconds after which a keeper takes an answer for lost.
    world.set_situation(Network.TIKTOK, HANDLE, Situation.REFRESH_ANSWER_SLOW, seconds=8)
    with running_sandbox(world) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield world
        let_answers_go(world)


@pytest.fixture
def first_pair(tiktok: World) -> Credentials:
    """What the app stored when the talent connected the account, hours ago: the access token has expired."""
    return tiktok.connect(Network.TIKTOK, HANDLE, age=timedelta(hours=3))


@pytest.fixture
def engine(migrated_engine: sa.Engine, first_pair: Credentials) -> sa.Engine:
    """A database with that account, which a run has claimed."""
    now = datetime.now(UTC)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="talent-1")
        insert_account(
            connection,
            id=ACCOUNT,
            talent_id="talent-1",
            platform="TIKTOK",
            handle=HANDLE,
            access_token=first_pair.access_token,
            refresh_token=first_pair.refresh_token,
            expires_at=first_pair.expires_at,
        )
        records = load_accounts(connection, [ACCOUNT])
        claim_accounts(connection, records, run_id="run", until=now + timedelta(hours=1), now=now)
        connection.execute(sa.update(platform_images).values(fingerprint=records[0].fingerprint))
    return migrated_engine


Run = subprocess.Popen[bytes]


@pytest.fixture
def start_run(
    engine: sa.Engine, tiktok: World, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Run]]:
    """Start runs that refresh the account's token, each a process in a group of its own."""
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_database_url)
    runs: list[Run] = []

    def start() -> Run:
        run = subprocess.Popen(
            [sys.executable, "-m", "talent_image_pipeline_tests.sync.refreshing_run", ACCOUNT],
            stdout=subprocess.PIPE,
            cwd=PROJECT_ROOT,
            start_new_session=True,
        )
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def let_answers_go(tiktok: World) -> None:
    tiktok.set_situation(Network.TIKTOK, HANDLE, Situation.OK)


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, as long as a slow machine may need."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def has_rotated(tiktok: World) -> bool:
    """Wait until the platform has spent the account's first refresh token."""
    return eventually(lambda: tiktok.account(Network.TIKTOK, HANDLE).generation == 1)


def requests(tiktok: World) -> int:
    return tiktok.calls.total("tiktok.refresh", HANDLE)


def stored_account(engine: sa.Engine) -> Account:
    with engine.connect() as connection:
        [record] = load_accounts(connection, [ACCOUNT])
    return Account(
        account_id=record.account_id,
        handle=record.handle,
        access_token=record.access_token,
        refresh_token=record.refresh_token,
        token_expires_at=record.token_expires_at,
    )


def stored_refresh_token(engine: sa.Engine) -> str | None:
    token = stored_account(engine).refresh_token
    return None if token is None else token.get_secret_value()


def is_finished(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        row = connection.execute(sa.select(platform_images)).mappings().one()
    return row["token_refresh_started_at"] is None and row["token_refreshed_at"] is not None


def stored_pair_works(engine: sa.Engine) -> bool:
    """Read the account with the stored access token, then spend the stored refresh token, which a test does last."""
    account = stored_account(engine)

    async def ask() -> bool:
        async with open_api_client() as api:
            client = TIKTOK.build_client(credentials_from(load_settings()), ApiTransport(api), utc_now)
            [call] = client.plan_calls([account])
            [reading] = (await client.read(call)).readings
            refresh = await client.refresh_token(account)
        return reading.outcome is Outcome.PICTURE and refresh.token is not None

    return anyio.run(ask)


def kill_whole_group(run: Run) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def keepers_of(run: Run) -> list[int]:
    """Return the process ids of a run's children, as the operating system knows them."""
    found: list[int] = []
    for children in Path(f"/proc/{run.pid}/task").glob("*/children"):
        found.extend(map(int, children.read_text().split()))
    return found


def is_running(process_id: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{process_id}/stat").read_text()
    return False


def ending_of(run: Run) -> dict[str, Any]:
    output, _ = run.communicate(timeout=60)
    ending: dict[str, Any] = json.loads(output)
    return ending


def test_a_run_killed_while_the_answer_is_on_its_way_loses_no_account_and_the_next_one_goes_on(
    engine: sa.Engine, first_pair: Credentials, tiktok: World, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    kill_whole_group(run)
    assert stored_refresh_token(engine) == first_pair.refresh_token
    let_answers_go(tiktok)
    assert eventually(lambda: is_finished(engine))
    assert ending_of(start_run()) == {"failure": None, "calls": 1}
    assert requests(tiktok) == 2
    assert stored_pair_works(engine)


def test_a_run_killed_after_the_answer_while_the_row_cannot_be_written_yet_loses_no_account(
    engine: sa.Engine, tiktok: World, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    with engine.begin() as connection:
        # On SQLite the transaction alone keeps every other writer out.
        connection.execute(sa.select(social_account_connection.c.id).with_for_update())
        let_answers_go(tiktok)
        # Whether the keeper is still reading the answer or waits for the row already, nobody has committed it.
        time.sleep(0.3)
        kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine)


@on_sqlite
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03])
def test_a_run_killed_at_any_moment_after_the_answer_left_loses_no_account(
    engine: sa.Engine, tiktok: World, start_run: Callable[[], Run], delay: float
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    let_answers_go(tiktok)
    time.sleep(delay)
    kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine)


@on_sqlite
def test_a_keeper_that_is_told_to_stop_stores_what_it_has_begun(
    engine: sa.Engine, tiktok: World, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    [keeper] = keepers_of(run)
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(keeper, stop)
    run.send_signal(signal.SIGTERM)
    run.wait()
    let_answers_go(tiktok)
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine)


@on_sqlite
def test_a_keeper_shows_no_token_to_other_processes_and_ends_soon_after_its_run(
    first_pair: Credentials, tiktok: World, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    [keeper] = keepers_of(run)
    shown = Path(f"/proc/{keeper}/cmdline").read_bytes() + Path(f"/proc/{keeper}/environ").read_bytes()
    assert b"token_keeper" in shown
    assert (first_pair.refresh_token or "").encode() not in shown
    assert first_pair.access_token.encode() not in shown
    kill_whole_group(run)
    assert is_running(keeper)
    let_answers_go(tiktok)
    assert eventually(lambda: not is_running(keeper))


@on_sqlite
def test_two_runs_at_once_rotate_an_accounts_token_once_and_both_go_on(
    engine: sa.Engine, tiktok: World, start_run: Callable[[], Run]
) -> None:
    runs = [start_run(), start_run()]
    assert has_rotated(tiktok)
    assert eventually(lambda: all(len(keepers_of(run)) == 1 for run in runs))
    let_answers_go(tiktok)
    endings = [ending_of(run) for run in runs]
    assert [ending["failure"] for ending in endings] == [None, None]
    assert sorted(ending["calls"] for ending in endings) == [0, 1]
    assert requests(tiktok) == 1
    assert stored_pair_works(engine)


@on_sqlite
def test_a_keeper_that_is_killed_itself_leaves_the_run_with_an_unavailable_account(
    tiktok: World, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert has_rotated(tiktok)
    [keeper] = keepers_of(run)
    os.kill(keeper, signal.SIGKILL)
    assert "ended before it answered" in ending_of(run)["failure"]
