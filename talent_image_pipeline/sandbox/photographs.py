"""Portraits that look like photographs: a lit head with skin, hair and clothes before a room out of focus.

No photograph of a real person is used: the people of the sandbox do not exist. A seed decides everything. What belongs
here: the painting, as arithmetic on whole images. What does not: encoding, and the flat drawings (``portraits.py``).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.floating[Any]]
Color = tuple[float, float, float]

_SKIN: tuple[Color, ...] = (
    (0.93, 0.76, 0.66),
    (0.89, 0.70, 0.57),
    (0.80, 0.59, 0.45),
    (0.68, 0.47, 0.33),
    (0.52, 0.34, 0.23),
    (0.36, 0.23, 0.16),
)
_HAIR: tuple[Color, ...] = (
    (0.07, 0.055, 0.05),
    (0.17, 0.10, 0.07),
    (0.32, 0.19, 0.11),
    (0.55, 0.38, 0.20),
    (0.46, 0.45, 0.44),
    (0.36, 0.14, 0.08),
)
_IRIS: tuple[Color, ...] = ((0.24, 0.14, 0.08), (0.20, 0.30, 0.38), (0.25, 0.30, 0.16), (0.12, 0.08, 0.06))
_CLOTHES: tuple[Color, ...] = (
    (0.12, 0.14, 0.20),
    (0.42, 0.12, 0.13),
    (0.10, 0.28, 0.32),
    (0.72, 0.69, 0.62),
    (0.25, 0.30, 0.22),
    (0.60, 0.44, 0.20),
)
_ROOMS: tuple[tuple[Color, Color, Color], ...] = (
    ((0.20, 0.26, 0.32), (0.55, 0.50, 0.44), (1.0, 0.86, 0.62)),
    ((0.24, 0.33, 0.22), (0.52, 0.58, 0.38), (0.95, 0.98, 0.75)),
    ((0.42, 0.40, 0.38), (0.74, 0.71, 0.66), (1.0, 0.97, 0.92)),
    ((0.10, 0.11, 0.16), (0.28, 0.20, 0.26), (1.0, 0.62, 0.36)),
    ((0.36, 0.47, 0.56), (0.70, 0.76, 0.78), (0.97, 0.99, 1.0)),
)


_PAINTED_SIDE = 400


class Framing(StrEnum):
    """How much of a person a photograph shows, and where."""

    CLOSE = "close"
    OFF_CENTER = "off_center"
    FULL_BODY = "full_body"


@dataclass(frozen=True, kw_only=True)
class _Person:
    skin: Color
    hair: Color
    iris: Color
    clothes: Color
    is_long_haired: bool
    is_bearded: bool
    smile: float
    jaw: float
    light: float
    tilt: float


def photograph(seed: int, side: int, framing: Framing = Framing.CLOSE) -> Image.Image:
    """Return a square photograph of the person that a seed stands for."""
    return _taken(seed, framing).resize((side, side), Image.Resampling.LANCZOS)


@lru_cache(maxsize=64)
def _taken(seed: int, framing: Framing) -> Image.Image:
    """Paint the photograph once, whatever sizes are asked for: it costs a tenth of a second and more."""
    side = _PAINTED_SIDE
    rng = np.random.default_rng(seed * 7919 + 11)
    person = _person(rng)
    x, y, half_height = _place(framing, rng)
    image = _room(rng, side)
    _paint_body(image, person, rng, side=side, at=(x, y), half_height=half_height, framing=framing)
    _paint_head(image, person, rng, side=side, at=(x, y), half_height=half_height)
    return _developed(image, rng)


def _person(rng: np.random.Generator) -> _Person:
    is_long_haired = bool(rng.random() < 0.5)
    return _Person(
        skin=_SKIN[rng.integers(len(_SKIN))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        iris=_IRIS[rng.integers(len(_IRIS))],
        clothes=_CLOTHES[rng.integers(len(_CLOTHES))],
        is_long_haired=is_long_haired,
        is_bearded=not is_long_haired and bool(rng.random() < 0.45),
        smile=float(rng.uniform(0.03, 0.10)),
        jaw=float(rng.uniform(0.20, 0.34) if is_long_haired else rng.uniform(0.12, 0.24)),
        light=float(rng.choice((-1.0, 1.0)) * rng.uniform(0.45, 0.8)),
        tilt=float(rng.uniform(-0.10, 0.10)),
    )


def _place(framing: Framing, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return where the face is and half its height, as shares of the side."""
    if framing is Framing.FULL_BODY:
        return float(rng.uniform(0.4, 0.6)), 0.20, 0.075
    if framing is Framing.OFF_CENTER:
        return float(rng.choice((0.24, 0.76))), 0.42, 0.095
    return float(rng.uniform(0.46, 0.54)), float(rng.uniform(0.42, 0.47)), float(rng.uniform(0.25, 0.29))


def _grid(side: int) -> tuple[Plane, Plane]:
    line = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.meshgrid(line, line)


def _step(low: float, high: float, value: Plane) -> Plane:
    """Go smoothly from 0 at ``low`` to 1 at ``high``."""
    share = np.clip((value - low) / (high - low), 0.0, 1.0)
    smooth: Plane = share * share * (3 - 2 * share)
    return smooth


def _bump(u: Plane, v: Plane, *, at: tuple[float, float], wide: float, high: float) -> Plane:
    return np.exp(-(((u - at[0]) / wide) ** 2) - ((v - at[1]) / high) ** 2).astype(np.float32)


def _noise(rng: np.random.Generator, side: int, cells: tuple[int, int]) -> Plane:
    """Return smooth noise around 0 with about so many cells down and across."""
    small = rng.standard_normal((max(2, cells[0]), max(2, cells[1])), dtype=np.float32)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)


def _blend(image: Plane, color: Plane | Color, mask: Plane) -> None:
    image += (np.asarray(color, dtype=np.float32) - image) * mask[..., None]


def _room(rng: np.random.Generator, side: int) -> Plane:
    """Paint a room or a garden far out of focus, with lights in it."""
    dark, bright, lamp = (np.asarray(color, dtype=np.float32) for color in _ROOMS[rng.integers(len(_ROOMS))])
    x, y = _grid(side)
    shade = np.clip(0.5 + 0.16 * _noise(rng, side, (4, 5)) + 0.10 * _noise(rng, side, (3, 9)) - 0.25 * (y - 0.4), 0, 1)
    image: Plane = dark + (bright - dark) * shade[..., None]
    for _ in range(int(rng.integers(7, 15))):
        cx, cy, radius = rng.random(), rng.random() * 0.75, rng.uniform(0.025, 0.075)
        distance = np.hypot(x - cx, y - cy) / radius
        disc = (1 - _step(0.86, 1.04, distance)) * (0.55 + 0.45 * _step(0.4, 1.0, distance))
        image += lamp * (disc * rng.uniform(0.05, 0.24))[..., None]
    return image


def _paint_body(
    image: Plane,
    person: _Person,
    rng: np.random.Generator,
    *,
    side: int,
    at: tuple[float, float],
    half_height: float,
    framing: Framing,
) -> None:
    """Paint hair that falls behind the neck, the neck, the shoulders and, where there is room, the whole person."""
    x, y = _grid(side)
    u, v = (x - at[0]) / (half_height * 0.76), (y - at[1]) / half_height
    soft = 2.0 / (side * half_height)
    if person.is_long_haired:
        crown = np.sqrt(np.clip(1 - (np.minimum(v, -0.1) + 0.1) ** 2, 0, 1))
        width = (1.20 + 0.10 * np.sin(np.maximum(v, 0) * 2.2)) * crown + 0.05 * _noise(rng, side, (9, 3))
        mask = (1 - _step(-soft, soft * 4, np.abs(u) - width)) * _step(-1.1, -1.0, v) * (1 - _step(1.4, 1.8, v))
        _blend(image, _hair_color(person, rng, side, u, v) * 0.62, mask)
    neck = (1 - _step(0.50, 0.50 + soft * 3, np.abs(u) - 0.16 * _step(0.95, 1.4, v))) * _step(0.4, 0.6, v)
    round_neck = np.clip(1 - (u / 0.62) ** 2, 0, 1)
    shadow = 0.40 + 0.60 * _step(0.9, 1.45, v)
    light = np.clip(0.55 + 0.45 * round_neck + 0.25 * u * person.light, 0.2, 1.2) * shadow
    _blend(image, np.asarray(person.skin, np.float32) * light[..., None], neck * (1 - _step(2.0, 2.2, v)))
    reach = 2.2 if person.is_long_haired else 2.5
    aside = np.clip(np.abs(u) / reach, 0, 1)
    rise = 1.24 + 0.45 * aside**2.2 + 1.3 * aside**14
    torso = 1 - _step(reach, reach + soft * 4, np.abs(u))
    if framing is Framing.FULL_BODY:
        waist = reach * (0.78 + 0.14 * np.cos((v - 1.6) * 0.55))
        torso = 1 - _step(-soft * 2, soft * 2, np.abs(u) - waist)
    collar = 0.30 * np.exp(-((u / 0.62) ** 2))
    cloth = torso * _step(-soft * 2, soft * 3, v - rise - collar)
    folds = 0.10 * _noise(rng, side, (7, 16)) + 0.05 * _noise(rng, side, (22, 30))
    weave = 0.015 * rng.standard_normal((side, side), dtype=np.float32)
    light = np.clip(0.78 + 0.24 * u * person.light - 0.05 * (v - 1.5) + folds + weave, 0.25, 1.25)
    color = np.asarray(person.clothes, np.float32) * light[..., None]
    if framing is Framing.FULL_BODY:
        legs = np.asarray((0.13, 0.15, 0.21), np.float32) * light[..., None]
        below = _step(6.0, 6.1, v)[..., None]
        gap = (1 - _step(0.05, 0.16, np.abs(u))) * _step(6.6, 7.0, v)
        color = color + (legs - color) * below
        cloth = cloth * (1 - gap)
    _blend(image, color, cloth)


def _hair_color(person: _Person, rng: np.random.Generator, side: int, u: Plane, v: Plane) -> Plane:
    """Return strands: noise that is long along the hair and fine across it, with the sheen of a lamp."""
    strands = 0.55 * _noise(rng, side, (5, side // 4)) + 0.4 * _noise(rng, side, (9, side // 9))
    sheen = np.exp(-(((v + 0.72 + 0.25 * u * u) / 0.22) ** 2)) * (0.55 + 0.45 * u * person.light)
    light = np.clip(0.85 + 0.22 * strands + 0.18 * u * person.light, 0.3, 1.7)
    color: Plane = np.asarray(person.hair, np.float32) * light[..., None]
    color += (0.16 * np.clip(sheen, 0, 1) * np.clip(0.8 + 0.5 * strands, 0, 2))[..., None]
    return color


def _relief(person: _Person, u: Plane, v: Plane) -> tuple[Plane, Plane]:
    """Return the height of the face above the picture, and how far inside its outline each point is."""
    jaw = 1 - person.jaw * _step(0.1, 1.0, v) + 0.03 * _bump(np.abs(u), v, at=(0.8, 0.15), wide=0.4, high=0.25)
    inside: Plane = 1 - (u / jaw) ** 2 - v**2
    height = 0.95 * np.sqrt(np.clip(inside, 0, 1))
    across = np.abs(u)
    height += 0.17 * np.exp(-((u / 0.12) ** 2)) * _step(-0.28, 0.22, v) * (1 - _step(0.26, 0.36, v))
    height += 0.13 * _bump(u, v, at=(0, 0.27), wide=0.15, high=0.09)
    height += 0.07 * _bump(across, v, at=(0.17, 0.30), wide=0.07, high=0.06)
    height -= 0.13 * _bump(across, v, at=(0.40, -0.09), wide=0.22, high=0.11)
    height += 0.05 * _bump(across, v, at=(0.40, -0.07), wide=0.17, high=0.07)
    height += 0.06 * _bump(across, v, at=(0.36, -0.25), wide=0.26, high=0.07)
    height += 0.07 * _bump(across, v, at=(0.52, 0.27), wide=0.24, high=0.20)
    height -= 0.03 * _bump(u, v, at=(0, 0.42), wide=0.05, high=0.06)
    height += 0.05 * _bump(u, v, at=(0, 0.52), wide=0.26, high=0.05)
    height += 0.06 * _bump(u, v, at=(0, 0.61), wide=0.22, high=0.05)
    height -= 0.05 * _bump(u, v, at=(0, 0.70), wide=0.22, high=0.05)
    height += 0.07 * _bump(u, v, at=(0, 0.84), wide=0.22, high=0.12)
    return height.astype(np.float32), inside


def _paint_head(
    image: Plane,
    person: _Person,
    rng: np.random.Generator,
    *,
    side: int,
    at: tuple[float, float],
    half_height: float,
) -> None:
    x, y = _grid(side)
    cos, sin = math.cos(person.tilt), math.sin(person.tilt)
    right, down = (x - at[0]) / half_height, (y - at[1]) / half_height
    u, v = (right * cos + down * sin) / 0.76, down * cos - right * sin
    soft = 2.0 / (side * half_height)
    for ear in (-1.0, 1.0):
        mask = 1 - _step(0.8, 1.0 + soft * 2, ((u - ear * 0.99) / 0.13) ** 2 + ((v - 0.03) / 0.20) ** 2)
        lobe = 0.62 + 0.2 * ear * person.light - 0.25 * _bump(u, v, at=(ear * 0.99, 0.0), wide=0.06, high=0.12)
        _blend(
            image,
            np.asarray(person.skin, np.float32) * np.asarray((1.0, 0.9, 0.86), np.float32) * lobe[..., None],
            mask,
        )
    height, inside = _relief(person, u, v)
    face = _step(0.0, soft * 3.5, inside)
    _blend(image, _lit_skin(person, rng, side, u, v, height, half_height), face)
    _paint_eyes(image, person, rng, u, v, soft)
    _paint_mouth(image, person, u, v, soft)
    _paint_hair(image, person, rng, side, u, v, soft, inside)


def _lit_skin(
    person: _Person, rng: np.random.Generator, side: int, u: Plane, v: Plane, height: Plane, half_height: float
) -> Plane:
    """Return the skin under a window to one side and a weaker light from the other."""
    slope = side * half_height
    down, right = np.gradient(height)
    normal = np.stack((-right * slope, -down * slope, np.ones_like(height)), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    window = np.asarray((person.light, -0.55, 0.85), np.float32)
    window /= np.linalg.norm(window)
    facing = normal @ window
    diffuse = np.clip((facing + 0.30) / 1.30, 0, 1) ** 1.25
    fill = np.clip(normal @ np.asarray((-person.light * 0.8, 0.1, 0.6), np.float32), 0, 1)
    halfway = window + np.asarray((0, 0, 1), np.float32)
    halfway /= np.linalg.norm(halfway)
    shine = np.clip(normal @ halfway, 0, 1) ** 26
    pores = 0.010 * rng.standard_normal((side, side), dtype=np.float32)
    pores += 0.018 * _noise(rng, side, (side // 5, side // 5))
    tone = 1 + 0.025 * _noise(rng, side, (14, 14)) + pores
    blush = 0.10 * _bump(np.abs(u), v, at=(0.55, 0.28), wide=0.26, high=0.2)
    blush += 0.09 * _bump(u, v, at=(0, 0.27), wide=0.16, high=0.1)
    skin = np.asarray(person.skin, np.float32) * tone[..., None]
    skin = skin * (1 - blush[..., None] * np.asarray((0.0, 0.55, 0.50), np.float32))
    # Light that has travelled below the skin is red where the light ends.
    warm = np.clip(1 - np.abs(facing - 0.05) / 0.35, 0, 1)[..., None] * np.asarray((0.07, 0.015, 0.0), np.float32)
    lit: Plane = skin * (0.24 + 0.86 * diffuse + 0.20 * fill)[..., None] + warm * skin
    lit += (0.12 * shine * (0.7 + 0.3 * tone))[..., None]
    if person.is_bearded:
        grain = np.clip(0.85 + 0.09 * rng.standard_normal((side, side), dtype=np.float32), 0.25, 1)
        beard = np.asarray(person.hair, np.float32) * (0.5 + 0.6 * diffuse)[..., None]
        _blend(lit, beard, 0.72 * _beard(u, v) * grain)
    return lit


def _beard(u: Plane, v: Plane) -> Plane:
    """Return where a beard grows: on the jaw and above the lips, not on them."""
    grows = _step(0.12, 0.42, v + 0.35 * np.abs(u) - 0.14)
    grows *= 1 - 0.8 * _bump(u, v, at=(0, 0.55), wide=0.30, high=0.06)
    grows *= 1 - _step(0.55, 0.0, np.abs(u)) * _step(0.42, 0.30, v)
    return grows


def _paint_eyes(image: Plane, person: _Person, rng: np.random.Generator, u: Plane, v: Plane, soft: float) -> None:
    for eye in (-1.0, 1.0):
        a, b = u - eye * 0.40, v + 0.085
        upper = 0.075 * np.clip(1 - (a / 0.20) ** 2, 0, 1) ** 0.8
        lower = 0.050 * np.clip(1 - (a / 0.20) ** 2, 0, 1)
        opening = _step(-soft, soft, b + upper) * _step(-soft, soft, lower - b) * (1 - _step(0.17, 0.20, np.abs(a)))
        shade = (0.62 + 0.30 * _step(-0.07, 0.02, b))[..., None]
        _blend(image, np.asarray((0.90, 0.87, 0.85), np.float32) * shade, opening)
        radius = np.hypot(a * 0.76, b - 0.004)
        rays = 1 + 0.25 * np.sin(np.arctan2(b, a) * 23 + 3 * eye)
        iris = np.asarray(person.iris, np.float32) * (rays * (0.75 + 3.0 * radius))[..., None]
        _blend(image, iris * shade, opening * (1 - _step(0.062, 0.070, radius)))
        _blend(image, (0.02, 0.02, 0.02), opening * (1 - _step(0.024, 0.030, radius)))
        glint = 1 - _step(0.010, 0.018, np.hypot(a * 0.76 - 0.022 * np.sign(person.light), b + 0.022))
        _blend(image, (0.97, 0.97, 0.96), opening * glint)
        lash = np.exp(-(((b + upper + 0.006) / 0.016) ** 2)) * (1 - _step(0.18, 0.23, np.abs(a)))
        _blend(image, (0.06, 0.04, 0.035), 0.85 * lash)
        crease = np.exp(-(((b + upper * 1.5 + 0.035) / 0.012) ** 2)) * (1 - _step(0.15, 0.23, np.abs(a)))
        _blend(image, np.asarray(person.skin, np.float32) * 0.42, 0.5 * crease)
        rim = np.exp(-(((b - lower) / 0.012) ** 2)) * (1 - _step(0.14, 0.20, np.abs(a)))
        _blend(image, np.asarray(person.skin, np.float32) * 0.55, 0.35 * rim)
        outward = a * eye
        arch = b + 0.155 + 0.055 * np.cos(outward * 5.2) - 0.03 * outward
        thick = 0.030 * (1 - 0.5 * _step(0.0, 0.28, outward))
        brow = np.exp(-((arch / thick) ** 2)) * _step(-0.25, -0.19, outward) * (1 - _step(0.22, 0.30, outward))
        hairs = np.clip(0.85 + 0.15 * rng.standard_normal(u.shape, dtype=np.float32), 0.2, 1)
        _blend(image, np.asarray(person.hair, np.float32) * 0.65, (0.85 * brow * hairs).astype(np.float32))


def _paint_mouth(image: Plane, person: _Person, u: Plane, v: Plane, soft: float) -> None:
    across = np.clip(np.abs(u) / 0.34, 0, 1)
    line = 0.565 - person.smile * across**2
    span = 1 - _step(0.31, 0.35, np.abs(u))
    lips = np.asarray(person.skin, np.float32) * np.asarray((0.86, 0.56, 0.55), np.float32)
    bow = 0.052 * (1 - across**1.5) * (1 - 0.35 * np.exp(-((u / 0.06) ** 2)))
    upper = _step(-soft * 2, soft * 2, v - line + bow) * _step(-soft, soft, line - v)
    _blend(image, lips * 0.74, 0.80 * upper * span)
    full = 0.075 * np.sqrt(np.clip(1 - across**2, 0, 1))
    lower = _step(-soft, soft, v - line) * _step(-soft * 3, soft * 3, line + full - v)
    gloss = 0.86 + 0.30 * _bump(u, v, at=(0.04 * person.light, 0.605), wide=0.14, high=0.018)
    _blend(image, lips * gloss[..., None], 0.80 * lower * span)
    _blend(image, lips * 0.30, 0.85 * np.exp(-(((v - line) / 0.010) ** 2)) * span)
    for nostril in (-1.0, 1.0):
        hole = _bump(u, v, at=(nostril * 0.085, 0.335), wide=0.042, high=0.018)
        _blend(image, np.asarray(person.skin, np.float32) * 0.20, 0.75 * hole)
    under = _bump(u, v, at=(0, 0.365), wide=0.17, high=0.030)
    _blend(image, np.asarray(person.skin, np.float32) * 0.45, 0.30 * under)


def _paint_hair(
    image: Plane,
    person: _Person,
    rng: np.random.Generator,
    side: int,
    u: Plane,
    v: Plane,
    soft: float,
    inside: Plane,
) -> None:
    ragged = 0.05 * _noise(rng, side, (12, 60)) + 0.03 * _noise(rng, side, (30, 90))
    cap = (u / (1.13 if person.is_long_haired else 1.07)) ** 2 + ((v + 0.10) / 1.08) ** 2
    outer = 1 - _step(0.94, 1.0 + soft * 4, cap + 0.5 * ragged)
    parting = 0.18 * np.sign(person.light)
    hairline = -0.60 + 0.34 * (u - parting) ** 2 + ragged
    if person.is_long_haired:
        hairline = -0.62 + 0.95 * np.abs(u - parting) ** 1.7 + ragged
        sides = _step(0.86, 0.92, np.abs(u) + 0.4 * ragged) * (1 - _step(0.7, 1.2, v))
    else:
        sides = _step(0.90, 0.97, np.abs(u) + ragged) * (1 - _step(-0.12, 0.02, v))
    front = np.clip(_step(-soft * 3, soft * 4, hairline - v) + sides, 0, 1)
    mask = outer * front
    contact = np.clip(_step(-0.12, 0.02, hairline - v) - front, 0, 1) * _step(0.0, 0.1, inside)
    _blend(image, np.asarray(person.skin, np.float32) * 0.35, 0.35 * contact)
    _blend(image, _hair_color(person, rng, side, u, v), mask)


def _developed(image: Plane, rng: np.random.Generator) -> Image.Image:
    """Return the picture as a camera keeps it: a soft lens, darker corners, a curve and grain."""
    side = image.shape[0]
    x, y = _grid(side)
    corners = 1 - 0.28 * np.clip(np.hypot(x - 0.5, y - 0.5) - 0.25, 0, 1)
    exposed = np.clip(image * corners[..., None], 0, 1.2)
    curved = np.clip(exposed / (1 + 0.12 * exposed) * 1.10, 0, 1) ** (1 / 1.18)
    grain = 0.012 * rng.standard_normal((side, side, 1), dtype=np.float32)
    return Image.fromarray((np.clip(curved + grain, 0, 1) * 255).astype(np.uint8))
