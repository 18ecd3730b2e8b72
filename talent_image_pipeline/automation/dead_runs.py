"""The sensor that ends runs whose process or machine is gone.

What belongs here: asking Dagster which runs go on and the database for their signs of life, and ending dead ones.
What does not: which are dead (``sync/planning/dead_runs.py``).

Dagster's own run monitoring asks the launcher: the default one has no answer, and Celery's has none once the whole
machine of a worker is gone. See https://docs.dagster.io/deployment/execution/run-monitoring.
"""

from typing import TYPE_CHECKING

import dagster as dg

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.resources import DatabaseResource

if TYPE_CHECKING:
    import sqlalchemy as sa

#: The daemon looks every 5 s. An interval of 10 would be found not quite over and make it every 15.
_SECONDS_BETWEEN_LOOKS = 8
_GOING_ON = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dg.sensor(
    name="dead_runs",
    minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Ends runs that have given no sign of life for 20 seconds because their process, code server or machine is "
        "gone, and gives back what they had claimed, so that their talents go on at once. Asks for no runs itself."
    ),
)
def dead_runs(context: dg.SensorEvaluationContext, database: DatabaseResource) -> dg.SensorResult:
    """End the runs that are dead."""
    from talent_image_pipeline.database import heartbeat_queries, transactions
    from talent_image_pipeline.sync.planning.dead_runs import cursor_of, judge_runs, lookout_from

    runs = {run.run_id: run for run in context.instance.get_runs(filters=dg.RunsFilter(statuses=_GOING_ON))}
    beats = transactions.read(database.engine, heartbeat_queries.load_beats, list(runs)) if runs else {}
    verdict = judge_runs(going_on=frozenset(runs), beats=beats, before=lookout_from(context.cursor), now=utc_now())
    for run_id in verdict.dead:
        end_dead_run(context.instance, database.engine, run_id)
    ended = ", ".join(run_id[:8] for run_id in verdict.dead)
    reason = f"Ended {ended}: no sign of life." if ended else f"{len(runs)} runs going on, none of them dead."
    return dg.SensorResult(skip_reason=dg.SkipReason(reason), cursor=cursor_of(verdict.lookout))


def end_dead_run(instance: dg.DagsterInstance, engine: "sa.Engine", run_id: str) -> None:
    """End one run, unless it has ended by itself meanwhile, and give back what it had claimed."""
    from talent_image_pipeline.database import heartbeat_queries, transactions

    run = instance.get_run_by_id(run_id)
    place = transactions.read(engine, heartbeat_queries.place_of, run_id) or "a process that never got to its database"
    released = transactions.write(engine, heartbeat_queries.release_claims_of_dead_run, run_id)
    transactions.write(engine, heartbeat_queries.forget_heartbeats, [run_id])
    message = (
        f"[TALENT_IMAGE] This run is gone: {place} gave no sign of life for 20 seconds. It was killed, or its machine "
        f"or code server went away. {released} accounts that it was reading are free again; its talents are "
        "still due, and the next runs take them."
    )
    if run is None or run.is_finished:
        return
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message)
    else:
        instance.report_run_failed(run, message)
