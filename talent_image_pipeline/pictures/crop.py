"""Chooses the square of a picture that is shown.

What belongs here: trimming bars, finding faces on a small copy, and the geometry of the square, as pure functions of
pixels.
What does not: decoding (``decode.py``) and cutting and encoding the square (``render.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from talent_image_pipeline.pictures.bars import Area, area_without_bars
from talent_image_pipeline.pictures.decode import Pixels

SMALL_FACE = 0.25
"""A face narrower than this share of the largest square is small: the square closes in until the face has it."""

TIGHTEST = 0.6
"""The square never closes in below this share of the largest one: renditions must stay sharp."""

# Faces from about a fifth of the picture upwards are found on the first copy, smaller ones on the second.
_COARSE_SIDE = 120
_FINE_SIDE = 208
_SMALLEST_FACE = 24
_SCALE_STEP = 1.15
_NEIGHBOURS = 4
# Of the faces in a picture those at least this wide, compared with the widest, belong to the group that is shown.
_PROMINENT = 0.6
# The detector's box goes from the forehead to the chin: a circle of this share of its width around its centre holds
# the whole head's front.
_FACE_RADIUS = 0.62
# Where the centre of a face should be, as shares of the square.
_FACE_HEIGHT_IN_SQUARE = 0.45


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face, in pixels of the picture that it was looked for in.

    Attributes:
        x: Its centre, from the left edge.
        y: Its centre, from the top edge.
        width: Its width, from ear to ear.
    """

    x: float
    y: float
    width: float

    @property
    def radius(self) -> float:
        """Radius of the circle around the centre that holds the head's front."""
        return self.width * _FACE_RADIUS


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square, in pixels of the picture that it was chosen in."""

    left: float
    top: float
    side: float


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
    largest = min(width, height)
    if not faces:
        return _placed(width / 2, height / 3, largest, Area(left=0, top=0, width=width, height=height))
    area = Area(left=0, top=0, width=width, height=height)
    group = _group(faces)
    if len(group) > 1:
        held = _enclosing(group)
        square = _square_for(held, narrowest=min(face.width for face in group), area=area)
        if _distance_over(square, held) <= 0.02 * square.side:
            return square
    best = max(group, key=lambda face: face.width * (1 - 0.5 * math.hypot(face.x / width - 0.5, face.y / height - 0.4)))
    return _square_for(best, narrowest=best.width, area=area)


def find_faces(pixels: Pixels) -> list[Face]:
    """Find frontal faces, in the pixels of the picture.

    The picture is brought to a fixed area first, so that the same portrait in another size gives the same faces.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return _faces_at(grey, side=_COARSE_SIDE) or _faces_at(grey, side=_FINE_SIDE)


def _faces_at(grey: Pixels, *, side: int) -> list[Face]:
    height, width = grey.shape
    scale = side / math.sqrt(width * height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.equalizeHist(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    found = _detector().detectMultiScale(small, _SCALE_STEP, _NEIGHBOURS, minSize=(_SMALLEST_FACE, _SMALLEST_FACE))
    across, down = width / size[0], height / size[1]
    return [
        Face(x=(left + face_width / 2) * across, y=(top + face_height / 2) * down, width=float(face_width * across))
        for left, top, face_width, face_height in found
    ]


@lru_cache(maxsize=1)
def _detector() -> cv2.CascadeClassifier:
    cascade = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    return cv2.CascadeClassifier(str(cascade))


def _group(faces: Sequence[Face]) -> list[Face]:
    widest = max(face.width for face in faces)
    return [face for face in faces if face.width >= _PROMINENT * widest]


def _enclosing(group: Sequence[Face]) -> Face:
    """Return one large face whose circle holds all faces of a group."""
    left = min(face.x - face.radius for face in group)
    right = max(face.x + face.radius for face in group)
    top = min(face.y - face.radius for face in group)
    bottom = max(face.y + face.radius for face in group)
    x, y = (left + right) / 2, (top + bottom) / 2
    radius = max(math.hypot(face.x - x, face.y - y) + face.radius for face in group)
    return Face(x=x, y=y, width=radius / _FACE_RADIUS)


def _square_for(face: Face, *, narrowest: float, area: Area) -> Square:
    """Return the largest fitting square that shows a face well and holds it within its inscribed circle."""
    largest = min(area.width, area.height)
    wanted = max(narrowest / SMALL_FACE, 2.2 * face.radius, TIGHTEST * largest)
    side = min(largest, wanted)
    smallest = min(side, max(TIGHTEST * largest, 2.2 * face.radius))
    square = _square_at(face, side, area)
    low, high = smallest, side
    if _distance_over(square, face) <= 0:
        return square
    for _ in range(12):
        middle = (low + high) / 2
        if _distance_over(_square_at(face, middle, area), face) <= 0:
            low = middle
        else:
            high = middle
    return _square_at(face, low, area)


def _square_at(face: Face, side: float, area: Area) -> Square:
    return _placed(face.x, face.y + (0.5 - _FACE_HEIGHT_IN_SQUARE) * side, side, area)


def _distance_over(square: Square, face: Face) -> float:
    """Return how far a face's circle reaches over the square's inscribed circle; not above 0 where it is inside."""
    half = square.side / 2
    return math.hypot(square.left + half - face.x, square.top + half - face.y) + face.radius - half


def _placed(x: float, y: float, side: float, area: Area) -> Square:
    """Return the square of a side whose centre is as near to a point as the area allows."""
    left = float(np.clip(x - side / 2, area.left, area.left + area.width - side))
    top = float(np.clip(y - side / 2, area.top, area.top + area.height - side))
    return Square(left=left, top=top, side=side)
