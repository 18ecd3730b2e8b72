"""Running a job now, in this process, with its run in Dagster's history.

What belongs here: finding the persistent instance and running one of our jobs in it, for the command line.
What does not: schedule, sensor and what a job does.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from talent_image_pipeline.assets.naming import TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.automation.instance import open_instance
from talent_image_pipeline.automation.jobs import REFRESH_JOB, SYNC_JOB
from talent_image_pipeline.definitions import build_definitions
from talent_image_pipeline.errors import UserError

#: The job's page in the UI lists a run only under the code location that it came from (workspace.yaml).
_ORIGIN_TAGS = {".dagster/repository": "__repository__@talent_image_pipeline"}


_INTERRUPT = dg.DagsterExecutionInterruptedError.__name__
_OUR_PACKAGE = f"{__package__}."


class NoDagsterHomeError(UserError):
    """There is no persistent Dagster instance to put runs into."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that has ended.

    Attributes:
        run_id: The run in Dagster's history.
        failure: In words why it failed; none when it succeeded.
        api_calls: Calls to all platforms.
        downloads: Pictures that were downloaded.
    """

    run_id: str
    failure: str | None
    api_calls: int
    downloads: int


def use_dagster_home() -> Path:
    """Make ``DAGSTER_HOME``, or else the ``dagster.yaml`` here, the instance of this process and its children.

    Raises:
        NoDagsterHomeError: when there is neither.
    """
    if os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    here = Path.cwd()
    if not (here / "dagster.yaml").exists():
        raise NoDagsterHomeError(
            f"There is no dagster.yaml in {here}: run this in the repository's directory, or set DAGSTER_HOME."
        )
    os.environ["DAGSTER_HOME"] = str(here)
    return here


def run_refresh(talent_id: str, *, trigger: str = "manual", run_id: str | None = None) -> FinishedRun:
    """Refresh one talent now."""
    config = {"talent_id": talent_id}
    return _run(REFRESH_JOB, run_config=config, tags={TALENT_TAG: talent_id, TRIGGER_TAG: trigger}, run_id=run_id)


def run_sync(
    *,
    run_config: Mapping[str, Any] | None = None,
    trigger: str = "manual",
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> FinishedRun:
    """Sync everybody who is due now, up to 200, or whom the run config names."""
    return _run(SYNC_JOB, run_config=run_config or {}, tags={**(tags or {}), TRIGGER_TAG: trigger}, run_id=run_id)


def run_statuses(run_ids: Sequence[str]) -> dict[str, str]:
    """Return how far runs are, in Dagster's words, by id; those that have not begun are left out."""
    if not run_ids:
        return {}
    with _persistent_instance() as instance:
        records = instance.get_runs(filters=dg.RunsFilter(run_ids=list(run_ids)))
    return {run.run_id: run.status.value for run in records}


def record_interruption(run_id: str) -> None:
    """Note that a run was given up, unless it has ended."""
    with _persistent_instance() as instance:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, message="The service that ran it was stopped; what was read is kept.")


def warm_up() -> None:
    """Load what the first run in this process would load."""
    with _persistent_instance():
        _job(REFRESH_JOB)
        _job(SYNC_JOB)


def _run(job: str, *, run_config: Mapping[str, Any], tags: Mapping[str, str], run_id: str | None) -> FinishedRun:
    # Dagster's own lines are kept in the run's log; the terminal belongs to the command.
    with _persistent_instance() as instance, redirect_stderr(io.StringIO()):
        result = _job(job).execute_in_process(
            run_config=dict(run_config),
            instance=instance,
            tags={**_ORIGIN_TAGS, **tags},
            run_id=run_id,
            raise_on_error=False,
        )
        if _was_interrupted(result):
            raise KeyboardInterrupt
        return FinishedRun(
            run_id=result.run_id,
            failure=None if result.success else _failure_of(result),
            api_calls=_sum_of(result, "api_calls"),
            downloads=_sum_of(result, "downloads"),
        )


@cache
def _job(name: str) -> dg.JobDefinition:
    return build_definitions().resolve_job_def(name)


@contextmanager
def _persistent_instance() -> Iterator[dg.DagsterInstance]:
    with open_instance(use_dagster_home()) as instance:
        yield instance


def _sum_of(result: dg.ExecuteInProcessResult, name: str) -> int:
    """Return a figure of the assets' metadata, over all of them."""
    materializations = [event.materialization for event in result.get_asset_materialization_events()]
    values = [
        materialization.metadata[name].value for materialization in materializations if name in materialization.metadata
    ]
    return sum(value for value in values if isinstance(value, int))


def _failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Return why a run failed: in the words of the asset that failed, or of what kept the run from beginning."""
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error is not None:
            return _innermost(data.error)
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None)
        if error is not None:
            return _innermost(error)
    return "the run failed; its log in the Dagster UI says why"


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Ctrl-C or a termination ended a run, which Dagster turns into a failure."""
    errors = [getattr(event.event_specific_data, "error", None) for event in result.all_events]
    return any(error is not None and _first_cause(error).cls_name == _INTERRUPT for error in errors)


def _innermost(error: Any) -> str:
    """Return the message of the first cause, without the name of its class if it is an error that a person can mend."""
    cause = _first_cause(error)
    message = str(cause.message).strip()
    kind, _, words = message.partition(": ")
    return words if kind.startswith(_OUR_PACKAGE) else message


def _first_cause(error: Any) -> Any:
    """Return the first cause. Dagster does not export the type of what it keeps of an error."""
    while error.cause is not None:
        error = error.cause
    return error
