"""The asset that decides which picture wins and writes it to the app's table and to the history.

What belongs here: the last asset.
What does not: the choice and writing it (``sync/publishing/``).

See https://docs.dagster.io/guides/build/assets/defining-assets.
"""

from typing import Any

import dagster as dg

from talent_image_pipeline.assets.candidate_talents import batch_of
from talent_image_pipeline.assets.checks import evaluate_after_batch
from talent_image_pipeline.assets.columns import table_schema
from talent_image_pipeline.assets.metadata import TalentPages, resolution_metadata, resolution_summary
from talent_image_pipeline.assets.naming import GROUP, OWNERS, RESOLVED, TRIGGER_TAG, platform_asset
from talent_image_pipeline.resources import DatabaseResource, SyncScopeResource
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.reporting.reports import ResolutionReport

_TABLE = "profile_image_versions"


@dg.asset(
    name=RESOLVED,
    deps=[platform_asset(platform.name) for platform in active_platforms()],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "python"},
    description=(
        f"Which picture each candidate shows: {', '.join(one.label for one in active_platforms())}, then initials, of "
        "accounts connected at this moment. Written to the app's three columns and to the history; manual pictures are "
        "never touched. Materialized alone: everyone whose account changed or was read since."
    ),
    metadata={"dagster/column_schema": table_schema(_TABLE), "dagster/table_name": _TABLE},
)
def resolved_profile_images(
    context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScopeResource
) -> dg.MaterializeResult[Any]:
    """Resolve the run's batch."""
    from talent_image_pipeline.database import history_queries, transactions
    from talent_image_pipeline.sync.batch import resolve_batch, resolve_unfinished

    run = batch_of(context, database)
    if run is None:
        report = resolve_unfinished(database.engine, database.settings, scope=scope.scope(), run_id=context.run.run_id)
    else:
        report = resolve_batch(database.engine, database.settings, run=run)
    _log(context, report)
    changed = [talent_id for talent_id, _, _ in report.changes]
    names = transactions.read(database.engine, history_queries.talent_names, changed)
    pages = TalentPages(public_url=database.settings.talent_image_public_url, names=names)
    if report.talents:
        for verdict in evaluate_after_batch(database):
            context.log_event(verdict)
    return dg.MaterializeResult(metadata=resolution_metadata(report, pages=pages))


def _log(context: dg.AssetExecutionContext, report: ResolutionReport) -> None:
    words = resolution_summary(report)
    if context.run.tags.get(TRIGGER_TAG) == "daily":
        # Both prefixes in one line: each line is an event in Dagster's database.
        context.log.info("[TALENT_IMAGE] [CRON] Daily talent profile image sync completed: %s", words)
    else:
        context.log.info("[TALENT_IMAGE] resolved: %s", words)
