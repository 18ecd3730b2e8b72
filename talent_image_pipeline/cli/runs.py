"""``refresh``: running a sync now, with its run in Dagster's history."""

import click
from rich.console import Console

from talent_image_pipeline.cli.show import show
from talent_image_pipeline.runs import run_refresh


@click.command(epilog="Example: talent-images refresh talent_maya_stone")
@click.argument("talent_id")
def refresh(talent_id: str) -> None:
    """Read one talent's accounts now and show the picture that wins."""
    with Console(stderr=True).status(f"Refreshing {talent_id} …"):
        run = run_refresh(talent_id)
    if run.failure is not None:
        raise click.ClickException(run.failure)
    click.echo(f"Refreshed {talent_id} in run {run.run_id}.")
    click.get_current_context().invoke(show, talent=talent_id)
