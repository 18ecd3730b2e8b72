"""What the tests of schedules and sensor share: databases of both kinds and the ticks over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.settings import settings_with
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks


@dataclass(kw_only=True)
class MovableClock:
    """A clock that stands still until it is moved."""

    now: datetime = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


@pytest.fixture
def clock() -> MovableClock:
    """A clock that begins at 02:00."""
    return MovableClock()


@pytest.fixture
def ticks(migrated_engine: sa.Engine, migrated_database_url: str, clock: MovableClock) -> Iterator[DagsterTicks]:
    """Schedules and sensor over a database of each kind in turn, with no runs yet."""
    settings = settings_with(talent_database_url=SecretStr(migrated_database_url))
    with dg.instance_for_test() as instance:
        yield DagsterTicks(engine=migrated_engine, settings=settings, clock=clock, instance=instance)
