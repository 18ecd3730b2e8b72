"""Every colour mode, depth, profile and orientation ends as upright sRGB pixels; damage ends in a refusal."""

import re
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from talent_image_pipeline.pictures.rendering.colour_profiles import grey_profile
from talent_image_pipeline.pictures.rendering.decode import Pixels, decode_picture
from talent_image_pipeline.pictures.rendering.inspect import inspect_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture
from talent_image_pipeline_tests.pictures.picture_files import (
    FORMATS,
    animation,
    astronaut,
    encoded,
    png_chunk,
    sixteen_bit_png,
    small_file,
    with_png_chunks,
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


def described_png(image: Image.Image, *chunks: bytes) -> bytes:
    return with_png_chunks(encoded(image, "PNG"), *chunks)


def gamma_chunk(gamma: float) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


P3_PRIMARIES = png_chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
FLAT = Image.new("RGB", (80, 80), (200, 120, 60))


def as_srgb(colour: tuple[float, float, float], *, gamma: float | None, is_p3: bool) -> list[float]:
    """Return what a colour is in sRGB, by the formulas of the standards, in levels."""
    curve = [
        (value / 255) ** gamma
        if gamma
        else (value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4)
        for value in colour
    ]
    to_srgb = [[1.2249, -0.2249, 0.0], [-0.0420, 1.0420, 0.0], [-0.0197, -0.0786, 1.0983]]
    light = np.clip(np.array(to_srgb) @ curve if is_p3 else np.array(curve), 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [float(value) for value in 255 * coded]


@pytest.mark.parametrize(
    ("chunks", "gamma", "is_p3"),
    [
        ([png_chunk(b"cICP", bytes((12, 13, 0, 1)))], None, True),
        ([png_chunk(b"cICP", bytes((1, 13, 0, 1))), gamma_chunk(1)], None, False),
        ([png_chunk(b"cICP", bytes((12, 8, 0, 1)))], 1.0, True),
        ([gamma_chunk(1)], 1.0, False),
        ([gamma_chunk(1 / 1.8), P3_PRIMARIES], 1.8, True),
        ([png_chunk(b"sRGB", b"\0"), gamma_chunk(1), P3_PRIMARIES], None, False),
        ([gamma_chunk(0.45455)], None, False),
    ],
)
def test_colours_that_a_png_describes_without_a_profile_are_shown_as_browsers_show_them(
    chunks: list[bytes], gamma: float | None, is_p3: bool
) -> None:
    shown = pixels_of(described_png(FLAT, *chunks))[40, 40].tolist()
    assert shown == pytest.approx(as_srgb((200, 120, 60), gamma=gamma, is_p3=is_p3), abs=2)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_greys_are_converted_through_their_profile_with_and_without_transparency(mode: str) -> None:
    grey = Image.new(mode, (80, 80), 100 if mode == "L" else (100, 255))
    if mode == "LA":
        grey.paste((0, 0), (0, 0, 10, 10))
    pixels = pixels_of(encoded(grey, "PNG", icc_profile=grey_profile(1.0)))
    assert pixels[40, 40] == pytest.approx(as_srgb((100, 100, 100), gamma=1.0, is_p3=False), abs=2)
    if mode == "LA":
        assert pixels[5, 5].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_that_covers_a_part_of_the_canvas_is_shown_where_it_belongs() -> None:
    whole = Image.new("RGBA", (160, 120))
    whole.paste((200, 40, 40, 255), (60, 20, 140, 100))
    other = Image.new("RGBA", (160, 120), (0, 0, 200, 255))
    body = encoded(whole, "WEBP", save_all=True, append_images=[other], duration=50, lossless=True)
    picture = decode_picture(inspect_picture(body), short_side=512)
    assert (picture.width, picture.height) == (160, 120)
    assert picture.pixels[60, 100].tolist() == [200, 40, 40]
    assert picture.pixels[10, 10].tolist() == [255, 255, 255]


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


def parts_of_scans(body: bytes) -> list[tuple[int, int]]:
    """Return where the coded data of each scan of a JPEG file starts and ends."""
    found = []
    for scan in re.finditer(rb"\xff\xda", body):
        start = scan.end() + int.from_bytes(body[scan.end() : scan.end() + 2], "big")
        end = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(body, start)
        assert end is not None
        found.append((start, end.start()))
    return found


@pytest.mark.parametrize("scan", range(10))
@pytest.mark.parametrize(("kept_before", "kept_behind"), [(0.5, 0), (0.9, 0), (0.25, 0.5)])
def test_a_progressive_jpeg_that_lacks_a_part_of_any_scan_is_refused(
    scan: int, kept_before: float, kept_behind: float
) -> None:
    body = encoded(astronaut(), "JPEG", quality=90, progressive=True)
    scans = parts_of_scans(body)
    assert len(scans) == 10
    start, end = scans[scan]
    cut_from, cut_to = start + round(kept_before * (end - start)), end - round(kept_behind * (end - start))
    with pytest.raises(NotAPicture, match="pixels"):
        pixels_of(body[:cut_from] + body[cut_to:])


@pytest.mark.parametrize("scans", range(1, 10))
def test_a_progressive_jpeg_that_lacks_whole_scans_is_refused(scans: int) -> None:
    body = encoded(astronaut(), "JPEG", quality=90, progressive=True)
    with pytest.raises(NotAPicture, match="scans"):
        pixels_of(body[: parts_of_scans(body)[scans - 1][1]] + b"\xff\xd9")


def test_a_jpeg_with_restart_markers_that_lost_some_in_the_middle_is_refused() -> None:
    body = encoded(astronaut(), "JPEG", quality=90, restart_marker_blocks=8)
    pixels_of(body)
    with pytest.raises(NotAPicture, match="pixels"):
        pixels_of(body[:20_000] + body[26_000:])


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
