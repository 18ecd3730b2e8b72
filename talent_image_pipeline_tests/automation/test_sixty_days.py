"""Sixty days through the real schedules and sensor: nobody is forgotten, and nobody is read twice."""

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.settings import settings_with
from talent_image_pipeline_tests.automation.conftest import MovableClock
from talent_image_pipeline_tests.automation.simulated_days import SimulatedDays
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 60
TALENTS = 60
HOUR = timedelta(hours=1)
LONGEST_GAP = timedelta(hours=25.5)
SHORTEST_GAP = timedelta(hours=20)

#: By the day's number: how late the daily run began, or that it did not take place at all.
LATE_STARTS = {4: 1.2, 9: 3.0, 14: 5.0, 15: 0.5, 23: 4.0, 29: 2.0, 44: 4.9}
MISSED_DAYS = frozenset({6, 18, 19, 27, 50})
#: Days on which the platform allows ten reads an hour: sixty accounts take six hours.
STRETCHED_DAYS = frozenset(range(31, 40))


@pytest.fixture(scope="module")
def days(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedDays]:
    """Sixty days, lived through once: March to May, over the change to summer time and two ends of months."""
    url = f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path_factory.mktemp('days') / 'talents.db')}"
    clock = MovableClock(now=FIRST_DAY)
    settings = settings_with(talent_database_url=SecretStr(url))
    engine = open_engine(url)
    with dg.instance_for_test() as instance:
        ticks = DagsterTicks(engine=engine, settings=settings, clock=clock, instance=instance)
        days = SimulatedDays(ticks=ticks, clock=clock, rng=random.Random(20260302))
        days.hire(TALENTS)
        for number in range(DAYS):
            live_a_day(days, number)
        yield days
    engine.dispose()


def live_a_day(days: SimulatedDays, number: int) -> None:
    """Let a day pass, half an hour after half an hour; runs that take longer push back what follows."""
    midnight = FIRST_DAY + number * 24 * HOUR
    days.limit.reads = 10 if number in STRETCHED_DAYS else None
    daily_at = midnight + (2 + LATE_STARTS.get(number, 0.0)) * HOUR
    has_run = number in MISSED_DAYS
    for half_hours in range(48):
        now = midnight + half_hours * HOUR / 2
        days.clock.now = max(days.clock.now, now)
        if not has_run and now >= daily_at:
            has_run = True
            days.run_all(days.ticks.daily(), minutes=8)
        if half_hours % 2:
            days.run_all(days.ticks.catch_up(), minutes=8)
        if half_hours == 13:
            days.refresh(*(f"talent-{days.rng.randrange(TALENTS):05}" for _ in range(2)))
        if half_hours == 46:
            days.refresh(*(f"talent-{days.rng.randrange(TALENTS):05}" for _ in range(2)))
        if days.limit.reads is not None:
            look_for_failed_reads(days, until=now + HOUR / 2)


def look_for_failed_reads(days: SimulatedDays, *, until: datetime) -> None:
    while days.clock.now < until and days.has_failed_reads():
        days.run_all(days.ticks.changes(), minutes=2)
        days.clock.advance(timedelta(minutes=8))


def gaps(days: SimulatedDays) -> list[tuple[timedelta, str, datetime, datetime]]:
    """Return all gaps between two reads of one account, the shortest first."""
    found = [
        (later - earlier, account_id, earlier, later)
        for account_id, reads in days.reads.items()
        for earlier, later in pairwise(reads)
    ]
    return sorted(found)


def test_nobody_waits_longer_than_twenty_five_and_a_half_hours_but_for_the_platforms_limit(days: SimulatedDays) -> None:
    assert len(days.reads) == TALENTS
    assert all(len(reads) >= DAYS - 3 for reads in days.reads.values())
    for gap, account_id, earlier, later in gaps(days):
        turned_away = [at for at in days.limited[account_id] if earlier < at < later]
        assert gap <= LONGEST_GAP or turned_away, f"{account_id} waited {gap} from {earlier} to {later}"
    assert all(FIRST_DAY + DAYS * 24 * HOUR - reads[-1] <= LONGEST_GAP for reads in days.reads.values())


def test_the_limit_was_felt_and_even_then_nobody_waited_longer_than_the_stretched_day(days: SimulatedDays) -> None:
    assert sum(map(len, days.limited.values())) > TALENTS
    longest, account_id, earlier, later = gaps(days)[-1]
    assert longest <= LONGEST_GAP + 6 * HOUR, f"{account_id} waited {longest} from {earlier} to {later}"


def test_nobody_is_read_twice_within_twenty_hours_unless_a_person_asks(days: SimulatedDays) -> None:
    for gap, account_id, earlier, later in gaps(days):
        if (account_id, later) not in days.forced:
            assert gap >= SHORTEST_GAP, f"{account_id} was read again after {gap}, at {earlier} and {later}"


def test_the_days_that_were_lived_through_had_everything_in_them(days: SimulatedDays) -> None:
    assert DAYS - 10 <= days.runs["daily"] <= DAYS - len(MISSED_DAYS)
    assert days.runs["catch_up"] > 0
    assert days.runs["sensor"] > 0
    assert len(days.forced) > DAYS
    # One read a day and account, but for what people asked for.
    reads = sum(map(len, days.reads.values()))
    assert TALENTS * (DAYS - 3) <= reads - len(days.forced) <= TALENTS * (DAYS + 3)
