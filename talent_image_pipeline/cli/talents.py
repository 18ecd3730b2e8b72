"""``list``: which talents there are, where their pictures come from, and which of them need a person."""

from collections.abc import Iterator
from itertools import islice

import click
import sqlalchemy as sa
from rich.table import Table

from talent_image_pipeline.cli.json_output import json_option, print_json
from talent_image_pipeline.cli.opening import open_console, open_database
from talent_image_pipeline.cli.table_text import cell, time_cell
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.gallery_queries import PictureState
from talent_image_pipeline.operations.overview import MOST_PER_PAGE, TalentSummary, list_talents
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.settings import Settings, load_settings

_SOURCES = (*(platform.name for platform in PLATFORMS), "manual", "initials")
_MESSAGE_WIDTH = 60


@click.command(name="list", epilog="Example: talent-images list --needs-attention")
@click.option("--source", type=click.Choice(_SOURCES), help="Only talents whose picture comes from there.")
@click.option("--needs-attention", is_flag=True, help="Only talents of whom an account waits for a person.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, help="List at most N talents; 0: all."
)
@json_option
def list_command(*, source: str | None, needs_attention: bool, limit: int, as_json: bool) -> None:
    """List the talents, where their pictures come from and which of them need attention."""
    settings = load_settings()
    states = (PictureState.NEEDS_ATTENTION,) if needs_attention else ()
    with open_database(settings) as engine:
        found = _talents(engine, settings, sources=(source,) if source else (), states=states)
        # One more than is shown tells whether there are more.
        talents = list(islice(found, limit + 1 if limit else None))
    shown = talents[:limit] if limit else talents
    if as_json:
        print_json(shown)
        return
    open_console().print(_table(shown))
    if len(talents) > len(shown):
        click.echo(f"There are more than {len(shown)}; --limit 0 lists all.")
    else:
        click.echo(f"{len(shown)} talent{'' if len(shown) == 1 else 's'}.")


def _talents(
    engine: sa.Engine, settings: Settings, *, sources: tuple[str, ...], states: tuple[PictureState, ...]
) -> Iterator[TalentSummary]:
    """Go through all talents by name, a page at a time."""
    after: tuple[str, str] | None = None
    while True:
        page = list_talents(
            engine, sources=sources, states=states, after=after, limit=MOST_PER_PAGE, settings=settings, now=utc_now()
        )
        yield from page.talents
        after = page.next_after
        if after is None:
            return


def _table(talents: list[TalentSummary]) -> Table:
    table = Table()
    for heading in ("id", "name", "picture from", "synced", "state", "message"):
        table.add_column(heading, no_wrap=True)
    for talent in talents:
        table.add_row(
            cell(talent.talent_id),
            cell(talent.name, at_most=28),
            cell(talent.source) + (" (pinned)" if talent.is_pinned else ""),
            time_cell(talent.last_sync_at) or "never",
            talent.state.replace("_", " "),
            cell(talent.message, at_most=_MESSAGE_WIDTH),
        )
    return table
