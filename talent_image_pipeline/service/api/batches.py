"""Syncing everybody: starting it, and asking how far it is.

What belongs here: both routes.
What does not: running the batches (``refreshing.py``).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal
from uuid import UUID, uuid4

import anyio.to_thread
from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from talent_image_pipeline.database.audit_queries import AuditAction, AuditEntry, AuditResult, find_entry
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.operations.batches import BatchOutcome, load_batch_outcome
from talent_image_pipeline.service.addresses import batch_url, run_url
from talent_image_pipeline.service.api.models import Answer, Batch, BatchError, BatchRun, SyncRequest
from talent_image_pipeline.service.api.responses import error_answers
from talent_image_pipeline.service.auditing import begin_entry, finish_entry
from talent_image_pipeline.service.callers import Authenticated
from talent_image_pipeline.service.dependencies import Dependencies, ServiceDependencies
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.refreshing import EndedRun
from talent_image_pipeline.sync.planning.candidates import plan_batches
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DAILY_MINIMUM_HOURS, SyncScope

_MOST_ERRORS = 100
_UNDER_WAY = frozenset({"NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"})
_SUCCESS = "SUCCESS"
_WAITING = "WAITING"
BATCH_TAG = "batch"

router = APIRouter(tags=["batches"])


@router.post(
    "/talent/sync/profile-images",
    summary="Sync everybody who is due",
    status_code=202,
    responses={
        200: {"model": Answer[Batch], "description": "With wait=true: all runs have ended."},
        **error_answers(400, 403, 409),
    },
)
async def sync_profile_images(
    caller: Authenticated,
    dependencies: Dependencies,
    response: Response,
    request: Annotated[SyncRequest | None, Body()] = None,
    wait: Annotated[
        bool, Query(description="Answer when all runs have ended, as the API before this one did.")
    ] = False,
) -> Answer[Batch]:
    """Start the runs and answer at once with their ids and an address to follow.

    Without ``forceRefresh``, like the daily run: everybody whose last sync is 20 hours ago or whose accounts changed.
    With it: everybody.
    """
    if dependencies.refreshing.has_batches:
        raise ApiError(409, "ALREADY_RUNNING", "A sync of everybody is running; wait until it has ended.")
    force = request is not None and request.force_refresh
    scopes = await anyio.to_thread.run_sync(lambda: _plan(dependencies, force=force))
    runs = {str(uuid4()): scope for scope in scopes}
    entry_id = await begin_entry(
        dependencies,
        caller,
        AuditAction.SYNC_ALL,
        talents=sum(len(scope.talent_ids) for scope in scopes),
        run_ids=list(runs),
    )
    on_end = partial(_write_down, dependencies, entry_id, list(runs))
    task = dependencies.refreshing.start_batches(runs, tags={BATCH_TAG: entry_id}, on_end=on_end)
    if wait:
        await asyncio.shield(task)
        response.status_code = 200
    return Answer(
        message="Profile image sync completed" if wait else "Profile image sync started",
        data=await _load(dependencies, entry_id),
    )


@router.get(
    "/talent/sync/profile-images/{batch_id}",
    summary="How far a sync of everybody is",
    responses=error_answers(400, 404),
)
async def get_batch(
    batch_id: Annotated[UUID, Path(description="As the start of the sync answered it.")],
    _caller: Authenticated,
    dependencies: Dependencies,
) -> Answer[Batch]:
    """Return the batch's runs and how many of its talents were synced."""
    return Answer(data=await _load(dependencies, str(batch_id)))


def _plan(dependencies: ServiceDependencies, *, force: bool) -> list[SyncScope]:
    hours = 0.0 if force else DAILY_MINIMUM_HOURS
    batches = plan_batches(
        dependencies.engine,
        now=dependencies.clock(),
        verified_only=dependencies.settings.talent_image_verified_only,
        minimum_hours=hours,
    )
    return [
        SyncScope(talent_ids=batch, limit=max(BATCH_SIZE, len(batch)), force=force, minimum_hours=hours)
        for batch in batches
    ]


async def _write_down(
    dependencies: ServiceDependencies, entry_id: str, run_ids: Sequence[str], ended: Sequence[EndedRun]
) -> None:
    failures = [run.failure for run in ended if run.failure is not None]
    result = AuditResult.FAILED if failures else AuditResult.SUCCEEDED
    await finish_entry(
        dependencies,
        entry_id,
        result=result if len(ended) == len(run_ids) else AuditResult.INTERRUPTED,
        message=failures[0] if failures else f"{len(ended)} of {len(run_ids)} runs ended",
        run_ids=run_ids,
    )


async def _load(dependencies: ServiceDependencies, batch_id: str) -> Batch:
    # Asked first: a batch that ends meanwhile has written its end down by the time that the entry is read.
    is_here = dependencies.refreshing.has_batches

    def load() -> Batch:
        with read_only(dependencies.engine).begin() as connection:
            entry = find_entry(connection, batch_id)
        if entry is None or entry.action is not AuditAction.SYNC_ALL:
            raise ApiError(404, "NOT_FOUND", "There is no such sync.")
        states = {state.run_id: state.status for state in dependencies.refreshing.jobs.states(entry.run_ids)}
        ended = [run_id for run_id, status in states.items() if status not in _UNDER_WAY]
        failed = {run_id for run_id in ended if states[run_id] != _SUCCESS}
        outcome = load_batch_outcome(dependencies.engine, ended, failed_runs=failed)
        return _batch(dependencies, entry, states=states, outcome=outcome, is_here=is_here)

    return await anyio.to_thread.run_sync(load)


def _batch(
    dependencies: ServiceDependencies,
    entry: AuditEntry,
    *,
    states: Mapping[str, str],
    outcome: BatchOutcome,
    is_here: bool,
) -> Batch:
    settings = dependencies.settings
    return Batch(
        batch_id=entry.entry_id,
        status=batch_status(entry, states.values(), is_here=is_here),
        url=batch_url(settings, entry.entry_id),
        runs=[
            BatchRun(run_id=run_id, status=states.get(run_id, _WAITING), url=run_url(settings, run_id))
            for run_id in entry.run_ids
        ],
        total=entry.talents,
        successful=outcome.successful,
        failed=len(outcome.failures),
        errors=[
            BatchError(talent_id=talent_id, error=message) for talent_id, message in outcome.failures[:_MOST_ERRORS]
        ],
    )


def batch_status(
    entry: AuditEntry, statuses: Collection[str], *, is_here: bool
) -> Literal["running", "succeeded", "failed", "interrupted"]:
    """Say how far a batch is.

    Args:
        entry: What was written down of it.
        statuses: Of its runs that have begun, in Dagster's words.
        is_here: Whether this process is running a batch.
    """
    if entry.ended_at is None:
        # Without an end and without anything under way: the process that ran it is no more.
        is_going = is_here or any(status in _UNDER_WAY for status in statuses)
        return "running" if is_going else "interrupted"
    endings: dict[AuditResult, Literal["succeeded", "failed"]] = {
        AuditResult.SUCCEEDED: "succeeded",
        AuditResult.FAILED: "failed",
    }
    return endings.get(entry.result, "interrupted")
