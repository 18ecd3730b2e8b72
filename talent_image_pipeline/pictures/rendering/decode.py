"""Turns an inspected file into upright sRGB pixels.

What belongs here: decoding in full with the one decoder that the inspection chose, reduction while decoding, colours,
transparency and orientation.
What does not: judging the file by its header (``inspect.py``) and choosing what is shown of it (``crop.py``).
"""

import io
import struct
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from talent_image_pipeline.pictures.rendering.inspect import (
    MOST_PIXELS,
    SMALLEST_SIDE,
    InspectedPicture,
    orientation_of,
)
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

# What Pillow's decoders raise over damaged files; a bomb warning arrives as an error.
_DECODER_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_BACKGROUND = (255, 255, 255)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Any bytes that a decoder of Huffman codes can read and that form no marker.
_OTHER_DATA = bytes(index * 89 % 251 for index in range(128))
# One wide-gamut or print profile serves many pictures; building its transform costs more than applying it.
_CACHED_TRANSFORMS = 16


@dataclass(frozen=True, kw_only=True)
class DecodedPicture:
    """Upright sRGB pixels, possibly reduced.

    Attributes:
        pixels: Array of shape (height, width, 3), 8 bits a channel.
        width: Width of the source after orientation, in pixels.
        height: Height of the source after orientation, in pixels.
    """

    pixels: Pixels = field(repr=False)
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Decoded pixels per source pixel, at most 1."""
        return float(self.pixels.shape[1] / self.width)


def decode_picture(picture: InspectedPicture, *, short_side: int) -> DecodedPicture:
    """Decode a file in full.

    Args:
        picture: What the inspection let through.
        short_side: The result's shorter side may be reduced to this many pixels, not below.

    Raises:
        NotAPicture: The file is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(picture, short_side=short_side)
    except _DECODER_FAILURES as error:
        raise NotAPicture(f"the {picture.decoder} file is damaged ({type(error).__name__})") from None


def _decode(picture: InspectedPicture, *, short_side: int) -> DecodedPicture:
    with Image.open(io.BytesIO(picture.body), formats=[picture.decoder]) as image:
        width, height = image.size
        if width * height > MOST_PIXELS or min(width, height) < SMALLEST_SIDE:
            raise NotAPicture(f"the picture has an unfit size: {width} x {height} pixels")
        profile = picture.colour_profile or image.info.get("icc_profile")
        orientation = picture.orientation or orientation_of(image.info.get("exif"))
        image.draft(None, (short_side, short_side))
        image.load()
        if picture.decoder == "JPEG" and not _is_complete_jpeg(image, picture.body, short_side=short_side):
            raise NotAPicture("the JPEG file does not hold all of its pixels")
        upright = _to_srgb(_reduced(_as_eight_bit(image), short_side), profile)
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    if orientation >= 5:
        width, height = height, width
    return DecodedPicture(pixels=np.asarray(upright), width=width, height=height)


def _is_complete_jpeg(image: Image.Image, body: bytes, *, short_side: int) -> bool:
    """Return whether the coded data reaches to the last pixel.

    The decoder makes up what is missing before the end marker, and says nothing. So the file is decoded once more with
    other data appended: it changes the picture if and only if the decoder still wanted some.
    """
    with Image.open(io.BytesIO(body[:-2] + _OTHER_DATA + body[-2:]), formats=["JPEG"]) as other:
        other.draft(None, (short_side, short_side))
        return bool(np.array_equal(np.asarray(image), np.asarray(other)))


def _as_eight_bit(image: Image.Image) -> Image.Image:
    """Bring deep grey, palette and other modes to one of L, RGB, RGBA and CMYK."""
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        return Image.fromarray((np.clip(deep, 0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _reduced(image: Image.Image, short_side: int) -> Image.Image:
    factor = min(image.size) // short_side
    return image.reduce(factor) if factor > 1 else image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        image = _profile_applied(image, profile)
    if image.mode == "RGBA":
        background = Image.new("RGB", image.size, _BACKGROUND)
        background.paste(image, mask=image.getchannel("A"))
        return background
    return image if image.mode == "RGB" else image.convert("RGB")


def _profile_applied(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB through the embedded profile; a profile that is broken or of other colours is ignored."""
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        return _transform(profile, image.mode, target).apply(image)
    except (ImageCms.PyCMSError, *_DECODER_FAILURES):
        return image


@lru_cache(maxsize=_CACHED_TRANSFORMS)
def _transform(profile: bytes, source_mode: str, target_mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, target, source_mode, target_mode)
