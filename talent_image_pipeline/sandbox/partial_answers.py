"""Google's partial answers: the ``fields`` parameter, as in ``kind,items(id,snippet/title)``.

What belongs here: the grammar and its effect on a JSON body.
What does not: anything of YouTube.

Source: developers.google.com/youtube/v3/getting-started, "partial resources".
"""

import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(r"[A-Za-z0-9_@*-]+|[(),/]")

Selection = dict[str, "Selection"]


class FieldsError(ValueError):
    """The parameter cannot be read; the message is the part that is wrong."""


def select_fields(body: dict[str, Any], mask: str) -> dict[str, Any]:
    """Return the named parts of a body; names that it does not have are simply not there.

    Raises:
        FieldsError: when the mask breaks the grammar.
    """
    tokens = _TOKEN.findall(mask)
    if "".join(tokens) != mask.replace(" ", ""):
        raise FieldsError(mask)
    reader = _Reader(tokens)
    selection = reader.selection()
    if reader.peek() is not None:
        raise FieldsError(mask)
    selected: dict[str, Any] = _selected(body, selection)
    return selected


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens: Iterator[str] = iter(tokens)
        self._next = next(self._tokens, None)

    def peek(self) -> str | None:
        return self._next

    def take(self) -> str:
        token = self._next
        if token is None:
            raise FieldsError("(end)")
        self._next = next(self._tokens, None)
        return token

    def selection(self) -> Selection:
        found: Selection = {}
        while True:
            name, inner = self._one()
            found.setdefault(name, {}).update(inner)
            if self.peek() != ",":
                return found
            self.take()

    def _one(self) -> tuple[str, Selection]:
        name = self.take()
        if name in ("(", ")", ",", "/"):
            raise FieldsError(name)
        if self.peek() == "/":
            self.take()
            below, inner = self._one()
            return name, {below: inner}
        if self.peek() != "(":
            return name, {}
        self.take()
        selection = self.selection()
        if self.take() != ")":
            raise FieldsError(name)
        return name, selection


def _selected(value: Any, selection: Selection) -> Any:
    if not selection or "*" in selection:
        return value
    if isinstance(value, list):
        return [_selected(one, selection) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _selected(inner, selection[name]) for name, inner in value.items() if name in selection}
