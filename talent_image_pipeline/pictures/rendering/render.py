"""From received bytes to renditions: the whole way of one picture, as one pure function.

What belongs here: cutting the square, scaling and encoding it. It runs in a worker process (``worker_pool.py``).
What does not: judging files (``inspect.py``), decoding (``decode.py``), choosing the square (``crop.py``).
"""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from talent_image_pipeline.pictures.rendering.crop import Square, choose_square
from talent_image_pipeline.pictures.rendering.decode import DecodedPicture, Pixels, decode_picture
from talent_image_pipeline.pictures.rendering.inspect import SMALLEST_SIDE, inspect_picture
from talent_image_pipeline.pictures.rendering.perceptual_hash import perceptual_hash
from talent_image_pipeline.pictures.rendering.rendered_picture import (
    RENDITION_SIZES,
    CropBox,
    NotAPicture,
    RenderedPicture,
)
from talent_image_pipeline.pictures.rendering.silhouettes import generated_message

QUALITY = 78
METHOD = 2
"""The encoder's effort, by measurement (``python -m benchmarks.encoding``): 3 saves 4 % of the bytes for twice the
time, 1 saves a fifth of the time for a quarter more bytes, and all look alike."""

# A square this much larger than the largest size that fits is worth a rendition of its own.
_WORTH_ITS_OWN = 1.25
_SHARPENED_SIZE = 64
_SHARPENING_PERCENT = 45


class LargePicture(Exception):  # noqa: N818 - no error: the picture waits for memory
    """Decoding the picture takes so much memory that no other picture may be decoded meanwhile."""


def render_picture(body: bytes, *, may_be_large: bool = True, may_be_letter_avatar: bool = False) -> RenderedPicture:
    """Turn received bytes into renditions.

    Args:
        body: The bytes as they were received.
        may_be_large: Whether there is memory for a picture of many pixels.
        may_be_letter_avatar: Whether the network makes letter avatars for people without a picture.

    Raises:
        LargePicture: There is not, and the picture is one; it was not decoded.
        NotAPicture: The bytes are damaged, not in an accepted format, or beyond a limit.
    """
    inspected = inspect_picture(body)
    if inspected.is_large and not may_be_large:
        raise LargePicture
    largest = RENDITION_SIZES[-1]
    decoded = decode_picture(inspected, short_side=largest)
    square = choose_square(decoded.pixels, scale=decoded.scale)
    if square.side < largest and decoded.scale < 1:
        short_side = int(np.ceil(largest * min(decoded.pixels.shape[:2]) / square.side))
        enlarged = decode_picture(inspected, short_side=short_side)
        square, decoded = _scaled(square, enlarged.scale / decoded.scale), enlarged
    return _rendered(decoded, square, may_be_letter_avatar=may_be_letter_avatar)


def _scaled(square: Square, factor: float) -> Square:
    return Square(left=square.left * factor, top=square.top * factor, side=square.side * factor)


def _rendered(decoded: DecodedPicture, square: Square, *, may_be_letter_avatar: bool) -> RenderedPicture:
    left, top, side = _whole_pixels(decoded.pixels, square)
    source = _in_source(decoded, left=left, top=top, side=side)
    if source.side < SMALLEST_SIDE:
        raise NotAPicture(f"too little is left of the picture without its bars: {source.side:.0f} pixels")
    pixels = decoded.pixels[top : top + side, left : left + side]
    renditions = encode_renditions(pixels)
    largest = renditions[RENDITION_SIZES[-1]]
    because = generated_message(pixels, may_be_letter_avatar=may_be_letter_avatar)
    return RenderedPicture(
        content_hash=hashlib.sha256(largest).hexdigest(),
        renditions=renditions,
        width=decoded.width,
        height=decoded.height,
        side=_rendition_sides(pixels.shape[0])[-1],
        crop=source,
        focus_x=(source.left + source.side / 2) / decoded.width,
        focus_y=(source.top + source.side / 2) / decoded.height,
        perceptual_hash=perceptual_hash(pixels),
        is_generated=because is not None,
        generated_message=because,
    )


def _whole_pixels(pixels: Pixels, square: Square) -> tuple[int, int, int]:
    """Return left, top and side of the whole pixels inside a square, which may begin and end between pixels."""
    height, width = pixels.shape[:2]
    side = max(1, min(round(square.side), height, width))
    return min(max(0, round(square.left)), width - side), min(max(0, round(square.top)), height - side), side


def _in_source(decoded: DecodedPicture, *, left: int, top: int, side: int) -> CropBox:
    """Return where in the source a square of the decoded pixels is. It never reaches past the source."""
    height, width = decoded.pixels.shape[:2]
    across, down = decoded.width / width, decoded.height / height
    source_side = min(side * across, side * down)
    return CropBox(
        left=min(left * across, decoded.width - source_side),
        top=min(top * down, decoded.height - source_side),
        side=source_side,
    )


def encode_renditions(square: Pixels) -> Mapping[int, bytes]:
    """Scale and encode a square in all sizes that it allows; the largest stands in for those above it.

    Args:
        square: sRGB pixels of shape (side, side, 3), at least as large as the smallest size.
    """
    sides = _rendition_sides(square.shape[0])
    encoded: dict[int, bytes] = {}
    image = Image.fromarray(np.ascontiguousarray(square))
    for side in reversed(sides):
        image = _scaled_to(image, side)
        encoded[side] = _encoded(_sharpened(image) if side == _SHARPENED_SIZE else image)
    stand_in = encoded[sides[-1]]
    return {size: encoded.get(size, stand_in) for size in RENDITION_SIZES}


def _scaled_to(image: Image.Image, side: int) -> Image.Image:
    if image.width == side:
        return image
    # The mean of four pixels is as sharp as the wide filter here and costs a twentieth of it.
    return image.reduce(2) if image.width == 2 * side else image.resize((side, side), Image.Resampling.LANCZOS)


def _rendition_sides(side: int) -> list[int]:
    """Return the sides of the renditions that a square allows, ascending."""
    fitting = [size for size in RENDITION_SIZES if size <= side] or [side]
    if fitting[-1] < RENDITION_SIZES[-1] and side > _WORTH_ITS_OWN * fitting[-1]:
        fitting.append(side)
    return fitting


def _sharpened(image: Image.Image) -> Image.Image:
    """Bring back the edges that the smallest size loses. In whole numbers: every processor gives the same bytes."""
    pixels = np.asarray(image, dtype=np.int32)
    framed = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    across = framed[:, :-2] + 2 * framed[:, 1:-1] + framed[:, 2:]
    softened = across[:-2] + 2 * across[1:-1] + across[2:]
    # In sixteenths of a level; 8 of them round to the nearest one.
    sharpened = 16 * pixels + ((16 * pixels - softened) * _SHARPENING_PERCENT) // 100 + 8
    return Image.fromarray(np.clip(sharpened >> 4, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "WEBP", quality=QUALITY, method=METHOD)
    return output.getvalue()
