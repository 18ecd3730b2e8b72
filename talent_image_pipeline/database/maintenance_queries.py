"""What looking after the pictures asks of the database: references, removal, damage, and a look at accounts and schema.

What belongs here: the statements behind ``show``, ``gc``, ``verify`` and ``doctor`` that nothing else needs.
What does not: the order in which they are safe (``sync/store_maintenance.py``) and the words for a person (``sync/``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import account, account_platform, is_given, ledger
from talent_image_pipeline.database.tables import pictures, profile_image_pins, profile_image_versions

_REFERENCES: Final[tuple[sa.Column[Any], ...]] = (
    ledger.c.picture_hash,
    ledger.c.lost_picture_hash,
    profile_image_versions.c.picture_hash,
    profile_image_pins.c.picture_hash,
)
_LOCK_TIMEOUT: Final = "1s"


@dataclass(frozen=True, kw_only=True)
class ConnectionRow:
    """A social account as the app has it, on any platform; its tokens are not even asked for.

    Attributes:
        platform: In lower case.
        connection_type: MANUAL or OAUTH, as the app says.
    """

    account_id: str
    platform: str
    handle: str
    profile_url: str | None
    connected: bool
    connection_type: str
    has_token: bool
    has_refresh_token: bool
    token_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ConnectedCount:
    """How many connected accounts of one platform there are, by the way in which they can be read.

    Attributes:
        renewable: Of those with a token, the ones with a refresh token too.
    """

    with_token: int = 0
    by_handle: int = 0
    renewable: int = 0


def referenced_hashes(connection: sa.Connection) -> set[str]:
    """Return every content hash that a ledger row, a version or a pin names."""
    statement = sa.union(*(sa.select(column).where(column.is_not(None)) for column in _REFERENCES))
    return set(connection.scalars(statement))


def recorded_pictures(connection: sa.Connection, *, created_before: datetime | None = None) -> dict[str, int]:
    """Return the pictures that have a row, all or those recorded before a time: their bytes by their hash."""
    statement = sa.select(pictures.c.hash, pictures.c.bytes)
    if created_before is not None:
        statement = statement.where(pictures.c.created_at < created_before)
    return {row[0]: row[1] for row in connection.execute(statement)}


def keep_claims_out(connection: sa.Connection) -> None:
    """Let no run claim an account until the transaction ends.

    On SQLite the transaction holds the write lock already. On PostgreSQL the ledger can still be read meanwhile.

    Raises:
        sqlalchemy.exc.OperationalError: when this, or any later lock of the transaction, cannot be had within a second;
            see :func:`~talent_image_pipeline.database.transactions.is_lock_conflict`.
    """
    if connection.dialect.name == "postgresql":
        # Whoever waits for a table's lock makes all writers after it wait too: give up before a run notices.
        connection.execute(sa.select(sa.func.set_config("lock_timeout", _LOCK_TIMEOUT, True)))
        connection.execute(sa.text(f"LOCK TABLE {ledger.name} IN SHARE ROW EXCLUSIVE MODE"))


def is_any_account_claimed(connection: sa.Connection, *, now: datetime) -> bool:
    """Whether a run is reading any account right now."""
    statement = sa.select(ledger.c.account_id).where(ledger.c.claimed_until > now).limit(1)
    return connection.scalar(statement) is not None


def delete_unreferenced_picture(connection: sa.Connection, content_hash: str, *, created_before: datetime) -> bool:
    """Delete a picture's row unless something refers to it or it was stored anew.

    Returns:
        Whether neither a row nor a reference is left: its objects may go.
    """
    references = [sa.exists().where(column == content_hash) for column in _REFERENCES]
    connection.execute(
        sa.delete(pictures).where(
            pictures.c.hash == content_hash,
            pictures.c.created_at < created_before,
            *(sa.not_(reference) for reference in references),
        )
    )
    is_kept = sa.or_(sa.exists().where(pictures.c.hash == content_hash), *references)
    return not connection.scalar(sa.select(is_kept))


def mark_damaged(connection: sa.Connection, hashes: Sequence[str], *, stored_before: datetime, now: datetime) -> None:
    """Note that pictures are damaged, and that every account which has one owes a read with a new download.

    A picture that was stored anew since ``stored_before`` is sound by now and left alone.
    """
    still_damaged = sa.and_(pictures.c.hash.in_(list(hashes)), pictures.c.created_at < stored_before)
    connection.execute(
        sa.update(pictures).where(still_damaged).values(damaged_at=sa.func.coalesce(pictures.c.damaged_at, now))
    )
    connection.execute(
        sa.update(ledger)
        .where(ledger.c.picture_hash.in_(sa.select(pictures.c.hash).where(still_damaged)))
        .values(content_id=None, picture_etag=None, fingerprint=None)
    )


def accounts_with_pictures(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, int]:
    """Return how many connected accounts give each of these pictures; one that none gives is left out."""
    statement = (
        sa.select(ledger.c.picture_hash, sa.func.count())
        .select_from(ledger.join(account, account.c.id == ledger.c.account_id))
        .where(ledger.c.picture_hash.in_(list(hashes)), account.c.connected.is_(sa.true()))
        .group_by(ledger.c.picture_hash)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def damaged_hashes(connection: sa.Connection) -> set[str]:
    """Return the pictures that were found damaged."""
    return set(connection.scalars(sa.select(pictures.c.hash).where(pictures.c.damaged_at.is_not(None))))


def mark_sound(connection: sa.Connection, hashes: Sequence[str]) -> None:
    """Note that pictures which had been found damaged are sound."""
    connection.execute(sa.update(pictures).where(pictures.c.hash.in_(list(hashes))).values(damaged_at=None))


def load_connections(connection: sa.Connection, talent_id: str) -> list[ConnectionRow]:
    """Return every social account of a talent, also on platforms that we do not know."""
    statement = (
        sa.select(
            account.c.id,
            account_platform,
            account.c.handle,
            account.c.profileUrl,
            account.c.connected,
            account.c.connectionType,
            is_given(account.c.accessToken),
            is_given(account.c.refreshToken),
            account.c.expiresAt,
        )
        .where(account.c.creatorId == talent_id)
        .order_by(account_platform, account.c.id)
    )
    return [
        ConnectionRow(
            account_id=row[0],
            platform=row[1],
            handle=row[2],
            profile_url=row[3],
            connected=row[4],
            connection_type=row[5],
            has_token=bool(row[6]),
            has_refresh_token=bool(row[7]),
            token_expires_at=row[8],
        )
        for row in connection.execute(statement)
    ]


def count_connected(connection: sa.Connection) -> dict[str, ConnectedCount]:
    """Return the connected accounts of each platform, by its name in lower case."""
    has_token = is_given(account.c.accessToken)
    with_token = sa.func.sum(sa.case((has_token, 1), else_=0))
    renewable = sa.func.sum(sa.case((has_token & is_given(account.c.refreshToken), 1), else_=0))
    statement = (
        sa.select(account_platform, sa.func.count(), with_token, renewable)
        .where(account.c.connected.is_(sa.true()))
        .group_by(account_platform)
    )
    return {
        row[0]: ConnectedCount(with_token=int(row[2]), by_handle=row[1] - int(row[2]), renewable=int(row[3]))
        for row in connection.execute(statement)
    }
