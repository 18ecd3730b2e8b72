"""What was measured, as tables that a person reads and as JSON.

What belongs here: words, units and what is to be held.
What does not: measuring.
"""

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.planning import PlanningFigures
from benchmarks.rendering import RenderingFigures
from benchmarks.syncing import FIRST_SYNC, SyncFigures
from talent_image_pipeline.pictures.rendering.worker_pool import available_cores

_MEGABYTE = 1_000_000
_REPLACED = (
    "For comparison: the service that this pipeline replaces makes one call after the other. Measured on a machine of "
    "this class at the same latencies, with 200 talents, it takes 54.0 s for Instagram alone (52 s of them without its "
    "database) and 62.4 s for the mix, every day, and downloads no picture."
)
_FLOOR = (
    "Floor: the larger one of waiting for the platforms at the concurrency used, and of decoding and encoding those "
    "pictures on the cores there are (measured in this run). With crop: the same with everything that is done to a "
    "picture, finding the face above all. The sandbox works on the same cores; its share is shown."
)
_HELD = (
    "To be held on 2 cores, 200 talents, 320 px, with nothing else running: first sync below 3 s, nothing changed "
    "below 1 s; below 400 MB at any size; planning 100,000 talents below 1 s; a tick on PostgreSQL below 250 ms."
)


@dataclass(kw_only=True)
class Results:
    """Everything that was measured."""

    syncs: list[SyncFigures] = field(default_factory=list)
    growth: list[SyncFigures] = field(default_factory=list)
    rendering: list[RenderingFigures] = field(default_factory=list)
    planning: list[PlanningFigures] = field(default_factory=list)


def write_json(results: Results, path: Path) -> None:
    """Write everything that was measured to a file; times in seconds, sizes in bytes."""
    machine = {"cores": available_cores(), "system": platform.platform(), "python": platform.python_version()}
    content = {
        "machine": machine,
        "syncs": [_sync_record(one) for one in results.syncs],
        "growth": [_sync_record(one) for one in results.growth],
        "rendering": [asdict(one) for one in results.rendering],
        "planning": [asdict(one) for one in results.planning],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _sync_record(figures: SyncFigures) -> dict[str, Any]:
    derived = {
        "seconds": figures.seconds,
        "calls_per_talent": figures.calls_per_talent,
        "peak_bytes": figures.peak_bytes,
        "floor_seconds": figures.floor.seconds,
        "floor_seconds_with_crop": figures.floor.seconds_with_crop,
    }
    return asdict(figures) | derived


def print_report(results: Results, console: Console) -> None:
    """Print what was measured."""
    console.print(f"{available_cores()} core(s), Python {platform.python_version()}, {platform.platform()}\n")
    if results.syncs:
        _print_syncs(results.syncs, console)
    if results.growth:
        console.print(_growth_table(results.growth))
    if results.rendering:
        console.print(_rendering_table(results.rendering))
    if results.planning:
        console.print(_planning_table(results.planning))
    console.print(_HELD)


def _print_syncs(syncs: Sequence[SyncFigures], console: Console) -> None:
    console.print(_sync_table(syncs))
    console.print(_time_table(syncs))
    console.print(f"{_FLOOR}\n\n{_REPLACED}\n")


def _table(title: str, columns: Iterable[str], *, words: int = 1) -> Table:
    """Return an empty table whose first columns hold words and whose others hold numbers."""
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < words else "right")
    return table


def _sync_table(syncs: Sequence[SyncFigures]) -> Table:
    columns = (
        "scenario", "day", "at once", "asset s", "times faster", "floor s", "/ floor", "with crop", "/ floor",
        "calls/talent", "downloads", "peak MB",
    )  # fmt: skip
    table = _table("Whole syncs: asset time of a run of its own", columns, words=2)
    for one in syncs:
        table.add_row(
            f"{one.talents} {one.scenario}",
            one.day,
            _at_once(one),
            f"{one.seconds:.2f}",
            _times_faster(one, syncs),
            f"{one.floor.seconds:.2f}",
            _ratio(one.seconds, one.floor.seconds),
            f"{one.floor.seconds_with_crop:.2f}",
            _ratio(one.seconds, one.floor.seconds_with_crop),
            f"{one.calls_per_talent:.2f}",
            str(one.count("downloads")),
            _memory(one),
        )
    return table


def _at_once(figures: SyncFigures) -> str:
    return "default" if figures.concurrency is None else str(figures.concurrency)


def _times_faster(figures: SyncFigures, syncs: Sequence[SyncFigures]) -> str:
    """Return how many times faster than one at a time, in the same run."""
    for other in syncs:
        if (other.scenario, other.day, other.concurrency) == (figures.scenario, figures.day, 1):
            return f"{other.seconds / figures.seconds:.1f}"
    return "-"


def _ratio(seconds: float, floor: float) -> str:
    return f"{seconds / floor:.2f}" if floor else "-"


def _memory(figures: SyncFigures) -> str:
    return f"{figures.own_peak_bytes / _MEGABYTE:.0f} + {figures.workers_peak_bytes / _MEGABYTE:.0f}"


def _time_table(syncs: Sequence[SyncFigures]) -> Table:
    """Return where the time went: on the clock by asset, summed over everything at once by stage, by processor."""
    columns = (
        "scenario", "day", "at once", "choosing", "reading", "resolving", "calls", "pictures", "writing",
        "run cpu", "workers cpu", "sandbox cpu",
    )  # fmt: skip
    title = "Where the time went, in s: assets on the clock; stages summed over all that goes on at once; processor"
    table = _table(title, columns, words=2)
    for one in syncs:
        reading = sum(seconds for asset, seconds in one.asset_seconds.items() if asset.endswith("_images")) - (
            one.asset_seconds.get("resolved_profile_images", 0.0)
        )
        table.add_row(
            f"{one.talents} {one.scenario}",
            one.day,
            _at_once(one),
            f"{one.asset_seconds.get('candidate_talents', 0.0):.2f}",
            f"{reading:.2f}",
            f"{one.asset_seconds.get('resolved_profile_images', 0.0):.2f}",
            *(f"{one.stage_seconds.get(stage, 0.0):.1f}" for stage in ("api", "pictures", "writing")),
            f"{one.processor_seconds:.2f}",
            f"{one.worker_processor_seconds:.2f}",
            f"{one.sandbox_processor_seconds:.2f}",
        )
    return table


def _growth_table(growth: Sequence[SyncFigures]) -> Table:
    columns = ("talents", "day", "asset s", "ms/talent", "calls/talent", "run MB", "workers MB")
    table = _table("As the work grows: Instagram alone, one run, the default concurrency", columns, words=2)
    for one in sorted(growth, key=lambda one: (one.day != FIRST_SYNC, one.talents)):
        table.add_row(
            f"{one.talents:,}",
            one.day,
            f"{one.seconds:.2f}",
            f"{1000 * one.seconds / one.talents:.1f}",
            f"{one.calls_per_talent:.2f}",
            f"{one.own_peak_bytes / _MEGABYTE:.0f}",
            f"{one.workers_peak_bytes / _MEGABYTE:.0f}",
        )
    return table


def _rendering_table(rendering: Sequence[RenderingFigures]) -> Table:
    sizes = tuple(rendering[0].rendition_bytes)
    columns = (
        "source", "KB", "a second and core", "cpu ms", "of it coding", "a second, workers", "MB a worker",
        *(f"{size} px KB" for size in sizes),
    )  # fmt: skip
    table = _table("Pictures alone: four renditions of each, face found, silhouettes recognised", columns)
    for one in rendering:
        table.add_row(
            f"{one.side} px",
            f"{one.source_bytes / 1000:.1f}",
            f"{one.per_second_and_core:.0f}",
            f"{one.rendering_milliseconds:.1f}",
            f"{one.coding_milliseconds:.1f}",
            f"{one.workers_per_second:.0f} ({one.workers})",
            f"{one.worker_peak_bytes / _MEGABYTE:.0f}",
            *(f"{one.rendition_bytes[size] / 1000:.1f}" for size in sizes),
        )
    return table


def _planning_table(planning: Sequence[PlanningFigures]) -> Table:
    columns = ("database", "talents", "planning the day s", "tick, nothing to do ms", "of it the query ms")
    table = _table("Planning and the sensor's tick", columns)
    for one in planning:
        table.add_row(
            one.database,
            f"{one.talents:,}",
            f"{one.planning_seconds:.2f}",
            f"{1000 * one.tick_seconds:.0f}",
            f"{1000 * one.tick_query_seconds:.0f}",
        )
    return table
