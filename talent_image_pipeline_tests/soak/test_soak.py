"""Days and days of an agency on which something is always the matter: what must be true is true each day.

What happens is drawn from a seed, so that a failure can be repeated.
"""

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from talent_image_pipeline_tests.conftest import PostgresServer
from talent_image_pipeline_tests.soak.agency import DAY, LONG, TWO_HOURS, Agency
from talent_image_pipeline_tests.soak.conftest import FIRST_DAY
from talent_image_pipeline_tests.soak.simulation import Simulation, open_simulation

pytestmark = pytest.mark.usefixtures("retries_at_once")

_SHARE_OF_DAYS_WITH_TWO_RUNS_AT_ONCE = 0.3
_NETWORKS_OF_A_TALENT = (
    ("instagram",),
    ("instagram", "youtube"),
    ("youtube",),
    ("instagram", "tiktok", "youtube"),
    ("youtube",),
    ("instagram",),
)


def _founded(simulation: Simulation, *, talents: int, seed: int) -> Agency:
    """Return an agency whose TikTok tokens live long, but for those of a few talents and all that come later."""
    agency = Agency(simulation=simulation, rng=random.Random(seed))
    simulation.world.rules.tiktok_access_seconds = LONG
    for number in range(talents - 4):
        agency.hire(*_NETWORKS_OF_A_TALENT[number % len(_NETWORKS_OF_A_TALENT)])
    simulation.world.rules.tiktok_access_seconds = TWO_HOURS
    for _ in range(4):
        agency.hire("tiktok", "youtube")
    return agency


def _live_a_day(agency: Agency, *, number: int) -> None:
    """Let one day pass: what happens at night, the sensor, a run that may die, the daily batch, the sensor again."""
    simulation = agency.simulation
    midnight = FIRST_DAY.replace(hour=0) + number * DAY
    simulation.clock.move_to(midnight + timedelta(hours=1))
    simulation.forget_calls()
    agency.begin_day()
    simulation.sync_changes()
    simulation.clock.move_to(midnight + timedelta(hours=2))
    agency.kill_a_run()
    _run_daily(agency)
    # Late enough that the look-ups of an interrupted run no longer count against their hour.
    simulation.clock.move_to(midnight + timedelta(hours=5))
    simulation.catch_up()
    simulation.sync_changes()
    agency.check(since=midnight)


def _run_daily(agency: Agency) -> None:
    """Do the daily batch; on some days twice at once, which must cost no more."""
    times = 2 if agency.rng.random() < _SHARE_OF_DAYS_WITH_TWO_RUNS_AT_ONCE else 1
    with ThreadPoolExecutor(times) as runs:
        for ended in [runs.submit(agency.simulation.sync_daily) for _ in range(times)]:
            ended.result()


def _end_well(agency: Agency, *, number: int) -> None:
    """Let everything be well again for a day: no account was lost for good, and every picture is what is shown."""
    simulation = agency.simulation
    midnight = FIRST_DAY.replace(hour=0) + number * DAY
    simulation.clock.move_to(midnight + timedelta(hours=2))
    simulation.forget_calls()
    agency.day += 1
    agency.killed_today.clear()
    agency.mend_everything()
    simulation.sync_changes()
    simulation.sync_daily()
    agency.check(since=midnight)


def test_30_days_of_faults_over_300_talents_break_no_rule(migrated_sqlite_file: Path, tmp_path: Path) -> None:
    file = shutil.copy(migrated_sqlite_file, tmp_path / "talents.db")
    with open_simulation(database_url=f"sqlite:///{file}", directory=tmp_path, begins_at=FIRST_DAY) as simulation:
        agency = _founded(simulation, talents=300, seed=20260302)
        for number in range(1, 31):
            _live_a_day(agency, number=number)
        _end_well(agency, number=31)


def test_5_days_of_faults_on_postgresql_break_no_rule(postgres_server: PostgresServer, tmp_path: Path) -> None:
    name = postgres_server.create_migrated_database()
    try:
        url = postgres_server.url(name)
        with open_simulation(database_url=url, directory=tmp_path, begins_at=FIRST_DAY) as simulation:
            agency = _founded(simulation, talents=60, seed=7)
            for number in range(1, 6):
                _live_a_day(agency, number=number)
            _end_well(agency, number=6)
    finally:
        postgres_server.drop_database(name)
