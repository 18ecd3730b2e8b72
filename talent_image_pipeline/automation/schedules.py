"""The daily schedule.

What belongs here: when the day begins and what its runs are called.
What does not: who is due (``sync/candidates.py``).

See https://docs.dagster.io/guides/automate/schedules.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from talent_image_pipeline.assets.naming import TRIGGER_TAG
from talent_image_pipeline.automation.jobs import sync_profile_images
from talent_image_pipeline.resources import DatabaseResource, scope_config
from talent_image_pipeline.sync.planning.candidates import plan_daily_batches
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DAILY_MINIMUM_HOURS, SyncScope


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
    at = context.scheduled_execution_time.astimezone(UTC)
    batches = plan_daily_batches(database.engine, now=at, verified_only=database.settings.talent_image_verified_only)
    if not batches:
        yield dg.SkipReason(f"Nobody is due: every talent was synced after {_day(at)} minus {DAILY_MINIMUM_HOURS:g} h.")
    for number, talent_ids in enumerate(batches, start=1):
        scope = SyncScope(talent_ids=talent_ids, limit=BATCH_SIZE, minimum_hours=DAILY_MINIMUM_HOURS)
        yield dg.RunRequest(
            run_key=f"daily-{_day(at)}-{number}",
            run_config=scope_config(scope),
            tags={TRIGGER_TAG: "daily", "batch": f"{number} of {len(batches)}"},
        )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"
