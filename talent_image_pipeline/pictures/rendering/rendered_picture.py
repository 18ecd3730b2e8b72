"""What a picture is once it is ours: its renditions, its crop, and what it looks like.

What belongs here: the plain types between the worker processes and everything that uses their results. This module
imports nothing heavy, so that the process of a run stays small.
What does not: how renditions are made (``render.py``) and where they are kept (``store/``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

RENDITION_SIZES = (64, 128, 256, 512)
"""Side lengths of the square renditions that every picture is served in, in pixels."""


class NotAPicture(Exception):  # noqa: N818 - reads as what it says
    """The bytes are refused: damaged, not in an accepted format, or beyond a limit. The text says which, in words."""


class RenderingUnavailable(Exception):  # noqa: N818 - reads as what it says
    """A worker process was lost for a reason that is not the picture's: it may be tried again. The text says which."""


@dataclass(frozen=True, kw_only=True)
class CropBox:
    """A square of the source, in its pixels after orientation.

    Attributes:
        left: Distance from the left edge.
        top: Distance from the top edge.
        side: Length of each side.
    """

    left: float
    top: float
    side: float


@dataclass(frozen=True, kw_only=True)
class RenderedPicture:
    """A picture that was decoded in full, cropped and encoded anew.

    Attributes:
        content_hash: SHA-256 of the largest rendition's bytes, in hex: of what is served, not of what was received.
        renditions: WebP bytes by size, always all of :data:`RENDITION_SIZES`. Where the source is smaller, the largest
            rendition that it allows stands in for the sizes above it (the same bytes); nothing is ever enlarged.
        width: Width of the source after orientation, in pixels.
        height: Height of the source after orientation, in pixels.
        side: Side of the largest rendition, in pixels.
        crop: The square of the source that the renditions show.
        focus_x: Centre of the crop, 0 at the left to 1 at the right.
        focus_y: Centre of the crop, 0 at the top to 1 at the bottom.
        perceptual_hash: What the cropped square looks like, in hex; see ``perceptual.looks_the_same``.
        is_generated: Whether a network drew it for somebody without a picture: it counts as no picture.
        generated_message: How that was recognised, in words.
    """

    content_hash: str
    renditions: Mapping[int, bytes] = field(repr=False)
    width: int
    height: int
    side: int
    crop: CropBox
    focus_x: float
    focus_y: float
    perceptual_hash: str
    is_generated: bool
    generated_message: str | None
