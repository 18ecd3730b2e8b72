"""The two jobs: the sync of any batch, and the refresh of one talent.

What belongs here: what a job selects, how it runs and what a person types into its launchpad.
What does not: what the assets do.

Both run in one process: with the multiprocess executor every step starts an interpreter of its own, and five steps
took 21 s instead of 4 s on two cores. It also lets launchers run them that forbid child processes.
See https://docs.dagster.io/guides/build/jobs/asset-jobs.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from talent_image_pipeline.assets.naming import TRIGGER_TAG
from talent_image_pipeline.resources import scope_config
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.planning.scope import SyncScope

SYNC_JOB = "sync_profile_images"
REFRESH_JOB = "refresh_talent"

_EVERYTHING = dg.AssetSelection.assets(
    "candidate_talents", *(f"{platform.name}_images" for platform in active_platforms()), "resolved_profile_images"
)


class RefreshTalent(dg.Config):
    """What a person types to refresh one talent."""

    talent_id: str = Field(description="The talent's id in the app, e.g. talent_123.")


@dg.config_mapping
def refresh_one_talent(config: RefreshTalent) -> dict[str, Any]:
    """Turn the one field of the launchpad into a scope: this talent, now.

    Raises:
        dagster.DagsterInvalidConfigError: for a blank id, before a run exists.
    """
    talent_id = config.talent_id.strip()
    if not talent_id:
        raise ValueError("talent_id is blank; type the talent's id in the app")
    return scope_config(SyncScope(talent_ids=(talent_id,), limit=1, force=True))


sync_profile_images = dg.define_asset_job(
    SYNC_JOB,
    selection=_EVERYTHING,
    executor_def=dg.in_process_executor,
    tags={TRIGGER_TAG: "manual"},
    description=(
        "Brings profile pictures up to date. Without any config: everyone who is due, up to 200, the longest waiting "
        "first. The daily schedule and the sensor ask for runs of this job; resources > scope narrows it down by hand."
    ),
)

refresh_talent = dg.define_asset_job(
    REFRESH_JOB,
    selection=_EVERYTHING,
    executor_def=dg.in_process_executor,
    config=refresh_one_talent,
    tags={TRIGGER_TAG: "manual"},
    description="Refreshes one talent's picture now: type the talent's id. An id that nobody has fails once.",
)
