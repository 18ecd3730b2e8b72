"""What a platform's accounts lost lately or would have lost: read and changed under a lock per platform.

What belongs here: the statements behind the guard against mass losses.
What does not: what counts as too many (``sync/reading/mass_guard.py``).
"""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import LEDGER_FIELDS, account, is_eligible, is_on, ledger
from talent_image_pipeline.database.bulk import update_rows
from talent_image_pipeline.database.records import LedgerRecord

_TOKEN_FIELDS = frozenset({"token_refreshed_at", "consent_ends_at", "token_digest"})


def lock_losses(connection: sa.Connection, *, platform: str) -> None:
    """Let one transaction at a time decide over a platform's losses; on SQLite a writing one is alone anyway."""
    if connection.dialect.name == "postgresql":
        key = zlib.crc32(f"talent_images losses {platform}".encode())
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def lock_rows(connection: sa.Connection, account_ids: Collection[str], *, platform: str, lost_after: datetime) -> None:
    """On PostgreSQL, lock these accounts' rows and those of recent losses, in the one order in which everybody does."""
    condition = sa.or_(
        ledger.c.account_id.in_(sorted(account_ids)),
        sa.and_(ledger.c.platform == platform, _is_lost_after(lost_after)),
    )
    connection.execute(sa.select(ledger.c.account_id).where(condition).order_by(ledger.c.account_id).with_for_update())


def pictures_lost(
    connection: sa.Connection, *, platform: str, after: datetime, without: Collection[str]
) -> list[LedgerRecord]:
    """Return the accounts that lost their picture by the platform's word after a time and have none since."""
    is_lost = sa.and_(
        ledger.c.picture_lost_at > after, ledger.c.lost_picture_hash.is_not(None), ledger.c.picture_hash.is_(None)
    )
    return _rows(connection, platform=platform, condition=is_lost, without=without)


def connections_lost(
    connection: sa.Connection, *, platform: str, after: datetime, without: Collection[str]
) -> list[LedgerRecord]:
    """Return the accounts that turned ``needs_reconnect`` after a time and are so still."""
    is_lost = sa.and_(ledger.c.connection_lost_at > after, ledger.c.outcome == "needs_reconnect")
    return _rows(connection, platform=platform, condition=is_lost, without=without)


def held_accounts(
    connection: sa.Connection, *, platform: str, suggested: Collection[str], without: Collection[str] = ()
) -> list[LedgerRecord]:
    """Return the accounts whose loss is held back, the longest held first."""
    is_held = sa.and_(ledger.c.held_since.is_not(None), ledger.c.suggested_outcome.in_(sorted(suggested)))
    return _rows(connection, platform=platform, condition=is_held, without=without)


def count_pictures(connection: sa.Connection, *, platform: str) -> int:
    """Return how many of a platform's accounts we own a picture of."""
    is_owned = sa.and_(ledger.c.platform == platform, ledger.c.picture_hash.is_not(None))
    return connection.execute(sa.select(sa.func.count()).select_from(ledger).where(is_owned)).scalar_one()


def count_connections(connection: sa.Connection, *, platform: str) -> int:
    """Return how many connected accounts of a platform have a token of their own."""
    statement = (
        sa.select(sa.func.count()).select_from(account).where(is_on([platform]), is_eligible(verified_only=True))
    )
    return connection.execute(statement).scalar_one()


def update_ledger(connection: sa.Connection, rows: Sequence[LedgerRecord]) -> None:
    """Write rows that were loaded under a lock. A reading that is under way on an old state is not written any more."""
    changed = [
        {name: value for name, value in asdict(row).items() if name not in _TOKEN_FIELDS}
        | {"claimed_by": None, "claimed_until": None}
        for row in rows
    ]
    update_rows(connection, ledger, changed, key="account_id", where=sa.true())


def _is_lost_after(time: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(ledger.c.picture_lost_at > time, ledger.c.connection_lost_at > time, ledger.c.held_since.is_not(None))


def _rows(
    connection: sa.Connection, *, platform: str, condition: sa.ColumnElement[bool], without: Collection[str]
) -> list[LedgerRecord]:
    statement = (
        sa.select(*(ledger.c[name] for name in LEDGER_FIELDS))
        .where(ledger.c.platform == platform, condition)
        .order_by(ledger.c.held_since, ledger.c.account_id)
    )
    found = [LedgerRecord(**row) for row in connection.execute(statement).mappings()]
    left_out = set(without)
    return [row for row in found if row.account_id not in left_out]
