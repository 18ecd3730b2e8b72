"""Running a job now, in this process, with its run in Dagster's history: for the command line and the service.

What belongs here: finding the persistent instance, running one of our jobs in it, and keeping warm what the next run
needs too.
What does not: schedule, sensor and what a job does.

Such a run goes past Dagster's queue and starts no process. It shows in the UI like any other: on the timeline, on its
job's page and in the asset's history.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load import location_origin_from_module_name

from talent_image_pipeline.assets.naming import TALENT_TAG, TRIGGER_TAG
from talent_image_pipeline.automation.instance import open_instance
from talent_image_pipeline.automation.jobs import (
    CHANGES_JOB,
    REFRESH_JOB,
    SYNC_JOB,
    batch_config,
    changes_config,
    prints_nothing,
)
from talent_image_pipeline.automation.refusals import RefusedRun, talents_named
from talent_image_pipeline.database.engine import open_engine, require_app_tables
from talent_image_pipeline.database.schema_revision import require_current_schema
from talent_image_pipeline.definitions import build_definitions
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.resources import DatabaseResource, PlatformsResource, SettingsResource
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline.sync.heartbeat import beating
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.planning.talent_names import find_talent
from talent_image_pipeline.sync.reading.platform_threads import open_platform_threads
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.refresh_summary import RefreshOutcome

_DEFINITIONS = "talent_image_pipeline.definitions"
#: The name of the code location in workspace.yaml: under it the UI lists the run.
_LOCATION = "talent_image_pipeline"
_REPOSITORY = "__repository__"
_REPOSITORY_TAG = ".dagster/repository"

_INTERRUPT = dg.DagsterExecutionInterruptedError.__name__
_OUR_PACKAGE = f"{__package__}."

#: The outcome of a refresh that ended in an error of this pipeline.
FAILED = "failed"

# Dagster captures what a run prints by redirecting the whole process's output. This process has other things to print.
_OVERRIDES: Any = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}


class NoDagsterHomeError(UserError):
    """There is no persistent Dagster instance to put runs into."""


class RefusedRunError(UserError):
    """A run that was asked for and not begun; the message says why and what to ask for instead."""


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


@dataclass(frozen=True, kw_only=True)
class RefreshResult:
    """How the refresh of one talent ended.

    Attributes:
        run_id: The run in Dagster's history.
        talent_id: The talent's id, also where it was named.
        outcome: ``changed``, ``unchanged``, ``kept`` (a network could not be read, the picture stays), ``manual`` (it
            was set by hand) or ``failed`` (by an error of this pipeline; the picture stays).
        changed: Whether the talent shows something else now.
        message: A sentence for the person who asked.
    """

    run_id: str
    talent_id: str
    outcome: str
    changed: bool
    message: str


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


def run_refresh(talent: str, *, trigger: str = "manual", run_id: str | None = None) -> FinishedRun:
    """Refresh one talent now, by id or by a name that only one has.

    Raises:
        NoDagsterHomeError: when there is no persistent instance.
        RefusedRunError: for an id or name that nobody has, before a run exists; the message names the nearest.
    """
    with _refusals_as_user_errors():
        (talent_id,) = talents_named([talent])
    tags = {TALENT_TAG: talent_id, TRIGGER_TAG: trigger}
    return _run_once(REFRESH_JOB, run_config={"talent_id": talent_id}, tags=tags, run_id=run_id)


def run_sync(
    *,
    run_config: Mapping[str, Any] | None = None,
    trigger: str = "manual",
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    resource_overrides: Mapping[str, Any] | None = None,
) -> FinishedRun:
    """Sync everybody who is due now, up to 200, or whom the run config names.

    Args:
        run_config: As ``automation.jobs.batch_config`` returns it, or as a person types it.
        trigger: Who asked, for the run's tag of that name.
        run_id: The run's id, where it was told before the run began.
        tags: Further tags of the run.
        resource_overrides: Resources to use in place of the usual ones, by name.

    Raises:
        NoDagsterHomeError: when there is no persistent instance.
        RefusedRunError: for a run config that is refused, before a run exists.
    """
    tags = {**(tags or {}), TRIGGER_TAG: trigger}
    return _run_once(
        SYNC_JOB, run_config=run_config or {}, tags=tags, run_id=run_id, resource_overrides=resource_overrides
    )


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


class WarmRuns:
    """Runs jobs in a process that keeps everything open: a run costs what Dagster writes down of it.

    Use it from any number of threads at once.
    """

    def __init__(self, instance: dg.DagsterInstance, definitions: dg.Definitions, engine: sa.Engine) -> None:
        """Get the jobs ready; see :func:`open_warm_runs`."""
        self._instance = instance
        self._engine = engine
        self._jobs = {name: definitions.resolve_job_def(name) for name in (REFRESH_JOB, CHANGES_JOB, SYNC_JOB)}

    def refresh(self, talent: str, *, trigger: str = "api", run_id: str | None = None) -> RefreshResult:
        """Read one talent's accounts now, decide what the talent shows, and return what came of it.

        Args:
            talent: The talent's id, or a name that only one talent has.
            trigger: The run's tag of that name: ``api``, or ``manual`` where a person pressed a button.
            run_id: The run's id, where it was told before the run began.

        Raises:
            UnknownTalentError: for what is nobody's id or name, before a run exists; the message names the nearest.
        """
        talent_id = find_talent(self._engine, talent)
        config = {"talent_id": talent_id}
        return self._about_one(REFRESH_JOB, talent_id, run_config=config, trigger=trigger, run_id=run_id)

    def sync_changed(self, talent_id: str, *, trigger: str = "api", run_id: str | None = None) -> RefreshResult:
        """Do at once what the sensor would ask for: carry a talent's changed accounts through, and read no others.

        The id may be one that the app has just deleted.
        """
        config = changes_config([talent_id])
        return self._about_one(CHANGES_JOB, talent_id, run_config=config, trigger=trigger, run_id=run_id)

    def sync(
        self,
        scope: SyncScope,
        *,
        trigger: str = "api",
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> FinishedRun:
        """Run ``sync_profile_images`` over a batch."""
        tags = {**(tags or {}), TRIGGER_TAG: trigger}
        return _finished(
            *_execute(self._jobs[SYNC_JOB], self._instance, run_config=batch_config(scope), tags=tags, run_id=run_id)
        )

    def _about_one(
        self, job_name: str, talent_id: str, *, run_config: Mapping[str, Any], trigger: str, run_id: str | None
    ) -> RefreshResult:
        tags = {TRIGGER_TAG: trigger, TALENT_TAG: talent_id}
        run, events = _execute(self._jobs[job_name], self._instance, run_config=run_config, tags=tags, run_id=run_id)
        told = next(iter(_materializations(events)), None)
        if told is None:
            outcome, message = FAILED, _failure_of(events)
        else:
            outcome, message = str(told.metadata["outcome"].value), str(told.metadata["summary"].value)
        return RefreshResult(
            run_id=run.run_id,
            talent_id=talent_id,
            outcome=outcome,
            changed=outcome == RefreshOutcome.CHANGED,
            message=message,
        )


@contextmanager
def open_warm_runs() -> Iterator[WarmRuns]:
    """Open all that refreshes need, once for the life of a process; the settings are read now.

    Definitions, Dagster's instance, database, event loop, connections to the platforms and picture workers stay open
    until the end of the block. Nothing touches the process's signals: refreshes belong into other threads than the main
    one, where Dagster itself would.

    Raises:
        NoDagsterHomeError: when there is no persistent instance.
        DatabaseUnavailableError: when the app's database cannot be opened.
        MissingAppTableError: when it is not the app's.
    """
    with ExitStack() as stack:
        instance = stack.enter_context(_persistent_instance())
        settings = load_settings()
        engine = open_engine(settings.database_url)
        stack.callback(engine.dispose)
        require_app_tables(engine)
        require_current_schema(engine)
        store = PictureStore.from_url(settings.image_store_url)
        threads = stack.enter_context(
            open_platform_threads(settings=settings, engine=engine, store=store, limits=ReadingLimits())
        )
        database = DatabaseResource.already_open(engine, settings)
        overrides = {
            "database": _lent(database),
            "platforms": dg.ResourceDefinition.hardcoded_resource(PlatformsResource.already_open(threads)),
        }
        definitions = build_definitions(settings=SettingsResource(), resource_overrides=overrides)
        yield WarmRuns(instance, definitions, engine)


def _lent(database: DatabaseResource) -> dg.ResourceDefinition:
    """Return a resource that hands an open database to each run, and gives the run's sign of life meanwhile."""

    @contextmanager
    def lend(context: dg.InitResourceContext) -> Iterator[DatabaseResource]:
        with beating(database.engine, run_id=context.run.run_id) if context.run else nullcontext():
            yield database

    return dg.ResourceDefinition(lend, description=DatabaseResource.__doc__)


def _run_once(
    job_name: str,
    *,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    run_id: str | None,
    resource_overrides: Mapping[str, Any] | None = None,
) -> FinishedRun:
    if resource_overrides is None:
        job = _job(job_name)
    else:
        definitions = build_definitions(settings=SettingsResource(), resource_overrides=resource_overrides)
        job = definitions.resolve_job_def(job_name)
    with _persistent_instance() as instance:
        run, events = _execute(job, instance, run_config=run_config, tags=tags, run_id=run_id)
    if _was_interrupted(events):
        raise KeyboardInterrupt
    return _finished(run, events)


@cache
def _job(name: str) -> dg.JobDefinition:
    # It serves every run of this process, whatever its settings are by then.
    return build_definitions(settings=SettingsResource()).resolve_job_def(name)


def _finished(run: dg.DagsterRun, events: Sequence[dg.DagsterEvent]) -> FinishedRun:
    has_succeeded = any(event.event_type is dg.DagsterEventType.RUN_SUCCESS for event in events)
    return FinishedRun(
        run_id=run.run_id,
        failure=None if has_succeeded else _failure_of(events),
        api_calls=_sum_of(events, "run/api_calls"),
        downloads=_sum_of(events, "run/downloads"),
    )


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    run_id: str | None,
) -> tuple[dg.DagsterRun, list[dg.DagsterEvent]]:
    """Create a run as the UI's own are, with the code location under which its pages list it, and execute it here."""
    with _without_printing(), _refusals_as_user_errors():
        run = instance.create_run_for_job(
            job_def=job,
            run_id=run_id,
            run_config=dict(run_config),
            tags={**job.run_tags, _REPOSITORY_TAG: f"{_REPOSITORY}@{_LOCATION}", **tags},
            remote_job_origin=_origin_of(job.name),
        )
        return run, list(execute_run_iterator(InMemoryJob(job), run, instance))


@contextmanager
def _refusals_as_user_errors() -> Iterator[None]:
    try:
        yield
    except RefusedRun as error:
        raise RefusedRunError(str(error)) from None


@contextmanager
def _without_printing() -> Iterator[None]:
    token = prints_nothing.set(True)
    try:
        yield
    finally:
        prints_nothing.reset(token)


def _origin_of(job: str) -> RemoteJobOrigin:
    location = location_origin_from_module_name(
        _DEFINITIONS, attribute=None, working_directory=str(Path.cwd()), location_name=_LOCATION
    )
    return RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(job)


@contextmanager
def _persistent_instance() -> Iterator[dg.DagsterInstance]:
    with open_instance(use_dagster_home(), overrides=_OVERRIDES) as instance:
        # For every run Dagster would configure the whole process's logging anew, under a lock that a run in another
        # thread waits for while it holds one that this needs. There is nothing to configure: the file names no handler.
        vars(instance)["get_yaml_python_handlers"] = list
        yield instance


def _materializations(events: Sequence[dg.DagsterEvent]) -> list[dg.AssetMaterialization]:
    return [
        event.step_materialization_data.materialization
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    ]


def _sum_of(events: Sequence[dg.DagsterEvent], name: str) -> int:
    """Return a figure of the assets' metadata, over all of them."""
    values = [
        materialization.metadata[name].value
        for materialization in _materializations(events)
        if name in materialization.metadata
    ]
    return sum(value for value in values if isinstance(value, int))


def _failure_of(events: Sequence[dg.DagsterEvent]) -> str:
    """Return why a run failed: in the words of the step that failed, or of what kept the run from beginning."""
    for event in events:
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return data.user_failure_data.description
            if data.error is not None:
                return _innermost(data.error)
    for event in events:
        error = getattr(event.event_specific_data, "error", None)
        if error is not None:
            return _innermost(error)
    return "the run failed; its log in the Dagster UI says why"


def _was_interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Whether Ctrl-C or a termination ended a run, which Dagster turns into a failure."""
    errors = [getattr(event.event_specific_data, "error", None) for event in events]
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
