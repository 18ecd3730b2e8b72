"""What is refused by its header, before any decoder sees it: bombs, other formats, incomplete files."""

import struct
import tracemalloc
import zlib

import pytest

from talent_image_pipeline.pictures.rendering.inspect import inspect_picture, orientation_of
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture
from talent_image_pipeline_tests.pictures.picture_files import (
    FORMATS,
    animation,
    astronaut,
    avif_of_size,
    encoded,
    gif_with_a_huge_frame,
    jpeg_of_size,
    png_chunk,
    png_of_size,
    small_file,
    webp_of_size,
    with_png_chunks,
)

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
BOMBS = {
    "a GIF file of 44 bytes with a frame far larger than its screen": gif_with_a_huge_frame(),
    "a PNG header of 30,000 x 30,000": png_of_size(30_000, 30_000),
    "a PNG header of 2^31 - 1 squared": png_of_size(2**31 - 1, 2**31 - 1),
    "a JPEG frame of 65,000 x 65,000": jpeg_of_size(65_000, 65_000),
    "a WebP frame of 16,383 x 16,383": webp_of_size(16_383, 16_383),
    "an AVIF size of 17,000 x 17,000": avif_of_size(17_000, 17_000),
    "a GIF animation of 60 frames": animation("GIF", frames=60, side=1000),
    "a WebP animation of 60 frames": animation("WEBP", frames=60, side=1000, lossless=True),
    "a PNG animation of 60 frames": animation("PNG", frames=60, side=1000),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_decompression_bomb_is_refused_by_its_header_within_little_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NotAPicture, match="too large"):
            inspect_picture(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(bomb) + 100_000


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_accepted_format_is_recognised_by_its_content(image_format: str) -> None:
    assert inspect_picture(small_file(image_format)).decoder == image_format


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 1000,
        b"<!DOCTYPE html><html><script>alert(1)</script></html>",
        SVG,
        b"\x1f\x8b" + zlib.compress(SVG),
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b"\xff\xd8\xff" + SVG,
        b"\x89PNG\r\n\x1a\n" + SVG,
        b"GIF89a" + SVG,
        b"RIFF\x60\0\0\0WEBP" + SVG,
        b"\0\0\0\x18ftypavif" + SVG,
        b"\0\0\0\x18ftypheic" + bytes(100),
        encoded(astronaut(), "TIFF"),
        encoded(astronaut(), "BMP"),
        encoded(astronaut(), "JPEG2000"),
        encoded(astronaut(), "ICO"),
        encoded(astronaut(), "PPM"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_in_an_accepted_format_is_refused_whatever_it_claims(body: bytes) -> None:
    with pytest.raises(NotAPicture):
        inspect_picture(body)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_that_is_cut_off_anywhere_is_refused(image_format: str) -> None:
    body = small_file(image_format)
    for length in range(len(body)):
        with pytest.raises(NotAPicture):
            inspect_picture(body[:length])


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_picture_that_is_too_small_is_refused(image_format: str) -> None:
    with pytest.raises(NotAPicture, match="too small"):
        inspect_picture(encoded(astronaut().resize((200, 63)), image_format))


def test_compressed_text_and_profiles_that_inflate_without_end_never_reach_the_decoder() -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(8 << 20), 9))
    profile = png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(64 << 20), 9))
    tracemalloc.start()
    try:
        inspected = inspect_picture(with_png_chunks(small_file("PNG"), *[text] * 20, profile))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert inspected.body == inspect_picture(small_file("PNG")).body
    assert inspected.colour_profile is None
    assert peak < 16 << 20


def test_a_wrong_checksum_in_a_png_file_is_refused() -> None:
    body = bytearray(small_file("PNG"))
    body[len(body) // 2] ^= 1
    with pytest.raises(NotAPicture, match="checksum"):
        inspect_picture(bytes(body))


def png_with_data(data: bytes, *, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", 72, 72, 8, 2, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_png_data_that_ends_before_the_last_row_is_refused_although_every_checksum_is_right() -> None:
    rows = bytes(range(217)) * 72
    inspect_picture(png_with_data(zlib.compress(rows)))
    for data in (zlib.compress(rows[:-1]), zlib.compress(rows)[:-1], zlib.compress(rows)[:-40], b"", b"nonsense"):
        with pytest.raises(NotAPicture, match="rows"):
            inspect_picture(png_with_data(data))


def test_an_interlaced_png_file_needs_the_rows_of_all_seven_passes() -> None:
    rows = [bytes(1 + 3 * columns) * count for columns, count in ((9, 9), (9, 9), (18, 9), (18, 18), (36, 18))]
    rows += [bytes(1 + 3 * 36) * 36, bytes(1 + 3 * 72) * 36]
    inspect_picture(png_with_data(zlib.compress(b"".join(rows)), interlaced=True))
    with pytest.raises(NotAPicture, match="rows"):
        inspect_picture(png_with_data(zlib.compress(b"".join(rows)[:-1]), interlaced=True))


def test_a_jpeg_file_with_hundreds_of_scans_is_refused() -> None:
    body = encoded(astronaut(), "JPEG", progressive=True)
    first_scan = body.index(b"\xff\xda")
    second_scan = body.index(b"\xff\xc4", first_scan)
    scan = body[first_scan:second_scan]
    with pytest.raises(NotAPicture, match="too many scans"):
        inspect_picture(body[:second_scan] + scan * 100 + body[second_scan:])


def tiff_with_orientation(value: int, *, order: str = "<", kind: int = 3) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, kind, 1, value, 0, 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_from_the_exif_block(value: int, order: str) -> None:
    tiff = tiff_with_orientation(value, order=order)
    assert orientation_of(tiff) == value
    assert orientation_of(b"Exif\0\0" + tiff) == value


@pytest.mark.parametrize(
    "exif",
    [
        None,
        b"",
        b"nonsense",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        tiff_with_orientation(0),
        tiff_with_orientation(9),
        tiff_with_orientation(6, kind=2),
        *(tiff_with_orientation(6)[:length] for length in range(20)),
    ],
)
def test_a_damaged_exif_block_means_upright(exif: bytes | None) -> None:
    assert orientation_of(exif) == 1
