"""The asset that chooses who is due in a run, and why.

What belongs here: the first asset, and how the assets after it find the batch that they work on.
What does not: who is due (``sync/planning/``).

See https://docs.dagster.io/guides/build/assets/defining-assets.
"""

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from talent_image_pipeline.assets.columns import table_schema
from talent_image_pipeline.assets.metadata import of_run
from talent_image_pipeline.assets.naming import CANDIDATES, GROUP, OWNERS, TRIGGER_TAG
from talent_image_pipeline.resources import DatabaseResource, SyncScopeResource
from talent_image_pipeline.sync.planning.scope import SyncScope

if TYPE_CHECKING:
    from talent_image_pipeline.sync.batch import BatchRun
    from talent_image_pipeline.sync.planning.candidates import Selection

_TRIGGERS_THAT_NAME_DELETED_TALENTS = {"daily", "catch_up", "sensor"}


@dg.asset(
    name=CANDIDATES,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "python"},
    description=(
        "Who is due in this run, and why: talents never synced, not synced for a day, with a changed account, or asked "
        "for by a person. The run's own batch in the table of the same name."
    ),
    metadata={"dagster/column_schema": table_schema(CANDIDATES), "dagster/table_name": CANDIDATES},
)
def candidate_talents(
    context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScopeResource
) -> dg.MaterializeResult[Any]:
    """Choose the run's candidates."""
    started = time.perf_counter()
    if context.run.tags.get(TRIGGER_TAG) == "daily":
        context.log.info("[CRON] Starting daily talent profile image sync")
    selection = choose_batch(context, database, scope.scope())
    reasons = Counter(str(candidate.reason) for candidate in selection.candidates)
    words = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "nobody is due"
    manual = f"; {len(selection.manual)} with a manual picture left alone" if selection.manual else ""
    context.log.info("[TALENT_IMAGE] %d candidates: %s%s", len(selection.candidates), words, manual)
    figures = {
        "talents": len(selection.candidates),
        **{f"reason/{reason}": count for reason, count in sorted(reasons.items())},
        "manual_left_alone": len(selection.manual),
        "seconds": round(time.perf_counter() - started, 3),
    }
    return dg.MaterializeResult(metadata={"summary": f"{words}{manual}", **of_run(figures)})


def choose_batch(context: dg.AssetExecutionContext, database: DatabaseResource, scope: SyncScope) -> "Selection":
    """Choose the run's talents.

    Raises:
        dagster.Failure: when a talent that a person named does not exist; it is not retried.
    """
    from talent_image_pipeline.sync.batch import choose
    from talent_image_pipeline.sync.planning.candidates import UnknownTalentError

    trigger = context.run.tags.get(TRIGGER_TAG)
    try:
        return choose(
            database.engine,
            database.settings,
            scope=scope,
            run_id=context.run.run_id,
            must_exist=trigger not in _TRIGGERS_THAT_NAME_DELETED_TALENTS,
        )
    except UnknownTalentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


def batch_of(context: dg.AssetExecutionContext, database: DatabaseResource) -> "BatchRun | None":
    """Return the batch that an asset works on; none when it is materialized alone, without a choice before it.

    Its own run's where that chooses candidates; otherwise that of the run that it repeats from the point of failure.
    """
    from talent_image_pipeline.database import candidate_queries, transactions
    from talent_image_pipeline.sync.batch import BatchRun

    run = context.run
    if _chooses_candidates(context):
        return BatchRun(run_id=run.run_id, batch=run.run_id, repeats=run.parent_run_id)
    # The run that is repeated may itself have repeated one, without choosing again. A platform that was materialized
    # alone has chosen under this run's own name.
    for earlier in (run.run_id, run.parent_run_id, run.root_run_id):
        if earlier is not None and transactions.read(database.engine, candidate_queries.load_candidates, earlier):
            return BatchRun(run_id=run.run_id, batch=earlier, repeats=run.parent_run_id)
    return None


def _chooses_candidates(context: dg.AssetExecutionContext) -> bool:
    steps = context.run.step_keys_to_execute
    is_in_job = any(node.name == CANDIDATES for node in context.job_def.nodes)
    return is_in_job and (steps is None or CANDIDATES in steps)
