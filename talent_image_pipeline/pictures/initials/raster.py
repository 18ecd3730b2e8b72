"""Initials as WebP, set in fonts that come with the package: for e-mail, and for scripts whose fonts a viewer lacks.

What belongs here: choosing a font by script, fitting the letters into the circle, and encoding.
What does not: which letters and colors (``drawing.py``, ``palette.py``).
"""

from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from math import hypot
from typing import Final

import regex
from PIL import Image, ImageDraw, ImageFont

from talent_image_pipeline.pictures.initials.drawing import SAFE_RADIUS, fitting_font_size, graphemes_of, initials_of
from talent_image_pipeline.pictures.initials.palette import ColourPair, colours_of

_WEIGHT: Final = 600
_LATIN: Final = ("manimgx_fonts", "NotoSans[wght].ttf")
_CJK: Final = ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc")
_EMOJI: Final = ("manimgx_fonts", "NotoEmoji[wght].ttf")
_SYMBOLS: Final = ("manimgx_fonts", "NotoSansSymbols[wght].ttf")
#: Scripts with a font of their own, by their Unicode name; the rest is in Noto Sans.
_SCRIPTS: Final = (
    "Arabic",
    "Armenian",
    "Bengali",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Gujarati",
    "Gurmukhi",
    "Hebrew",
    "Kannada",
    "Khmer",
    "Lao",
    "Malayalam",
    "Myanmar",
    "Oriya",
    "Sinhala",
    "Tamil",
    "Telugu",
    "Thai",
)
_FONTS_BY_SCRIPT: Final = (
    *((regex.compile(rf"\p{{{script}}}"), ("manimgx_fonts", f"NotoSans{script}[wght].ttf")) for script in _SCRIPTS),
    (regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}]"), _CJK),
    (regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}"), _EMOJI),
)
#: No font has a glyph for it: what it is drawn as stands for "not in this font".
_NOT_A_CHARACTER: Final = "\U0010ffff"
_GAP: Final = 0.04


def render_initials(*, talent_id: str, name: str, size: int) -> bytes:
    """Draw a talent's initials as a WebP file; a silhouette where the name has none, or no font here has them.

    Args:
        talent_id: Decides the colors.
        name: Decides the letters.
        size: Width and height, in pixels.

    Raises:
        ValueError: when the size is not positive.
    """
    if size < 1:
        raise ValueError(f"{size} px is no size of a picture")
    return _render(initials_of(name), colours_of(talent_id), size)


@lru_cache(maxsize=512)
def _render(initials: str, colours: ColourPair, size: int) -> bytes:
    picture = Image.new("RGB", (size, size), colours.background)
    letters = _set_letters(initials, size) if initials else None
    if letters is None:
        _draw_silhouette(picture, colours.foreground)
    else:
        place = ((size - letters.width) // 2, (size - letters.height) // 2)
        picture.paste(colours.foreground, (*place, place[0] + letters.width, place[1] + letters.height), letters)
    encoded = BytesIO()
    picture.save(encoded, "WEBP", lossless=True, method=4)
    return encoded.getvalue()


def _set_letters(initials: str, size: int) -> Image.Image | None:
    """Return the letters' ink as a mask that fits into the picture's circle; none when a font lacks one of them."""
    em = size * fitting_font_size(initials) / 100
    mask = _typeset(initials, em)
    if mask is None:
        return None
    reach = hypot(mask.width, mask.height) / 2
    allowed = size * SAFE_RADIUS / 100
    return mask if reach <= allowed else _typeset(initials, em * allowed / reach)


def _typeset(initials: str, em: float) -> Image.Image | None:
    fonts = [(grapheme, _font_for(grapheme, em)) for grapheme in graphemes_of(initials)]
    if any(font is None for _, font in fonts):
        return None
    gap = round(em * _GAP)
    boxes = [font.getbbox(grapheme, anchor="ls") for grapheme, font in fonts if font is not None]
    width = sum(round(box[2] - box[0]) for box in boxes) + gap * (len(boxes) - 1)
    top, bottom = min(box[1] for box in boxes), max(box[3] for box in boxes)
    mask = Image.new("L", (max(1, width), max(1, round(bottom - top))))
    pen = ImageDraw.Draw(mask)
    left = 0.0
    for (grapheme, font), box in zip(fonts, boxes, strict=True):
        pen.text((left - box[0], -top), grapheme, fill=255, font=font, anchor="ls")
        left += round(box[2] - box[0]) + gap
    ink = mask.getbbox()
    return mask.crop(ink) if ink is not None else None


def _font_for(grapheme: str, em: float) -> ImageFont.FreeTypeFont | None:
    """Return the first font that has every character of a grapheme."""
    by_script = [font for pattern, font in _FONTS_BY_SCRIPT if pattern.search(grapheme)]
    for package, file in dict.fromkeys((*by_script, _LATIN, _SYMBOLS, _CJK, _EMOJI)):
        font = _load(package, file, max(1.0, em))
        if _has(font, grapheme):
            return font
    return None


@lru_cache(maxsize=64)
def _load(package: str, file: str, em: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(str(files(package) / file), em)
    font.set_variation_by_axes([_WEIGHT])
    return font


def _has(font: ImageFont.FreeTypeFont, grapheme: str) -> bool:
    missing = bytes(font.getmask(_NOT_A_CHARACTER))
    base = grapheme[0]
    return bytes(font.getmask(base)) != missing


def _draw_silhouette(picture: Image.Image, color: str) -> None:
    """Draw the head and shoulders of the SVG, at four times the size for smooth edges."""
    side = picture.width * 4
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    unit = side / 100
    pen.ellipse((33 * unit, 21 * unit, 67 * unit, 55 * unit), fill=255)
    pen.pieslice((16 * unit, 59 * unit, 84 * unit, 113 * unit), 180, 360, fill=255)
    small = mask.resize(picture.size, Image.Resampling.LANCZOS)
    picture.paste(color, (0, 0, *picture.size), small)
