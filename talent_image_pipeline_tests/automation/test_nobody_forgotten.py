"""What dead runs, failed runs and outages do to the talents in them: nobody waits for what nobody works on."""

import random
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline_tests.automation.conftest import MovableClock
from talent_image_pipeline_tests.automation.simulated_days import SimulatedDays
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks, scope_of, trigger_of

Status = dg.DagsterRunStatus


@pytest.fixture
def clock() -> MovableClock:
    """A clock that begins now: Dagster stamps its runs with the machine's time."""
    return MovableClock(now=utc_now())


@pytest.fixture
def days(ticks: DagsterTicks, clock: MovableClock) -> SimulatedDays:
    return SimulatedDays(ticks=ticks, clock=clock, rng=random.Random(7))


def asked_for(requests: list[dg.RunRequest]) -> list[str]:
    return [talent_id for request in requests for talent_id in scope_of(request).talent_ids]


def give_sign_of_life(ticks: DagsterTicks, run: dg.DagsterRun, clock: MovableClock) -> None:
    """Let a run write an event."""
    entry = dg.EventLogEntry(  # type: ignore[no-untyped-call]  # Dagster gives it no types
        error_info=None,
        level=20,
        user_message="reading",
        run_id=run.run_id,
        timestamp=clock().timestamp(),
        job_name=run.job_name,
    )
    ticks.instance.store_event(entry)


def set_claim(engine: sa.Engine, account_id: str, **values: object) -> None:
    row = platform_images.c.account_id == account_id
    with engine.begin() as connection:
        connection.execute(sa.update(platform_images).where(row).values(**values))


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING])
def test_a_run_that_a_power_cut_ended_holds_up_its_talents_for_a_minute_and_a_half(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock, status: Status
) -> None:
    days.hire(1)
    (request,) = ticks.changes()
    ticks.launch(request, status)
    clock.now = utc_now()
    clock.advance(timedelta(seconds=80))
    assert ticks.changes() == []
    assert "on their way" in (ticks.message or "")
    clock.advance(timedelta(seconds=15))
    assert asked_for(ticks.changes()) == ["talent-00000"]


def test_a_run_goes_on_while_it_renews_its_claims_or_writes_events(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(2)
    (request,) = ticks.changes()
    run = ticks.launch(request, Status.STARTED)
    days.run(scope_of(request))
    with ticks.engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(handle="another"))
    clock.advance(timedelta(minutes=20))
    set_claim(ticks.engine, "account-00000", claimed_by=run.run_id, claimed_until=clock() + timedelta(minutes=1))
    assert ticks.changes() == []
    set_claim(ticks.engine, "account-00000", claimed_by=None, claimed_until=None)
    give_sign_of_life(ticks, run, clock)
    assert ticks.changes() == []
    clock.advance(timedelta(seconds=91))
    assert asked_for(ticks.changes()) == ["talent-00000", "talent-00001"]


def test_a_changed_account_does_not_wait_for_a_batch_in_the_queue(days: SimulatedDays, ticks: DagsterTicks) -> None:
    days.hire(1)
    (request,) = ticks.daily()
    ticks.launch(request, Status.QUEUED)
    assert asked_for(ticks.changes()) == ["talent-00000"]


def test_a_batch_that_fails_in_a_step_is_taken_up_again_within_minutes(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(3)
    clock.advance(-timedelta(hours=21))
    days.run_all(ticks.daily(), minutes=0)
    clock.advance(timedelta(hours=21))
    (request,) = ticks.daily()
    days.refresh("talent-00001")
    ticks.instance.report_run_failed(ticks.launch(request, Status.STARTED))
    clock.now = utc_now()
    clock.advance(timedelta(seconds=10))
    assert ticks.changes() == []
    clock.advance(timedelta(seconds=25))
    (again,) = ticks.changes()
    assert asked_for([again]) == ["talent-00000", "talent-00002"]
    assert (trigger_of(again), scope_of(again).minimum_hours) == ("daily", 20.0)
    ticks.launch(again, Status.STARTED)
    assert ticks.changes() == []


def test_a_day_of_outage_is_probed_and_everybody_is_read_when_it_ends(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(40)
    days.run_all(ticks.daily(), minutes=0)
    clock.advance(timedelta(hours=24))
    days.is_down = True
    days.run_all(ticks.daily(), minutes=0)
    tried = days.tried.total()
    before = days.runs["sensor"]
    for _ in range(4 * 24):
        clock.advance(timedelta(minutes=15))
        days.run_all(ticks.changes(), minutes=0)
    assert 20 <= days.runs["sensor"] - before <= 96
    assert days.tried.total() - tried <= 96 + 1
    days.is_down = False
    for _ in range(3):
        clock.advance(timedelta(minutes=5))
        days.run_all(ticks.changes(), minutes=0)
        days.run_all(ticks.changes(), minutes=0)
    recovered = [reads[-1] for reads in days.reads.values() if clock() - reads[-1] <= timedelta(minutes=16)]
    waiting = unread(ticks.engine)
    assert len(recovered) + len(waiting) == 40
    assert len(waiting) <= 40 * 0.25


def unread(engine: sa.Engine) -> list[str]:
    failed = platform_images.c.outcome == "unavailable"
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(platform_images.c.account_id).where(failed)))


def test_an_account_that_changes_all_the_time_is_read_four_times_and_then_named(
    days: SimulatedDays, ticks: DagsterTicks, clock: MovableClock
) -> None:
    days.hire(1)
    for number in range(9):
        with ticks.engine.begin() as connection:
            connection.execute(sa.update(social_account_connection).values(handle=f"handle.{number}"))
        clock.advance(timedelta(minutes=1))
        days.run_all(ticks.changes(), minutes=0)
    assert days.tried.total() == 4
    assert "were read 4 times within an hour because they changed, and wait until" in (ticks.message or "")
    clock.advance(timedelta(hours=1))
    days.run_all(ticks.changes(), minutes=0)
    assert days.tried.total() == 5
