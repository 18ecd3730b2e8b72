"""Which runs go on, and which failed lately: what schedules and sensor ask Dagster before they ask for more.

What belongs here: reading run records. What does not: what follows from them (``sync/planning/``).

Dagster says "started" of a run until somebody says otherwise; one whose machine lost its power stays so for ever. A run
that has begun therefore counts only while it gives signs of life: claims that it renews, or events. How often it renews
them is a setting of the run (``claim_seconds``), and a minute and a half unless somebody changed it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from talent_image_pipeline.assets.naming import REPEATS_TAG, REPETITION_TAG, TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.automation.jobs import CHANGES_JOB, REFRESH_JOB, SYNC_JOB, talents_named_in
from talent_image_pipeline.sync.planning.change_requests import FailedRun
from talent_image_pipeline.sync.planning.repeated_batches import FailedBatch

if TYPE_CHECKING:
    import sqlalchemy as sa

_SIGNS_OF_LIFE_LAST: Final = timedelta(seconds=90)
#: Failed runs of changed accounts count against their talents for this long; batches are repeated for as long.
_FAILURES_COUNT_FOR: Final = timedelta(hours=1)
_RUNS_LOOKED_AT: Final = 100
#: Of failed batches so many are repeated at a time: each names two hundred talents.
_FAILED_BATCHES_LOOKED_AT: Final = 10
_OURS: Final = frozenset({SYNC_JOB, REFRESH_JOB, CHANGES_JOB})
#: Triggers of runs that bring everybody up to date, and of whom nobody waits.
_BATCH_TRIGGERS: Final = ["daily", "catch_up"]

_NOT_ENDED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def talents_in_flight(
    instance: dg.DagsterInstance, engine: "sa.Engine", *, now: datetime, with_queued_batches: bool
) -> set[str]:
    """Return the talents of runs that go on: named in their config, or chosen by themselves.

    Args:
        instance: Dagster's runs.
        engine: The database, where runs hold their claims.
        now: The time of the look.
        with_queued_batches: Whether batches that wait in the queue count. A changed account does not wait for them:
            their turn may come hours later, and they leave out what was read meanwhile.
    """
    from talent_image_pipeline.database import candidate_queries, ledger_queries, transactions

    records = [
        record
        for record in instance.get_run_records(filters=dg.RunsFilter(statuses=_NOT_ENDED))
        if record.dagster_run.job_name in _OURS
    ]
    if not records:
        return set()
    claiming = transactions.read(engine, ledger_queries.runs_with_claims, now=now)
    runs = [
        record.dagster_run
        for record in records
        if _goes_on(instance, record, claiming=claiming, now=now)
        and (with_queued_batches or not _is_queued_batch(record.dagster_run))
    ]
    unnamed = [run.run_id for run in runs if not set(talents_of([run]))]
    return set(talents_of(runs)) | transactions.read(engine, candidate_queries.candidates_of_runs, unnamed)


def failed_runs_of_changes(instance: dg.DagsterInstance, *, now: datetime) -> list[FailedRun]:
    """Return the sensor's runs that failed within the hour, without the talents that succeeded afterwards."""
    filters = dg.RunsFilter(statuses=_ENDED, tags={TRIGGER_TAG: "sensor"}, created_after=now - _FAILURES_COUNT_FOR)
    succeeded: set[str] = set()
    failed: list[FailedRun] = []
    for record in instance.get_run_records(filters=filters, limit=_RUNS_LOOKED_AT):
        talents = frozenset(talents_of([record.dagster_run])) - succeeded
        if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            succeeded |= talents
        elif talents:
            failed.append(FailedRun(talent_ids=talents, ended_at=_ended_at(record)))
    return failed


def failed_batches(instance: dg.DagsterInstance, *, now: datetime) -> list[FailedBatch]:
    """Return the batches of the day whose run failed within the hour and that nobody has asked for again."""
    filters = dg.RunsFilter(
        job_name=SYNC_JOB,
        statuses=[dg.DagsterRunStatus.FAILURE],
        tags={TRIGGER_TAG: _BATCH_TRIGGERS},
        updated_after=now - _FAILURES_COUNT_FOR,
    )
    failed = [
        FailedBatch(
            run_id=record.dagster_run.run_id,
            talent_ids=tuple(talents_of([record.dagster_run])),
            trigger=record.dagster_run.tags[TRIGGER_TAG],
            repetition=int(record.dagster_run.tags.get(REPETITION_TAG, "0")),
            ended_at=_ended_at(record),
        )
        for record in instance.get_run_records(filters=filters, limit=_FAILED_BATCHES_LOOKED_AT)
    ]
    if not failed:
        return []
    again = dg.RunsFilter(tags={REPEATS_TAG: [batch.run_id for batch in failed]})
    repeated = {run.tags[REPEATS_TAG] for run in instance.get_runs(filters=again)}
    return [batch for batch in failed if batch.run_id not in repeated]


def talents_of(runs: Iterable[dg.DagsterRun]) -> Iterator[str]:
    """Return the talents that runs name in their config or their tags."""
    for run in runs:
        yield from talents_named_in(run.run_config)
        if TALENT_TAG in run.tags:
            yield run.tags[TALENT_TAG]


def _goes_on(instance: dg.DagsterInstance, record: dg.RunRecord, *, claiming: set[str], now: datetime) -> bool:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.QUEUED or run.run_id in claiming:
        return True
    if _utc(record.update_timestamp) > now - _SIGNS_OF_LIFE_LAST:
        return True
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return any(datetime.fromtimestamp(event.timestamp, tz=UTC) > now - _SIGNS_OF_LIFE_LAST for event in newest)


def _is_queued_batch(run: dg.DagsterRun) -> bool:
    return run.status is dg.DagsterRunStatus.QUEUED and run.tags.get(TRIGGER_TAG) in _BATCH_TRIGGERS


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, tz=UTC) if record.end_time else _utc(record.update_timestamp)


def _utc(moment: datetime) -> datetime:
    """Return a time of a run's record, which some storages give without its zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
