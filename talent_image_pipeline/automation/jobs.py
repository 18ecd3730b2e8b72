"""The jobs: the sync of a batch, the refresh of one talent, and the sync of talents whose accounts changed.

What belongs here: what a job runs, what a person types into its launchpad, and the run config that others ask with.
What does not: what assets and ops do (``assets/``, ``ops.py``).

A batch materializes the assets. A job about a few talents is one op instead: four to six times cheaper, and what goes
wrong with one talent turns no asset red.

All run in one process: with the multiprocess executor every step starts an interpreter of its own, and five steps took
21 s instead of 4 s on two cores. It also lets launchers run them that forbid child processes.
See https://docs.dagster.io/guides/build/jobs/asset-jobs.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import dagster as dg
from pydantic import Field

from talent_image_pipeline.assets.naming import GROUP, TRIGGER_TAG
from talent_image_pipeline.automation.ops import SyncTalents, sync_talents
from talent_image_pipeline.automation.refusals import RefusedRun, platforms_named, talents_named
from talent_image_pipeline.resources import SyncScopeResource
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DUE_AFTER_HOURS, SyncScope

SYNC_JOB = "sync_profile_images"
REFRESH_JOB = "refresh_talent"
CHANGES_JOB = "sync_changed_accounts"

#: What the launchpad opens with.
EXAMPLE_TALENT = "talent_123"


#: Whether runs of this thread leave the process's output alone: Dagster's lines stand in the run's log all the same.
prints_nothing: ContextVar[bool] = ContextVar("prints_nothing", default=False)


class SyncProfileImages(dg.Config):
    """What a person types to sync a batch; with nothing typed it is everyone who is due, up to 200."""

    talents: list[str] = Field(
        default=[],
        description='Only these talents, by id or by name, e.g. ["talent_123", "Ana Lima"]. Empty: everyone.',
    )
    platforms: list[str] = Field(
        default=[], description='Only talents who are due on these platforms, e.g. ["tiktok"]. Empty: all platforms.'
    )
    force: bool = Field(
        default=False,
        description="Read now, whether or not it is due, and also accounts that wait to be reconnected.",
    )
    limit: int = Field(default=BATCH_SIZE, description="At most this many talents, the longest waiting first.")
    minimum_hours: float = Field(
        default=DUE_AFTER_HOURS, description="How many hours ago a talent's last sync must be for the talent to be due."
    )
    batch: list[str] = Field(
        default=[], description="For the daily schedule: the ids of its batch. People use talents instead."
    )


@dg.config_mapping
def choose_batch(config: SyncProfileImages) -> dg.RunConfig:
    """Turn what was typed into the run's scope.

    Raises:
        RefusedRun: for a talent or platform that nobody has, before a run exists.
    """
    try:
        scope = SyncScope(
            talent_ids=(*config.batch, *talents_named(config.talents)),
            limit=config.limit,
            force=config.force,
            minimum_hours=config.minimum_hours,
            platforms=tuple(platforms_named(config.platforms)),
        )
    except ValueError as error:
        raise RefusedRun(str(error)) from None
    return dg.RunConfig(resources={"scope": SyncScopeResource.of(scope)}, loggers=_loggers())


class RefreshTalent(dg.Config):
    """What a person types to refresh one talent."""

    talent_id: str = Field(
        default=EXAMPLE_TALENT, description="The talent's id in the app, or a name that only one talent has."
    )


@dg.config_mapping
def choose_one_talent(config: RefreshTalent) -> dg.RunConfig:
    """Turn the one field of the launchpad into what the op does: this talent, now.

    Raises:
        RefusedRun: for a blank, an id that nobody has or a name that several have, before a run exists.
    """
    return _few_talents(SyncTalents(talent_ids=talents_named([config.talent_id]), force=True))


class SyncChangedAccounts(dg.Config):
    """Whose accounts changed."""

    talent_ids: list[str] = Field(description="The ids of the talents, also of those that the app has just deleted.")


@dg.config_mapping
def choose_changed(config: SyncChangedAccounts) -> dg.RunConfig:
    """Turn the talents into what the op does: what changed with them, and nothing else."""
    return _few_talents(SyncTalents(talent_ids=config.talent_ids, may_be_deleted=True))


def _few_talents(config: SyncTalents) -> dg.RunConfig:
    return dg.RunConfig(ops={sync_talents.name: config}, loggers=_loggers())


def _loggers() -> dict[str, Any]:
    return {"console": {"config": {"log_level": "CRITICAL"}}} if prints_nothing.get() else {}


sync_profile_images = dg.define_asset_job(
    SYNC_JOB,
    # Checks stand for themselves: they look at the ledger, not at a batch.
    selection=dg.AssetSelection.groups(GROUP).without_checks(),
    executor_def=dg.in_process_executor,
    config=choose_batch,
    tags={TRIGGER_TAG: "manual"},
    description=(
        "Brings pictures up to date: everyone who is due, up to 200. The daily schedule asks for runs of this job. By "
        "hand: the arrow beside Materialize all, Open launchpad; it names talents or platforms, or reads them by force."
    ),
)


@dg.job(
    name=REFRESH_JOB,
    config=choose_one_talent,
    executor_def=dg.in_process_executor,
    tags={TRIGGER_TAG: "manual"},
    description=(
        "Refreshes one talent's picture now. Open the tab Launchpad, replace the example by the talent's id or name, "
        "and launch. A name that nobody has is refused at once, with the nearest ones."
    ),
)
def refresh_talent() -> None:
    """Read and resolve one talent."""
    sync_talents()


@dg.job(
    name=CHANGES_JOB,
    config=choose_changed,
    executor_def=dg.in_process_executor,
    tags={TRIGGER_TAG: "sensor"},
    description=(
        "Carries changed accounts to their talents: connected, disconnected, renamed, deleted, or failed before and "
        "to be read again. The sensor social_account_changes asks for its runs."
    ),
)
def sync_changed_accounts() -> None:
    """Read and resolve the talents whose accounts changed."""
    sync_talents()


def batch_config(scope: SyncScope) -> dict[str, Any]:
    """Return the run config with which ``sync_profile_images`` is asked for a batch."""
    return {
        "batch": list(scope.talent_ids),
        "platforms": list(scope.platforms),
        "force": scope.force,
        "limit": scope.limit,
        "minimum_hours": scope.minimum_hours,
    }


def changes_config(talent_ids: Sequence[str]) -> dict[str, Any]:
    """Return the run config with which ``sync_changed_accounts`` is asked for talents."""
    return {"talent_ids": list(talent_ids)}


def talents_named_in(run_config: Any) -> list[str]:
    """Return the talents that a run's config names, of any of the jobs; empty where it names none."""
    config = run_config if isinstance(run_config, dict) else {}
    named: list[Any] = [config.get("talent_id")]
    for field in ("talent_ids", "batch", "talents"):
        listed = config.get(field)
        named += listed if isinstance(listed, list) else []
    return [talent_id for talent_id in named if isinstance(talent_id, str)]
