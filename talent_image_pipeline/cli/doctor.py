"""``doctor``: what is configured, what can be reached and what is missing."""

import anyio
import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from talent_image_pipeline.cli.opening import open_console
from talent_image_pipeline.operations.doctor import Diagnosis, State, diagnose
from talent_image_pipeline.settings import SettingsError, load_settings

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "yellow", State.BROKEN: "bold red"}


@click.command(epilog="Example: talent-images doctor")
def doctor() -> None:
    """Report what is configured, what can be reached and what is missing.

    The exit code is 1 when something is broken.
    """
    console = open_console()
    try:
        settings = load_settings()
    except SettingsError as error:
        found = [Diagnosis(name=name, state=State.BROKEN, message=problem) for name, problem in error.problems.items()]
    else:
        with Console(stderr=True).status("Looking at everything …"):
            found = anyio.run(lambda: diagnose(settings))
    table = Table()
    table.add_column("part")
    table.add_column("state")
    table.add_column("what was found", overflow="fold")
    for diagnosis in found:
        style = _STYLES[diagnosis.state]
        table.add_row(escape(diagnosis.name), f"[{style}]{diagnosis.state}[/{style}]", escape(diagnosis.message))
    console.print(table)
    if any(diagnosis.state is State.BROKEN for diagnosis in found):
        raise click.exceptions.Exit(1)
