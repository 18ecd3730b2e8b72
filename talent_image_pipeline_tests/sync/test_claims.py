"""An account is read by one run at a time, whatever happens to the runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import ledger_queries
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    with migrated_engine.begin() as connection:
        for talent_id in ("ada", "grace"):
            insert_talent(connection, id=talent_id)
            insert_account(connection, id=f"{talent_id}-instagram", talent_id=talent_id, access_token="token")
    return migrated_engine


def test_of_two_runs_only_the_first_gets_an_account_and_the_other_gets_the_rest(engine: sa.Engine) -> None:
    ada, grace = sim.load(engine, "ada-instagram", "grace-instagram")
    assert sim.claim(engine, [ada], run_id="first", now=NOON) == {"ada-instagram"}
    assert sim.claim(engine, [ada, grace], run_id="second", now=NOON) == {"grace-instagram"}


def test_runs_that_claim_at_the_same_moment_share_the_accounts_out(
    migrated_engine: sa.Engine, migrated_database_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    ids = [f"talent-{number:03}" for number in range(300)]
    with migrated_engine.begin() as connection:
        for talent_id in ids:
            insert_talent(connection, id=talent_id)
            insert_account(connection, id=talent_id, talent_id=talent_id)
    accounts = sim.load(migrated_engine, *ids)
    engines = [opened(migrated_database_url) for _ in range(4)]
    start = Barrier(len(engines))

    def claim_all(number: int) -> list[str]:
        start.wait()
        mine: list[str] = []
        for first in range(0, len(accounts), 50):
            chunk = accounts[first : first + 50] if number % 2 else accounts[first : first + 50][::-1]
            mine += sim.claim(engines[number], chunk, run_id=f"run-{number}", now=NOON)
        return mine

    with ThreadPoolExecutor(len(engines)) as threads:
        claimed = [account_id for mine in threads.map(claim_all, range(len(engines))) for account_id in mine]
    assert sorted(claimed) == ids


def test_an_account_that_another_run_has_read_since_it_was_loaded_is_not_read_again(engine: sa.Engine) -> None:
    (loaded_before,) = sim.load(engine, "ada-instagram")
    sim.run(engine, now=NOON, run_id="other", talent_ids=("ada",))
    assert sim.claim(engine, [loaded_before], run_id="late", now=NOON + SECOND) == set()


def test_the_time_of_a_read_is_known_again_however_finely_the_clock_ticks(engine: sa.Engine) -> None:
    between_milliseconds = NOON + timedelta(microseconds=123_456)
    sim.run(engine, now=between_milliseconds, talent_ids=("ada",))
    accounts = sim.load(engine, "ada-instagram")
    assert sim.claim(engine, accounts, run_id="next", now=NOON + timedelta(days=1)) == {"ada-instagram"}


def test_the_claim_of_a_killed_run_lapses_and_is_taken_over(engine: sa.Engine) -> None:
    accounts = sim.load(engine, "ada-instagram")
    sim.claim(engine, accounts, run_id="killed", now=NOON)
    assert sim.claim(engine, accounts, run_id="next", now=NOON + sim.CLAIM - SECOND) == set()
    assert sim.claim(engine, accounts, run_id="next", now=NOON + sim.CLAIM) == {"ada-instagram"}


def test_a_claim_that_is_renewed_does_not_lapse(engine: sa.Engine) -> None:
    accounts = sim.load(engine, "ada-instagram")
    sim.claim(engine, accounts, run_id="long", now=NOON)
    with engine.begin() as connection:
        ledger_queries.renew_claims(connection, run_id="long", until=NOON + 2 * sim.CLAIM)
    assert sim.claim(engine, accounts, run_id="next", now=NOON + sim.CLAIM) == set()


def test_a_run_whose_claim_was_taken_over_writes_nothing_and_the_new_owner_does(engine: sa.Engine) -> None:
    (account,) = sim.load(engine, "ada-instagram")
    sim.claim(engine, [account], run_id="stalled", now=NOON)
    late = NOON + sim.CLAIM
    sim.claim(engine, [account], run_id="owner", now=late)
    stale = sim.reading_of(account, Outcome.NO_PICTURE, now=late)
    assert sim.write(engine, [stale], run_id="stalled", now=late) == set()
    fresh = sim.reading_of(account, Outcome.PICTURE, now=late)
    assert sim.write(engine, [fresh], run_id="owner", now=late) == {"ada-instagram"}
    row = sim.ledger_of(engine, "ada-instagram")
    assert row is not None
    assert (row["outcome"], row["claimed_by"]) == ("picture", None)


@pytest.mark.parametrize("changes", [{"connected": False}, {"handle": "another"}, {"accessToken": "another"}])
def test_a_reading_of_an_account_that_changed_meanwhile_is_not_written_and_the_change_is_still_found(
    engine: sa.Engine, changes: dict[str, object]
) -> None:
    sim.run(engine, now=NOON, talent_ids=("ada",))
    (account,) = sim.load(engine, "ada-instagram")
    tomorrow = NOON + timedelta(days=1)
    sim.claim(engine, [account], run_id="slow", now=tomorrow)
    sim.change_account(engine, "ada-instagram", **changes)
    row = sim.reading_of(account, Outcome.PICTURE, now=tomorrow, version=2)
    assert sim.write(engine, [row], run_id="slow", now=tomorrow) == set()
    found = sim.found_by_sensor(engine, now=tomorrow)
    assert "ada-instagram" in {finding.account_id for finding in found}
    assert sim.load(engine, "ada-instagram")[0].ledger == account.ledger


def test_giving_back_leaves_no_trace_of_an_account_that_was_never_read_and_keeps_what_was_read(
    engine: sa.Engine,
) -> None:
    sim.run(engine, now=NOON, talent_ids=("ada",))
    before = sim.ledger_of(engine, "ada-instagram")
    tomorrow = NOON + timedelta(days=1)
    sim.claim(engine, sim.load(engine, "ada-instagram", "grace-instagram"), run_id="cancelled", now=tomorrow)
    with engine.begin() as connection:
        ledger_queries.release_claims(connection, run_id="cancelled", platform="instagram")
    assert sim.ledger_of(engine, "ada-instagram") == before
    assert sim.ledger_of(engine, "grace-instagram") is None


def test_giving_back_leaves_other_runs_and_other_platforms_alone(engine: sa.Engine) -> None:
    ada, grace = sim.load(engine, "ada-instagram", "grace-instagram")
    sim.claim(engine, [ada], run_id="mine", now=NOON)
    sim.claim(engine, [grace], run_id="other", now=NOON)
    with engine.begin() as connection:
        ledger_queries.release_claims(connection, run_id="mine", platform="tiktok")
        ledger_queries.release_claims(connection, run_id="another", platform="instagram")
        assert ledger_queries.is_any_claimed(connection, ["ada-instagram"], now=NOON)
        assert ledger_queries.is_any_claimed(connection, ["grace-instagram"], now=NOON)


def test_a_run_that_skips_an_account_claimed_by_other_run_leaves_its_talent_due(engine: sa.Engine) -> None:
    sim.run(engine, now=NOON)
    tomorrow = NOON + timedelta(days=1)
    before = sim.columns_of(engine, "ada")
    sim.choose(engine, now=tomorrow, run_id="second")
    sim.claim(engine, sim.load(engine, "ada-instagram"), run_id="killed", now=tomorrow)
    sim.publish_batch(engine, run_id="second", now=tomorrow)
    assert sim.columns_of(engine, "ada") == before
    later = tomorrow + sim.CLAIM
    assert "ada-instagram" in sim.run(engine, now=later, run_id="third")
