"""Writing down what people ask for, before it is done and again when it is.

What belongs here: one entry around one action, whatever becomes of it.
What does not: the entries' table (``database/audit_queries.py``).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import anyio

from talent_image_pipeline.database.audit_queries import (
    AuditAction,
    AuditEntry,
    AuditResult,
    end_entry,
    insert_entry,
)
from talent_image_pipeline.database.transactions import write_in_thread
from talent_image_pipeline.service.callers import Caller
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.refreshing import InterruptedRefreshError


@dataclass(kw_only=True)
class Audited:
    """An action that is going on; what it came to is filled in."""

    entry_id: str
    message: str | None = None
    run_ids: list[str] = field(default_factory=list)


async def begin_entry(
    dependencies: ServiceDependencies,
    caller: Caller,
    action: AuditAction,
    *,
    talent_id: str | None = None,
    talents: int = 1,
    run_ids: Sequence[str] = (),
) -> str:
    """Write down that something was asked for, and return the entry's id."""
    entry = AuditEntry(
        entry_id=str(uuid4()),
        actor=caller.actor,
        action=action,
        talent_id=talent_id,
        talents=talents,
        started_at=dependencies.clock(),
        run_ids=tuple(run_ids),
    )
    await write_in_thread(dependencies.engine, insert_entry, entry)
    return entry.entry_id


async def finish_entry(
    dependencies: ServiceDependencies,
    entry_id: str,
    *,
    result: AuditResult,
    message: str | None,
    run_ids: Sequence[str],
) -> None:
    """Write down what came of it, also while the request that asked for it is being cancelled."""
    now = dependencies.clock()
    with anyio.CancelScope(shield=True):
        await write_in_thread(
            dependencies.engine, end_entry, entry_id, result=result, message=message, run_ids=run_ids, now=now
        )


@asynccontextmanager
async def audited(
    dependencies: ServiceDependencies, caller: Caller, action: AuditAction, *, talent_id: str
) -> AsyncIterator[Audited]:
    """Write down an action about one talent, and how it ended."""
    action_under_way = Audited(entry_id=await begin_entry(dependencies, caller, action, talent_id=talent_id))
    result, message = AuditResult.FAILED, "an error of our own; the service's log says what"
    try:
        yield action_under_way
        result, message = AuditResult.SUCCEEDED, action_under_way.message or ""
    except ApiError as error:
        result = AuditResult.REFUSED if error.status < 500 else AuditResult.FAILED
        message = error.message
        raise
    except (InterruptedRefreshError, asyncio.CancelledError):
        result, message = AuditResult.INTERRUPTED, "the request or the service ended before the run did"
        raise
    finally:
        await finish_entry(
            dependencies,
            action_under_way.entry_id,
            result=result,
            message=message or None,
            run_ids=action_under_way.run_ids,
        )
