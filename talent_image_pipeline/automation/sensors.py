"""The sensor on the app's social accounts.

What belongs here: asking the database what changed and what failed, Dagster what goes on, and wording the answer.
What does not: what is asked for (``sync/planning/``).

See https://docs.dagster.io/guides/automate/sensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import dagster as dg
from pydantic import TypeAdapter

from talent_image_pipeline.assets.naming import REPEATS_TAG, REPETITION_TAG, TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.automation.in_flight import failed_batches, failed_runs_of_changes, talents_in_flight
from talent_image_pipeline.automation.jobs import (
    CHANGES_JOB,
    SYNC_JOB,
    batch_config,
    changes_config,
    sync_changed_accounts,
    sync_profile_images,
)
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.sync.planning.account_walk import Walk
from talent_image_pipeline.sync.planning.change_requests import (
    MAXIMUM_REQUESTS_PER_TICK,
    ChangePlan,
    change_of,
    plan_change_requests,
)
from talent_image_pipeline.sync.planning.failed_reads import MOST_IN_ONE_RUN, RetryMemory, RetryPlan, plan_retries
from talent_image_pipeline.sync.planning.repeated_batches import (
    FailedBatch,
    RepeatedBatch,
    plan_repetitions,
    talents_given_back,
)
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DAILY_MINIMUM_HOURS, SyncScope

if TYPE_CHECKING:
    from talent_image_pipeline.database.candidate_queries import FailedRead
    from talent_image_pipeline.platforms.contract import Outcome
    from talent_image_pipeline.sync.planning.finding_changes import FoundChanges

#: The daemon looks every 5 s. An interval of 5 would be found not quite over and make it every 10.
SECONDS_BETWEEN_TICKS = 2
#: With the change feed a tick waits for a change for most of the time until the next one.
_SECONDS_TO_WAIT_FOR_FEED = 4.0
_CHANGES_PER_TICK = MAXIMUM_REQUESTS_PER_TICK * BATCH_SIZE * 2


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What one tick leaves to the next, as the sensor's cursor.

    Attributes:
        sequence: Grows with every tick that asked for something; part of the run keys.
        retries: When failed reads were looked for.
        walk: How far the walk over all accounts has come.
    """

    sequence: int = 0
    retries: RetryMemory = field(default_factory=RetryMemory)
    walk: Walk = field(default_factory=Walk)


_MEMORY: Final = TypeAdapter(Memory)


@dg.sensor(
    name="social_account_changes",
    jobs=[sync_changed_accounts, sync_profile_images],
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Finds social accounts that were connected, reconnected, disconnected, renamed, given a new token or deleted, "
        "by comparing each account's state with what the ledger last saw. Every quarter of an hour it also asks for "
        "one run of all reads that failed and whose wait is over, and at once for batches whose run failed in a step. "
        "Asks for few runs of many talents; a change stays found until a run has carried it through."
    ),
)
def social_account_changes(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """Ask for runs of the talents whose accounts changed, whose reads failed, or whose batch did."""
    now = utc_now()
    memory = memory_from(context.cursor)
    found = _find_changes(database, walk=memory.walk, now=now)
    changes = [change_of(finding, now=now) for finding in found.findings]
    memory = replace(memory, walk=found.walk)
    failed_reads = _find_failed_reads(database, memory=memory.retries, now=now)
    batches = failed_batches(context.instance, now=now)
    if not (changes or failed_reads or batches):
        reason = f"No account differs from what the ledger last saw ({found.message}, {now:%Y-%m-%d %H:%M:%S} UTC)."
        retries = plan_retries([], newest={}, in_flight=(), memory=memory.retries, now=now)
        return _nothing(reason, replace(memory, retries=retries.memory))
    in_flight = talents_in_flight(context.instance, database.engine, now=now, with_queued_batches=False)
    plan = plan_change_requests(
        changes,
        in_flight=in_flight,
        failed_runs=failed_runs_of_changes(context.instance, now=now),
        sequence=memory.sequence,
        now=now,
    )
    asked = {talent_id for request in plan.requests for talent_id in request.talent_ids}
    retries = plan_retries(
        failed_reads,
        newest=_newest_outcomes(database, failed_reads),
        in_flight=in_flight | asked,
        memory=memory.retries,
        now=now,
    )
    repeated = _repetitions(database, batches, in_flight=in_flight | asked, now=now)
    return _answer(context, plan, retries, repeated, memory=replace(memory, retries=retries.memory))


def memory_from(cursor: str | None) -> Memory:
    """Read the cursor; one of an earlier version was the sequence alone."""
    if not cursor:
        return Memory()
    if cursor.isdigit():
        return Memory(sequence=int(cursor))
    try:
        return _MEMORY.validate_json(cursor)
    except ValueError:
        return Memory()


def _answer(
    context: dg.SensorEvaluationContext,
    plan: ChangePlan,
    retries: RetryPlan,
    repeated: Sequence[RepeatedBatch],
    *,
    memory: Memory,
) -> dg.SensorResult:
    parts = [plan.message, retries.message]
    if repeated:
        talents = sum(len(batch.talent_ids) for batch in repeated)
        parts.append(f"{talents} talent(s) of runs that failed are asked for again")
    message = "; ".join(filter(None, parts)) or "What failed is asked for again when its time has come"
    requests = [
        *_change_requests(plan),
        *_retry_requests(retries, sequence=memory.sequence),
        *map(_repeat_request, repeated),
    ]
    if not requests:
        return _nothing(f"{message}.", memory)
    context.log.info(message)
    cursor = _MEMORY.dump_json(replace(memory, sequence=memory.sequence + 1)).decode()
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _nothing(reason: str, memory: Memory) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=dg.SkipReason(reason), cursor=_MEMORY.dump_json(memory).decode())


def _find_changes(database: DatabaseResource, *, walk: Walk, now: datetime) -> "FoundChanges":
    """Look for changes; where there is a feed and nothing in it, wait until the next tick is near."""
    from talent_image_pipeline.sync.planning.candidates import reading_rules
    from talent_image_pipeline.sync.planning.finding_changes import find_changes, wait_for_feed

    rules = reading_rules(verified_only=database.settings.talent_image_verified_only)
    found = find_changes(database.engine, rules=rules, walk=walk, now=now, limit=_CHANGES_PER_TICK)
    if found.findings or not found.has_feed or not wait_for_feed(database.engine, seconds=_SECONDS_TO_WAIT_FOR_FEED):
        return found
    return find_changes(database.engine, rules=rules, walk=found.walk, now=utc_now(), limit=_CHANGES_PER_TICK)


def _find_failed_reads(database: DatabaseResource, *, memory: RetryMemory, now: datetime) -> "list[FailedRead]":
    from talent_image_pipeline.database import candidate_queries, transactions
    from talent_image_pipeline.sync.planning.candidates import reading_rules

    if not memory.is_worth_a_look(now):
        return []
    rules = reading_rules(verified_only=database.settings.talent_image_verified_only)
    return transactions.read(
        database.engine, candidate_queries.find_failed_reads, rules=rules, now=now, limit=MOST_IN_ONE_RUN
    )


def _newest_outcomes(database: DatabaseResource, reads: "Sequence[FailedRead]") -> "dict[str, list[Outcome]]":
    from talent_image_pipeline.database import candidate_queries, transactions
    from talent_image_pipeline.sync.planning.failed_reads import READS_THAT_TELL_AN_OUTAGE

    return {
        platform: transactions.read(
            database.engine, candidate_queries.newest_outcomes, platform, reads=READS_THAT_TELL_AN_OUTAGE
        )
        for platform in sorted({read.platform for read in reads})
    }


def _repetitions(
    database: DatabaseResource, batches: Sequence[FailedBatch], *, in_flight: set[str], now: datetime
) -> list[RepeatedBatch]:
    from talent_image_pipeline.sync.planning.candidates import still_due

    given_back = talents_given_back(batches, now=now)
    if not given_back:
        return []
    due = still_due(
        database.engine,
        sorted(given_back),
        minimum_hours=DAILY_MINIMUM_HOURS,
        now=now,
        verified_only=database.settings.talent_image_verified_only,
    )
    return list(plan_repetitions(batches, due=due, in_flight=in_flight, now=now))


def _change_requests(plan: ChangePlan) -> list[dg.RunRequest]:
    return [_few_talents(request.talent_ids, run_key=request.run_key) for request in plan.requests]


def _retry_requests(retries: RetryPlan, *, sequence: int) -> list[dg.RunRequest]:
    if not retries.talent_ids:
        return []
    run_key = f"retries-{sequence}-{retries.memory.looked_at:%Y-%m-%dT%H:%M:%S}"
    return [_few_talents(retries.talent_ids, run_key=run_key)]


def _few_talents(talent_ids: Sequence[str], *, run_key: str) -> dg.RunRequest:
    tags = {TRIGGER_TAG: "sensor", **({TALENT_TAG: talent_ids[0]} if len(talent_ids) == 1 else {})}
    return dg.RunRequest(job_name=CHANGES_JOB, run_key=run_key, run_config=changes_config(talent_ids), tags=tags)


def _repeat_request(batch: RepeatedBatch) -> dg.RunRequest:
    scope = SyncScope(talent_ids=batch.talent_ids, limit=BATCH_SIZE, minimum_hours=DAILY_MINIMUM_HOURS)
    tags = {TRIGGER_TAG: batch.trigger, REPEATS_TAG: batch.repeats, REPETITION_TAG: str(batch.repetition)}
    return dg.RunRequest(job_name=SYNC_JOB, run_key=batch.run_key, run_config=batch_config(scope), tags=tags)
