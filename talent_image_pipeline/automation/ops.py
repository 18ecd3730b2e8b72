"""The op behind the jobs about a few talents: it does what the assets do, in one step.

What belongs here: the step, and the one materialization that it leaves on ``resolved_profile_images``.
What does not: what a person types (``jobs.py``) and the single steps (``sync/batch.py``).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from talent_image_pipeline.assets.metadata import few_talents_metadata
from talent_image_pipeline.assets.naming import RESOLVED, TALENT_TAG
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.resources import DatabaseResource, PlatformsResource
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.reporting.refresh_summary import summarize_refresh

if TYPE_CHECKING:
    from talent_image_pipeline.sync.batch import BatchReport


class SyncTalents(dg.Config):
    """Which talents the op is about."""

    talent_ids: list[str] = Field(description="Their ids in the app.")
    force: bool = Field(default=False, description="Read their accounts now, whether or not they are due.")
    may_be_deleted: bool = Field(default=False, description="Whether an id that the app does not know is no error.")


@dg.op(
    out=dg.Out(dg.Nothing),
    description=(
        "Reads the talents' accounts on all platforms at once, decides what they show and writes it down. A network "
        "that fails keeps the picture and fails no run."
    ),
)
def sync_talents(
    context: dg.OpExecutionContext, config: SyncTalents, database: DatabaseResource, platforms: PlatformsResource
) -> None:
    """Choose, read and resolve the talents in one step."""
    if len(config.talent_ids) == 1 and TALENT_TAG not in context.run.tags:
        # The launchpad has no tags: whoever types an id finds the run by it all the same.
        context.instance.add_run_tags(context.run.run_id, {TALENT_TAG: config.talent_ids[0]})
    report = _sync(context, config, database, platforms)
    labels = {platform.name: platform.label for platform in PLATFORMS}
    summary = summarize_refresh(report.platforms, report.resolution, labels=labels)
    metadata: dict[str, Any] = few_talents_metadata(report.platforms, report.resolution, summary)
    context.log.info("[TALENT_IMAGE] %s", metadata["summary"])
    context.log_event(dg.AssetMaterialization(RESOLVED, metadata=metadata))


def _sync(
    context: dg.OpExecutionContext, config: SyncTalents, database: DatabaseResource, platforms: PlatformsResource
) -> "BatchReport":
    from talent_image_pipeline.sync.batch import sync_batch
    from talent_image_pipeline.sync.planning.candidates import UnknownTalentError

    scope = SyncScope(talent_ids=tuple(config.talent_ids), limit=max(1, len(config.talent_ids)), force=config.force)
    try:
        return sync_batch(
            database.engine,
            database.settings,
            platforms.threads,
            scope=scope,
            run_id=context.run.run_id,
            repeats=context.run.parent_run_id,
            must_exist=not config.may_be_deleted,
        )
    except UnknownTalentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
