"""``doctor``: what is configured, what can be reached and what is missing."""

import os
from collections.abc import Sequence
from pathlib import Path

import anyio
import click
from rich.console import Console
from rich.table import Table

from talent_image_pipeline.cli.json_output import json_option, print_json
from talent_image_pipeline.cli.opening import open_console
from talent_image_pipeline.cli.table_text import markup_free
from talent_image_pipeline.operations.diagnosis import Diagnosis, State
from talent_image_pipeline.operations.doctor import diagnose
from talent_image_pipeline.settings import SettingsError, load_settings

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "yellow", State.BROKEN: "bold red"}


@click.command(epilog="Example: talent-images doctor")
@click.option("--live", is_flag=True, help="Try each credential with one cheap call to its platform.")
@json_option
def doctor(*, live: bool, as_json: bool) -> None:
    """Report what is configured, what can be reached and what is missing.

    The exit code is 1 when something is broken.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        found = [Diagnosis(name=name, state=State.BROKEN, message=problem) for name, problem in error.problems.items()]
    else:
        with Console(stderr=True).status("Checking …"):
            # What Dagster runs is built from the settings when it is imported.
            from talent_image_pipeline.automation.instance import look_at_instance

            dagster = look_at_instance(_dagster_home())
            found = anyio.run(lambda: diagnose(settings, dagster=dagster, live=live))
    if as_json:
        print_json(found)
    else:
        open_console().print(_table(found))
    if any(diagnosis.state is State.BROKEN for diagnosis in found):
        raise click.exceptions.Exit(1)


def _dagster_home() -> Path | None:
    """Return what every other command takes for Dagster's home, without making it so for this process."""
    home = Path(os.environ.get("DAGSTER_HOME") or Path.cwd())
    return home if "DAGSTER_HOME" in os.environ or (home / "dagster.yaml").exists() else None


def _table(found: Sequence[Diagnosis]) -> Table:
    table = Table()
    table.add_column("part")
    table.add_column("state")
    table.add_column("what was found", overflow="fold")
    for diagnosis in found:
        style = _STYLES[diagnosis.state]
        table.add_row(
            markup_free(diagnosis.name), f"[{style}]{diagnosis.state}[/{style}]", markup_free(diagnosis.message)
        )
    return table
