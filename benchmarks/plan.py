"""What a run of the benchmark measures, and measuring it, step by step.

What belongs here: sizes, and the order of the steps.
What does not: any single measurement.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.planning import measure_planning
from benchmarks.platforms import Latency, Sandbox, running_platforms
from benchmarks.rendering import measure_rendering
from benchmarks.report import Results
from benchmarks.scenarios import MIXES, Scenario, instagram_only
from benchmarks.syncing import SyncFigures, measure_syncs

#: What the replaced service was measured at.
USUAL_LATENCY = Latency(api=0.2, image=0.05)
PARTS = ("syncs", "growth", "pictures", "planning")

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        parts: Some of :data:`PARTS`.
        talents: How many the compared syncs are about.
        mixes: Which mixes of platforms they are about, by name.
        concurrencies: Calls and pictures at once in them; none: the default.
        growth: Sizes of the syncs that show how time and memory grow.
        latency: Of the platforms.
        pictures: How many of each size are rendered.
        picture_sides: Sizes of their sources, in pixels.
        planned_talents: How many talents the day is planned for.
        databases: Kinds of database that it is planned on.
    """

    parts: tuple[str, ...] = PARTS
    talents: int = 200
    mixes: tuple[str, ...] = tuple(MIXES)
    concurrencies: tuple[int | None, ...] = (1, None)
    growth: tuple[int, ...] = (200, 2_000)
    latency: Latency = USUAL_LATENCY
    pictures: int = 100
    picture_sides: tuple[int, ...] = (320, 1080)
    planned_talents: int = 100_000
    databases: tuple[str, ...] = ("sqlite", "postgresql")


def measure(plan: Plan, *, tell: Progress) -> Results:
    """Measure everything that a plan asks for.

    Args:
        plan: What.
        tell: Is told each step, in words, before it begins.
    """
    results = Results()
    if "pictures" in plan.parts:
        for side in plan.picture_sides:
            tell(f"rendering pictures of {side} px")
            results.rendering.append(measure_rendering(side=side, pictures=plan.pictures))
    if "syncs" in plan.parts or "growth" in plan.parts:
        with running_platforms(plan.latency) as sandbox:
            _measure_syncs(plan, results, sandbox, tell=tell)
    if "planning" in plan.parts:
        for kind in plan.databases:
            tell(f"planning for {plan.planned_talents:,} talents on {kind}")
            with _scratch() as directory:
                results.planning.append(measure_planning(kind, talents=plan.planned_talents, directory=directory))
    return results


def _measure_syncs(plan: Plan, results: Results, sandbox: Sandbox, *, tell: Progress) -> None:
    if "syncs" in plan.parts:
        for mix in plan.mixes:
            scenario = MIXES[mix](mix, talents=plan.talents)
            scenario.add_to(sandbox)
            # In this order the sandbox has drawn its pictures before the syncs that are compared with the floor.
            for concurrency in plan.concurrencies:
                _sync(plan, results.syncs, scenario, sandbox, concurrency=concurrency, tell=tell)
    if "growth" in plan.parts:
        for talents in plan.growth:
            scenario = instagram_only(f"growth{talents}", talents=talents)
            scenario.add_to(sandbox)
            _sync(plan, results.growth, scenario, sandbox, concurrency=None, tell=tell)


def _sync(
    plan: Plan,
    into: list[SyncFigures],
    scenario: Scenario,
    sandbox: Sandbox,
    *,
    concurrency: int | None,
    tell: Progress,
) -> None:
    tell(f"syncing {scenario.talents:,} {scenario.name}, {concurrency or 'the default'} at once")
    with _scratch() as directory:
        into += measure_syncs(
            scenario, sandbox=sandbox, latency=plan.latency, concurrency=concurrency, directory=directory
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="talent-images-benchmark-") as directory:
        yield Path(directory)
