"""Running jobs in this process for the service, with their runs in Dagster's history.

What belongs here: what ``refreshing.py`` asks of whatever runs jobs, answered by ``runs.py``, kept warm.
What does not: Dagster itself, which takes seconds to import: it is loaded in the background when the service starts.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from talent_image_pipeline.service.refreshing import EndedRun, RunState
from talent_image_pipeline.sync.planning.scope import SyncScope

if TYPE_CHECKING:
    from talent_image_pipeline.runs import RefreshResult, WarmRuns

_TRIGGER = "api"
_SECONDS_TO_CLOSE = 5.0

_log = logging.getLogger(__name__)


class DagsterJobs:
    """Runs jobs in the persistent Dagster instance; every call may be made from any thread.

    Attributes:
        readiness: ``starting`` until the first run would begin at once, then ``ok``; ``unavailable`` without Dagster.
    """

    def __init__(self) -> None:
        self.readiness = "starting"
        self._opening = threading.Lock()
        self._open = ExitStack()
        self._warm: WarmRuns | None = None

    def refresh(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read one talent's accounts now."""
        return _ended(self._runs().refresh(talent_id, trigger=_TRIGGER, run_id=run_id))

    def sync_changed(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read what changed among one talent's accounts."""
        return _ended(self._runs().sync_changed(talent_id, trigger=_TRIGGER, run_id=run_id))

    def sync(self, scope: SyncScope, *, run_id: str, tags: Mapping[str, str]) -> EndedRun:
        """Sync the talents of a scope."""
        run = self._runs().sync(scope, trigger=_TRIGGER, run_id=run_id, tags=tags)
        return EndedRun(run_id=run.run_id, failure=run.failure)

    def states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Return how far these runs are; a run that has not begun is left out."""
        from talent_image_pipeline.runs import run_statuses

        return [RunState(run_id=run_id, status=status) for run_id, status in run_statuses(run_ids).items()]

    def record_interruption(self, run_id: str) -> None:
        """Note in a run's history that it was interrupted, unless it has ended."""
        from talent_image_pipeline.runs import record_interruption

        record_interruption(run_id)

    def warm_up(self) -> None:
        """Open what every run needs. What is missing, a refresh says when it is asked for."""
        try:
            self._runs()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service has other things to do
            self.readiness = "unavailable"
            _log.warning("[TALENT_IMAGE] refreshes are not ready: %s", error)

    def close(self) -> None:
        """Close what is open; what a run that was given up still holds is left to the end of the process."""
        closing = threading.Thread(target=self._open.close, daemon=True)
        closing.start()
        closing.join(timeout=_SECONDS_TO_CLOSE)

    def _runs(self) -> "WarmRuns":
        """Return what runs jobs; opened by whoever needs it first, and again where that failed."""
        with self._opening:
            if self._warm is None:
                from talent_image_pipeline.runs import open_warm_runs

                self._warm = self._open.enter_context(open_warm_runs())
                self.readiness = "ok"
            return self._warm


def _ended(result: "RefreshResult") -> EndedRun:
    from talent_image_pipeline.runs import FAILED

    return EndedRun(run_id=result.run_id, failure=result.message if result.outcome == FAILED else None)
