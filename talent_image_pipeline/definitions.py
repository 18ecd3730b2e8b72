"""The whole pipeline on one page: assets and their checks, jobs, schedule, sensor, resources.

What belongs here: the list.
What does not: anything that is on the list.

See https://docs.dagster.io/guides/build/projects/project-structure.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from talent_image_pipeline.assets.candidate_talents import candidate_talents
from talent_image_pipeline.assets.checks import standing_checks
from talent_image_pipeline.assets.platform_images import platform_images
from talent_image_pipeline.assets.resolved_profile_images import resolved_profile_images
from talent_image_pipeline.automation.dead_runs import dead_runs
from talent_image_pipeline.automation.jobs import refresh_talent, sync_changed_accounts, sync_profile_images
from talent_image_pipeline.automation.release_job import release_held_back
from talent_image_pipeline.automation.schedules import daily_profile_image_sync, hourly_catch_up
from talent_image_pipeline.automation.sensors import social_account_changes
from talent_image_pipeline.resources import (
    DatabaseResource,
    PictureStoreResource,
    PlatformsResource,
    SettingsResource,
    SyncScopeResource,
)


def build_definitions(
    *, settings: SettingsResource | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return everything that Dagster knows of.

    Args:
        settings: What Dagster is told of the settings; by default the names of the variables that are set now. A run
            reads what it is not told of by itself.
        resource_overrides: Resources to use in place of the usual ones, by name.
    """
    settings = settings or SettingsResource.from_environment()
    database = DatabaseResource(environment=settings)
    picture_store = PictureStoreResource(environment=settings)
    resources: dict[str, Any] = {
        "settings": settings,
        "database": database,
        "picture_store": picture_store,
        "platforms": PlatformsResource(database=database, picture_store=picture_store),
        "scope": SyncScopeResource(),
    }
    return dg.Definitions(
        assets=[candidate_talents, platform_images, resolved_profile_images],
        asset_checks=[standing_checks],
        jobs=[sync_profile_images, refresh_talent, sync_changed_accounts, release_held_back],
        schedules=[daily_profile_image_sync, hourly_catch_up],
        sensors=[social_account_changes, dead_runs],
        resources=resources | dict(resource_overrides or {}),
        # Materializing assets by hand runs in one process too, for the reasons given in automation/jobs.py.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
