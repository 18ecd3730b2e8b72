"""The daily schedule and the hourly catch-up.

What belongs here: when they look and what their runs are called.
What does not: who is due (``sync/planning/candidates.py``).

See https://docs.dagster.io/guides/automate/schedules.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from talent_image_pipeline.assets.naming import TRIGGER_TAG
from talent_image_pipeline.automation.in_flight import talents_in_flight
from talent_image_pipeline.automation.jobs import batch_config, sync_profile_images
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DAILY_MINIMUM_HOURS, DUE_AFTER_HOURS, SyncScope


@dg.schedule(
    name="daily_profile_image_sync",
    job=sync_profile_images,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every day at 02:00 UTC: one run for each batch of 200 due talents, so that everybody due is done. Due means "
        "not synced for 20 hours, because yesterday's stamps are from seconds to hours after 02:00."
    ),
)
def daily_profile_image_sync(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one run per batch of due talents."""
    from talent_image_pipeline.sync.planning.candidates import plan_daily_batches

    at = context.scheduled_execution_time.astimezone(UTC)
    batches = plan_daily_batches(database.engine, now=at, verified_only=database.settings.talent_image_verified_only)
    if not batches:
        since = f"{_hour(at)} minus {DAILY_MINIMUM_HOURS:g} h"
        yield dg.SkipReason(f"Nobody is due: every talent was synced after {since}.")
    yield from _run_requests(batches, at=at, trigger="daily", minimum_hours=DAILY_MINIMUM_HOURS)


@dg.schedule(
    name="hourly_catch_up",
    job=sync_profile_images,
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every hour at half past: talents that were last synced more than 24 hours ago, because their read came late "
        "the day before, a limit of a platform was used up, or a daily run did not take place. Mostly nobody."
    ),
)
def hourly_catch_up(
    context: dg.ScheduleEvaluationContext, database: DatabaseResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for runs of those whom the daily run does not reach in time."""
    at = context.scheduled_execution_time.astimezone(UTC)

    from talent_image_pipeline.sync.planning.candidates import plan_catch_up

    def in_flight() -> set[str]:
        return talents_in_flight(context.instance, database.engine, now=at, with_queued_batches=True)

    batches = plan_catch_up(
        database.engine, now=at, verified_only=database.settings.talent_image_verified_only, in_flight=in_flight
    )
    if not batches:
        yield dg.SkipReason(
            f"Nobody to catch up with: every talent was synced after {_hour(at)} minus {DUE_AFTER_HOURS:g} h, "
            "waits out a failed read, or is in a run on its way."
        )
    yield from _run_requests(batches, at=at, trigger="catch_up", minimum_hours=DUE_AFTER_HOURS)


def _run_requests(
    batches: Sequence[tuple[str, ...]], *, at: datetime, trigger: str, minimum_hours: float
) -> Iterator[dg.RunRequest]:
    for number, talent_ids in enumerate(batches, start=1):
        scope = SyncScope(talent_ids=talent_ids, limit=max(BATCH_SIZE, len(talent_ids)), minimum_hours=minimum_hours)
        yield dg.RunRequest(
            run_key=f"{trigger}-{_hour(at)}-{number}",
            run_config=batch_config(scope),
            tags={TRIGGER_TAG: trigger, "batch": f"{number} of {len(batches)}"},
        )


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"
