"""Killing a run between the platform's answer and the stored row loses no account."""

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

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import load_accounts
from talent_image_pipeline.database.ledger_queries import claim_accounts
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.rotating_tokens import RotatingTokens, serving

PROJECT_ROOT = Path(__file__).parents[2]
ACCOUNT = "account-1"


@pytest.fixture
def tokens() -> RotatingTokens:
    """The platform's side: the account's first refresh token is living."""
    return RotatingTokens("rft.0")


@pytest.fixture
def tiktok_url(tokens: RotatingTokens) -> Iterator[str]:
    """Where the token endpoint is."""
    with serving(tokens) as url:
        yield url


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    """A database with one TikTok account that a run has claimed."""
    now = datetime.now(UTC)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="talent-1")
        insert_account(
            connection,
            id=ACCOUNT,
            talent_id="talent-1",
            platform="TIKTOK",
            access_token="act.0",
            refresh_token="rft.0",
            expires_at=now,
        )
        records = load_accounts(connection, [ACCOUNT])
        claim_accounts(connection, records, run_id="run", until=now + timedelta(hours=1), now=now)
        connection.execute(sa.update(platform_images).values(fingerprint=records[0].fingerprint))
    return migrated_engine


Run = subprocess.Popen[bytes]


@pytest.fixture
def start_run(engine: sa.Engine, migrated_database_url: str, tiktok_url: str) -> Iterator[Callable[[], Run]]:
    """Start runs that refresh the account's token, each a process in a group of its own."""
    orders = {"database_url": migrated_database_url, "tiktok_url": tiktok_url, "account_id": ACCOUNT}
    runs: list[Run] = []

    def start() -> Run:
        run = subprocess.Popen(
            [sys.executable, "-m", "talent_image_pipeline_tests.sync.refreshing_run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT_ROOT,
            start_new_session=True,
        )
        runs.append(run)
        assert run.stdin is not None
        run.stdin.write(json.dumps(orders).encode() + b"\n")
        run.stdin.flush()
        return run

    yield start
    for run in runs:
        run.kill()
        run.communicate()


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, as long as a slow machine may need."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def stored_refresh_token(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        token: str = connection.scalars(sa.select(social_account_connection.c.refreshToken)).one()
    return token


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
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    run = start_run()
    assert tokens.has_rotated.wait(60)
    kill_whole_group(run)
    assert stored_refresh_token(engine) == "rft.0"
    tokens.may_answer.set()
    assert eventually(lambda: is_finished(engine))
    assert tokens.is_living(stored_refresh_token(engine))
    assert ending_of(start_run()) == {"failure": None, "calls": 1}
    assert tokens.rotations == 2
    assert tokens.is_living(stored_refresh_token(engine))


def test_a_run_killed_after_the_answer_while_the_row_cannot_be_written_yet_loses_no_account(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    run = start_run()
    assert tokens.has_rotated.wait(60)
    with engine.begin() as connection:
        # On SQLite the transaction alone keeps every other writer out.
        connection.execute(sa.select(social_account_connection.c.id).with_for_update())
        tokens.may_answer.set()
        # Whether the keeper is still reading the answer or waits for the row already, nobody has committed it.
        time.sleep(0.3)
        kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert tokens.is_living(stored_refresh_token(engine))


@pytest.mark.parametrize("delay", [0.0, 0.01])
def test_a_run_killed_at_any_moment_after_the_token_was_spent_loses_no_account(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run], delay: float
) -> None:
    run = start_run()
    assert tokens.has_rotated.wait(60)
    time.sleep(delay)
    kill_whole_group(run)
    assert eventually(lambda: is_finished(engine))
    assert tokens.is_living(stored_refresh_token(engine))


def test_a_keeper_that_is_told_to_stop_stores_what_it_has_begun(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    run = start_run()
    assert tokens.has_rotated.wait(60)
    [keeper] = keepers_of(run)
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(keeper, stop)
    run.send_signal(signal.SIGTERM)
    run.wait()
    tokens.may_answer.set()
    assert eventually(lambda: is_finished(engine))
    assert tokens.is_living(stored_refresh_token(engine))


def test_a_keeper_shows_no_token_to_other_processes_and_ends_soon_after_its_run(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    run = start_run()
    assert tokens.has_rotated.wait(60)
    [keeper] = keepers_of(run)
    shown = Path(f"/proc/{keeper}/cmdline").read_bytes() + Path(f"/proc/{keeper}/environ").read_bytes()
    assert b"token_keeper" in shown
    assert b"rft.0" not in shown
    assert b"act.0" not in shown
    kill_whole_group(run)
    assert is_running(keeper)
    tokens.may_answer.set()
    assert eventually(lambda: not is_running(keeper))


def test_two_runs_at_once_rotate_an_accounts_token_once_and_both_go_on(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    runs = [start_run(), start_run()]
    assert tokens.has_rotated.wait(60)
    assert eventually(lambda: all(len(keepers_of(run)) == 1 for run in runs))
    tokens.may_answer.set()
    endings = [ending_of(run) for run in runs]
    assert [ending["failure"] for ending in endings] == [None, None]
    assert sorted(ending["calls"] for ending in endings) == [0, 1]
    assert tokens.requests == 1
    assert tokens.is_living(stored_refresh_token(engine))


def test_a_keeper_that_is_killed_itself_leaves_the_run_with_an_unavailable_account(
    engine: sa.Engine, tokens: RotatingTokens, start_run: Callable[[], Run]
) -> None:
    tokens.may_answer.clear()
    run = start_run()
    assert tokens.has_rotated.wait(60)
    [keeper] = keepers_of(run)
    os.kill(keeper, signal.SIGKILL)
    assert "ended before it answered" in ending_of(run)["failure"]
