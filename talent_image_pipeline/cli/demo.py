"""``demo``: everything with sample talents, and without any real platform."""

import click
from rich.console import Console

from talent_image_pipeline.cli.demo_steps import run_demo


@click.command(epilog="Example: talent-images demo --once")
@click.option("--once", is_flag=True, help="Exit after the sync instead of leaving the Dagster UI running.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
def demo(*, once: bool, port: int) -> None:
    """Sync sample talents against a sandbox of the platforms and show the result."""
    run_demo(console=Console(), once=once, ui_port=port)
