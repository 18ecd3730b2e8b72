"""What is found as changed or due, and that whatever the sensor asks for is gone once its run has ended."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import candidate_queries
from talent_image_pipeline.database.candidate_queries import AccountFinding
from talent_image_pipeline.database.records import Candidate, Reason
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.planning.candidates import plan_daily_batches, reading_rules
from talent_image_pipeline.sync.planning.change_requests import change_of
from talent_image_pipeline.sync.planning.due import REPEATED_OUTCOMES
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TICK = timedelta(seconds=5)


def connect(engine: sa.Engine, talent_id: str = "ada", *platforms: str, **changes: Any) -> None:
    values = {"access_token": "token", "handle": "ada.lovelace"} | changes
    with engine.begin() as connection:
        insert_talent(connection, id=talent_id)
        for platform in platforms or ("INSTAGRAM",):
            account_id = f"{talent_id}-{platform.lower()}"
            insert_account(connection, id=account_id, talent_id=talent_id, platform=platform, **values)


def sensor_run(engine: sa.Engine, *, now: datetime, outcome: Outcome = Outcome.PICTURE, **facts: Any) -> list[str]:
    """Run what a tick of the sensor asks for; returns the accounts that were read."""
    found = sim.found_by_sensor(engine, now=now, **facts)
    talent_ids = tuple(dict.fromkeys(finding.talent_id for finding in found))
    assert talent_ids
    return sim.run(engine, now=now, outcome=outcome, talent_ids=talent_ids, **facts)


@pytest.mark.parametrize("outcome", Outcome)
def test_no_way_for_a_read_to_end_is_asked_for_again_at_once(migrated_engine: sa.Engine, outcome: Outcome) -> None:
    connect(migrated_engine)
    assert sensor_run(migrated_engine, now=NOON, outcome=outcome) == ["ada-instagram"]
    assert sim.found_by_sensor(migrated_engine, now=NOON + TICK) == []


@pytest.mark.parametrize("outcome", sorted(REPEATED_OUTCOMES))
def test_a_failed_read_is_repeated_once_its_wait_is_over_although_the_talent_was_just_synced(
    migrated_engine: sa.Engine, outcome: Outcome
) -> None:
    connect(migrated_engine, "ada", "INSTAGRAM", "TIKTOK")
    sim.run(migrated_engine, now=NOON)
    sim.change_account(migrated_engine, "ada-tiktok", handle="somebody.else")
    assert sensor_run(migrated_engine, now=NOON, outcome=outcome) == ["ada-tiktok"]
    later = NOON + timedelta(hours=7)
    assert sensor_run(migrated_engine, now=later, outcome=outcome) == ["ada-tiktok"]
    assert sim.found_by_sensor(migrated_engine, now=later + TICK) == []


@pytest.mark.parametrize("token", [None, "", " "])
@pytest.mark.parametrize("outcome", [Outcome.PICTURE, Outcome.NEEDS_RECONNECT])
def test_turning_verified_only_on_forgets_accounts_without_a_token_once(
    migrated_engine: sa.Engine, token: str | None, outcome: Outcome
) -> None:
    connect(migrated_engine, access_token=token)
    sensor_run(migrated_engine, now=NOON, outcome=outcome)
    assert sensor_run(migrated_engine, now=NOON, verified_only=True) == []
    assert sim.ledger_of(migrated_engine, "ada-instagram") is None
    assert sim.columns_of(migrated_engine, "ada")[1] == "initials"
    assert sim.found_by_sensor(migrated_engine, now=NOON + TICK, verified_only=True) == []


@pytest.mark.parametrize("token", [None, "", " "])
def test_with_verified_only_an_account_without_a_token_is_no_change(
    migrated_engine: sa.Engine, token: str | None
) -> None:
    connect(migrated_engine, access_token=token)
    assert sim.found_by_sensor(migrated_engine, now=NOON, verified_only=True) == []
    assert sim.run(migrated_engine, now=NOON, verified_only=True) == []


@pytest.mark.parametrize(
    "changes",
    [{"connected": False}, {"handle": "somebody.else"}, {"accessToken": None}, {"creatorId": "grace"}],
    ids=["disconnected", "re-handled", "token removed", "given to another talent"],
)
@pytest.mark.parametrize("outcome", [Outcome.PICTURE, Outcome.NEEDS_RECONNECT, Outcome.UNAVAILABLE])
def test_a_change_is_found_carried_through_and_then_found_no_more(
    migrated_engine: sa.Engine, changes: dict[str, Any], outcome: Outcome
) -> None:
    connect(migrated_engine)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="grace")
    sensor_run(migrated_engine, now=NOON)
    sim.change_account(migrated_engine, "ada-instagram", **changes)
    sensor_run(migrated_engine, now=NOON, outcome=outcome)
    rest = sim.found_by_sensor(migrated_engine, now=NOON + TICK)
    if rest:
        sensor_run(migrated_engine, now=NOON + TICK, outcome=outcome)
    assert sim.found_by_sensor(migrated_engine, now=NOON + 2 * TICK) == []


def test_an_account_given_to_another_talent_leaves_nothing_with_the_first(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="grace")
    sensor_run(migrated_engine, now=NOON)
    sim.change_account(migrated_engine, "ada-instagram", creatorId="grace")
    for tick in range(3):
        if sim.found_by_sensor(migrated_engine, now=NOON + tick * TICK):
            sensor_run(migrated_engine, now=NOON + tick * TICK)
    assert sim.columns_of(migrated_engine, "ada")[1] == "initials"
    assert sim.columns_of(migrated_engine, "grace")[1] == "instagram"


def test_an_account_that_becomes_one_of_an_unknown_network_is_forgotten(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine)
    sensor_run(migrated_engine, now=NOON)
    sim.change_account(migrated_engine, "ada-instagram", platform="LINKEDIN")
    sensor_run(migrated_engine, now=NOON)
    assert sim.columns_of(migrated_engine, "ada")[1] == "initials"
    assert sim.found_by_sensor(migrated_engine, now=NOON + TICK) == []


def test_a_deleted_account_and_a_deleted_talent_are_forgotten_once(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine)
    connect(migrated_engine, "grace")
    sensor_run(migrated_engine, now=NOON)
    sim.delete_account(migrated_engine, "ada-instagram")
    with migrated_engine.begin() as connection:
        connection.execute(sa.delete(talent).where(talent.c.id == "grace"))
    sensor_run(migrated_engine, now=NOON)
    assert sim.columns_of(migrated_engine, "ada")[:2] == (None, "initials")
    assert sim.ledger_of(migrated_engine, "grace-instagram") is None
    assert [version["valid_to"] is None for version in sim.history_of(migrated_engine, "grace")] == [False]
    assert sim.found_by_sensor(migrated_engine, now=NOON + TICK) == []


def test_reads_to_be_tried_again_do_not_crowd_out_a_person_who_waits(migrated_engine: sa.Engine) -> None:
    for number in range(10):
        connect(migrated_engine, f"talent-{number}")
    sim.run(migrated_engine, now=NOON, outcome=Outcome.UNAVAILABLE)
    sim.change_account(migrated_engine, "talent-7-instagram", handle="another")
    rules, later = reading_rules(verified_only=False), NOON + timedelta(hours=7)
    with migrated_engine.begin() as connection:
        changed = candidate_queries.find_changed_accounts(connection, rules=rules, now=later, limit=3)
        failed = candidate_queries.find_failed_reads(connection, rules=rules, now=later, limit=3)
        assert [finding.talent_id for finding in changed] == ["talent-7"]
        assert [read.talent_id for read in failed] == ["talent-0", "talent-1", "talent-2"]
        newest = candidate_queries.newest_outcomes(connection, "instagram", reads=4)
    assert newest == [Outcome.UNAVAILABLE] * 4


def test_the_fifth_read_by_change_within_an_hour_waits_and_then_is_made(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine)
    times = [NOON + timedelta(minutes=minutes) for minutes in (0, 5, 10, 15, 20, 59, 60)]
    read = []
    for number, now in enumerate(times):
        sim.change_account(migrated_engine, "ada-instagram", handle=f"handle.{number}")
        read.append(sim.run(migrated_engine, now=now, talent_ids=("ada",)) != [])
    assert read == [True, True, True, True, False, False, True]
    (row,) = [sim.ledger_of(migrated_engine, "ada-instagram")]
    assert row is not None
    assert (row["reads_by_change"], row["reads_by_change_since"]) == (1, times[-1])
    assert sim.found_by_sensor(migrated_engine, now=times[-1] + TICK) == []


def test_a_restless_account_is_still_found_disconnected_at_once(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine)
    for number in range(5):
        sim.change_account(migrated_engine, "ada-instagram", handle=f"handle.{number}")
        sim.run(migrated_engine, now=NOON, talent_ids=("ada",))
    sim.change_account(migrated_engine, "ada-instagram", connected=False)
    (found,) = sim.found_by_sensor(migrated_engine, now=NOON)
    assert isinstance(found, AccountFinding)
    assert change_of(found, now=NOON).waits_until is None
    sim.run(migrated_engine, now=NOON, talent_ids=("ada",))
    assert sim.columns_of(migrated_engine, "ada")[1] == "initials"


def test_a_connection_late_in_the_day_does_not_delay_the_daily_read_of_the_other_account(
    migrated_engine: sa.Engine,
) -> None:
    connect(migrated_engine)
    two = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    sim.run(migrated_engine, now=two)
    with migrated_engine.begin() as connection:
        insert_account(connection, id="ada-tiktok", talent_id="ada", platform="TIKTOK", access_token="t")
    assert sensor_run(migrated_engine, now=two + timedelta(hours=19)) == ["ada-tiktok"]
    tomorrow = two + timedelta(days=1)
    assert plan_daily_batches(migrated_engine, now=tomorrow, verified_only=False) == [("ada",)]
    assert sim.run(migrated_engine, now=tomorrow, minimum_hours=20.0, talent_ids=("ada",)) == ["ada-instagram"]


def limit_parameters(connection: sqlite3.Connection, _record: object) -> None:
    """Take as many as SQLite does unless it was built otherwise (https://sqlite.org/limits.html)."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)


def test_a_run_of_twenty_thousand_named_talents_is_chosen(migrated_engine: sa.Engine) -> None:
    if migrated_engine.dialect.name == "sqlite":
        sa.event.listen(migrated_engine, "connect", limit_parameters)
        migrated_engine.dispose()
    with migrated_engine.begin() as connection:
        rows = [
            {"id": f"{number:05}", "userId": f"user-{number}", "name": "Ada", "createdAt": NOON, "updatedAt": NOON}
            for number in range(20_000)
        ]
        connection.execute(sa.insert(talent), rows)
        accounts = [
            {
                "id": f"account-{row['id']}",
                "creatorId": row["id"],
                "platform": "INSTAGRAM",
                "handle": "ada",
                "connected": True,
            }
            for row in rows
        ]
        connection.execute(sa.insert(social_account_connection), accounts)
    named = tuple(str(row["id"]) for row in rows)
    sim.choose(migrated_engine, now=NOON, talent_ids=named, limit=len(named))
    assert len(sim.batch_of(migrated_engine, "run")) == len(named)


def test_choosing_again_in_the_same_run_replaces_its_batch(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        for talent_ids in (["a", "b"], ["b", "c"], []):
            rows = [Candidate(talent_id=talent_id, reason=Reason.STALE) for talent_id in talent_ids]
            candidate_queries.save_candidates(connection, run_id="run", candidates=rows, chosen_at=NOON)
            assert candidate_queries.load_candidates(connection, "run") == rows
