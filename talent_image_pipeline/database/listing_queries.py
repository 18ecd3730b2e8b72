"""All talents with what was last read of their accounts: for listing them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.database.tables import (
    platform_images,
    profile_image_pins,
    social_account_connection,
    talent,
)


@dataclass(frozen=True, kw_only=True)
class ListedAccount:
    """A connected account of a talent.

    Attributes:
        platform: In lower case.
        outcome: How the last read ended; none before the first.
        message: The last failure in words.
    """

    platform: str
    handle: str
    outcome: str | None
    consecutive_failures: int
    message: str | None


@dataclass(frozen=True, kw_only=True)
class ListedTalent:
    """A talent with its connected accounts."""

    talent_id: str
    name: str
    source: str
    image_url: str | None
    last_sync_at: datetime | None
    is_pinned: bool
    accounts: tuple[ListedAccount, ...]


def load_listing(connection: sa.Connection, *, source: str | None = None) -> list[ListedTalent]:
    """Return all talents, ordered by id, or those whose picture comes from ``source``."""
    account, ledger, pin = social_account_connection, platform_images, profile_image_pins
    is_connected = (account.c.creatorId == talent.c.id) & account.c.connected.is_(sa.true())
    statement = (
        sa.select(
            talent.c.id,
            sa.func.coalesce(talent.c.displayName, talent.c.name, "").label("name"),
            talent.c.profileImageSource.label("source"),
            talent.c.profileImageUrl.label("image_url"),
            talent.c.lastProfileImageSyncAt.label("last_sync_at"),
            pin.c.talent_id.is_not(None).label("is_pinned"),
            sa.func.lower(account.c.platform).label("platform"),
            account.c.handle,
            ledger.c.outcome,
            ledger.c.consecutive_failures,
            ledger.c.failure,
        )
        .select_from(
            talent.outerjoin(account, is_connected)
            .outerjoin(ledger, ledger.c.account_id == account.c.id)
            .outerjoin(pin, pin.c.talent_id == talent.c.id)
        )
        .order_by(talent.c.id, account.c.platform)
    )
    if source is not None:
        statement = statement.where(talent.c.profileImageSource == source)
    rows_by_talent: dict[str, list[sa.RowMapping]] = {}
    for row in connection.execute(statement).mappings():
        rows_by_talent.setdefault(row["id"], []).append(row)
    return [_listed(rows) for rows in rows_by_talent.values()]


def _listed(rows: list[sa.RowMapping]) -> ListedTalent:
    first = rows[0]
    return ListedTalent(
        talent_id=first["id"],
        name=first["name"],
        source=first["source"],
        image_url=first["image_url"],
        last_sync_at=first["last_sync_at"],
        is_pinned=bool(first["is_pinned"]),
        accounts=tuple(_account(row) for row in rows if row["platform"] is not None),
    )


def _account(row: Any) -> ListedAccount:
    return ListedAccount(
        platform=row["platform"],
        handle=row["handle"],
        outcome=row["outcome"],
        consecutive_failures=row["consecutive_failures"] or 0,
        message=row["failure"],
    )
