"""The colours of drawn initials: pairs that everybody can read, chosen by the talent's id.

What belongs here: the palette, its contrast and the choice.
What does not: letters (``drawing.py``).
"""

from colorsys import hls_to_rgb
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

# WCAG 2.2, success criterion 1.4.6 (level AAA); level AA asks for 4.5.
TARGET_CONTRAST = 7.0

_HUES = 24
_BACKGROUND_SATURATION = 0.55
_FOREGROUND_SATURATION = 0.7
_FOREGROUND_LIGHTNESS = 0.95
_LIGHTNESS_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class ColourPair:
    """A background and the colour of the letters on it, as ``#rrggbb``."""

    background: str
    foreground: str


def contrast_ratio(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2.2 defines it.

    Args:
        one: A colour as ``#rrggbb``.
        other: A colour as ``#rrggbb``.
    """
    darker, lighter = sorted((_relative_luminance(one), _relative_luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@cache
def colour_pairs() -> tuple[ColourPair, ...]:
    """Return every pair that initials are drawn in, around the colour wheel, each with the target contrast."""
    return tuple(_pair_of(hue / _HUES) for hue in range(_HUES))


def colours_of(talent_id: str) -> ColourPair:
    """Return the talent's colours: they depend on the id alone, so a rename does not change them."""
    digest = sha256(talent_id.encode("utf-8", "surrogatepass")).digest()
    pairs = colour_pairs()
    return pairs[int.from_bytes(digest[:8], "big") % len(pairs)]


def _pair_of(hue: float) -> ColourPair:
    """Return a tint of the hue and the brightest shade of it that the tint can be read on."""
    foreground = _as_hex(hls_to_rgb(hue, _FOREGROUND_LIGHTNESS, _FOREGROUND_SATURATION))
    shades = (
        _as_hex(hls_to_rgb(hue, step / _LIGHTNESS_STEPS, _BACKGROUND_SATURATION))
        for step in range(_LIGHTNESS_STEPS, -1, -1)
    )
    background = next(
        shade
        for shade in shades
        if _relative_luminance(shade) < _relative_luminance(foreground)
        and contrast_ratio(shade, foreground) >= TARGET_CONTRAST
    )
    return ColourPair(background=background, foreground=foreground)


def _as_hex(rgb: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in rgb)


def _relative_luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    # The threshold as WCAG 2.2 has it: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
