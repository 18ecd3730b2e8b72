"""Which runs wait in Dagster's queue and which are launched at once.

What belongs here: the coordinator that ``deploy/dagster.yaml`` names.
What does not: limits, which that file sets, and launching (``warm_workers.py``).

The queue is looked at once a second, which would be most of what a refresh on a warm worker takes. Daily batches and
catch-ups wait in it and leave places free; what a person or a changed account asked for goes straight to a worker. Two
refreshes of one talent at once are no harm: the second finds the accounts claimed and waits for them.
"""

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

from talent_image_pipeline.assets.naming import TRIGGER_TAG

_WAITING_TRIGGERS = frozenset({"daily", "catch_up"})


class PromptRunCoordinator(QueuedRunCoordinator):
    """Queues the batches of the day and launches everything else at once."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Launch or queue a run that was just created."""
        run = context.dagster_run
        if run.status is not dg.DagsterRunStatus.NOT_STARTED or run.tags.get(TRIGGER_TAG) in _WAITING_TRIGGERS:
            return super().submit_run(context)
        return self._instance.launch_run(run.run_id, context.workspace)
