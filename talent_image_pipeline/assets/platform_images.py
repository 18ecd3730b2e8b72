"""What each network says now of the candidates' accounts, and the bytes of what is new: one step, an asset each.

What belongs here: the step. A platform in the registry gets its asset by itself. All platforms of a run are read at
once, so that a run takes as long as the slowest of them.
What does not: reading (``sync/reading/``).

See https://docs.dagster.io/guides/build/assets/defining-assets#multi-asset.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from talent_image_pipeline.assets.candidate_talents import batch_of, choose_batch
from talent_image_pipeline.assets.columns import table_schema
from talent_image_pipeline.assets.metadata import TalentPages, platform_metadata, platform_summary
from talent_image_pipeline.assets.naming import CANDIDATES, GROUP, OWNERS, platform_asset
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.resources import DatabaseResource, PlatformsResource, SyncScopeResource
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.reporting.reports import MAX_LISTED, PlatformReport

if TYPE_CHECKING:
    from talent_image_pipeline.sync.batch import BatchRun

_TABLE = "platform_images"


def _spec(platform: Platform) -> dg.AssetSpec:
    return dg.AssetSpec(
        platform_asset(platform.name),
        deps=[CANDIDATES],
        group_name=GROUP,
        owners=OWNERS,
        kinds={platform.kind, "sql"},
        description=(
            f"What {platform.label} says now of the candidates' accounts: one row per account in the ledger, and the "
            "bytes of every new picture in the store. A failure of the network keeps the picture that we own. "
            "Materialized alone: everyone who is due and has an account there."
        ),
        metadata={"dagster/column_schema": table_schema(_TABLE), "dagster/table_name": _TABLE},
    )


@dg.multi_asset(name="platform_images", specs=[_spec(platform) for platform in active_platforms()], can_subset=True)
def platform_images(
    context: dg.AssetExecutionContext,
    database: DatabaseResource,
    platforms: PlatformsResource,
    scope: SyncScopeResource,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Read the selected platforms at once and report each as it ends."""
    from talent_image_pipeline.sync.batch import read_platforms

    wanted = scope.scope()
    selected = [
        one for one in active_platforms() if dg.AssetKey(platform_asset(one.name)) in context.selected_asset_keys
    ]
    reads = read_platforms(
        database.engine,
        database.settings,
        platforms.threads,
        platforms=selected,
        run=batch_of(context, database) or _choose_alone(context, database, wanted, selected),
        scope=wanted,
    )
    failed = []
    for read in reads:
        if read.report is None:
            failed.append(f"{read.platform.label}: {type(read.error).__name__}")
            context.log.error("[TALENT_IMAGE] %s: an error of this pipeline", read.platform.label, exc_info=read.error)
        else:
            yield _result(context, database, read.platform, read.report)
    if failed:
        raise dg.Failure(
            description=f"Reading ended in an error of ours: {'; '.join(failed)}. What the others gave is kept."
        )


def _choose_alone(
    context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScope, selected: list[Platform]
) -> "BatchRun":
    """Choose everyone who is due on the selected platforms: nobody chose before this step."""
    from talent_image_pipeline.sync.batch import BatchRun

    selection = choose_batch(context, database, scope.on(platform.name for platform in selected))
    labels = ", ".join(platform.label for platform in selected)
    context.log.info("[TALENT_IMAGE] %d candidates: everyone due on %s", len(selection.candidates), labels)
    return BatchRun(run_id=context.run.run_id, batch=context.run.run_id, repeats=context.run.parent_run_id)


def _result(
    context: dg.AssetExecutionContext, database: DatabaseResource, platform: Platform, report: PlatformReport
) -> dg.MaterializeResult[Any]:
    from talent_image_pipeline.database import history_queries, transactions
    from talent_image_pipeline.sync.reporting.reconnects import accounts_waiting_for_their_talent

    waiting = transactions.read(database.engine, accounts_waiting_for_their_talent, platform=platform, now=utc_now())
    listed = {one.talent_id for one in report.failures} | {one.talent_id for one in waiting[:MAX_LISTED]}
    names = transactions.read(database.engine, history_queries.talent_names, sorted(listed))
    pages = TalentPages(public_url=database.settings.talent_image_public_url, names=names)
    context.log.info("[TALENT_IMAGE] %s: %s", platform.label, platform_summary(report))
    metadata = platform_metadata(report, waiting, pages=pages)
    return dg.MaterializeResult(asset_key=platform_asset(platform.name), metadata=metadata)
