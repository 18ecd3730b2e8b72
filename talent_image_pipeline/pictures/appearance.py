"""Describes what a picture looks like in a short hash that survives re-encoding and resizing.

What belongs here: the perceptual hash of a square of pixels.
What does not: comparing two hashes (``perceptual.py``, which needs no pixels).
"""

import cv2
import numpy as np

from talent_image_pipeline.pictures.decode import Pixels

_COPY_SIDE = 64
_FREQUENCIES = 16
_COLOUR_CELLS = 4
# Frequencies this weak are noise of the encoder: they count as zero, so that flat pictures have a stable hash too.
_WEAKEST = 24.0


def perceptual_hash(square: Pixels) -> str:
    """Return the hash of a square: 256 bits of low frequencies, then the mean colours of a 4 x 4 grid, in hex.

    The frequencies are those of Zauner's DCT hash ("Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010), compared with zero.

    Args:
        square: sRGB pixels of shape (side, side, 3).
    """
    small = cv2.resize(square, (_COPY_SIDE, _COPY_SIDE), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    frequencies = cv2.dct(colours[:, :, 0].astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES]
    frequencies[0, 0] = 0
    shapes = np.packbits(frequencies > _WEAKEST)
    cells = cv2.resize(colours, (_COLOUR_CELLS, _COLOUR_CELLS), interpolation=cv2.INTER_AREA)
    return shapes.tobytes().hex() + cells.tobytes().hex()
