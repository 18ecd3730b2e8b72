"""Describes what a picture looks like in a short hash that survives re-encoding and resizing, and compares two.

What belongs here: computing and comparing perceptual hashes.
What does not: the content hash, which is of bytes (``store/keys.py``).

The process of a run compares hashes without ever loading a decoder, so OpenCV is imported where it is used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talent_image_pipeline.pictures.rendering.decode import Pixels

BITS = 256
"""Length of the part of a hash that describes shapes, in bits; the rest is colours, a byte each."""

MOST_DIFFERENT_BITS = 20
"""Shapes that differ in no more bits are the same."""

MOST_COLOUR_DIFFERENCE = 10
"""Colours that differ by no more, of 255, are the same."""

_SHAPE_DIGITS = BITS // 4
_COPY_SIDE = 64
_FREQUENCIES = 16
_COLOUR_CELLS = 4
# Frequencies this weak are noise of the encoder: they count as zero, so that flat pictures have a stable hash too.
_WEAKEST = 24.0


def perceptual_hash(square: "Pixels") -> str:
    """Return the hash of a square: 256 bits of low frequencies, then the mean colours of a 4 x 4 grid, in hex.

    The frequencies are those of Zauner's DCT hash ("Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010), compared with zero.

    Args:
        square: sRGB pixels of shape (side, side, 3).
    """
    import cv2
    import numpy as np

    small = cv2.resize(square, (_COPY_SIDE, _COPY_SIDE), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    frequencies = cv2.dct(colours[:, :, 0].astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES]
    frequencies[0, 0] = 0
    shapes = np.packbits(frequencies > _WEAKEST)
    cells = cv2.resize(colours, (_COLOUR_CELLS, _COLOUR_CELLS), interpolation=cv2.INTER_AREA)
    return shapes.tobytes().hex() + cells.tobytes().hex()


def looks_the_same(first_perceptual_hash: str, second_perceptual_hash: str) -> bool:
    """Return whether two pictures are one picture, encoded or resized differently.

    Args:
        first_perceptual_hash: In hex, as in ``RenderedPicture.perceptual_hash``.
        second_perceptual_hash: Likewise. Hashes of different lengths are never the same.
    """
    if len(first_perceptual_hash) != len(second_perceptual_hash):
        return False
    shapes = int(first_perceptual_hash[:_SHAPE_DIGITS], 16) ^ int(second_perceptual_hash[:_SHAPE_DIGITS], 16)
    if shapes.bit_count() > MOST_DIFFERENT_BITS:
        return False
    colours = zip(
        bytes.fromhex(first_perceptual_hash[_SHAPE_DIGITS:]),
        bytes.fromhex(second_perceptual_hash[_SHAPE_DIGITS:]),
        strict=True,
    )
    return all(abs(first - second) <= MOST_COLOUR_DIFFERENCE for first, second in colours)
