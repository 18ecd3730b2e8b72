"""The daily schedule and the hourly catch-up, evaluated by Dagster over real databases and simulated days."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.records import Reason
from talent_image_pipeline.database.tables import candidate_talents, talent
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline_tests.automation.conftest import MovableClock
from talent_image_pipeline_tests.automation.simulated_days import SimulatedDays
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks, scope_of, trigger_of
from talent_image_pipeline_tests.rows import insert_account, insert_talent

FIRST_DAY = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    return migrated_engine


@pytest.fixture
def days(ticks: DagsterTicks, clock: MovableClock) -> SimulatedDays:
    return SimulatedDays(ticks=ticks, clock=clock, rng=random.Random(7))


def set_stamp(engine: sa.Engine, talent_id: str, at: datetime | None) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(talent).where(talent.c.id == talent_id).values(lastProfileImageSyncAt=at))


def reasons_of(engine: sa.Engine) -> Counter[Reason]:
    """Return why talents were chosen, over all runs."""
    with engine.connect() as connection:
        return Counter(connection.scalars(sa.select(candidate_talents.c.reason)))


def test_a_thousand_due_talents_are_five_runs_and_nobody_is_left(days: SimulatedDays, ticks: DagsterTicks) -> None:
    days.hire(1000)
    requests = ticks.daily()
    assert [len(scope_of(request).talent_ids) for request in requests] == [200] * 5
    assert len({talent_id for request in requests for talent_id in scope_of(request).talent_ids}) == 1000
    assert len({request.run_key for request in requests}) == 5
    assert {trigger_of(request) for request in requests} == {"daily"}


def test_never_synced_talents_come_first_and_then_the_longest_waiting(
    engine: sa.Engine, days: SimulatedDays, ticks: DagsterTicks
) -> None:
    days.hire(4)
    set_stamp(engine, "talent-00000", FIRST_DAY - timedelta(days=2))
    set_stamp(engine, "talent-00001", FIRST_DAY - timedelta(days=9))
    set_stamp(engine, "talent-00002", FIRST_DAY - timedelta(days=3))
    (request,) = ticks.daily()
    assert scope_of(request).talent_ids == ("talent-00003", "talent-00001", "talent-00002", "talent-00000")


def test_when_nobody_is_due_the_skip_reason_says_so(ticks: DagsterTicks) -> None:
    assert ticks.daily() == []
    assert "Nobody is due" in (ticks.message or "")
    assert ticks.catch_up() == []
    assert "Nobody to catch up with" in (ticks.message or "")


def test_talents_without_a_known_account_and_with_a_manual_picture_are_never_due(
    engine: sa.Engine, ticks: DagsterTicks
) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id="nothing")
        insert_talent(connection, id="linkedin-only")
        insert_account(connection, id="linkedin", talent_id="linkedin-only", platform="LINKEDIN")
        insert_talent(connection, id="disconnected")
        insert_account(connection, id="old", talent_id="disconnected", connected=False)
        insert_talent(connection, id="manual", profile_image_source="manual")
        insert_account(connection, id="manual-account", talent_id="manual")
    assert ticks.daily() == []
    assert ticks.catch_up() == []


def test_over_thirty_days_every_talent_is_read_every_day_none_skipped_and_none_twice(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(250)
    for day in range(30):
        clock.now = FIRST_DAY + timedelta(days=day)
        days.run_all(ticks.daily(), minutes=40)
        assert {len(reads) for reads in days.reads.values()} == {day + 1}, f"day {day}"
    assert len(days.reads) == 250
    # What a run leaves counts as seen: nobody is chosen again as changed.
    assert reasons_of(ticks.engine) == {Reason.NEVER_SYNCED: 250, Reason.STALE: 29 * 250}


@pytest.mark.parametrize(
    ("hours", "daily", "catch_up"),
    [(19.9, 0, 0), (20.0, 1, 0), (23.9, 1, 0), (24.0, 1, 1)],
)
def test_the_daily_run_takes_those_older_than_20_hours_and_the_catch_up_those_older_than_24(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock, hours: float, daily: int, catch_up: int
) -> None:
    days.hire(3)
    days.run_all(ticks.daily(), minutes=0)
    clock.advance(timedelta(hours=hours))
    assert len(ticks.daily()) == daily
    requests = ticks.catch_up()
    assert len(requests) == catch_up
    for request in requests:
        assert trigger_of(request) == "catch_up"
        assert len(scope_of(request).talent_ids) == 3
        assert scope_of(request).minimum_hours == 24


def test_the_catch_up_leaves_changed_accounts_and_failed_reads_to_the_sensor(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(2)
    days.run_all(ticks.daily())
    days.is_down = True
    clock.advance(timedelta(hours=1))
    days.run(SyncScope(minimum_hours=0))
    clock.advance(timedelta(hours=2))
    assert ticks.catch_up() == []
    assert [len(scope_of(request).talent_ids) for request in ticks.changes()] == [1]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_the_catch_up_asks_for_nobody_whose_daily_run_is_still_to_come(
    days: SimulatedDays, ticks: DagsterTicks, status: dg.DagsterRunStatus
) -> None:
    days.hire(3)
    (request,) = ticks.daily()
    ticks.launch(request, status)
    ticks.clock = utc_now
    assert ticks.catch_up() == []
