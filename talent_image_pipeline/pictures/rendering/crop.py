"""Chooses the square of a picture that is shown.

What belongs here: the geometry of the square, as pure functions of sizes and faces.
What does not: finding bars (``bars.py``) and faces (``faces.py``), cutting and encoding the square (``render.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talent_image_pipeline.pictures.rendering.bars import area_without_bars
from talent_image_pipeline.pictures.rendering.decode import Pixels
from talent_image_pipeline.pictures.rendering.faces import Face, find_faces

CLOSER_SIDES = (1.0, 0.8, 0.6)
"""The sides that a square may have, as shares of the largest one that fits.

Steps, because a face's width is known to a few per cent only: with steps two copies of one portrait get the same
square. The last one keeps renditions sharp.
"""

SMALL_FACE = 0.17
"""A face narrower than this share of the square is small: the square closes in."""

# Of the faces in a picture those at least this wide, compared with the widest, belong to the group that is shown.
_PROMINENT = 0.6
# Where the centre of a face should be, from the top of the square.
_FACE_HEIGHT_IN_SQUARE = 0.45
# A circle that is over the square's by less than this share of it counts as inside: what is lost is background.
_TOLERATED = 0.02


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square, in pixels of the picture that it was chosen in."""

    left: float
    top: float
    side: float


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """The size of what a square is placed in, in pixels."""

    width: float
    height: float


def choose_square(pixels: Pixels) -> Square:
    """Choose the square that is shown: bars trimmed, faces inside its inscribed circle.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
    """
    area = area_without_bars(pixels)
    inside = pixels[area.top : area.top + area.height, area.left : area.left + area.width]
    square = square_around(find_faces(inside), width=area.width, height=area.height)
    return Square(left=area.left + square.left, top=area.top + square.top, side=square.side)


def square_around(faces: Sequence[Face], *, width: float, height: float) -> Square:
    """Place the square in a picture of a size, in the same pixels as the faces.

    All prominent faces are held where one circle can hold them, otherwise the one that is largest and most central.
    Without a face the largest square is centred on a point a third from the top.
    """
    area = _Extent(width=width, height=height)
    if not faces:
        return _placed(width / 2, height / 3, min(width, height), area)
    group = _group(faces)
    if len(group) > 1:
        circle = _enclosing(group)
        square = _square_for(circle, narrowest=min(face.width for face in group), area=area)
        if _reach_over(square, circle) <= _TOLERATED * square.side:
            return square
    best = max(group, key=lambda face: face.width * (1 - _distance_from_centre(face, area)))
    return _square_for(best, narrowest=best.width, area=area)


def _distance_from_centre(face: Face, area: _Extent) -> float:
    """Return how far a face is from where faces usually are, about 0 to 0.5."""
    return 0.5 * math.hypot(face.x / area.width - 0.5, face.y / area.height - 0.4)


def _group(faces: Sequence[Face]) -> list[Face]:
    widest = max(face.width for face in faces)
    return [face for face in faces if face.width >= _PROMINENT * widest]


def _enclosing(group: Sequence[Face]) -> Face:
    """Return one large face whose circle holds the circles of all faces of a group."""
    x = (min(face.x - face.radius for face in group) + max(face.x + face.radius for face in group)) / 2
    y = (min(face.y - face.radius for face in group) + max(face.y + face.radius for face in group)) / 2
    radius = max(math.hypot(face.x - x, face.y - y) + face.radius for face in group)
    return Face(x=x, y=y, width=group[0].width * radius / group[0].radius)


def _square_for(face: Face, *, narrowest: float, area: _Extent) -> Square:
    """Return the square that shows a face well: the largest in which it is not small and lies within the circle.

    Args:
        face: What must lie within the circle.
        narrowest: Width of the narrowest face that must not be small.
        area: The size of the picture.
    """
    largest = min(area.width, area.height)
    sides = [share * largest for share in CLOSER_SIDES]
    fitting = [side for side in sides if narrowest >= SMALL_FACE * side] or sides[-1:]
    side = max(fitting[0], min(largest, 2 * face.radius))
    square = _square_at(face, side, area)
    if _reach_over(square, face) <= _TOLERATED * side:
        return square
    low, high = min(side, max(sides[-1], 2 * face.radius)), side
    for _ in range(12):
        middle = (low + high) / 2
        if _reach_over(_square_at(face, middle, area), face) <= 0:
            low = middle
        else:
            high = middle
    return _square_at(face, low, area)


def _square_at(face: Face, side: float, area: _Extent) -> Square:
    return _placed(face.x, face.y + (0.5 - _FACE_HEIGHT_IN_SQUARE) * side, side, area)


def _reach_over(square: Square, face: Face) -> float:
    """Return how far a face's circle reaches over the square's inscribed circle; not above 0 where it is inside."""
    half = square.side / 2
    return math.hypot(square.left + half - face.x, square.top + half - face.y) + face.radius - half


def _placed(x: float, y: float, side: float, area: _Extent) -> Square:
    """Return the square of a side whose centre is as near to a point as the area allows."""
    left = float(np.clip(x - side / 2, 0, area.width - side))
    top = float(np.clip(y - side / 2, 0, area.height - side))
    return Square(left=left, top=top, side=side)
