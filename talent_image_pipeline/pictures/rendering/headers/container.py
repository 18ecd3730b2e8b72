"""What the header of a picture file says, before any decoder sees the file.

What belongs here: the type that every container reader of this folder returns.
What does not: the limits that headers are judged by (``inspect.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Container:
    """The outline of one picture file, read without decoding a pixel.

    Attributes:
        decoder: Pillow's name of the one decoder that may open it.
        width: Declared width in pixels, the largest where a file declares several.
        height: Declared height in pixels, the largest where a file declares several.
        frames: Number of frames of an animation, 1 for a still picture.
        body: The bytes that the decoder gets: without what follows the picture's end and, where the format allows it,
            without metadata and without the frames after the first.
        colour_profile: The embedded ICC profile, where the reader takes it out.
        exif: The embedded EXIF block, where the reader takes it out.
        is_complete: Whether the data holds all pixels, where the decoder would not notice. It costs time that grows
            with the declared size, and is asked once the limits are known to hold.
    """

    decoder: str
    width: int
    height: int
    frames: int = 1
    body: bytes = field(repr=False)
    colour_profile: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    is_complete: Callable[[], bool] = field(default=lambda: True, repr=False)
