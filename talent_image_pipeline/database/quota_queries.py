"""What all runs know of the platforms' limits: the statements on ``platform_quotas``.

What belongs here: reading that table and writing it so that runs at the same time neither overspend nor forget.
What does not: what the numbers mean for the next call (``sync/quota_gate.py``).

Three kinds of rows share the table: ``<quota>`` for the quota itself, ``<quota>/<account id>`` for a single token that
was told to stop, and ``<quota>@<slice>`` for the calls admitted in one slice of the quota's sliding window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database.bulk import insert_for
from talent_image_pipeline.database.tables import platform_quotas


@dataclass(frozen=True, kw_only=True)
class SharedQuota:
    """One quota as all runs know it.

    Attributes:
        blocked_until: The platform said stop until then; may have passed.
        blocked_because: Why, in words.
        units_day: The day that ``units_used`` belongs to, in the quota's own time zone.
        units_used: Units of the daily budget that were reserved on that day.
        usage_percent: What the platform last reported, in per cent.
        learned_at: When a block or the usage was last written.
        calls_by_slice: Calls admitted, by the number of the slice of the sliding window.
    """

    blocked_until: datetime | None = None
    blocked_because: str | None = None
    units_day: str | None = None
    units_used: int = 0
    usage_percent: float | None = None
    learned_at: datetime | None = None
    calls_by_slice: Mapping[int, int] = field(default_factory=dict)


def lock_quota(connection: sa.Connection, *, quota: str, now: datetime) -> SharedQuota:
    """Read a quota and keep every other run from reserving of it until the transaction ends.

    The statement writes, so it takes PostgreSQL's row lock and SQLite's write lock at once, and makes the row where
    there was none.
    """
    insert = insert_for(connection, platform_quotas).values(quota=quota, units_used=0, updated_at=now)
    statement = insert.on_conflict_do_update(
        index_elements=["quota"], set_={"units_used": platform_quotas.c.units_used}
    )
    row = connection.execute(statement.returning(*platform_quotas.c)).one()
    return SharedQuota(
        blocked_until=row.blocked_until,
        blocked_because=row.blocked_because,
        units_day=row.units_day,
        units_used=row.units_used,
        usage_percent=row.usage_percent,
        learned_at=row.updated_at,
        calls_by_slice=_calls_by_slice(connection, quota),
    )


def record_units(connection: sa.Connection, *, quota: str, day: str, units_used: int) -> None:
    """Store how many units of the daily budget are reserved. The quota must be locked."""
    connection.execute(
        sa.update(platform_quotas).where(platform_quotas.c.quota == quota).values(units_day=day, units_used=units_used)
    )


def record_calls(connection: sa.Connection, *, quota: str, slice_number: int, calls: int, now: datetime) -> None:
    """Add calls to a slice of the sliding window. The quota must be locked."""
    statement = insert_for(connection, platform_quotas).values(
        quota=f"{quota}@{slice_number}", units_used=calls, updated_at=now
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["quota"], set_={"units_used": platform_quotas.c.units_used + statement.excluded.units_used}
        )
    )


def drop_slices(connection: sa.Connection, *, quota: str, slice_numbers: Sequence[int]) -> None:
    """Forget slices that have left the sliding window. The quota must be locked."""
    keys = [f"{quota}@{number}" for number in slice_numbers]
    connection.execute(sa.delete(platform_quotas).where(platform_quotas.c.quota.in_(keys)))


def store_block(connection: sa.Connection, *, key: str, until: datetime, because: str, now: datetime) -> None:
    """Store that a quota, or one token of it, is to be left alone. A later end that is already stored stands."""
    statement = insert_for(connection, platform_quotas).values(
        quota=key, blocked_until=until, blocked_because=because, units_used=0, updated_at=now
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["quota"],
            set_={
                "blocked_until": new.blocked_until,
                "blocked_because": new.blocked_because,
                "updated_at": new.updated_at,
            },
            where=sa.or_(
                platform_quotas.c.blocked_until.is_(None), platform_quotas.c.blocked_until < new.blocked_until
            ),
        )
    )


def store_usage(connection: sa.Connection, *, quota: str, percent: float, now: datetime) -> None:
    """Store what the platform last reported."""
    statement = insert_for(connection, platform_quotas).values(
        quota=quota, usage_percent=percent, units_used=0, updated_at=now
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["quota"], set_={"usage_percent": new.usage_percent, "updated_at": new.updated_at}
        )
    )


def forget_lapsed_blocks(connection: sa.Connection, *, now: datetime) -> None:
    """Drop blocks that are over, with the usage that led to them, and the rows of tokens that have nothing else."""
    lapsed = platform_quotas.c.blocked_until <= now
    connection.execute(sa.delete(platform_quotas).where(lapsed, platform_quotas.c.quota.contains("/", autoescape=True)))
    connection.execute(
        sa.update(platform_quotas)
        .where(lapsed)
        .values(blocked_until=None, blocked_because=None, usage_percent=None, updated_at=now)
    )


def blocks_of(connection: sa.Connection, *, quotas: Sequence[str], now: datetime) -> dict[str, tuple[datetime, str]]:
    """Return what is blocked now among the quotas and their tokens: the key, until when, and why."""
    columns = platform_quotas.c
    of_these = sa.or_(
        columns.quota.in_(quotas), *(columns.quota.startswith(f"{name}/", autoescape=True) for name in quotas)
    )
    query = sa.select(columns.quota, columns.blocked_until, columns.blocked_because)
    rows = connection.execute(query.where(of_these, columns.blocked_until > now)).all()
    return {row.quota: (row.blocked_until, row.blocked_because or "") for row in rows}


def _calls_by_slice(connection: sa.Connection, quota: str) -> dict[int, int]:
    prefix = f"{quota}@"
    rows = connection.execute(
        sa.select(platform_quotas.c.quota, platform_quotas.c.units_used).where(
            platform_quotas.c.quota.startswith(prefix, autoescape=True)
        )
    )
    return {int(key.removeprefix(prefix)): calls for key, calls in rows}
