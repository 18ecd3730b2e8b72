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
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.sandbox.world import Credentials
from talent_image_pipeline_tests.sync.rotating_account import (
    ACCOUNT,
    RotatingAccount,
    eventually,
    serving,
    store_first_pair,
    stored_pair_works,
    stored_refresh_token,
)

PROJECT_ROOT = Path(__file__).parents[2]

on_sqlite = pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tiktok(monkeypatch: pytest.MonkeyPatch) -> Iterator[RotatingAccount]:
    """The account, whose answers to refreshes wait until they may go."""
    account = RotatingAccount()
    account.hold_answers_back()
    with serving(account, monkeypatch):
        yield account


@pytest.fixture
def first_pair(migrated_engine: sa.Engine, tiktok: RotatingAccount) -> Credentials:
    """What the app stored when the talent connected the account: the access token has expired."""
    return store_first_pair(migrated_engine, tiktok)


@pytest.fixture
def engine(migrated_engine: sa.Engine, first_pair: Credentials) -> sa.Engine:
    """A database with that account, which a run has claimed."""
    return migrated_engine


Run = subprocess.Popen[bytes]


@pytest.fixture
def start_run(
    engine: sa.Engine, tiktok: RotatingAccount, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
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


def is_finished(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        row = connection.execute(sa.select(platform_images)).mappings().one()
    return row["token_refresh_started_at"] is None and row["token_refreshed_at"] is not None


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
    engine: sa.Engine, first_pair: Credentials, tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    kill_whole_group(run)
    assert stored_refresh_token(engine) == first_pair.refresh_token
    tiktok.let_answers_go()
    assert eventually(lambda: is_finished(engine))
    assert ending_of(start_run()) == {"failure": None, "calls": 1}
    assert tiktok.requests == 2
    assert stored_pair_works(engine, tiktok)


def test_a_run_killed_after_the_answer_while_the_row_cannot_be_written_yet_loses_no_account(
    engine: sa.Engine, tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    with engine.begin() as connection:
        # On SQLite the transaction alone keeps every other writer out.
        connection.execute(sa.select(social_account_connection.c.id).with_for_update())
        tiktok.let_answers_go()
        # Whether the keeper is still reading the answer or waits for the row already, nobody has committed it.
        time.sleep(0.3)
        kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine, tiktok)


@on_sqlite
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02])
def test_a_run_killed_at_any_moment_after_the_answer_left_loses_no_account(
    engine: sa.Engine, tiktok: RotatingAccount, start_run: Callable[[], Run], delay: float
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    tiktok.let_answers_go()
    time.sleep(delay)
    kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine, tiktok)


@on_sqlite
def test_a_keeper_that_is_told_to_stop_stores_what_it_has_begun(
    engine: sa.Engine, tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    [keeper] = keepers_of(run)
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(keeper, stop)
    run.send_signal(signal.SIGTERM)
    run.wait()
    tiktok.let_answers_go()
    assert eventually(lambda: is_finished(engine))
    assert stored_pair_works(engine, tiktok)


@on_sqlite
def test_a_keeper_shows_no_token_to_other_processes_and_ends_soon_after_its_run(
    first_pair: Credentials, tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    [keeper] = keepers_of(run)
    shown = Path(f"/proc/{keeper}/cmdline").read_bytes() + Path(f"/proc/{keeper}/environ").read_bytes()
    assert b"refresh_process" in shown
    assert (first_pair.refresh_token or "").encode() not in shown
    assert first_pair.access_token.encode() not in shown
    kill_whole_group(run)
    assert is_running(keeper)
    tiktok.let_answers_go()
    assert eventually(lambda: not is_running(keeper))


@on_sqlite
def test_two_runs_at_once_rotate_an_accounts_token_once_and_both_go_on(
    engine: sa.Engine, tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    runs = [start_run(), start_run()]
    assert tiktok.has_rotated()
    assert eventually(lambda: all(len(keepers_of(run)) == 1 for run in runs))
    tiktok.let_answers_go()
    endings = [ending_of(run) for run in runs]
    assert [ending["failure"] for ending in endings] == [None, None]
    assert sorted(ending["calls"] for ending in endings) == [0, 1]
    assert tiktok.requests == 1
    assert stored_pair_works(engine, tiktok)


@on_sqlite
def test_a_keeper_that_is_killed_itself_leaves_the_run_with_an_unavailable_account(
    tiktok: RotatingAccount, start_run: Callable[[], Run]
) -> None:
    run = start_run()
    assert tiktok.has_rotated()
    [keeper] = keepers_of(run)
    os.kill(keeper, signal.SIGKILL)
    assert "ended before it answered" in ending_of(run)["failure"]
