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
        decoder: Name of the format, and so of the one decoder that may open it.
        width: Width of what the decoder makes of ``body``, in pixels; the largest where a file declares several.
        height: Its height, likewise.
        body: The bytes that the decoder gets: without what follows the picture's end and, where the format allows it,
            without metadata and without the frames after the first.
        canvas: Where the first frame of an animation covers only a part of what is shown: the whole, in pixels.
        frame_left: Where that frame begins on the canvas, in pixels from the left.
        frame_top: Where it begins, in pixels from the top.
        colour_profile: The ICC profile, embedded or as other fields of the header describe it, where the reader knows.
        exif: The embedded EXIF block, where the reader takes it out.
        is_complete: Whether the data holds all pixels, where the decoder would not notice. It costs time that grows
            with the declared size, and is asked once the limits are known to hold.
    """

    decoder: str
    width: int
    height: int
    body: bytes = field(repr=False)
    canvas: tuple[int, int] | None = None
    frame_left: int = 0
    frame_top: int = 0
    colour_profile: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    is_complete: Callable[[], bool] = field(default=lambda: True, repr=False)
