"""Talents' columns, the history of their pictures, and pins.

What belongs here: reading and writing what a talent shows and showed.
What does not: the choice itself (``sync/resolution.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database.bulk import insert_for, update_rows
from talent_image_pipeline.database.records import MANUAL, PinRecord, TalentRecord, VersionRecord
from talent_image_pipeline.database.tables import profile_image_pins, profile_image_versions, talent

versions = profile_image_versions
pins = profile_image_pins


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A picture that a talent shows from now on."""

    talent_id: str
    source: str
    picture_hash: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class TalentColumns:
    """The three columns of the app's table that are ours."""

    talent_id: str
    image_url: str | None
    image_source: str
    last_sync_at: datetime | None


def load_talents(connection: sa.Connection, talent_ids: Sequence[str], *, lock: bool = False) -> list[TalentRecord]:
    """Return these talents by id.

    With ``lock``, on PostgreSQL, nobody else changes them until the transaction ends, while the app may still connect
    accounts to them; where somebody is changing one right now, the transaction fails and is to be begun anew
    (``transactions.py``).
    """
    statement = (
        sa.select(
            talent.c.id,
            sa.func.coalesce(talent.c.displayName, talent.c.name),
            talent.c.profileImageUrl,
            talent.c.profileImageSource,
            talent.c.lastProfileImageSyncAt,
        )
        .where(talent.c.id.in_(list(talent_ids)))
        .order_by(talent.c.id)
    )
    if lock:
        statement = statement.with_for_update(nowait=True, key_share=True)
    return [
        TalentRecord(talent_id=row[0], name=row[1], image_url=row[2], image_source=row[3], last_sync_at=row[4])
        for row in connection.execute(statement)
    ]


def talent_names(connection: sa.Connection, talent_ids: Sequence[str]) -> dict[str, str]:
    """Return these talents' names by id, as the app shows them."""
    name = sa.func.coalesce(talent.c.displayName, talent.c.name)
    statement = sa.select(talent.c.id, name).where(talent.c.id.in_(list(talent_ids)))
    return {row[0]: row[1] for row in connection.execute(statement)}


def all_talent_names(connection: sa.Connection) -> dict[str, str]:
    """Return every talent's name by id: to suggest the nearest when one is not found."""
    statement = sa.select(talent.c.id, sa.func.coalesce(talent.c.displayName, talent.c.name))
    return {row[0]: row[1] for row in connection.execute(statement)}


def current_versions(connection: sa.Connection, talent_ids: Sequence[str]) -> dict[str, VersionRecord]:
    """Return the version that each talent shows now, where it has one."""
    statement = sa.select(versions).where(versions.c.talent_id.in_(list(talent_ids)), versions.c.valid_to.is_(None))
    return {row["talent_id"]: _version(row) for row in connection.execute(statement).mappings()}


def load_history(connection: sa.Connection, talent_id: str) -> list[VersionRecord]:
    """Return every version of a talent's picture, the newest first."""
    statement = (
        sa.select(versions)
        .where(versions.c.talent_id == talent_id)
        .order_by(versions.c.valid_from.desc(), versions.c.id.desc())
    )
    return [_version(row) for row in connection.execute(statement).mappings()]


def load_pins(connection: sa.Connection, talent_ids: Sequence[str]) -> dict[str, PinRecord]:
    """Return the pins of these talents."""
    statement = sa.select(pins).where(pins.c.talent_id.in_(list(talent_ids)))
    return {row["talent_id"]: PinRecord(**row) for row in connection.execute(statement).mappings()}


def save_pin(connection: sa.Connection, pin: PinRecord) -> None:
    """Pin a version, in place of an earlier pin of the same talent."""
    values = {
        "talent_id": pin.talent_id,
        "version_id": pin.version_id,
        "source": pin.source,
        "picture_hash": pin.picture_hash,
        "pinned_at": pin.pinned_at,
    }
    insert = insert_for(connection, pins).values(values)
    connection.execute(insert.on_conflict_do_update(index_elements=[pins.c.talent_id], set_=values))


def delete_pin(connection: sa.Connection, talent_id: str) -> bool:
    """Free a talent's picture; returns whether it was pinned."""
    return connection.execute(sa.delete(pins).where(pins.c.talent_id == talent_id)).rowcount > 0


def write_talent_columns(connection: sa.Connection, rows: Sequence[TalentColumns]) -> None:
    """Write our three columns of the app's table, never those of a talent with a manual picture."""
    update_rows(
        connection,
        talent,
        [
            {
                "id": row.talent_id,
                "profileImageUrl": row.image_url,
                "profileImageSource": row.image_source,
                "lastProfileImageSyncAt": row.last_sync_at,
            }
            for row in rows
        ],
        key="id",
        where=talent.c.profileImageSource != MANUAL,
    )


def write_versions(
    connection: sa.Connection, new_versions: Sequence[NewVersion], *, run_id: str | None, now: datetime
) -> None:
    """End the talents' current versions and begin new ones.

    A version begins when the one before it ends, and none before its predecessor began, whatever the clocks of two
    machines say and however long a transaction waited for its turn.
    """
    if not new_versions:
        return
    current = current_versions(connection, [version.talent_id for version in new_versions])
    begins = {talent_id: max(now, version.valid_from) for talent_id, version in current.items()}
    ended = [{"talent_id": talent_id, "valid_to": moment} for talent_id, moment in sorted(begins.items())]
    update_rows(connection, versions, ended, key="talent_id", where=versions.c.valid_to.is_(None))
    connection.execute(
        sa.insert(versions),
        [
            {
                "talent_id": version.talent_id,
                "source": version.source,
                "picture_hash": version.picture_hash,
                "valid_from": begins.get(version.talent_id, now),
                "run_id": run_id,
                "why": version.why,
            }
            for version in new_versions
        ],
    )


def forget_talents(connection: sa.Connection, talent_ids: Sequence[str], *, now: datetime) -> None:
    """End what talents show that the app has deleted, without a successor, and free their pins."""
    shown = sa.and_(versions.c.talent_id.in_(list(talent_ids)), versions.c.valid_to.is_(None))
    begun_later = versions.c.valid_from > now
    connection.execute(
        sa.update(versions).where(shown).values(valid_to=sa.case((begun_later, versions.c.valid_from), else_=now))
    )
    connection.execute(sa.delete(pins).where(pins.c.talent_id.in_(list(talent_ids))))


def forget_history_of_deleted_talents(connection: sa.Connection, *, ended_before: datetime) -> int:
    """Remove the history of talents that the app has deleted, once all of it ended before a time.

    With it goes the last thing that refers to their pictures.
    """
    exists = sa.exists().where(talent.c.id == versions.c.talent_id)
    newer = versions.alias("newer")
    is_recent = sa.exists().where(
        newer.c.talent_id == versions.c.talent_id,
        sa.or_(newer.c.valid_to.is_(None), newer.c.valid_to >= ended_before),
    )
    return connection.execute(sa.delete(versions).where(sa.not_(exists), sa.not_(is_recent))).rowcount


def _version(row: sa.RowMapping) -> VersionRecord:
    return VersionRecord(
        version_id=row["id"],
        talent_id=row["talent_id"],
        source=row["source"],
        picture_hash=row["picture_hash"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        run_id=row["run_id"],
        why=row["why"],
    )
