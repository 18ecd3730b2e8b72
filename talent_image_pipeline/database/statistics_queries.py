"""Figures over all talents and days: what the statistics page shows.

What belongs here: counting, in the database; and adding a run's calls to its day.
What does not: what the figures mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from talent_image_pipeline.database.bulk import insert_for
from talent_image_pipeline.database.tables import (
    candidate_talents,
    pictures,
    platform_blocks,
    platform_days,
    platform_quotas,
    profile_image_versions,
    talent,
)


@dataclass(frozen=True, kw_only=True)
class PlatformDay:
    """What went on with one platform on one day, in UTC."""

    platform: str
    day: date
    calls: int
    reads: int
    failures: int
    downloads: int


@dataclass(frozen=True, kw_only=True)
class QuotaState:
    """What is known of a platform's limit; ``used_percent`` is what the platform itself last reported."""

    quota: str
    units_day: str | None
    units_used: int
    used_percent: float | None
    blocked_until: datetime | None


def add_to_day(connection: sa.Connection, figures: PlatformDay) -> None:
    """Add a run's figures to those of its day."""
    values = {
        "platform": figures.platform,
        "day": figures.day,
        "calls": figures.calls,
        "reads": figures.reads,
        "failures": figures.failures,
        "downloads": figures.downloads,
    }
    counted = ("calls", "reads", "failures", "downloads")
    connection.execute(
        insert_for(connection, platform_days)
        .values(values)
        .on_conflict_do_update(
            index_elements=[platform_days.c.platform, platform_days.c.day],
            set_={name: platform_days.c[name] + values[name] for name in counted},
        )
    )


def days_since(connection: sa.Connection, day: date) -> list[PlatformDay]:
    """Return the figures of each platform and day since some day, in order."""
    statement = (
        sa.select(platform_days)
        .where(platform_days.c.day >= day)
        .order_by(platform_days.c.day, platform_days.c.platform)
    )
    return [PlatformDay(**row) for row in connection.execute(statement).mappings()]


def count_sources(connection: sa.Connection) -> dict[str, int]:
    """Return how many talents show a picture of each source."""
    source = talent.c.profileImageSource
    return {row[0]: row[1] for row in connection.execute(sa.select(source, sa.func.count()).group_by(source))}


def count_synced_since(connection: sa.Connection, moments: Sequence[datetime]) -> list[int]:
    """Return, for each moment, how many talents had their last sync at it or later."""
    stamp = talent.c.lastProfileImageSyncAt
    if not moments:
        return []
    counts = [sa.func.coalesce(sa.func.sum(sa.case((stamp >= moment, 1), else_=0)), 0) for moment in moments]
    return [int(count) for count in connection.execute(sa.select(*counts)).one()]


def picture_storage(connection: sa.Connection) -> tuple[int, int]:
    """Return how many pictures we own, and their bytes together."""
    row = connection.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(pictures.c.bytes), 0))).one()
    return row[0], int(row[1])


def quota_states(connection: sa.Connection) -> list[QuotaState]:
    """Return what is known of the limits that are shared by all accounts; those of single tokens are left out."""
    quotas, blocks = platform_quotas, platform_blocks
    is_for_everybody = sa.and_(blocks.c.quota == quotas.c.quota, blocks.c.account_id == "")
    statement = (
        sa.select(quotas, blocks.c.blocked_until)
        .select_from(quotas.outerjoin(blocks, is_for_everybody))
        .order_by(quotas.c.quota)
    )
    return [
        QuotaState(
            quota=row["quota"],
            units_day=row["units_day"],
            units_used=row["units_used"],
            used_percent=row["usage_percent"],
            blocked_until=row["blocked_until"],
        )
        for row in connection.execute(statement).mappings()
    ]


def seconds_to_live(connection: sa.Connection, *, since: datetime, reason: str, limit: int) -> list[float]:
    """Return how long it took from finding a changed account to the picture being live, in seconds, sorted.

    Args:
        connection: An open connection.
        since: Only changes that went live since then.
        reason: Why a run chose the talent.
        limit: At most this many, the latest ones.
    """
    version = profile_image_versions
    statement = (
        sa.select(candidate_talents.c.chosen_at, version.c.valid_from)
        .join(
            version,
            sa.and_(
                version.c.run_id == candidate_talents.c.run_id, version.c.talent_id == candidate_talents.c.talent_id
            ),
        )
        .where(version.c.valid_from >= since, candidate_talents.c.reason == reason)
        .order_by(version.c.valid_from.desc())
        .limit(limit)
    )
    return sorted(max(0.0, (row[1] - row[0]).total_seconds()) for row in connection.execute(statement))
