"""The asset that chooses who is due in a run, and why.

What belongs here: the first asset, and how the assets after it find the batch that they work on.
What does not: who is due (``sync/due.py``, ``sync/candidates.py``).

See https://docs.dagster.io/guides/build/assets/defining-assets.
"""

import time
from collections import Counter

import dagster as dg

from talent_image_pipeline.assets.checks import NO_TRUSTED_ORIGINS, candidate_check_specs, check_result
from talent_image_pipeline.assets.frames import column_schema
from talent_image_pipeline.assets.naming import GROUP, OWNERS, TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import candidate_queries, tables, transactions
from talent_image_pipeline.resources import DatabaseResource, SyncScopeResource
from talent_image_pipeline.sync.planning.candidates import Selection, UnknownTalentError, choose_candidates
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.reporting.check_rules import judge_trusted_origins


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "python"},
    description=(
        "Who is due in this run, and why: talents never synced, not synced for a day, with a changed account, or asked "
        "for by a person. The run's own batch in the table of the same name."
    ),
    metadata={
        "dagster/column_schema": column_schema(tables.candidate_talents),
        "dagster/table_name": tables.candidate_talents.name,
    },
    check_specs=candidate_check_specs(),
)
def candidate_talents(
    context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScopeResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Choose the run's candidates."""
    started = time.perf_counter()
    trigger = context.run.tags.get(TRIGGER_TAG, "manual")
    if trigger == "daily":
        context.log.info("[CRON] Starting daily talent profile image sync")
    wanted = scope.scope()
    selection = _choose(context, database, wanted, must_exist=trigger not in {"daily", "sensor"})
    if wanted.force and len(wanted.talent_ids) == 1:
        context.instance.add_run_tags(context.run.run_id, {TALENT_TAG: wanted.talent_ids[0]})
    reasons = Counter(str(candidate.reason) for candidate in selection.candidates)
    words = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "nobody is due"
    manual = f"; {len(selection.manual)} with a manual picture left alone" if selection.manual else ""
    context.log.info("[TALENT_IMAGE] %d candidates: %s%s", len(selection.candidates), words, manual)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(selection.candidates),
            **{f"reason/{reason}": count for reason, count in sorted(reasons.items())},
            "manual_left_alone": len(selection.manual),
            "seconds": round(time.perf_counter() - started, 3),
        },
        check_results=[
            check_result(NO_TRUSTED_ORIGINS, judge_trusted_origins(sorted(database.settings.trusted_origins)))
        ],
    )


def _choose(
    context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScope, *, must_exist: bool
) -> Selection:
    try:
        return choose_candidates(
            database.engine,
            scope=scope,
            run_id=context.run.run_id,
            now=utc_now(),
            verified_only=database.settings.talent_image_verified_only,
            must_exist=must_exist,
        )
    except UnknownTalentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


def batch_of(context: dg.AssetExecutionContext, database: DatabaseResource) -> str:
    """Return the run whose candidates an asset works on.

    Its own run where that chooses candidates; the run that it repeats from the point of failure; otherwise, for an
    asset that is materialized alone, the newest batch.

    Raises:
        dagster.Failure: when an asset is materialized alone before any batch was ever chosen.
    """
    if _chooses_candidates(context):
        return context.run.run_id
    # The run that is repeated may itself have repeated one, without choosing anew.
    for repeated in (context.run.parent_run_id, context.run.root_run_id):
        if repeated is not None and transactions.read(database.engine, candidate_queries.load_candidates, repeated):
            return repeated
    newest = transactions.read(database.engine, candidate_queries.newest_batch)
    if newest is None:
        raise dg.Failure(
            description="No batch has been chosen yet: materialize candidate_talents first.", allow_retries=False
        )
    return newest


def _chooses_candidates(context: dg.AssetExecutionContext) -> bool:
    steps = context.run.step_keys_to_execute
    is_in_job = any(node.name == candidate_talents.op.name for node in context.job_def.nodes)
    return is_in_job and (steps is None or candidate_talents.op.name in steps)
