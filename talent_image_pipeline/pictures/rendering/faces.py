"""Finds the faces in a picture, the same ones whatever its size.

What belongs here: running the detector on small grey copies of fixed sizes, and judging what it reports.
What does not: where the square goes because of the faces (``crop.py``).

The detector is the Haar cascade that OpenCV ships (Viola and Jones, 2001; Lienhart and Maydt, 2002). Its own grouping
rounds to pixels of the small copy and gives boxes that jump by 4 % between two sizes of one portrait. The mean of all
its raw hits on one face moves by less than 1 %, which is why they are grouped here.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from talent_image_pipeline.pictures.rendering.decode import Pixels

# The detector's window, and so the narrowest face that it finds, in pixels of the copy.
_WINDOW = 24
_SCALE_STEP = 1.12
# The copies have the area of a square of these sides: faces from 19 % of it upwards are found on the first one, which
# costs 6 ms, those from 11 % on the second one. A face that was looked for on the first copy needs no second look.
# On the second copy two hits make a candidate, and the likeliest candidates are measured: a face then has about 60
# hits, anything else seldom five.
_COARSE_SIDE, _COARSE_HITS = 128, 3
_FINE_SIDE, _FINE_HITS = 224, 2
_MOST_CANDIDATES = 3
_MEASURED_HITS = 15
_WIDEST_ON_FINE_COPY = 50
# Small faces are those of people who stand, and they are not at the bottom.
_SEARCHED_HEIGHT = 0.7
# Small faces are measured again in a copy of their surroundings where they have this width.
_MEASURED_WIDTH = 64
_MEASURED_AGAIN_BELOW = 0.25
_FINE_SCALE_STEP = 1.05
_LIKENESS = 0.35
# Grouping rounds to whole numbers; this many of them make a pixel.
_SUBPIXELS = 64
# The detector's box goes from the forehead to the chin: a circle of this share of its width around its centre holds
# the front of the head.
_RADIUS = 0.62


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
        """Radius of the circle around the centre that holds the front of the head."""
        return self.width * _RADIUS


def find_faces(pixels: Pixels) -> list[Face]:
    """Find frontal faces, in the pixels of the picture.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    if large := _faces_on_coarse_copy(grey):
        remeasured_below = _MEASURED_AGAIN_BELOW * min(grey.shape)
        return [_measured(grey, face) or face if face.width < remeasured_below else face for face in large]
    candidates = (_measured(grey, face) for face in _faces_on_fine_copy(grey)[:_MOST_CANDIDATES])
    return [face for face in candidates if face is not None]


@lru_cache(maxsize=1)
def _detector() -> cv2.CascadeClassifier:
    cascade = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    return cv2.CascadeClassifier(str(cascade))


def _faces_on_coarse_copy(grey: Pixels) -> list[Face]:
    copy = _copy_with_area(grey, _COARSE_SIDE)
    hits = _detector().detectMultiScale(copy, _SCALE_STEP, 0, minSize=(_WINDOW, _WINDOW))
    return _grouped(hits, fewest=_COARSE_HITS, scale=grey.shape[1] / copy.shape[1])


def _faces_on_fine_copy(grey: Pixels) -> list[Face]:
    copy = cv2.GaussianBlur(_copy_with_area(grey, _FINE_SIDE), (0, 0), 0.8)
    searched = copy[: math.ceil(copy.shape[0] * _SEARCHED_HEIGHT)]
    widest = (_WIDEST_ON_FINE_COPY, _WIDEST_ON_FINE_COPY)
    hits = _detector().detectMultiScale(searched, _SCALE_STEP, 0, minSize=(_WINDOW, _WINDOW), maxSize=widest)
    return _grouped(hits, fewest=_FINE_HITS, scale=grey.shape[1] / copy.shape[1])


def _copy_with_area(grey: Pixels, side: int) -> Pixels:
    """Return a copy with about the area of a square, in the shape of the picture."""
    height, width = grey.shape
    scale = side / math.sqrt(width * height)
    size = (max(_WINDOW, round(width * scale)), max(_WINDOW, round(height * scale)))
    resized = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _grouped(hits: object, *, fewest: int, scale: float) -> list[Face]:
    """Return the means of the groups of hits that agree, in pixels of the picture, the likeliest first."""
    boxes = (np.asarray(hits, dtype=np.float64).reshape(-1, 4) * _SUBPIXELS).astype(np.int64).tolist()
    means, weights = cv2.groupRectangles(boxes, fewest - 1, _LIKENESS)
    likeliest_first = [means[index] for index in np.argsort(-np.ravel(weights), kind="stable")]
    unit = scale / _SUBPIXELS
    return [
        Face(x=float(left + width / 2) * unit, y=float(top + height / 2) * unit, width=float(width) * unit)
        for left, top, width, height in likeliest_first
    ]


def _measured(grey: Pixels, face: Face) -> Face | None:
    """Return a small face measured again at a fixed size; none where it turns out to be none."""
    height, width = grey.shape
    left, top = max(0.0, face.x - face.width), max(0.0, face.y - face.width)
    right, bottom = min(float(width), face.x + face.width), min(float(height), face.y + face.width)
    scale = _MEASURED_WIDTH / face.width
    size = (round((right - left) * scale), round((bottom - top) * scale))
    placement = np.array([[1 / scale, 0, left], [0, 1 / scale, top]], dtype=np.float32)
    source = cv2.GaussianBlur(grey, (0, 0), 0.5 / scale) if scale < 1 else grey
    copy = cv2.warpAffine(source, placement, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    least, most = round(0.7 * _MEASURED_WIDTH), round(1.45 * _MEASURED_WIDTH)
    hits = _detector().detectMultiScale(
        cv2.GaussianBlur(copy, (0, 0), 0.8), _FINE_SCALE_STEP, 0, minSize=(least, least), maxSize=(most, most)
    )
    if len(hits) < _MEASURED_HITS:
        return None
    x, y, side, _ = np.asarray(hits, dtype=np.float64).mean(axis=0)
    return Face(x=left + float(x + side / 2) / scale, y=top + float(y + side / 2) / scale, width=float(side) / scale)
