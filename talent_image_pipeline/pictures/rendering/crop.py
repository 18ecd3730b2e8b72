"""Chooses the square of a picture that is shown.

What belongs here: the geometry of the square, as pure functions of sizes and faces.
What does not: finding bars (``bars.py``) and faces (``faces.py``), cutting and encoding the square (``render.py``).

The rules, in their order: the face lies within the circle that avatars are cut to; the head with its hair is whole; the
face is not tiny; the square is as large as it can be. How well they hold is measured by ``python -m benchmarks faces``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from talent_image_pipeline.pictures.rendering.bars import area_without_bars
from talent_image_pipeline.pictures.rendering.decode import Pixels
from talent_image_pipeline.pictures.rendering.faces import Face, find_faces

SMALL_FACE = 0.21
"""A face narrower than this share of the largest square is small: the square closes in."""

SMALL_FACE_IN_SQUARE = 0.15
"""The same for a picture that is a square: there somebody has chosen already what is shown."""

SHARP_SIDE = 256
"""The least side of a square that closes in on a face, in pixels of the source."""

# A square that closes in shows the face this wide or wider.
_CLOSE_FACE = 0.24
_SQUARE_SHAPE = 1.05
# The sides that a square may have are powers of this, as shares of the largest: with steps, two copies of one portrait
# get the same square although the face is measured a little differently.
_STEP = 0.8
# Of the faces in a picture those at least this wide, compared with the widest, and this sharp, compared with the
# sharpest, belong to the group that is shown.
_PROMINENT = 0.6
_IN_FOCUS = 0.4
# One face that stands out from the others by this factor, by size, sharpness and place, is what the picture is about.
_OUTSTANDING = 1.8
# To bring a face into the circle the square closes in to this share of the largest even where pixels are few.
_CLOSEST = 0.7
# Where the eyes of a face should be, from the top of the square.
_EYES_IN_SQUARE = 0.42
# A circle that is over the square's by less than this share of it counts as inside: what is lost is background.
_TOLERATED = 0.01


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square, in pixels of the picture that it was chosen in."""

    left: float
    top: float
    side: float


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """What a square is placed in.

    Attributes:
        width: In pixels.
        height: In pixels.
        least: The least side of a square that closes in, in pixels.
    """

    width: float
    height: float
    least: float

    @property
    def largest(self) -> float:
        """Side of the largest square that fits."""
        return min(self.width, self.height)


def choose_square(pixels: Pixels, *, scale: float = 1.0) -> Square:
    """Choose the square that is shown: bars trimmed, faces inside its inscribed circle.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
        scale: How many of these pixels a pixel of the source makes, at most 1.
    """
    area = area_without_bars(pixels)
    inside = pixels[area.top : area.top + area.height, area.left : area.left + area.width]
    square = square_around(
        find_faces(np.ascontiguousarray(inside)), width=area.width, height=area.height, least_side=SHARP_SIDE * scale
    )
    return Square(left=area.left + square.left, top=area.top + square.top, side=square.side)


def square_around(faces: Sequence[Face], *, width: float, height: float, least_side: float = 0.0) -> Square:
    """Place the square in a picture of a size, in the same pixels as the faces.

    The face that the picture is about is held; without such a one all prominent faces are, where one circle can hold
    them. Without a face the largest square is centred on a point a third from the top.

    Args:
        faces: What was found.
        width: Of the picture.
        height: Of the picture.
        least_side: The square does not close in on a face further than this.
    """
    extent = _Extent(width=width, height=height, least=min(least_side, width, height))
    if not faces:
        return _placed(width / 2, height / 3, extent.largest, extent)
    group = _group(faces, extent)
    if len(group) > 1:
        whole = _enclosing(group)
        square = _square_for(whole, narrowest=min(face.width for face in group), extent=extent)
        if _reach_over(square, whole) <= _TOLERATED * square.side:
            return square
    return _square_for(group[0], narrowest=group[0].width, extent=extent)


def _group(faces: Sequence[Face], extent: _Extent) -> list[Face]:
    """Return the faces that the picture is about, the one that stands out most first."""
    widest = max(face.width for face in faces)
    sharpest = max(face.sharpness for face in faces)
    shown = [face for face in faces if face.width >= _PROMINENT * widest and face.sharpness >= _IN_FOCUS * sharpest]
    # The widest face of all may be out of focus, and then no other may be wide enough.
    shown = shown or [face for face in faces if face.width == widest]
    shown.sort(key=lambda face: -_weight(face, extent))
    stands_out = len(shown) > 1 and _weight(shown[0], extent) >= _OUTSTANDING * _weight(shown[1], extent)
    return shown[:1] if stands_out else shown


def _weight(face: Face, extent: _Extent) -> float:
    """Return how much a face draws the eye: by its area, its sharpness and its nearness to where faces usually are."""
    from_centre = math.hypot(face.x / extent.width - 0.5, face.y / extent.height - 0.4)
    return float(face.width**2 * math.sqrt(max(face.sharpness, 0.01)) * max(0.2, 1 - from_centre))


def _enclosing(group: Sequence[Face]) -> Face:
    """Return one large face whose circle holds the circles of all faces of a group."""
    x = (min(face.x - face.radius for face in group) + max(face.x + face.radius for face in group)) / 2
    y = (min(face.y - face.radius for face in group) + max(face.y + face.radius for face in group)) / 2
    radius = max(math.hypot(face.x - x, face.y - y) + face.radius for face in group)
    return replace(group[0], x=x, y=y, width=2 * radius, height=2 * radius, eyes=y)


def _square_for(face: Face, *, narrowest: float, extent: _Extent) -> Square:
    """Return the square that shows a face well: the largest in which it is not small and lies within the circle.

    Args:
        face: What must lie within the circle.
        narrowest: Width of the narrowest face that must not be small.
        extent: The size of the picture.
    """
    side = max(_side_for(narrowest, extent), min(extent.largest, _room_for_head(face)))
    square = _square_at(face, side, extent)
    if _reach_over(square, face) <= _TOLERATED * side:
        return square
    # A face at the edge comes into the circle when the square closes in; one that is cut off by the edge never does.
    low, high = min(side, max(_room_for_head(face), min(extent.least, _CLOSEST * extent.largest))), side
    if _reach_over(_square_at(face, low, extent), face) > _TOLERATED * low:
        return square
    for _ in range(12):
        middle = (low + high) / 2
        if _reach_over(_square_at(face, middle, extent), face) <= _TOLERATED * middle:
            low = middle
        else:
            high = middle
    return _square_at(face, low, extent)


def _side_for(face_width: float, extent: _Extent) -> float:
    """Return the side in which a face of a width is not small."""
    is_square = max(extent.width, extent.height) <= _SQUARE_SHAPE * extent.largest
    if face_width >= (SMALL_FACE_IN_SQUARE if is_square else SMALL_FACE) * extent.largest:
        return extent.largest
    steps = math.ceil(math.log(face_width / (_CLOSE_FACE * extent.largest), _STEP)) if face_width > 0 else 0
    return max(extent.least, extent.largest * _STEP**steps)


def _room_for_head(face: Face) -> float:
    """Return the side of the least square that holds the whole head with some room around it."""
    return 1.6 * max(face.width, face.height)


def _square_at(face: Face, side: float, extent: _Extent) -> Square:
    """Return the square of a side with the eyes where they belong, lowered or raised until the hair is whole."""
    top = min(face.eyes - _EYES_IN_SQUARE * side, face.crown)
    # Hair that is not there is not shown: then the face comes first.
    top = max(top, face.y + face.radius - side)
    return _placed(face.x, top + side / 2, side, extent)


def _reach_over(square: Square, face: Face) -> float:
    """Return how far a face's circle reaches over the square's inscribed circle; not above 0 where it is inside."""
    half = square.side / 2
    return math.hypot(square.left + half - face.x, square.top + half - face.y) + face.radius - half


def _placed(x: float, y: float, side: float, extent: _Extent) -> Square:
    """Return the square of a side whose centre is as near to a point as the picture allows."""
    left = float(np.clip(x - side / 2, 0, extent.width - side))
    top = float(np.clip(y - side / 2, 0, extent.height - side))
    return Square(left=left, top=top, side=side)
