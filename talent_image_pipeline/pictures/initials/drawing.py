"""Initials for a talent without a picture: which letters, and the SVG that shows them in the viewer's own fonts.

What belongs here: the choice of letters by script, and the drawing.
What does not: which words make up the name (``name_words.py``), colours (``palette.py``).
"""

import unicodedata
from math import hypot
from xml.sax.saxutils import escape, quoteattr

import regex

from talent_image_pipeline.pictures.initials.name_words import clean_name, has_letter_or_digit, split_name
from talent_image_pipeline.pictures.initials.palette import ColourPair, colours_of

# In every other script the first letter alone stands for the name: two would join, or read as another word.
_SCRIPTS_WITH_TWO_INITIALS = r"\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Coptic}\p{Glagolitic}"
_TAKES_TWO = regex.compile(f"[{_SCRIPTS_WITH_TWO_INITIALS}]")
# A Sinhala conjunct is written with a zero-width joiner, where the standard's grapheme ends too early.
_GRAPHEME = regex.compile(r"\p{Sinhala}\p{M}+\u200D\p{Sinhala}\p{M}*|\X")
_LETTER = regex.compile(r"(?V1)[\p{L}--[\p{Lm}\p{Default_Ignorable_Code_Point}]]")
_EMOJI = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}")
# Thai and Lao write these vowels before the consonant that they follow in speech; the initial is the consonant.
_VOWEL_WRITTEN_FIRST = regex.compile(r"[\u0E40-\u0E44\u0EC0-\u0EC4]")
# Georgian names begin with no capital; the capitals in Unicode are for texts all in capitals, and in few fonts.
_WITHOUT_CAPITALS = regex.compile(r"\p{Georgian}")
_RIGHT_TO_LEFT = frozenset({"R", "AL"})

# The longest emoji (a kiss with two skin tones) has 10 code points; a pile of marks beyond that is no name.
_LONGEST_GRAPHEME = 12
_LONGEST_TITLE = 200
_ZERO_WIDTH_JOINER = "\u200d"

# Advance widths of capitals in em, as wide as they come in the bold faces of common interface fonts.
_WIDTHS = {
    **dict.fromkeys("IJ", 0.5),
    **dict.fromkeys("MWÆŒЖФЮЫЊЉДѢԽ\N{CYRILLIC CAPITAL LETTER EM}\N{GREEK CAPITAL LETTER MU}", 1.15),
    **dict.fromkeys("ШЩლ", 1.35),
    **dict.fromkeys("ǄǇǊ", 1.7),
}
_CAPITAL_WIDTH = 0.88
_WIDEST = 1.15
_CAPITAL_HEIGHT = 0.75
_TALLEST = 1.2
# Of the drawing's 100: letters keep within this distance of the centre, where every app's circle shows them.
SAFE_RADIUS = 42
_LARGEST_FONT = 44

_FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, "
    "'Apple Color Emoji', 'Segoe UI Emoji', 'Noto Color Emoji', sans-serif"
)
_SILHOUETTE = '<circle cx="50" cy="38" r="17"/><path d="M16 86a34 27 0 0 1 68 0z"/>'
_NAMELESS = "No name"


def initials_of(name: str) -> str:
    """Return the initials of a name: two where its script has capitals, one elsewhere, whatever was typed.

    The script of the first letter decides. A single word gives one initial; hyphens do not separate words. A name
    without letters and digits gives its first emoji.

    Args:
        name: Any text at all.

    Returns:
        One or two graphemes in NFC and in capitals, or the empty text when there is nothing to show.
    """
    cleaned = clean_name(name)
    words = split_name(cleaned)
    if not words:
        return _first_emoji(cleaned)
    first = _initial_of(words[0])
    if len(words) > 1 and _takes_two(words):
        return first + _initial_of(words[-1])
    return first


def draw_initials(*, talent_id: str, name: str, size: int = 256, is_titled: bool = True) -> str:
    """Draw the initials of a talent as an SVG document; a silhouette where the name has none.

    Args:
        talent_id: Decides the colours.
        name: Decides the letters, and is the picture's text for screen readers.
        size: Width and height, in CSS pixels.
        is_titled: Whether the name is the picture's text; otherwise the initials are, and nobody learns it from them.

    Returns:
        A well-formed document without scripts, styles, links or references.

    Raises:
        ValueError: when the size is not positive.
    """
    if size < 1:
        raise ValueError(f"{size} px is no size of a picture")
    colours = colours_of(talent_id)
    initials = initials_of(name)
    label = (clean_name(name)[:_LONGEST_TITLE] if is_titled else initials) or _NAMELESS
    drawing = _draw_letters(initials, colours) if initials else f'<g fill="{colours.foreground}">{_SILHOUETTE}</g>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 100 100" role="img"'
        f" aria-label={quoteattr(label)}><title>{escape(label)}</title>"
        f'<rect width="100" height="100" fill="{colours.background}"/>{drawing}</svg>'
    )


def _draw_letters(initials: str, colours: ColourPair) -> str:
    direction = "rtl" if unicodedata.bidirectional(initials[0]) in _RIGHT_TO_LEFT else "ltr"
    return (
        f'<text x="50" y="50" text-anchor="middle" dominant-baseline="central" direction="{direction}"'
        f' unicode-bidi="isolate" font-family="{_FONTS}" font-weight="600" font-size="{fitting_font_size(initials):g}"'
        f' fill="{colours.foreground}">{escape(initials)}</text>'
    )


def fitting_font_size(initials: str) -> float:
    """Return the font size, in hundredths of the picture's side, at which the initials stay inside its circle."""
    graphemes = graphemes_of(initials)
    width = sum(_width_of(grapheme) for grapheme in graphemes)
    height = _CAPITAL_HEIGHT if _takes_two(graphemes) else _TALLEST
    return round(min(_LARGEST_FONT, 2 * SAFE_RADIUS / hypot(width, height)), 1)


def _width_of(grapheme: str) -> float:
    if not _TAKES_TWO.match(grapheme):
        return _WIDEST
    return _WIDTHS.get(unicodedata.normalize("NFD", grapheme)[0], _CAPITAL_WIDTH)


def _takes_two(words: list[str]) -> bool:
    letters = (match for match in map(_LETTER.search, words) if match is not None)
    first = next(letters, None)
    return first is not None and _TAKES_TWO.match(first[0]) is not None


def _initial_of(word: str) -> str:
    graphemes = [grapheme for grapheme in graphemes_of(word) if has_letter_or_digit(grapheme)]
    spoken_first = [grapheme for grapheme in graphemes if not _VOWEL_WRITTEN_FIRST.fullmatch(grapheme)]
    return _capital(_bounded((spoken_first or graphemes)[0]))


def _capital(grapheme: str) -> str:
    """Return one capital, by Unicode's full mapping and no language's own: of ``SS`` and ``FI`` the first letter."""
    if _WITHOUT_CAPITALS.match(grapheme):
        return grapheme
    if grapheme.startswith("ß"):
        return "ẞ" + grapheme[1:]
    capitals = unicodedata.normalize("NFC", grapheme.upper())
    return next(capital for capital in graphemes_of(capitals) if has_letter_or_digit(capital))


def _first_emoji(name: str) -> str:
    return next((_bounded(grapheme) for grapheme in graphemes_of(name) if _EMOJI.search(grapheme)), "")


def graphemes_of(text: str) -> list[str]:
    """Return what readers take for single characters."""
    return [match[0] for match in _GRAPHEME.finditer(text)]


def _bounded(grapheme: str) -> str:
    return grapheme[:_LONGEST_GRAPHEME].rstrip(_ZERO_WIDTH_JOINER)
