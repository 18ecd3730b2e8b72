"""The asset that decides which picture wins and writes it to the app's table and to the history.

What belongs here: the last asset.
What does not: the choice (``sync/resolution.py``) and writing it (``sync/publish.py``).

See https://docs.dagster.io/guides/build/assets/defining-assets.
"""

import time

import dagster as dg

from talent_image_pipeline.assets.candidate_talents import batch_of
from talent_image_pipeline.assets.checks import COLUMNS_MATCH_HISTORY, check_result, resolution_check_specs
from talent_image_pipeline.assets.frames import column_schema, resolution_metadata
from talent_image_pipeline.assets.naming import GROUP, OWNERS, TRIGGER_TAG
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import candidate_queries, fact_queries, tables, transactions
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.settings import active_platforms
from talent_image_pipeline.sync.publishing.publish import PublishingRules, publish
from talent_image_pipeline.sync.reporting.check_rules import judge_columns
from talent_image_pipeline.sync.reporting.reports import ResolutionReport


def resolved_profile_images_asset() -> dg.AssetsDefinition:
    """Return the asset ``resolved_profile_images``, after those of all active platforms."""
    platforms = active_platforms()

    @dg.asset(
        name="resolved_profile_images",
        deps=[f"{platform.name}_images" for platform in platforms],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"sql", "python"},
        description=(
            f"Which picture each candidate shows: {', '.join(one.label for one in platforms)}, then initials, of "
            "accounts connected at this moment. Written to the app's three columns and to the history; manual pictures "
            "are never touched."
        ),
        metadata={
            "dagster/column_schema": column_schema(tables.profile_image_versions),
            "dagster/table_name": tables.profile_image_versions.name,
        },
        check_specs=resolution_check_specs(),
    )
    def resolved_profile_images(context: dg.AssetExecutionContext, database: DatabaseResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        started = time.perf_counter()
        batch = batch_of(context, database)
        candidates = transactions.read(database.engine, candidate_queries.load_candidates, batch)
        rules = PublishingRules(
            public_url=database.settings.talent_image_public_url,
            verified_only=database.settings.talent_image_verified_only,
        )
        report = publish(database.engine, candidates, rules=rules, run_id=context.run.run_id, now=utc_now())
        report.seconds = time.perf_counter() - started
        otherwise = transactions.read(database.engine, fact_queries.talents_out_of_sync, picture_url=rules.around_hash)
        talents = transactions.read(database.engine, fact_queries.count_synced_talents)
        _log(context, report)
        return dg.MaterializeResult(
            metadata=resolution_metadata(report),
            check_results=[check_result(COLUMNS_MATCH_HISTORY, judge_columns(otherwise, talents=talents))],
        )

    return resolved_profile_images


def _log(context: dg.AssetExecutionContext, report: ResolutionReport) -> None:
    counts = (
        f"{report.talents} talents, {report.stamped} synced, {report.changed} changed "
        f"({', '.join(f'{count} {source}' for source, count in sorted(report.sources.items())) or 'none'})"
    )
    context.log.info("[TALENT_IMAGE] resolved: %s", counts)
    if context.run.tags.get(TRIGGER_TAG) == "daily":
        context.log.info("[CRON] Daily talent profile image sync completed: %s", counts)
