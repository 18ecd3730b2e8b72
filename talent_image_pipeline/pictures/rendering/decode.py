"""Turns an inspected file into upright sRGB pixels.

What belongs here: decoding in full with the one decoder that the inspection chose, reduction while decoding, colours,
transparency and orientation.
What does not: judging the file by its header (``inspect.py``) and choosing what is shown of it (``crop.py``).

JPEG goes to libjpeg-turbo by itself, which says of every warning that the file is damaged: Pillow turns the warnings
off, and a picture of which half is missing is a grey half. WebP goes to OpenCV, whose decoder needs half of the memory
of Pillow's; PNG, GIF and AVIF go to Pillow. Each file is decoded once, and nothing tries a second decoder.
"""

import io
import struct
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageChops, ImageCms

from talent_image_pipeline.pictures.rendering.inspect import (
    MOST_PIXELS,
    SMALLEST_SIDE,
    InspectedPicture,
    orientation_of,
)
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

# What the decoders raise over damaged files; a bomb warning arrives as an error.
_DECODER_FAILURES = (
    OSError,
    AssertionError,
    cv2.error,
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
_JPEG_MODES = {"Gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}
_JPEG_SPACES = {"L": "GRAY", "CMYK": "CMYK", "RGB": "RGB"}
_GREY_MODES = frozenset({"1", "L", "LA"})
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
    source = _OPENERS[picture.decoder](picture, short_side)
    width, height = source.width, source.height
    upright = _to_srgb(source, short_side)
    if source.orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[source.orientation])
    if source.orientation >= 5:
        width, height = height, width
    return DecodedPicture(pixels=np.asarray(upright), width=width, height=height)


@dataclass(kw_only=True)
class _Source:
    """What a decoder made of a file.

    Attributes:
        image: The pixels, perhaps reduced, of any mode; none once they were taken.
        width: Width of the picture before reduction and orientation, in pixels.
        height: Its height, likewise.
        profile: Its ICC profile, if it has one.
        orientation: Its EXIF orientation, 1 to 8.
    """

    image: Image.Image | None
    width: int
    height: int
    profile: bytes | None
    orientation: int

    def take(self) -> Image.Image:
        """Hand the pixels over, so that their memory is free as soon as the receiver is done with them."""
        image, self.image = self.image, None
        if image is None:
            raise ValueError("the pixels were taken already")
        return image


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or min(width, height) < SMALLEST_SIDE:
        raise NotAPicture(f"the picture has an unfit size: {width} x {height} pixels")


def _open_jpeg(picture: InspectedPicture, short_side: int) -> _Source:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(picture.body)
        _check_size(width, height)
        mode = _JPEG_MODES.get(space, "RGB")
        pixels = simplejpeg.decode_jpeg(
            picture.body, _JPEG_SPACES[mode], min_height=short_side, min_width=short_side, strict=True
        )
    except ValueError as warning:
        raise NotAPicture(f"the JPEG file does not hold all of its pixels ({warning})") from None
    if mode == "CMYK":
        # As Adobe writes it, with 255 for no ink; there are no other CMYK files.
        pixels = 255 - pixels
    return _Source(
        image=Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode=mode),
        width=width,
        height=height,
        profile=picture.colour_profile,
        orientation=picture.orientation or 1,
    )


def _open_webp(picture: InspectedPicture, short_side: int) -> _Source:
    del short_side  # this decoder does not reduce
    pixels = cv2.imdecode(np.frombuffer(picture.body, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise NotAPicture("the WEBP file is damaged")
    has_alpha = pixels.shape[2] == 4
    cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB, dst=pixels)
    image = Image.fromarray(pixels)
    if picture.canvas is not None:
        frame, image = image, Image.new("RGBA", picture.canvas)
        image.paste(frame, (picture.frame_left, picture.frame_top))
    _check_size(*image.size)
    return _Source(
        image=image,
        width=image.width,
        height=image.height,
        profile=picture.colour_profile,
        orientation=picture.orientation or 1,
    )


def _open_with_pillow(picture: InspectedPicture, short_side: int) -> _Source:
    del short_side  # these decoders do not reduce
    image = Image.open(io.BytesIO(picture.body), formats=[picture.decoder])
    _check_size(*image.size)
    image.load()
    return _Source(
        image=image,
        width=image.width,
        height=image.height,
        profile=image.info.get("icc_profile") or picture.colour_profile,
        orientation=picture.orientation or orientation_of(image.info.get("exif")),
    )


_OPENERS = {
    "JPEG": _open_jpeg,
    "WEBP": _open_webp,
    "PNG": _open_with_pillow,
    "GIF": _open_with_pillow,
    "AVIF": _open_with_pillow,
}


def _to_srgb(source: _Source, short_side: int) -> Image.Image:
    """Return opaque sRGB pixels, reduced to what is needed."""
    colours, alpha = _separated(source.take())
    if alpha is None:
        return _as_rgb(_reduced(colours, short_side), source.profile)
    opaque = _as_rgb(colours, source.profile)
    opaque.paste(_BACKGROUND, mask=ImageChops.invert(alpha))
    return _reduced(opaque, short_side)


def _separated(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Bring any mode to colours of mode L, RGB or CMYK, and what they cover where they do not cover all."""
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.dtype != np.uint16:
            deep = np.clip(deep, 0, 65535).astype(np.uint16)
        return Image.fromarray((deep >> 8).astype(np.uint8)), None
    if image.has_transparency_data:
        mode = "LA" if image.mode in _GREY_MODES else "RGBA"
        layered = image if image.mode == mode else image.convert(mode)
        return layered.convert("L" if mode == "LA" else "RGB"), layered.getchannel("A")
    return (image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")), None


def _reduced(image: Image.Image, short_side: int) -> Image.Image:
    factor = min(image.size) // short_side
    return image.reduce(factor) if factor > 1 else image


def _as_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB through the embedded profile; a profile that is broken or of other colours is ignored."""
    if profile is not None:
        try:
            return _transform(profile, image.mode).apply(image)
        except (ImageCms.PyCMSError, *_DECODER_FAILURES):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=_CACHED_TRANSFORMS)
def _transform(profile: bytes, source_mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), source_mode, "RGB")
