"""``list``: which talents there are, where their pictures come from, and which of them need a person."""

import click
from rich.table import Table

from talent_image_pipeline.cli.json_output import json_option, print_json
from talent_image_pipeline.cli.opening import open_console, open_database
from talent_image_pipeline.cli.table_text import cell, time_cell
from talent_image_pipeline.operations.listing import TalentListing, list_talents
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.settings import load_settings

_SOURCES = (*(platform.name for platform in PLATFORMS), "manual", "initials")
_ATTENTION_WIDTH = 60


@click.command(name="list", epilog="Example: talent-images list --needs-attention")
@click.option("--source", type=click.Choice(_SOURCES), help="Only talents whose picture comes from there.")
@click.option("--needs-attention", is_flag=True, help="Only talents of whom an account waits for a person.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, help="List at most N talents; 0: all."
)
@json_option
def list_command(*, source: str | None, needs_attention: bool, limit: int, as_json: bool) -> None:
    """List the talents, where their pictures come from and which of them need attention."""
    with open_database(load_settings()) as engine:
        listing = list_talents(engine, source=source, only_needing_attention=needs_attention, limit=limit or None)
    if as_json:
        print_json(listing)
        return
    open_console().print(_table(listing))
    shown = len(listing.talents)
    if shown < listing.total:
        click.echo(f"{shown} of {listing.total} talents; --limit 0 lists all.")
    else:
        click.echo(f"{shown} talent{'' if shown == 1 else 's'}.")


def _table(listing: TalentListing) -> Table:
    table = Table()
    table.add_column("id", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("picture from", no_wrap=True)
    table.add_column("synced", no_wrap=True)
    table.add_column("needs attention", no_wrap=True)
    for listed in listing.talents:
        reasons = listing.attention.get(listed.talent_id, ())
        table.add_row(
            cell(listed.talent_id),
            cell(listed.name, at_most=28),
            listed.source + (" (pinned)" if listed.is_pinned else ""),
            time_cell(listed.last_sync_at) or "never",
            cell("; ".join(reasons), at_most=_ATTENTION_WIDTH),
        )
    return table
