"""Figures over everything: coverage, freshness, calls and failures by day, quotas, time to live, storage.

What belongs here: gathering them in one reading transaction, as plain values.
What does not: drawing them (``service/``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import statistics_queries
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.records import Reason
from talent_image_pipeline.database.statistics_queries import PlatformDay, QuotaState

DAYS_SHOWN = 30
_FRESHNESS_HOURS = (1, 6, 24, 48, 168)
_CHANGES_COUNTED = 1000


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How many talents had their last sync within so many hours; the hours count from now."""

    within_hours: int
    talents: int


@dataclass(frozen=True, kw_only=True)
class TimeToLive:
    """From finding a changed account to its picture being live, over the days shown, in seconds; none without any."""

    changes: int
    median_seconds: float | None
    p95_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The figures of the statistics page.

    Attributes:
        talents: All that the app knows.
        by_source: How many show a picture of each source.
        freshness: Cumulative: whoever is counted for one hour is counted for six.
        days: Calls, reads and failures by platform and day, the oldest day first; days without any are left out.
        stored_bytes: Of all renditions of all pictures that we own.
    """

    at: datetime
    talents: int
    by_source: Mapping[str, int]
    freshness: tuple[Freshness, ...]
    days: tuple[PlatformDay, ...]
    quotas: tuple[QuotaState, ...]
    time_to_live: TimeToLive
    pictures: int
    stored_bytes: int


def gather_statistics(engine: sa.Engine, *, now: datetime) -> Statistics:
    """Gather the figures of the last 30 days."""
    since = now - timedelta(days=DAYS_SHOWN)
    with read_only(engine).begin() as connection:
        by_source = statistics_queries.count_sources(connection)
        moments = [now - timedelta(hours=hours) for hours in _FRESHNESS_HOURS]
        synced = statistics_queries.count_synced_since(connection, moments)
        days = statistics_queries.days_since(connection, since.date())
        quotas = statistics_queries.quota_states(connection)
        seconds = statistics_queries.seconds_to_live(
            connection, since=since, reason=Reason.ACCOUNT_CHANGED, limit=_CHANGES_COUNTED
        )
        pictures, stored_bytes = statistics_queries.picture_storage(connection)
    return Statistics(
        at=now,
        talents=sum(by_source.values()),
        by_source=by_source,
        freshness=tuple(
            Freshness(within_hours=hours, talents=count) for hours, count in zip(_FRESHNESS_HOURS, synced, strict=True)
        ),
        days=tuple(days),
        quotas=tuple(quotas),
        time_to_live=time_to_live(seconds),
        pictures=pictures,
        stored_bytes=stored_bytes,
    )


def time_to_live(seconds: list[float]) -> TimeToLive:
    """Return the median and the 95th percentile, by the nearest rank, of durations that are sorted."""
    if not seconds:
        return TimeToLive(changes=0, median_seconds=None, p95_seconds=None)
    return TimeToLive(changes=len(seconds), median_seconds=_rank(seconds, 0.5), p95_seconds=_rank(seconds, 0.95))


def _rank(ordered: list[float], share: float) -> float:
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]
