"""Lists as Markdown tables that the UI shows: with links, and cut where they are long.

What belongs here: making a table out of rows, and texts of people and networks harmless in it.
What does not: which rows (``metadata.py``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

#: All that means something in Markdown, HTML, or makes a link by itself.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:/@=^])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_LONGEST_CELL = 300


@dataclass(frozen=True, kw_only=True)
class Link:
    """A text that leads somewhere; ``url`` is one of our own addresses."""

    text: str
    url: str


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Link]], *, total: int) -> dg.MarkdownMetadataValue:
    """Return rows as a table, which says how many there are in all where it is cut."""
    lines = [_line(columns), _line(["---"] * len(columns))]
    lines += [_line([_cell(value) for value in row]) for row in rows]
    if total > len(rows):
        lines.insert(0, f"**{len(rows)} of {total}**\n")
    return dg.MetadataValue.md("\n".join(lines))


def harmless(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line, whatever is in it."""
    short = text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
    escaped = _MARKUP.sub(r"\\\1", " ".join(short.split()))
    return "".join(_HTML.get(character, character) for character in escaped)


def _cell(value: str | Link) -> str:
    if isinstance(value, Link):
        return f"[{harmless(value.text)}](<{value.url}>)"
    return harmless(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
