"""Whether two renditions of ours show the same pixels, but for what an encoder makes of them.

What belongs here: comparing two stored renditions of one size.
What does not: whether pictures look alike (``perceptual_hash.py``): a changed digit in a logo looks alike and is news.
"""

import io
from typing import Final

#: The mean colour of a cell of 8 x 8 pixels differs by no more, of 255. Measured at 256 px: a photograph as JPEG at
#: qualities of 50 to 95 differs by up to 9, one changed digit of a logo by 11 (28 px high) to 130.
MOST_CELL_DIFFERENCE: Final = 10.0

_CELL: Final = 8


def are_near_identical(first: bytes, second: bytes) -> bool:
    """Return whether two encoded pictures have near-identical pixels.

    Args:
        first: A rendition that we made and stored; decoding it is safe.
        second: Likewise. Of another size it is never identical.
    """
    import numpy as np
    from PIL import Image

    one, other = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float32) for data in (first, second))
    if one.shape != other.shape:
        return False
    height, width = (side // _CELL for side in one.shape[:2])
    differences = (one - other)[: height * _CELL, : width * _CELL]
    cells = differences.reshape(height, _CELL, width, _CELL, 3).mean(axis=(1, 3))
    return bool(np.abs(cells).max() <= MOST_CELL_DIFFERENCE)
