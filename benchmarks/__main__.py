"""The benchmark: whole syncs, how they grow, pictures alone, planning and the sensor's tick.

    uv run python -m benchmarks                      everything, in a few minutes
    uv run python -m benchmarks --full               also 20,000 talents
    uv run python -m benchmarks --json figures.json  the figures for programs, too
    uv run python -m benchmarks --only planning      one part (repeatable): syncs, growth, pictures, planning

Everything runs on this machine: the platforms are the sandbox in a process of its own, on loopback, that takes 200 ms
for each API call and 50 ms for each picture; every sync is a real run of the daily job in a process of its own;
PostgreSQL comes with the development dependencies. Nothing is read or changed outside of temporary directories.

What belongs here: the command line. What does not: the steps (``plan.py``) and the report (``report.py``).
"""

from pathlib import Path

import click
from rich.console import Console

from benchmarks.plan import PARTS, Plan, measure
from benchmarks.report import print_report, write_json

_GROWTH, _FULL_GROWTH = (200, 2_000), (200, 2_000, 20_000)


@click.command(help="Measure the pipeline on this machine, against the sandbox, in temporary directories.")
@click.option("--full", is_flag=True, help="Also sync 20,000 talents: takes several minutes more.")
@click.option("--only", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; may be repeated.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Also write JSON there.")
def main(*, full: bool, parts: tuple[str, ...], json_file: Path | None) -> None:
    """Measure, print the report, and write the figures where they are wanted."""
    plan = Plan(parts=parts or PARTS, growth=_FULL_GROWTH if full else _GROWTH)
    progress = Console(stderr=True)
    with progress.status("Starting …") as status:
        results = measure(plan, tell=lambda step: status.update(f"{step} …"))
    # Wide enough for every table, also where the output goes to a file.
    print_report(results, Console(width=max(150, Console().width)))
    if json_file is not None:
        write_json(results, json_file)


if __name__ == "__main__":
    main()
