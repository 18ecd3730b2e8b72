"""One asset per platform: what the network says now of the candidates' accounts, and the bytes of what is new.

What belongs here: the factory. A platform in the registry gets its asset and its checks by itself.
What does not: reading (``sync/platform_reader.py``).

See https://docs.dagster.io/guides/build/assets/creating-asset-factories.
"""

import dagster as dg

from talent_image_pipeline.assets.candidate_talents import batch_of
from talent_image_pipeline.assets.checks import (
    ACCOUNTS_STAY_CONNECTED,
    ERROR_BUDGET,
    IS_ANSWERING,
    NOTHING_HELD_BACK,
    check_result,
    platform_check_specs,
)
from talent_image_pipeline.assets.frames import column_schema, platform_metadata
from talent_image_pipeline.assets.naming import GROUP, OWNERS
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, fact_queries, ledger_queries, tables, transactions
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.resources import DatabaseResource, PlatformsResource, SyncScopeResource
from talent_image_pipeline.sync.reporting.check_rules import (
    CHECKED_PERIOD,
    judge_answering,
    judge_connections,
    judge_error_budget,
    judge_held,
)
from talent_image_pipeline.sync.reporting.reconnects import accounts_waiting_for_their_talent
from talent_image_pipeline.sync.reporting.reports import PlatformReport


def platform_images_asset(*, platform: Platform) -> dg.AssetsDefinition:
    """Return the asset ``<platform>_images``."""
    name = f"{platform.name}_images"

    @dg.asset(
        name=name,
        deps=["candidate_talents"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={platform.kind, "sql"},
        description=(
            f"What {platform.label} says now of the candidates' accounts: one row per account in the ledger, and the "
            "bytes of every new picture in the store. A failure of the network keeps the picture that we own."
        ),
        metadata={
            "dagster/column_schema": column_schema(tables.platform_images),
            "dagster/table_name": tables.platform_images.name,
        },
        check_specs=platform_check_specs(asset=name, label=platform.label),
    )
    def platform_images(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        platforms: PlatformsResource,
        scope: SyncScopeResource,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        batch = batch_of(context, database)
        if context.run.parent_run_id is not None:
            # The run that this one repeats has ended, perhaps by being killed: nobody reads what it claimed.
            transactions.write(
                database.engine,
                ledger_queries.release_claims,
                run_id=context.run.parent_run_id,
                platform=platform.name,
            )
        accounts = transactions.read(
            database.engine,
            account_queries.load_batch_accounts,
            run_id=batch,
            platform=platform.name,
            verified_only=database.settings.talent_image_verified_only,
        )
        report = platforms.read(platform, accounts, run_id=context.run.run_id, scope=scope.scope())
        waiting = transactions.read(
            database.engine, accounts_waiting_for_their_talent, platform=platform, now=utc_now()
        )
        facts = transactions.read(
            database.engine, fact_queries.platform_facts, platform=platform.name, since=utc_now() - CHECKED_PERIOD
        )
        context.log.info("[TALENT_IMAGE] %s: %s", platform.label, _summary(report))
        return dg.MaterializeResult(
            metadata=platform_metadata(report, waiting),
            check_results=[
                check_result(IS_ANSWERING, judge_answering(facts, not_reached=report.not_reached)),
                check_result(
                    ERROR_BUDGET,
                    judge_error_budget(
                        facts, internal_errors=report.internal_errors, ended_unanswered=report.ended_unanswered
                    ),
                ),
                check_result(NOTHING_HELD_BACK, judge_held(facts, platform=platform.name)),
                check_result(ACCOUNTS_STAY_CONNECTED, judge_connections(waiting)),
            ],
        )

    return platform_images


def _summary(report: PlatformReport) -> str:
    outcomes = ", ".join(f"{reads} {outcome}" for outcome, reads in sorted(report.outcomes.items()))
    parts = [outcomes or "nothing to read"]
    if report.claimed_by_other_run:
        parts.append(f"{report.claimed_by_other_run} read by another run")
    if report.not_reached:
        parts.append(f"{report.not_reached} left for later")
    parts.append(f"{report.api_calls} calls, {report.downloads} downloads in {report.seconds:.1f} s")
    return "; ".join(parts)
