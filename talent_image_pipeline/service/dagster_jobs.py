"""Running jobs in this process for the service, with their runs in Dagster's history.

What belongs here: what ``refreshing.py`` asks of whatever runs jobs, answered by ``runs.py``.
What does not: Dagster itself, which takes seconds to import: it is loaded in the background when the service starts.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from talent_image_pipeline.service.refreshing import EndedRun, RunState
from talent_image_pipeline.sync.planning.scope import SyncScope

if TYPE_CHECKING:
    from talent_image_pipeline.runs import FinishedRun

_TRIGGER = "api"

_log = logging.getLogger(__name__)


class DagsterJobs:
    """Runs jobs in the persistent Dagster instance; every call may be made from any thread.

    Attributes:
        readiness: ``starting`` until the first run would begin at once, then ``ok``; ``unavailable`` without Dagster.
    """

    def __init__(self) -> None:
        self.readiness = "starting"

    def refresh(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read one talent's accounts now."""
        from talent_image_pipeline.runs import run_refresh

        return _ended(run_refresh(talent_id, trigger=_TRIGGER, run_id=run_id))

    def sync_changed(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read what changed among one talent's accounts."""
        scope = SyncScope(talent_ids=(talent_id,), limit=1)
        return self.sync(scope, run_id=run_id, tags={"talent_id": talent_id})

    def sync(self, scope: SyncScope, *, run_id: str, tags: Mapping[str, str]) -> EndedRun:
        """Sync the talents of a scope."""
        from talent_image_pipeline.automation.jobs import batch_config
        from talent_image_pipeline.runs import run_sync

        return _ended(run_sync(run_config=batch_config(scope), trigger=_TRIGGER, run_id=run_id, tags=tags))

    def states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Return how far these runs are; a run that has not begun is left out."""
        from talent_image_pipeline.runs import run_statuses

        return [RunState(run_id=run_id, status=status) for run_id, status in run_statuses(run_ids).items()]

    def record_interruption(self, run_id: str) -> None:
        """Note in a run's history that it was interrupted, unless it has ended."""
        from talent_image_pipeline.runs import record_interruption

        record_interruption(run_id)

    def warm_up(self) -> None:
        """Load what the first run would load. What is missing, a refresh says when it is asked for."""
        try:
            from talent_image_pipeline.runs import warm_up

            warm_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service has other things to do
            self.readiness = "unavailable"
            _log.warning("[TALENT_IMAGE] refreshes are not ready: %s", error)
        else:
            self.readiness = "ok"


def _ended(run: "FinishedRun") -> EndedRun:
    return EndedRun(run_id=run.run_id, failure=run.failure)
