"""What the tests over simulated days share: databases, and retries that do not wait for real.

What belongs here: fixtures alone.
What does not: runs and clocks (``simulation.py``).
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from talent_image_pipeline.sync.limits import retries
from talent_image_pipeline_tests.soak.simulation import Simulation, open_simulation

FIRST_DAY = datetime(2026, 3, 2, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def retries_at_once() -> Iterator[None]:
    """Let the waits between tries be as short as their jitter may make them anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
        yield


@pytest.fixture(scope="module")
def simulation(
    migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory, retries_at_once: None
) -> Iterator[Simulation]:
    """One simulation for a module's tests; each has talents of its own, and time goes on from one to the next."""
    directory = tmp_path_factory.mktemp("simulation")
    file = shutil.copy(migrated_sqlite_file, directory / "talents.db")
    with open_simulation(database_url=f"sqlite:///{file}", directory=directory, begins_at=FIRST_DAY) as opened:
        yield opened
