"""Text from the database and from the platforms, made harmless for a terminal."""

import unicodedata

_CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Joiners belong to words and emoji in many scripts and steer nothing.
_JOINERS = {"\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"}


def single_line(text: str) -> str:
    """Return a text in which nothing can steer a terminal, break a line or turn the writing direction around."""
    return "".join(_REPLACEMENT if _is_control(character) else character for character in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROL_CATEGORIES and character not in _JOINERS
