"""Whole syncs against the sandbox: the first one, and that of a day on which nothing changed.

What belongs here: running the daily job in a process of its own, and the floor that no pipeline could go below.
What does not: who is synced (``scenarios.py``) and how it is shown (``report.py``).
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.databases import insert_app_rows
from benchmarks.platforms import Latency, Sandbox
from benchmarks.rendering import coding_seconds, rendering_seconds, sample_pictures
from benchmarks.scenarios import Scenario
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.pictures.rendering.worker_pool import available_cores
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.sync.reading.tools import ReadingLimits

FIRST_SYNC = "first sync"
NOTHING_CHANGED = "nothing changed"
_SETTINGS = ("TALENT_", "INSTAGRAM_", "FACEBOOK_", "TIKTOK_", "YOUTUBE_", "DAGSTER_")
_SAMPLED_PICTURES = 60
_PICTURE_SIDE = 320
_RUN_DEADLINE_SECONDS = 3_600


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What the same day would take if nothing but the unavoidable took time.

    Attributes:
        latency_seconds: Waiting for the platforms, at the concurrency used.
        coding_seconds: Decoding and encoding the pictures on the cores there are.
        rendering_seconds: The same with all that is done to a picture: finding the face, the crop, recognising
            silhouettes, and refusing damaged files.
    """

    latency_seconds: float
    coding_seconds: float
    rendering_seconds: float

    @property
    def seconds(self) -> float:
        """The larger one of waiting, and of decoding and encoding."""
        return max(self.latency_seconds, self.coding_seconds)

    @property
    def seconds_with_crop(self) -> float:
        """The larger one of waiting, and of everything that is done to a picture."""
        return max(self.latency_seconds, self.rendering_seconds)


@dataclass(frozen=True, kw_only=True)
class SyncFigures:
    """What one run took.

    Attributes:
        scenario: Its name.
        talents: How many were synced.
        day: The first sync, or one on which nothing had changed.
        concurrency: Calls and pictures at once; none: the default.
        asset_seconds: By asset, on the clock.
        stage_seconds: By stage, summed over everything that went on at once.
        run_seconds: Of the whole run on the clock, without the start of its process.
        processor_seconds: Of the run's process, Dagster included.
        worker_processor_seconds: Of the picture workers, starting them included.
        sandbox_processor_seconds: Of the sandbox, on the same cores.
        own_peak_bytes: Peak memory of the run's process.
        workers_peak_bytes: Peak memory of the picture workers together.
        counts_by_asset: API calls, downloads and the like.
        outcomes: How the reads ended.
        floor: What it would take at least.
    """

    scenario: str
    talents: int
    day: str
    concurrency: int | None
    asset_seconds: dict[str, float]
    stage_seconds: dict[str, float]
    run_seconds: float
    processor_seconds: float
    worker_processor_seconds: float
    sandbox_processor_seconds: float
    own_peak_bytes: int
    workers_peak_bytes: int
    counts_by_asset: dict[str, dict[str, int]]
    outcomes: dict[str, int]
    floor: Floor

    @property
    def seconds(self) -> float:
        """Asset time: of all five assets together."""
        return sum(self.asset_seconds.values())

    def count(self, name: str) -> int:
        """Add up a count over all assets."""
        return sum(counts.get(name, 0) for counts in self.counts_by_asset.values())

    @property
    def calls_per_talent(self) -> float:
        """API calls for each talent."""
        return self.count("api_calls") / self.talents

    @property
    def peak_bytes(self) -> int:
        """Peak memory of the run and its workers together."""
        return self.own_peak_bytes + self.workers_peak_bytes


def measure_syncs(
    scenario: Scenario, *, sandbox: Sandbox, latency: Latency, concurrency: int | None, directory: Path
) -> list[SyncFigures]:
    """Sync a scenario for the first time, and again on a day on which nothing changed.

    Args:
        scenario: Whom; the sandbox has its accounts already.
        sandbox: The platforms.
        latency: Theirs, for the floor.
        concurrency: Calls and pictures at once; none: the default.
        directory: An empty directory for database and pictures.

    Raises:
        RuntimeError: when a run fails.
    """
    environment = _environment(sandbox, directory)
    engine = open_engine(f"sqlite:///{directory / 'talents.db'}")
    try:
        migrate(engine, with_app_tables=True)
        insert_app_rows(engine, scenario.accounts)
    finally:
        engine.dispose()
    figures = []
    for day in (FIRST_SYNC, NOTHING_CHANGED):
        before = sandbox.processor_seconds()
        told = _run(environment, talents=scenario.talents, concurrency=concurrency)
        figures.append(
            SyncFigures(
                scenario=scenario.name,
                talents=scenario.talents,
                day=day,
                concurrency=concurrency,
                sandbox_processor_seconds=sandbox.processor_seconds() - before,
                floor=_floor(told["counts_by_asset"], latency=latency, concurrency=concurrency),
                **told,
            )
        )
    return figures


def _environment(sandbox: Sandbox, directory: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return {
        **kept,
        **sandbox.environment,
        "TALENT_DATA_DIR": str(directory),
        "TALENT_ENV_FILE": str(directory / "none.env"),
    }


def _run(environment: Mapping[str, str], *, talents: int, concurrency: int | None) -> dict[str, Any]:
    """Execute the job in a process of its own and return what it says of itself."""
    platforms: dict[str, Any] = {"run_deadline_seconds": _RUN_DEADLINE_SECONDS}
    if concurrency is not None:
        platforms |= {"api_concurrency": concurrency, "picture_concurrency": concurrency}
    # Everyone again, however short ago the first sync was.
    config = {"limit": talents, "minimum_hours": 0.0}
    command = [sys.executable, "-m", "benchmarks.one_run", json.dumps(config), json.dumps(platforms)]
    finished = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if finished.returncode != 0:
        raise RuntimeError(f"a measured run ended with {finished.returncode}:\n{finished.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    if not told.pop("has_succeeded"):
        raise RuntimeError(f"a measured run failed:\n{finished.stderr[-2000:]}")
    return told


def _floor(counts: Mapping[str, Mapping[str, int]], *, latency: Latency, concurrency: int | None) -> Floor:
    downloads = sum(of_asset.get("downloads", 0) for of_asset in counts.values())
    waiting = _latency_floor(counts, latency=latency, concurrency=concurrency)
    if not downloads:
        return Floor(latency_seconds=waiting, coding_seconds=0.0, rendering_seconds=0.0)
    sample = sample_pictures(min(_SAMPLED_PICTURES, downloads), side=_PICTURE_SIDE)
    pictures_per_core = downloads / len(sample) / available_cores()
    return Floor(
        latency_seconds=waiting,
        coding_seconds=coding_seconds(sample) * pictures_per_core,
        rendering_seconds=rendering_seconds(sample) * pictures_per_core,
    )


def _latency_floor(counts: Mapping[str, Mapping[str, int]], *, latency: Latency, concurrency: int | None) -> float:
    """Return the time spent waiting if every place is taken at all times: all platforms at once, as a run goes.

    Pictures come in while further calls are made; the last call's picture, or the first call, comes on top.
    """
    limits = ReadingLimits()
    longest = 0.0
    for platform in PLATFORMS:
        of_platform = counts.get(f"{platform.name}_images", {})
        calls, downloads = of_platform.get("api_calls", 0), of_platform.get("downloads", 0)
        if not calls:
            continue
        calls_at_once = min(concurrency or limits.api_concurrency, platform.concurrency)
        pictures_at_once = concurrency or limits.picture_concurrency
        calling = math.ceil(calls / calls_at_once) * latency.api
        loading = math.ceil(downloads / pictures_at_once) * latency.image
        of_this = max(calling + (latency.image if downloads else 0.0), latency.api + loading)
        longest = max(longest, of_this)
    return longest
