"""Writing readings and pictures: nothing, one and a thousand at a time."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import ledger_queries
from talent_image_pipeline.database.tables import pictures, platform_images
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def connect(engine: sa.Engine, number: int) -> list[str]:
    ids = [f"account-{index:04}" for index in range(number)]
    with engine.begin() as connection:
        for account_id in ids:
            insert_talent(connection, id=f"talent of {account_id}")
            insert_account(connection, id=account_id, talent_id=f"talent of {account_id}")
    return ids


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_any_number_of_readings_is_written_with_its_pictures(migrated_engine: sa.Engine, number: int) -> None:
    accounts = sim.load(migrated_engine, *connect(migrated_engine, number))
    claimed = sim.claim(migrated_engine, accounts, run_id="run", now=NOON)
    assert len(claimed) == number
    rows = [sim.reading_of(account, Outcome.PICTURE, now=NOON) for account in accounts]
    assert sim.write(migrated_engine, rows, run_id="run", now=NOON) == claimed
    with migrated_engine.begin() as connection:
        written = connection.scalar(sa.select(sa.func.count()).where(platform_images.c.outcome == "picture"))
        assert (written, connection.scalar(sa.select(sa.func.count()).select_from(pictures))) == (number, number)
        hashes = {picture for row in rows if (picture := row.picture_hash)}
        assert set(ledger_queries.load_pictures(connection, hashes)) == hashes


def test_readings_without_a_single_value_in_a_column_are_written(migrated_engine: sa.Engine) -> None:
    accounts = sim.load(migrated_engine, *connect(migrated_engine, 2))
    sim.claim(migrated_engine, accounts, run_id="run", now=NOON)
    rows = [sim.reading_of(account, Outcome.NEEDS_RECONNECT, now=NOON) for account in accounts]
    assert len(sim.write(migrated_engine, rows, run_id="run", now=NOON)) == 2
    row = sim.ledger_of(migrated_engine, "account-0000")
    assert row is not None
    assert (row["outcome"], row["picture_hash"], row["read_at"]) == ("needs_reconnect", None, NOON)


def test_a_reading_of_a_deleted_account_is_not_written(migrated_engine: sa.Engine) -> None:
    (account_id,) = connect(migrated_engine, 1)
    accounts = sim.load(migrated_engine, account_id)
    sim.claim(migrated_engine, accounts, run_id="run", now=NOON)
    sim.delete_account(migrated_engine, account_id)
    rows = [sim.reading_of(account, Outcome.PICTURE, now=NOON) for account in accounts]
    assert sim.write(migrated_engine, rows, run_id="run", now=NOON) == set()


def test_a_token_refresh_that_ended_during_the_read_is_not_undone(migrated_engine: sa.Engine) -> None:
    (account_id,) = connect(migrated_engine, 1)
    accounts = sim.load(migrated_engine, account_id)
    sim.claim(migrated_engine, accounts, run_id="run", now=NOON)
    refreshed = {"token_refreshed_at": NOON, "consent_ends_at": NOON + timedelta(days=300)}
    with migrated_engine.begin() as connection:
        connection.execute(sa.update(platform_images).values(refreshed))
    rows = [sim.reading_of(account, Outcome.PICTURE, now=NOON) for account in accounts]
    sim.write(migrated_engine, rows, run_id="run", now=NOON)
    row = sim.ledger_of(migrated_engine, account_id)
    assert row is not None
    assert {name: row[name] for name in refreshed} == refreshed


def test_a_picture_of_two_accounts_has_one_row_and_counts_as_stored_anew(migrated_engine: sa.Engine) -> None:
    picture = sim.picture_of("anybody")
    with migrated_engine.begin() as connection:
        ledger_queries.save_pictures(connection, [picture, picture], now=NOON)
        ledger_queries.save_pictures(connection, [picture], now=NOON + timedelta(days=1))
        ledger_queries.save_pictures(connection, [], now=NOON + timedelta(days=2))
        stored = connection.execute(sa.select(pictures.c.hash, pictures.c.created_at)).all()
    assert [tuple(row) for row in stored] == [(picture.content_hash, NOON + timedelta(days=1))]
