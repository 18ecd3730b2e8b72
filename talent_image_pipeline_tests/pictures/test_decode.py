"""Every colour mode, depth, profile and orientation ends as upright sRGB pixels; damage ends in a refusal."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from talent_image_pipeline.pictures.rendering.decode import Pixels, decode_picture
from talent_image_pipeline.pictures.rendering.inspect import inspect_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture
from talent_image_pipeline_tests.pictures.picture_files import (
    FORMATS,
    animation,
    astronaut,
    encoded,
    sixteen_bit_png,
    small_file,
)


def pixels_of(body: bytes, *, short_side: int = 512) -> Pixels:
    return decode_picture(inspect_picture(body), short_side=short_side).pixels


def difference(first: Pixels, second: Pixels) -> float:
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_accepted_format_is_decoded(image_format: str) -> None:
    assert difference(pixels_of(encoded(astronaut(), image_format)), np.asarray(astronaut())) < 8


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "LA", "RGBA"])
def test_each_colour_mode_becomes_what_a_viewer_shows(mode: str) -> None:
    image = astronaut().convert("L") if mode in {"L", "LA", "1"} else astronaut()
    body = encoded(image.convert(mode), "JPEG" if mode in {"CMYK", "L"} else "PNG")
    assert difference(pixels_of(body), np.asarray(image.convert(mode).convert("RGB"))) < 4


def test_a_picture_of_sixteen_bits_keeps_its_brightness() -> None:
    expected = np.asarray(astronaut().convert("L").convert("RGB"))
    assert difference(pixels_of(sixteen_bit_png(astronaut())), expected) < 2


def test_transparent_pixels_show_a_white_background() -> None:
    image = astronaut().convert("RGBA")
    image.paste((200, 0, 0, 0), (0, 0, 100, 100))
    image.paste((0, 0, 0, 128), (100, 0, 200, 100))
    pixels = pixels_of(encoded(image, "PNG"))
    assert pixels[50, 50].tolist() == [255, 255, 255]
    assert pixels[50, 150] == pytest.approx([127, 127, 127], abs=1)


def test_colours_are_converted_through_the_embedded_profile() -> None:
    swapped = profile_with_swapped_primaries()
    plain = pixels_of(encoded(astronaut(), "PNG"))
    converted = pixels_of(encoded(astronaut(), "PNG", icc_profile=swapped))
    assert difference(converted[:, :, 0], plain[:, :, 2]) < 3
    assert difference(converted[:, :, 2], plain[:, :, 0]) < 3


def profile_with_swapped_primaries() -> bytes:
    """Return an sRGB profile whose red and blue primaries are exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    red, blue = profile.index(b"rTRC"), profile.index(b"bTRC")
    profile[red : red + 4], profile[blue : blue + 4] = b"bTRC", b"rTRC"
    return bytes(profile)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("profile", [b"", b"nonsense", bytes(128), profile_with_swapped_primaries()[:200]])
def test_a_broken_profile_is_ignored(image_format: str, profile: bytes) -> None:
    expected = pixels_of(encoded(astronaut(), image_format))
    assert difference(pixels_of(encoded(astronaut(), image_format, icc_profile=profile)), expected) < 1


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(image_format: str, orientation: int) -> None:
    upright = astronaut().resize((256, 192))
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_picture(inspect_picture(encoded(stored, image_format, exif=exif)), short_side=512)
    assert (picture.width, picture.height) == (256, 192)
    assert difference(picture.pixels, np.asarray(upright)) < 8


def test_a_large_jpeg_is_reduced_while_decoding_and_never_below_what_is_asked_for() -> None:
    picture = decode_picture(inspect_picture(encoded(astronaut().resize((2100, 2400)), "JPEG")), short_side=512)
    assert (picture.width, picture.height) == (2100, 2400)
    assert 512 <= picture.pixels.shape[1] < 1024
    assert picture.scale == pytest.approx(picture.pixels.shape[1] / 2100)


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_decoded(image_format: str) -> None:
    pixels = pixels_of(animation(image_format, frames=5, side=80))
    assert difference(pixels, np.full_like(pixels, (0, 0, 90))) < 4


def test_jpeg_data_that_ends_early_behind_a_sound_end_marker_is_refused() -> None:
    for options in ({"progressive": False}, {"progressive": True}):
        body = encoded(astronaut(), "JPEG", quality=90, **options)
        pixels_of(body)
        for missing in (30, 300, 3000):
            with pytest.raises(NotAPicture, match="pixels"):
                pixels_of(body[: -2 - missing] + body[-2:])


def test_gif_data_that_ends_early_behind_a_sound_trailer_is_refused() -> None:
    body = small_file("GIF")
    first_block = body.index(b"\x2c", 13 + 768) + 11
    with pytest.raises(NotAPicture):
        pixels_of(body[: first_block + 1 + body[first_block]] + b"\0\x3b")


def test_webp_data_that_ends_early_inside_a_file_of_the_declared_length_is_refused() -> None:
    body = bytearray(small_file("WEBP"))
    body[len(body) // 2 :] = bytes(len(body) - len(body) // 2)
    body[16:20] = (len(body) // 2 - 20).to_bytes(4, "little")
    with pytest.raises(NotAPicture):
        pixels_of(bytes(body))
