"""Planning the day, and a tick of the sensor with nothing to do, over many talents on both kinds of database.

What belongs here: these two measurements.
What does not: the databases (``databases.py``).
"""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from benchmarks.databases import fill_with_synced_talents, opened_database
from benchmarks.measuring import median_seconds
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import candidate_queries
from talent_image_pipeline.database.engine import open_engine, read_only, require_app_tables
from talent_image_pipeline.sync.planning.candidates import plan_daily_batches, reading_rules

_REPETITIONS = 5
#: As many as the sensor asks for: five requests of 200 talents, and as many again.
_CHANGES_LOOKED_FOR = 2_000


@dataclass(frozen=True, kw_only=True)
class PlanningFigures:
    """What planning and a tick took on one kind of database.

    Attributes:
        database: ``sqlite`` or ``postgresql``.
        talents: How many there are, one account each, all of them due.
        planned: How many of them the plan holds.
        planning_seconds: For the day's plan, the median of some repetitions.
        changes_found: By the tick, with nothing to do.
        tick_seconds: For a tick: opening the database and looking for changes; the median.
        tick_query_seconds: For looking for changes alone; the median.
    """

    database: str
    talents: int
    planned: int
    planning_seconds: float
    changes_found: int
    tick_seconds: float
    tick_query_seconds: float


def measure_planning(kind: str, *, talents: int, directory: Path) -> PlanningFigures:
    """Fill a database of a kind and measure on it."""
    now = utc_now()
    with opened_database(kind, directory) as engine:
        fill_with_synced_talents(engine, talents=talents, now=now)
        url = engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg2://", "postgresql://")

        def plan() -> int:
            return sum(len(batch) for batch in plan_daily_batches(engine, now=now, verified_only=False))

        def look() -> int:
            return _find_changes(engine)

        def tick() -> int:
            opened = open_engine(url)
            try:
                require_app_tables(opened)
                return _find_changes(opened)
            finally:
                opened.dispose()

        return PlanningFigures(
            database=kind,
            talents=talents,
            planned=plan(),
            planning_seconds=median_seconds(plan, repetitions=_REPETITIONS),
            changes_found=tick(),
            tick_seconds=median_seconds(tick, repetitions=_REPETITIONS),
            tick_query_seconds=median_seconds(look, repetitions=_REPETITIONS),
        )


def _find_changes(engine: sa.Engine) -> int:
    rules = reading_rules(verified_only=False)
    with read_only(engine).begin() as connection:
        found = candidate_queries.find_changed_accounts(
            connection, rules=rules, now=utc_now(), limit=_CHANGES_LOOKED_FOR
        )
    return len(found)
