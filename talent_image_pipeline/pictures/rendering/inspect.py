"""Judges a picture file by its header, before any decoder sees it.

What belongs here: which formats are accepted, by content and never by what a server claimed, the limits on what a
header may declare, and the orientation that the EXIF block asks for.
What does not: how each format is laid out (``headers/``) and decoding (``decode.py``).
"""

import struct
from dataclasses import dataclass, field

from talent_image_pipeline.pictures.rendering.headers import avif, gif, jpeg, png, webp
from talent_image_pipeline.pictures.rendering.headers.container import Container
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

MOST_PIXELS = 24_000_000
"""The most pixels that a picture may have: what phones make. More would cost more memory than a worker may use."""

_LARGE = {"JPEG": 8_000_000}
_LARGE_ELSEWHERE = 4_000_000

SMALLEST_SIDE = 64
"""The least width and height of a picture that is worth showing, in pixels."""

_ORIENTATION_TAG = 0x0112
_SHORT = 3


@dataclass(frozen=True, kw_only=True)
class InspectedPicture:
    """A file that may be decoded.

    Attributes:
        decoder: Pillow's name of the one decoder that may open it.
        body: What the decoder gets: stripped of trailing bytes and, where possible, of metadata.
        colour_profile: The embedded ICC profile, where the container reader took it out.
        orientation: The EXIF orientation, 1 (upright) to 8; none where only the decoder can tell.
        canvas: Where the frame covers only a part of what is shown: the whole, in pixels.
        frame_left: Where the frame begins on the canvas, in pixels from the left.
        frame_top: Where it begins, in pixels from the top.
        pixels: How many it declares.
    """

    decoder: str
    body: bytes = field(repr=False)
    colour_profile: bytes | None = field(default=None, repr=False)
    orientation: int | None = None
    canvas: tuple[int, int] | None = None
    frame_left: int = 0
    frame_top: int = 0
    pixels: int = 0

    @property
    def is_large(self) -> bool:
        """Whether decoding it takes so much memory that no other picture may be decoded meanwhile."""
        return self.pixels > _LARGE.get(self.decoder, _LARGE_ELSEWHERE)


def inspect_picture(body: bytes) -> InspectedPicture:
    """Judge a file by its content.

    Args:
        body: The bytes as they were received.

    Raises:
        NotAPicture: The format is not accepted, the file is incomplete, or it declares too many or too few pixels.
    """
    try:
        container = _read_container(body)
    except (struct.error, IndexError):
        raise NotAPicture("the file ends too early") from None
    _check_size(container)
    if not container.is_complete():
        raise NotAPicture(f"the {container.decoder} file does not hold all of its rows")
    is_told_by_decoder = container.decoder == "AVIF"
    return InspectedPicture(
        decoder=container.decoder,
        body=container.body,
        colour_profile=container.colour_profile,
        orientation=None if is_told_by_decoder else orientation_of(container.exif),
        canvas=container.canvas,
        frame_left=container.frame_left,
        frame_top=container.frame_top,
        pixels=container.width * container.height,
    )


def _read_container(body: bytes) -> Container:
    if body.startswith(jpeg.START):
        return jpeg.read_jpeg(body)
    if body.startswith(png.START):
        return png.read_png(body)
    if body.startswith(gif.STARTS):
        return gif.read_gif(body)
    if webp.is_webp(body):
        return webp.read_webp(body)
    if avif.is_avif(body):
        return avif.read_avif(body)
    raise NotAPicture("the bytes are not a picture in an accepted format")


def _check_size(container: Container) -> None:
    for width, height in ((container.width, container.height), container.canvas or (container.width, container.height)):
        if width * height > MOST_PIXELS:
            raise NotAPicture(f"the picture is too large: {width} x {height} pixels")
    width, height = container.canvas or (container.width, container.height)
    if min(width, height) < SMALLEST_SIDE:
        raise NotAPicture(f"the picture is too small: {width} x {height} pixels")


def orientation_of(exif: bytes | None) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where the block is missing, damaged or nonsense.

    Args:
        exif: A TIFF structure, with or without the ``Exif`` prefix that some formats put before it.
    """
    try:
        return _orientation_in((exif or b"").removeprefix(b"Exif\0\0"))
    except struct.error:
        return 1


def _orientation_in(tiff: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for position in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, position)
        if tag == _ORIENTATION_TAG:
            return int(value) if kind == _SHORT and 1 <= value <= 8 else 1
    return 1
