"""The job with which a person believes a platform after the guard against mass losses held it back.

What belongs here: what a person types, and the one step. What does not: what is released (``operations/holds.py``).
"""

import dagster as dg
from pydantic import Field

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.platforms.registry import PLATFORMS, platform_named
from talent_image_pipeline.resources import DatabaseResource

RELEASE_JOB = "release_held_back"


class ReleaseHeldBack(dg.Config):
    """Whose word to believe."""

    platform: str = Field(
        description=f"One of {', '.join(platform.name for platform in PLATFORMS)}: the platform that the check names."
    )


@dg.op(out=dg.Out(dg.Nothing), description="Drops the pictures, and believes the dead tokens, that are held back.")
def release_platform(context: dg.OpExecutionContext, config: ReleaseHeldBack, database: DatabaseResource) -> None:
    """Release one platform."""
    from talent_image_pipeline.operations.holds import release_held

    platform = platform_named(config.platform)
    if platform is None:
        known = ", ".join(platform.name for platform in PLATFORMS)
        raise dg.Failure(
            description=f"There is no platform {config.platform!r}. Choose among {known}.", allow_retries=False
        )
    done = release_held(database.engine, platform.name, now=utc_now())
    context.log.info(
        "[TALENT_IMAGE] released %s: %d pictures dropped, %d accounts wait for their talents",
        platform.label,
        done.pictures,
        done.connections,
    )


@dg.job(
    name=RELEASE_JOB,
    executor_def=dg.in_process_executor,
    description=(
        "Believes a platform whose losses the check nothing_held_back reports: look at the platform first. The "
        "talents' pictures follow within a minute."
    ),
)
def release_held_back() -> None:
    """Release one platform."""
    release_platform()
