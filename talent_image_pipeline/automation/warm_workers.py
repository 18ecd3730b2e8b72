"""Runs on warm Celery workers: how Dagster hands them over, and the program that each worker is.

What belongs here: the launcher that ``deploy/dagster.yaml`` names, the Celery app of the workers, and what a worker
loads before its first run.
What does not: what a run does, and how many workers there are (``deploy/``).

A fresh process costs a run 3 to 4 s of imports before its first step; a worker has paid them. See
https://docs.dagster.io/api/libraries/dagster-celery.
"""

import logging
from typing import Any

import celery
import dagster as dg
from celery.signals import worker_process_init
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from talent_image_pipeline.definitions import defs

_logger = logging.getLogger(__name__)

#: How long a new worker process may load before Celery takes it for dead, in seconds.
_SECONDS_TO_WARM_UP = 120


class WarmWorkerLauncher(CeleryRunLauncher):
    """Hands runs to Celery workers, and takes a run for dead only where a worker said so.

    Dagster's own launcher also says "unknown" of a run whose state Celery has lost, as after a restart of Redis, and
    run monitoring would then end a healthy run. Whether such a run still lives is seen from its heartbeats.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return what Celery knows of a run."""
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        health = super().check_run_worker_health(run)
        if health.status is WorkerStatus.UNKNOWN:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return health


def build_worker_app(instance: dg.DagsterInstance) -> celery.Celery:
    """Return the Celery app of a worker: of the same broker and backend as the instance's launcher.

    Raises:
        dagster.DagsterInvariantViolationError: when the instance launches its runs in another way.
    """
    launcher = instance.run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        raise dg.DagsterInvariantViolationError(
            f"DAGSTER_HOME's dagster.yaml launches runs with {type(launcher).__name__}: use deploy/dagster.yaml, "
            "whose run_launcher is WarmWorkerLauncher"
        )
    app = launcher.celery
    create_execute_job_task(app)
    create_resume_job_task(app)
    app.conf.worker_proc_alive_timeout = _SECONDS_TO_WARM_UP
    worker_process_init.connect(warm_up)
    return app


def warm_up(**_: Any) -> None:
    """Load in a new worker process what its first run would load: seconds that nobody waits for then."""
    repository = defs.get_repository_def()
    jobs = repository.get_all_jobs()
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
    _logger.info("[TALENT_IMAGE] this worker process is warm: %d jobs loaded", len(jobs))
