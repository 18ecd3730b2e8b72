"""The sensor on the app's social accounts.

What belongs here: asking the database what changed and Dagster what is on its way, and wording the skip reason.
What does not: what is asked for (``sync/change_requests.py``).

See https://docs.dagster.io/guides/automate/sensors.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as sa

from talent_image_pipeline.assets.naming import TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.automation.jobs import REFRESH_JOB, SYNC_JOB, sync_profile_images
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import candidate_queries, transactions
from talent_image_pipeline.resources import DatabaseResource, scope_config, talents_named_in
from talent_image_pipeline.sync.planning.candidates import reading_rules
from talent_image_pipeline.sync.planning.change_requests import (
    MAXIMUM_REQUESTS_PER_TICK,
    AccountChange,
    ChangePlan,
    FailedRun,
    plan_change_requests,
)
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, SyncScope

#: The daemon looks every 5 s. An interval of 5 would be found not quite over and make it every 10.
SECONDS_BETWEEN_TICKS = 2
_FAILURES_COUNT_FOR = timedelta(hours=1)
_RUNS_LOOKED_AT = 100
#: A run that a terminal started and a power cut ended stays "started" for ever: nobody monitors it.
_RUNS_END_WITHIN = timedelta(hours=6)
_CHANGES_PER_TICK = MAXIMUM_REQUESTS_PER_TICK * BATCH_SIZE * 2

_IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dg.sensor(
    name="social_account_changes",
    job=sync_profile_images,
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Finds social accounts that were connected, reconnected, disconnected, renamed, given a new token or deleted, "
        "by comparing each account's state with what the ledger last saw, and failed reads whose backoff has passed. "
        "Asks for few runs of many talents; a change stays found until a run has carried it through."
    ),
)
def social_account_changes(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """Ask for runs of the talents whose accounts changed."""
    now = utc_now()
    changes = _find_changes(database, now=now)
    if not changes:
        reason = f"No account differs from what the ledger last saw (looked at {now:%Y-%m-%d %H:%M:%S} UTC)."
        return dg.SensorResult(skip_reason=dg.SkipReason(reason), cursor=context.cursor)
    sequence = int(context.cursor or 0)
    plan = plan_change_requests(
        changes,
        in_flight=_talents_in_flight(context.instance, database.engine, now=now),
        failed_runs=_failed_runs(context.instance, now=now),
        sequence=sequence,
        now=now,
    )
    if not plan.requests:
        return dg.SensorResult(skip_reason=dg.SkipReason(f"{plan.message}."), cursor=context.cursor)
    context.log.info(plan.message)
    return dg.SensorResult(run_requests=_run_requests(plan), cursor=str(sequence + 1))


def _find_changes(database: DatabaseResource, *, now: datetime) -> list[AccountChange]:
    rules = reading_rules(verified_only=database.settings.talent_image_verified_only)
    findings = transactions.read(
        database.engine, candidate_queries.find_changed_accounts, rules=rules, now=now, limit=_CHANGES_PER_TICK
    )
    return [
        AccountChange(
            account_id=finding.account_id,
            talent_id=finding.talent_id,
            state=finding.fingerprint or "deleted",
            is_retry=finding.is_retry,
        )
        for finding in findings
    ]


def _run_requests(plan: ChangePlan) -> list[dg.RunRequest]:
    return [
        dg.RunRequest(
            run_key=request.run_key,
            run_config=scope_config(SyncScope(talent_ids=request.talent_ids, limit=BATCH_SIZE)),
            tags={TRIGGER_TAG: "sensor"},
        )
        for request in plan.requests
    ]


def _talents_in_flight(instance: dg.DagsterInstance, engine: sa.Engine, *, now: datetime) -> set[str]:
    """Return the talents of runs that have not ended: named in their config, or chosen by themselves."""
    lately = dg.RunsFilter(statuses=_IN_FLIGHT, created_after=now - _RUNS_END_WITHIN)
    runs = [run for run in instance.get_runs(filters=lately) if run.job_name in {SYNC_JOB, REFRESH_JOB}]
    talents = set(_talents_of(runs))
    unnamed = [run.run_id for run in runs if not set(_talents_of([run]))]
    return talents | transactions.read(engine, candidate_queries.candidates_of_runs, unnamed)


def _talents_of(runs: Iterable[dg.DagsterRun]) -> Iterable[str]:
    for run in runs:
        yield from talents_named_in(run.run_config)
        named = run.run_config.get("talent_id") or run.tags.get(TALENT_TAG)
        if isinstance(named, str):
            yield named


def _failed_runs(instance: dg.DagsterInstance, *, now: datetime) -> list[FailedRun]:
    """Return the sensor's runs that failed within the hour, without the talents that succeeded afterwards."""
    filters = dg.RunsFilter(
        job_name=SYNC_JOB,
        statuses=_ENDED,
        tags={TRIGGER_TAG: "sensor"},
        created_after=now - _FAILURES_COUNT_FOR,
    )
    succeeded: set[str] = set()
    failed: list[FailedRun] = []
    for record in instance.get_run_records(filters=filters, limit=_RUNS_LOOKED_AT):
        talents = frozenset(_talents_of([record.dagster_run])) - succeeded
        if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            succeeded |= talents
        elif talents:
            ended = datetime.fromtimestamp(record.end_time, tz=UTC) if record.end_time else record.update_timestamp
            failed.append(FailedRun(talent_ids=talents, ended_at=ended.astimezone(UTC)))
    return failed
