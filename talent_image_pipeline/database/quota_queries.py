"""What all runs know of the platforms' limits: the statements on the three quota tables.

What belongs here: reading and writing them so that runs at the same time neither overspend nor forget. What does not:
what the numbers mean for the next call (``sync/limits/quota_rules.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from talent_image_pipeline.database.bulk import insert_for
from talent_image_pipeline.database.tables import platform_blocks, platform_quota_calls, platform_quotas

#: In place of an account's id: the block is of the whole quota.
EVERYBODY: Final = ""

quotas = platform_quotas
counters = platform_quota_calls
blocks = platform_blocks


@dataclass(frozen=True, kw_only=True)
class SharedQuota:
    """One quota as all runs know it.

    Attributes:
        units_day: The day that ``units_used`` belongs to, in the quota's own time zone.
        units_used: Units of the daily budget that were reserved on that day.
        usage_percent: What the platform last reported, in per cent.
        usage_at: When it did, or a little later.
        calls: Calls admitted, by the beginning of the period in which they were.
        block: The platform said stop: until when, and why in words.
    """

    units_day: str | None = None
    units_used: int = 0
    usage_percent: float | None = None
    usage_at: datetime | None = None
    calls: Mapping[datetime, int] = field(default_factory=dict)
    block: tuple[datetime, str] | None = None


def lock_quota(connection: sa.Connection, *, quota: str, now: datetime) -> SharedQuota:
    """Read a quota and keep every other run from reserving of it until the transaction ends.

    The statement writes, so it takes PostgreSQL's row lock and SQLite's write lock at once, and makes the row where
    there was none.
    """
    insert = insert_for(connection, quotas).values(quota=quota, units_used=0, updated_at=now)
    statement = insert.on_conflict_do_update(index_elements=["quota"], set_={"units_used": quotas.c.units_used})
    row = connection.execute(statement.returning(*quotas.c)).one()
    counted = sa.select(counters.c.period, counters.c.calls).where(counters.c.quota == quota)
    return SharedQuota(
        units_day=row.units_day,
        units_used=row.units_used,
        usage_percent=row.usage_percent,
        usage_at=row.updated_at,
        calls={row.period: row.calls for row in connection.execute(counted)},
        block=blocks_of(connection, quotas=(quota,), now=now).get((quota, EVERYBODY)),
    )


def record_units(connection: sa.Connection, *, quota: str, day: str, units_used: int) -> None:
    """Store how many units of the daily budget are reserved. The quota must be locked."""
    connection.execute(sa.update(quotas).where(quotas.c.quota == quota).values(units_day=day, units_used=units_used))


def record_calls(
    connection: sa.Connection, *, quota: str, period: datetime, calls: int, forget_before: datetime
) -> None:
    """Add calls to a period, and forget periods that have left the window. The quota must be locked."""
    too_old = sa.and_(counters.c.quota == quota, counters.c.period < forget_before)
    connection.execute(sa.delete(counters).where(too_old))
    insert = insert_for(connection, counters).values(quota=quota, period=period, calls=calls)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["quota", "period"], set_={"calls": counters.c.calls + insert.excluded.calls}
        )
    )


def store_usage(connection: sa.Connection, *, quota: str, percent: float, now: datetime) -> None:
    """Store what the platform last reported."""
    insert = insert_for(connection, quotas).values(quota=quota, usage_percent=percent, units_used=0, updated_at=now)
    new = insert.excluded
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["quota"], set_={"usage_percent": new.usage_percent, "updated_at": new.updated_at}
        )
    )


def store_block(connection: sa.Connection, *, quota: str, account_id: str, until: datetime, because: str) -> None:
    """Store that a quota, or one account of it, is to be left alone. A later end that is already stored stands."""
    insert = insert_for(connection, blocks).values(
        quota=quota, account_id=account_id, blocked_until=until, blocked_because=because
    )
    new = insert.excluded
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["quota", "account_id"],
            set_={"blocked_until": new.blocked_until, "blocked_because": new.blocked_because},
            where=blocks.c.blocked_until < new.blocked_until,
        )
    )


def forget_lapsed_blocks(connection: sa.Connection, *, now: datetime) -> None:
    """Drop blocks that are over, with the usage that led to those of a whole quota."""
    lapsed = blocks.c.blocked_until <= now
    of_whole_quota = sa.select(blocks.c.quota).where(lapsed, blocks.c.account_id == EVERYBODY)
    connection.execute(sa.update(quotas).where(quotas.c.quota.in_(of_whole_quota)).values(usage_percent=None))
    connection.execute(sa.delete(blocks).where(lapsed))


def blocks_of(
    connection: sa.Connection, *, quotas: Sequence[str], now: datetime
) -> dict[tuple[str, str], tuple[datetime, str]]:
    """Return what is blocked now: by quota and account id, until when and why."""
    in_force = sa.select(blocks).where(blocks.c.quota.in_(list(quotas)), blocks.c.blocked_until > now)
    return {
        (row.quota, row.account_id): (row.blocked_until, row.blocked_because) for row in connection.execute(in_force)
    }
