"""Whether two renditions of ours show the same pixels, but for what an encoder makes of them.

What belongs here: comparing two stored renditions of one size.
What does not: whether pictures look alike (``perceptual_hash.py``): a changed digit in a logo looks alike and is news.
"""

import io
from typing import Final

#: A cell of 8 x 8 pixels differs by no more on average (of 255): encoders blur edges, they do not move them.
MOST_CELL_DIFFERENCE: Final = 12.0
#: All pixels together differ by no more on average.
MOST_MEAN_DIFFERENCE: Final = 3.0

_CELL: Final = 8


def are_near_identical(first: bytes, second: bytes) -> bool:
    """Return whether two encoded pictures have near-identical pixels.

    Args:
        first: A rendition that we made and stored; decoding it is safe.
        second: Likewise. Of another size it is never identical.
    """
    import numpy as np
    from PIL import Image

    one, other = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16) for data in (first, second))
    if one.shape != other.shape:
        return False
    differences = np.abs(one - other).mean(axis=2)
    height, width = (side // _CELL * _CELL for side in differences.shape)
    cells = differences[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL).mean(axis=(1, 3))
    return bool(differences.mean() <= MOST_MEAN_DIFFERENCE and cells.max() <= MOST_CELL_DIFFERENCE)
