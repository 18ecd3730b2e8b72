"""Pictures that the sandbox draws itself: portraits, silhouettes and letter avatars, as real encoded files.

What belongs here: drawing and encoding. A seed decides everything, so the same picture is the same bytes everywhere.
What does not: addresses and ids of pictures (``image_hosts.py``).

A portrait costs some milliseconds to draw; a photograph (``photographs.py``) costs much more, and is for the few sample
talents. For thousands of accounts there is :attr:`PictureKind.CROWD`: one of 24 portraits in other colors and another
position, which differs in content for every seed and costs a fraction of that.
"""

import io
import math
import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from talent_image_pipeline.sandbox.photographs import Framing, photograph
from talent_image_pipeline.sandbox.situations import PictureKind

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
CROWD_POOL = 24

_SKIN = ("#f6d7c3", "#eac0a2", "#d9a37e", "#c28860", "#a56b45", "#85502f", "#643a22", "#4a2a19")
_HAIR = ("#1d1714", "#3b2416", "#6b3f1d", "#a5682a", "#d8b25c", "#8f8f93", "#7d2f1b", "#e8e2d4")
_BACKGROUND = (
    "#27445c",
    "#5a7d7c",
    "#c9ada7",
    "#9a8c98",
    "#e0c9a6",
    "#84a59d",
    "#b56576",
    "#6d6875",
    "#355070",
    "#cdd6dd",
)
_CLOTHES = ("#22223b", "#9b2226", "#005f73", "#ee9b00", "#e5e5e5", "#3d405b", "#588157", "#bc6c25")
_LETTER_BACKGROUND = ("#ab47bc", "#5c6bc0", "#00897b", "#ef6c00", "#c2185b", "#455a64", "#7b1fa2", "#0288d1")

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of an account.

    Attributes:
        kind: What it shows.
        seed: Decides every feature of it.
        size: Its side in pixels, as the account's owner uploaded it.
        image_format: JPEG, PNG or WEBP.
        letter: What a letter avatar shows.
        framing: How much of the person a photograph shows.
        upload: Counts the uploads of the same look: another one gets another id and other bytes upstream.
    """

    kind: PictureKind = PictureKind.PORTRAIT
    seed: int = 0
    size: int = 1080
    image_format: str = "JPEG"
    letter: str = "A"
    framing: Framing = Framing.CLOSE
    upload: int = 0

    def __post_init__(self) -> None:
        if self.image_format not in FORMATS:
            raise ValueError(f"format {self.image_format!r} is none of {', '.join(FORMATS)}")
        if not 1 <= self.size <= 4096:
            raise ValueError(f"size {self.size} is not between 1 and 4096 pixels")
        if len(self.letter) != 1:
            raise ValueError(f"letter {self.letter!r} is not one character")

    @property
    def content_type(self) -> str:
        """What an honest image host calls it."""
        return FORMATS[self.image_format]


@lru_cache(maxsize=4096)
def encoded(picture: Picture, side: int) -> bytes:
    """Return the picture's file at a side in pixels, or at its own where that is smaller: nothing is scaled up."""
    image = draw(picture, min(side, picture.size))
    buffer = io.BytesIO()
    if picture.image_format == "PNG":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, picture.image_format, quality=88 - picture.upload % 8)
    return buffer.getvalue()


def draw(picture: Picture, side: int) -> Image.Image:
    """Draw the picture as a square RGB image."""
    if picture.kind is PictureKind.SILHOUETTE:
        return _silhouette(side)
    if picture.kind is PictureKind.LETTER:
        return _letter(picture.letter, picture.seed, side)
    if picture.kind is PictureKind.PHOTOGRAPH:
        return photograph(picture.seed, side, picture.framing)
    if picture.kind is PictureKind.CROWD:
        return _one_of_the_crowd(picture.seed, side)
    return _portrait(picture.seed, side)


def _portrait(seed: int, side: int) -> Image.Image:
    """Draw a head and shoulders at twice the size and scale down, for smooth edges."""
    canvas = min(max(side, 64) * 2, 1280)
    chance = random.Random(seed * 7919 + 11)
    image = _background(chance, canvas)
    head = _Head(chance, canvas)
    pen = ImageDraw.Draw(image)
    _draw_back_hair(pen, head)
    _draw_shoulders(pen, head)
    _draw_face(image, head)
    _draw_features(ImageDraw.Draw(image), head)
    return image.resize((side, side), Image.Resampling.BICUBIC if canvas > side else Image.Resampling.LANCZOS)


class _Head:
    """Where the parts of a face are and what they look like, in pixels of a canvas."""

    def __init__(self, chance: random.Random, canvas: int) -> None:
        self.canvas = canvas
        self.half_width = canvas * chance.uniform(0.17, 0.23)
        self.half_height = self.half_width * chance.uniform(1.22, 1.38)
        self.x = canvas * chance.uniform(0.42, 0.58)
        self.y = canvas * chance.uniform(0.40, 0.50)
        self.skin = _colour(chance.choice(_SKIN))
        self.hair = _colour(chance.choice(_HAIR))
        self.clothes = _colour(chance.choice(_CLOTHES))
        self.eyes = _colour(chance.choice(("#3b2a1a", "#2f4858", "#3f5e3a", "#1b1b1b")))
        self.lips = _mixed(self.skin, (150, 40, 50), chance.uniform(0.35, 0.7))
        self.style = chance.choice(("short", "long", "bun", "bald", "curls"))
        self.has_beard = self.style != "long" and chance.random() < 0.3
        self.has_glasses = chance.random() < 0.25
        self.smile = chance.uniform(0.05, 0.16)

    def box(self, x: float, y: float, half_width: float, half_height: float) -> tuple[float, float, float, float]:
        """Return a box around a point that is given in half widths and half heights from the face's centre."""
        middle_x, middle_y = self.x + x * self.half_width, self.y + y * self.half_height
        wide, high = half_width * self.half_width, half_height * self.half_height
        return (middle_x - wide, middle_y - high, middle_x + wide, middle_y + high)


def _background(chance: random.Random, canvas: int) -> Image.Image:
    top, bottom = chance.sample(_BACKGROUND, 2)
    fade = Image.linear_gradient("L").resize((canvas, canvas))
    upper, lower = Image.new("RGB", (canvas, canvas), top), Image.new("RGB", (canvas, canvas), bottom)
    image = Image.composite(lower, upper, fade)
    pen = ImageDraw.Draw(image)
    for _ in range(chance.randint(3, 7)):
        radius = canvas * chance.uniform(0.04, 0.16)
        x, y = canvas * chance.random(), canvas * chance.random() * 0.7
        colour = _mixed(_colour(top), (255, 255, 255), chance.uniform(0.1, 0.5))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image.resize((canvas // 8, canvas // 8)).filter(ImageFilter.GaussianBlur(2)).resize((canvas, canvas))


def _draw_back_hair(pen: ImageDraw.ImageDraw, head: _Head) -> None:
    if head.style == "long":
        pen.rounded_rectangle(head.box(0, 0.35, 1.28, 1.45), radius=head.half_width, fill=head.hair)
    if head.style == "bun":
        pen.ellipse(head.box(0, -1.25, 0.5, 0.4), fill=head.hair)
    if head.style == "curls":
        for step in range(14):
            angle = math.pi * (0.95 + 1.1 * step / 13)
            pen.ellipse(head.box(1.08 * math.cos(angle), 0.95 * math.sin(angle), 0.42, 0.32), fill=head.hair)


def _draw_shoulders(pen: ImageDraw.ImageDraw, head: _Head) -> None:
    neck = _mixed(head.skin, (0, 0, 0), 0.18)
    pen.ellipse(head.box(0, 2.6, 2.3, 1.25), fill=head.clothes)
    pen.rounded_rectangle(head.box(0, 1.1, 0.42, 0.55), radius=head.half_width * 0.3, fill=neck)
    pen.pieslice(head.box(0, 1.35, 0.62, 0.42), 0, 180, fill=neck)


def _draw_face(image: Image.Image, head: _Head) -> None:
    """Draw ears, a softly lit face and the hair above it."""
    pen = ImageDraw.Draw(image)
    for side in (-1, 1):
        pen.ellipse(head.box(side, 0.05, 0.14, 0.2), fill=_mixed(head.skin, (0, 0, 0), 0.12))
    if head.style != "bald":
        pen.ellipse(head.box(0, -0.14, 1.1, 1.06), fill=head.hair)
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse(head.box(0, 0.08, 0.94, 0.98), fill=255)
    light = ImageChops.invert(Image.radial_gradient("L")).resize(image.size)
    light = ImageChops.offset(light, int(head.x - head.canvas * 0.56), int(head.y - head.canvas * 0.55))
    shaded = Image.composite(
        Image.new("RGB", image.size, _mixed(head.skin, (255, 245, 235), 0.28)),
        Image.new("RGB", image.size, _mixed(head.skin, (40, 10, 0), 0.3)),
        light,
    )
    image.paste(shaded, mask=mask)
    if head.style != "bald":
        pen.chord(head.box(0, 0.0, 0.97, 1.0), 205, 335, fill=head.hair)


def _draw_features(pen: ImageDraw.ImageDraw, head: _Head) -> None:
    dark = _mixed(head.skin, (30, 10, 5), 0.55)
    if head.has_beard:
        pen.chord(head.box(0, 0.22, 0.88, 0.82), 20, 160, fill=_mixed(head.hair, head.skin, 0.15))
    for side in (-1, 1):
        pen.ellipse(head.box(side * 0.4, -0.08, 0.26, 0.14), fill=_mixed(head.skin, (30, 10, 5), 0.25))
        pen.ellipse(head.box(side * 0.4, -0.06, 0.19, 0.085), fill=(250, 250, 248))
        pen.ellipse(head.box(side * 0.4, -0.06, 0.1, 0.085), fill=head.eyes)
        pen.ellipse(head.box(side * 0.4, -0.06, 0.045, 0.04), fill=(10, 10, 12))
        brow = _mixed(head.hair, (20, 12, 8), 0.45)
        pen.arc(head.box(side * 0.4, -0.16, 0.28, 0.2), 200, 340, fill=brow, width=max(2, int(head.half_height * 0.07)))
        if head.has_glasses:
            thin = max(2, head.canvas // 160)
            pen.ellipse(head.box(side * 0.4, -0.05, 0.32, 0.22), outline=(25, 25, 30), width=thin)
    pen.polygon(_nose(head), fill=_mixed(head.skin, (60, 20, 10), 0.22))
    pen.ellipse(head.box(0, 0.32, 0.17, 0.07), fill=_mixed(head.skin, (60, 20, 10), 0.3))
    pen.chord(head.box(0, 0.5, 0.36, 0.06 + head.smile), 0, 180, fill=head.lips)
    pen.arc(head.box(0, 0.5, 0.38, 0.06 + head.smile), 0, 180, fill=dark, width=max(1, head.canvas // 250))


def _nose(head: _Head) -> list[tuple[float, float]]:
    points = ((0.0, -0.02), (-0.12, 0.33), (0.12, 0.33))
    return [(head.x + x * head.half_width, head.y + y * head.half_height) for x, y in points]


@lru_cache(maxsize=CROWD_POOL * 4)
def _crowd_base(number: int, side: int) -> Image.Image:
    return _portrait(1000 + number, side)


def _one_of_the_crowd(seed: int, side: int) -> Image.Image:
    """Recolour and move one of the pool: other pixels for every seed, without drawing."""
    chance = random.Random(seed * 104729 + 3)
    image = _crowd_base(seed % CROWD_POOL, side)
    curves: list[int] = []
    for _ in range(3):
        gain, lift = chance.uniform(0.72, 1.0), chance.uniform(0, 40)
        curves += [min(255, int(value * gain + lift)) for value in range(256)]
    reach = max(1, side // 12)
    return ImageChops.offset(image.point(curves), chance.randint(-reach, reach), chance.randint(0, reach))


def _silhouette(side: int) -> Image.Image:
    """Draw the grey head and shoulders that networks show for accounts without a picture."""
    image = Image.new("RGB", (side * 2, side * 2), (219, 219, 219))
    pen = ImageDraw.Draw(image)
    whole = side * 2
    pen.ellipse((whole * 0.33, whole * 0.18, whole * 0.67, whole * 0.54), fill=(255, 255, 255))
    pen.ellipse((whole * 0.16, whole * 0.62, whole * 0.84, whole * 1.3), fill=(255, 255, 255))
    return image.resize((side, side), Image.Resampling.LANCZOS)


def _letter(letter: str, seed: int, side: int) -> Image.Image:
    """Draw one white letter on a plain colour, as Google makes for channels without a picture."""
    image = Image.new("RGB", (side, side), _LETTER_BACKGROUND[seed % len(_LETTER_BACKGROUND)])
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=side * 0.55)
    pen.text((side / 2, side / 2), letter, font=font, fill=(255, 255, 255), anchor="mm")
    return image


def _colour(text: str) -> Colour:
    return (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Return ``one`` with that share of ``other`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)
