"""Text for Rich: harmless for the terminal, without markup, and short enough for a table."""

from datetime import datetime

from rich.markup import escape

from talent_image_pipeline.cli.plain_text import single_line


def cell(text: str | None, *, at_most: int = 32) -> str:
    """Return a text for one cell of a table: harmless, without markup, and cut where it is too long."""
    line = single_line(text or "")
    return escape(line if len(line) <= at_most else f"{line[: at_most - 1]}…")


def markup_free(text: str) -> str:
    """Return a text of any length for Rich, harmless and without markup."""
    return escape(single_line(text))


def time_cell(moment: datetime | None) -> str:
    """Return a moment to the minute, in UTC as everywhere."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else ""
