"""What the demo prints after its sync: one line for each talent, in words."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from talent_image_pipeline.cli.table_text import cell
from talent_image_pipeline.database.engine import open_engine, read_only
from talent_image_pipeline.database.tables import (
    platform_images,
    profile_image_pins,
    profile_image_versions,
    talent,
)
from talent_image_pipeline.platforms.contract import Outcome, Platform
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.settings import Settings

_WORDS = {
    Outcome.PICTURE: "new picture",
    Outcome.UNCHANGED: "unchanged",
    Outcome.NO_PICTURE: "no picture",
    Outcome.UNCONFIRMED: "unconfirmed",
    Outcome.GONE: "account gone",
    Outcome.NEEDS_RECONNECT: "needs reconnecting",
    Outcome.RATE_LIMITED: "rate limited",
    Outcome.UNAVAILABLE: "unavailable",
    Outcome.HIDDEN: "hidden",
    Outcome.REFUSED: "picture refused",
    Outcome.MISCONFIGURED: "wrong credentials",
}
_NAME_WIDTH = 20


def print_result(console: Console, settings: Settings, *, run_id: str) -> int:
    """Print each talent with the source of its picture and how the reads ended.

    Returns:
        How many talents show something else than before the run.
    """
    engine = open_engine(settings.database_url)
    try:
        with read_only(engine).begin() as connection:
            rows = connection.execute(sa.select(talent).order_by(talent.c.id)).mappings().all()
            outcomes = _outcomes(connection)
            pinned = set(connection.scalars(sa.select(profile_image_pins.c.talent_id)))
            changed = connection.scalar(sa.select(sa.func.count()).where(profile_image_versions.c.run_id == run_id))
    finally:
        engine.dispose()
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Talent", no_wrap=True, min_width=_NAME_WIDTH)
    table.add_column("Picture from", no_wrap=True, min_width=len("Picture from"))
    table.add_column("How its accounts were read", no_wrap=True, overflow="ellipsis")
    for row in rows:
        source = row["profileImageSource"]
        known = platform_named(source)
        reads = describe_reads(
            outcomes.get(row["id"], {}), source=source, is_pinned=row["id"] in pinned, platforms=settings.platforms
        )
        name = row["displayName"] or row["name"] or "(no name)"
        table.add_row(cell(name, at_most=_NAME_WIDTH), known.label if known else source, cell(reads, at_most=200))
    console.print(table)
    return changed or 0


def describe_reads(outcomes: Mapping[str, str], *, source: str, is_pinned: bool, platforms: Sequence[Platform]) -> str:
    """Say how the reads of a talent's accounts ended, down to the platform whose picture wins.

    Args:
        outcomes: How each platform's last read ended, by its name.
        source: Where the talent's picture comes from.
        is_pinned: Whether a person pinned it.
        platforms: In the order in which they win.
    """
    if source == "manual":
        return "set by hand in the app, never touched"
    parts = ["pinned"] if is_pinned else []
    if source in outcomes:
        parts.append(_WORDS[Outcome(outcomes[source])])
    passed_over: dict[str, list[str]] = {}
    for platform in platforms:
        if platform.name == source:
            break
        if platform.name in outcomes:
            passed_over.setdefault(_WORDS[Outcome(outcomes[platform.name])], []).append(platform.label)
    parts += [f"{', '.join(labels)}: {words}" for words, labels in passed_over.items()]
    return "; ".join(parts) or "no account"


def _outcomes(connection: sa.Connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    statement = sa.select(platform_images.c.talent_id, platform_images.c.platform, platform_images.c.outcome)
    for talent_id, platform, outcome in connection.execute(statement.where(platform_images.c.outcome.is_not(None))):
        found.setdefault(talent_id, {})[platform] = outcome
    return found
