"""Finds the bars that fill a picture up to another shape: black ones and blurred ones.

What belongs here: telling a bar from a picture's own dark or soft edge, as a pure function of pixels.
What does not: what is shown of the rest (``crop.py``).
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from talent_image_pipeline.pictures.rendering.decode import Pixels

_COPY_SIDE = 160
_BLACKEST = 26
# The share of a bar's edge along which the picture must begin at once: a dark background does not end on a ruled line.
_RULED_SHARE = 0.6
_STEP = 12
# Bars come in pairs of one width; compression blurs their edges by a pixel of the copy.
_PAIR_TOLERANCE = 2
_WIDEST_BAR = 0.4
_NARROWEST_BAR = 0.04
# A black bar is flat: a dark part of a photograph has some structure, in levels of standard deviation.
_FLATTEST = 4.0
# A blurred bar has hardly any detail, compared with what is between the two.
_SOFTNESS = 0.22

Profile = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Area:
    """A rectangle of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def area_without_bars(pixels: Pixels) -> Area:
    """Return the part of a picture that is left without bars on two opposite sides.

    Args:
        pixels: Upright sRGB, shape (height, width, 3).
    """
    height, width = pixels.shape[:2]
    scale = _COPY_SIDE / max(width, height)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA).astype(np.int16)
    left, right = _bars_at_sides(grey)
    top, bottom = _bars_at_sides(grey.T)
    across, down = width / size[0], height / size[1]
    x, y = int(np.ceil(left * across)), int(np.ceil(top * down))
    return Area(
        left=x,
        top=y,
        width=int(width - np.ceil(right * across)) - x,
        height=int(height - np.ceil(bottom * down)) - y,
    )


def _bars_at_sides(grey: np.ndarray[Any, np.dtype[np.int16]]) -> tuple[int, int]:
    """Return the widths of the left and the right bar, in columns; 0 and 0 where there is no pair."""
    for widths in (_black_bars(grey), _blurred_bars(grey)):
        narrowest, widest = _NARROWEST_BAR * grey.shape[1], _WIDEST_BAR * grey.shape[1]
        if min(widths) >= narrowest and max(widths) <= widest and abs(widths[0] - widths[1]) <= _PAIR_TOLERANCE:
            return widths
    return 0, 0


def _black_bars(grey: np.ndarray[Any, np.dtype[np.int16]]) -> tuple[int, int]:
    black = np.percentile(grey, 98, axis=0) <= _BLACKEST
    if black.all():
        return 0, 0
    left, right = int(np.argmin(black)), int(np.argmin(black[::-1]))
    if not (_is_flat(grey[:, :left]) and _is_flat(grey[:, grey.shape[1] - right :])):
        return 0, 0
    return _ruled(grey, left), _ruled(grey[:, ::-1], right)


def _is_flat(bar: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
    """Return whether a bar is of one colour, but for its soft edge and what compression leaves."""
    return bar.shape[1] > 0 and float(bar.std()) <= _FLATTEST


def _ruled(grey: np.ndarray[Any, np.dtype[np.int16]], width: int) -> int:
    """Return the width of a bar, one column of its soft edge included; 0 where it does not end on a ruled line."""
    if not 0 < width < grey.shape[1] - 3:
        return 0
    after = grey[:, width + 1]
    return width + 1 if np.mean(after > _BLACKEST + _STEP) >= _RULED_SHARE else 0


def _blurred_bars(grey: np.ndarray[Any, np.dtype[np.int16]]) -> tuple[int, int]:
    columns = grey.shape[1]
    steps = np.abs(grey[:, 2:] - grey[:, :-2])
    ruled: Profile = np.mean(steps > _STEP, axis=0).astype(np.float32)
    reach = int(_WIDEST_BAR * columns)
    left = int(np.argmax(ruled[:reach])) + 1
    right = int(np.argmax(ruled[::-1][:reach])) + 1
    if min(ruled[left - 1], ruled[columns - 2 - right]) < _RULED_SHARE or min(left, right) < 4:
        return 0, 0
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_16S)).mean(axis=0)
    middle = detail[left + 2 : columns - right - 2].mean()
    sides = max(detail[1 : left - 2].mean(), detail[columns - right + 2 : columns - 1].mean())
    return (left + 1, right + 1) if sides < _SOFTNESS * middle else (0, 0)
