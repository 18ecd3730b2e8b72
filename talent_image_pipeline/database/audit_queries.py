"""The audit log: what people asked for through the HTTP service, and what came of it.

What belongs here: writing an entry when something is asked for, closing it when it is done, and reading entries.
What does not: who may ask for what (``service/``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from talent_image_pipeline.database.tables import profile_image_audit

audit = profile_image_audit


class AuditAction(StrEnum):
    """What can be asked for."""

    REFRESH = "refresh"
    CHANGED = "changed"
    SYNC_ALL = "sync_all"
    PIN = "pin"
    UNPIN = "unpin"


class AuditResult(StrEnum):
    """What came of it."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One request of a person, or of a program on a person's behalf.

    Attributes:
        entry_id: Random.
        actor: Who asked, as far as the service can tell.
        talent_id: Whom it was about; none for many talents.
        talents: How many it was about.
        ended_at: None while it goes on, or when the service was killed meanwhile.
        message: What came of it, in words.
        run_ids: The Dagster runs that it led to.
    """

    entry_id: str
    actor: str
    action: AuditAction
    talent_id: str | None
    talents: int = 1
    started_at: datetime
    ended_at: datetime | None = None
    result: AuditResult = AuditResult.STARTED
    message: str | None = None
    run_ids: tuple[str, ...] = ()


def insert_entry(connection: sa.Connection, entry: AuditEntry) -> None:
    """Write down that something was asked for."""
    connection.execute(
        sa.insert(audit).values(
            id=entry.entry_id,
            actor=entry.actor,
            action=str(entry.action),
            talent_id=entry.talent_id,
            talents=entry.talents,
            started_at=entry.started_at,
            ended_at=entry.ended_at,
            result=str(entry.result),
            message=entry.message,
            run_ids=list(entry.run_ids),
        )
    )


def end_entry(
    connection: sa.Connection,
    entry_id: str,
    *,
    result: AuditResult,
    message: str | None,
    run_ids: Sequence[str],
    now: datetime,
) -> None:
    """Write down what came of it; the first end stands."""
    connection.execute(
        sa.update(audit)
        .where(audit.c.id == entry_id, audit.c.ended_at.is_(None))
        .values(result=str(result), message=message, run_ids=list(run_ids), ended_at=now)
    )


def find_entry(connection: sa.Connection, entry_id: str) -> AuditEntry | None:
    """Return an entry, or none when there is none of that id."""
    row = connection.execute(sa.select(audit).where(audit.c.id == entry_id)).mappings().one_or_none()
    return None if row is None else _entry(row)


def latest_entries(connection: sa.Connection, *, talent_id: str | None = None, limit: int) -> list[AuditEntry]:
    """Return entries, the newest first: about one talent, or all."""
    statement = sa.select(audit).order_by(audit.c.started_at.desc(), audit.c.id).limit(limit)
    if talent_id is not None:
        statement = statement.where(audit.c.talent_id == talent_id)
    return [_entry(row) for row in connection.execute(statement).mappings()]


def _entry(row: sa.RowMapping) -> AuditEntry:
    return AuditEntry(
        entry_id=row["id"],
        actor=row["actor"],
        action=AuditAction(row["action"]),
        talent_id=row["talent_id"],
        talents=row["talents"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        result=AuditResult(row["result"]),
        message=row["message"],
        run_ids=tuple(row["run_ids"]),
    )
