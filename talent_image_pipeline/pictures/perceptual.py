"""Compares what two pictures look like.

What belongs here: the comparison of perceptual hashes. This module imports nothing heavy.
What does not: computing them from pixels (``appearance.py``).
"""

BITS = 256
"""Length of the part of a hash that describes shapes, in bits; the rest is colours, a byte each."""

MOST_DIFFERENT_BITS = 20
"""Shapes that differ in no more bits are the same."""

MOST_COLOUR_DIFFERENCE = 10
"""Colours that differ by no more, of 255, are the same."""

_SHAPE_DIGITS = BITS // 4


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
