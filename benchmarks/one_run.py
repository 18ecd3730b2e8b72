"""One run of the daily job in a process of its own, as Dagster starts one: measured, and told as JSON.

What belongs here: executing the job once and reading off what it cost.
What does not: preparing databases and platforms, and comparing runs (``syncing.py``).

The settings come from the environment; the arguments are the run's config and the fields of the platforms' resource, as
JSON. The last line of standard output is the measurement.
"""

import json
import logging
import sys
from collections import Counter, defaultdict
from typing import Any

import dagster as dg

from benchmarks.measuring import PeakMemory, effort
from talent_image_pipeline.automation.jobs import SYNC_JOB
from talent_image_pipeline.definitions import build_definitions
from talent_image_pipeline.resources import DatabaseResource, PictureStoreResource, PlatformsResource

_COUNTED = ("api_calls", "downloads", "bytes_received", "token_refreshes", "pictures_changed", "left_for_later")


def run_and_measure(run_config: dict[str, Any], platforms: dict[str, Any]) -> dict[str, Any]:
    """Execute the daily job once and return what it did and took.

    Returns:
        ``asset_seconds`` by asset; ``seconds`` and processor seconds of the whole run, imports apart; memory in
        bytes; ``counts_by_asset``; ``outcomes`` over all platforms; ``stage_seconds``, summed over everything that
        went on at once; ``has_succeeded``.
    """
    limited = PlatformsResource(database=DatabaseResource(), picture_store=PictureStoreResource(), **platforms)
    job = build_definitions(resource_overrides={"platforms": limited}).resolve_job_def(SYNC_JOB)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.ephemeral() as instance, PeakMemory() as memory, effort() as taken:
        result = job.execute_in_process(run_config=run_config, instance=instance, raise_on_error=False)
    return {
        "has_succeeded": result.success,
        "asset_seconds": _asset_seconds(result),
        "run_seconds": taken.seconds,
        "processor_seconds": taken.processor_seconds,
        "worker_processor_seconds": taken.children_processor_seconds,
        "own_peak_bytes": memory.own_bytes,
        "workers_peak_bytes": memory.children_bytes,
        **_told_by_assets(result),
    }


def _asset_seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    return {
        str(event.step_key): event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.STEP_SUCCESS
    }


def _told_by_assets(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    outcomes: Counter[str] = Counter()
    stages: defaultdict[str, float] = defaultdict(float)
    for event in result.get_asset_materialization_events():
        asset = event.materialization.asset_key.path[-1]
        for full_name, entry in event.materialization.metadata.items():
            name = full_name.removeprefix("run/")
            kind, _, detail = name.partition("/")
            value: Any = entry.value
            if name in _COUNTED:
                counts.setdefault(asset, {})[name] = int(value)
            elif kind == "outcome":
                outcomes[detail] += int(value)
            elif kind == "seconds_in":
                stages[detail] += float(value)
    return {"counts_by_asset": counts, "outcomes": dict(outcomes), "stage_seconds": dict(stages)}


if __name__ == "__main__":
    print(json.dumps(run_and_measure(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))
