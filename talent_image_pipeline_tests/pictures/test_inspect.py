"""What is refused by its header, before any decoder sees it: bombs, other formats, incomplete files."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from talent_image_pipeline.pictures.rendering.inspect import inspect_picture, orientation_of
from talent_image_pipeline.pictures.rendering.render import render_picture
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
    webp_on_canvas,
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
    "a PNG header of just over 24 megapixels": png_of_size(6001, 4000),
    "an animation whose first frame is small on a huge canvas": webp_on_canvas(16_384, 16_384),
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


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_judged_by_its_first_frame_however_many_follow(image_format: str) -> None:
    inspected = inspect_picture(animation(image_format, frames=60, side=1000))
    alone = inspect_picture(animation(image_format, frames=1, side=1000))
    assert inspected.pixels == 1000 * 1000
    assert not inspected.is_large
    assert len(inspected.body) < 2 * len(alone.body)


# What stands behind the last pixel: a trailer, an end chunk, a byte of padding.
BEHIND_THE_PIXELS = {"GIF": 1, "PNG": 12, "WEBP": 1}


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_that_is_cut_off_before_its_last_pixel_is_refused(image_format: str) -> None:
    body = small_file(image_format)
    for length in range(len(body) - BEHIND_THE_PIXELS.get(image_format, 0)):
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


def with_stray_bytes(body: bytes) -> bytes:
    table = body.index(b"\xff\xdb")
    return body[:table] + bytes(7) + body[table:]


def with_unknown_jfif_revision(body: bytes) -> bytes:
    return body.replace(b"JFIF\0\1\1", b"JFIF\0\7\1", 1)


def with_unknown_adobe_transform(body: bytes) -> bytes:
    return body[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09" + body[2:]


def with_wrong_sequential_parameters(body: bytes) -> bytes:
    at = body.index(b"\xff\xda") + 2 + 2 + 1 + 6
    return body[:at] + b"\0\0\0" + body[at + 3 :]


TOLERATED = {
    "a JPEG file with stray bytes between its segments": ("JPEG", with_stray_bytes),
    "a JPEG file of an unknown JFIF revision": ("JPEG", with_unknown_jfif_revision),
    "a JPEG file with an unknown Adobe transform": ("JPEG", with_unknown_adobe_transform),
    "a sequential JPEG file with the parameters of a progressive one": ("JPEG", with_wrong_sequential_parameters),
    "a GIF file without its trailer": ("GIF", lambda body: body[:-1]),
    "a GIF file with a zero byte before its trailer": ("GIF", lambda body: body[:-1] + b"\0\x3b"),
    "a PNG file without its end chunk": ("PNG", lambda body: body[:-12]),
    "a PNG file whose text has a wrong checksum": (
        "PNG",
        lambda body: with_png_chunks(body, png_chunk(b"tEXt", b"Comment\0words")[:-1] + b"?"),
    ),
    "a WebP file whose length counts a byte of padding": (
        "WEBP",
        lambda body: body[:4] + (len(body) - 7).to_bytes(4, "little") + body[8:],
    ),
    "an AVIF file under the general brand for still pictures": (
        "AVIF",
        lambda body: body[:8] + b"mif1" + body[12:],
    ),
}


@pytest.mark.parametrize(("image_format", "change"), TOLERATED.values(), ids=TOLERATED.keys())
def test_what_browsers_show_and_lacks_no_pixel_is_rendered_as_the_file_without_the_flaw(
    image_format: str, change: Callable[[bytes], bytes]
) -> None:
    changed = change(small_file(image_format))
    assert changed != small_file(image_format)
    assert render_picture(changed) == render_picture(small_file(image_format))


def test_a_heic_file_under_the_general_brand_is_not_taken_for_avif() -> None:
    with pytest.raises(NotAPicture, match="accepted format"):
        inspect_picture(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + small_file("AVIF")[24:])


def avif_of_endless_extents(items: int) -> bytes:
    """Return a small AVIF file that places items of 65,535 extents each, which take no bytes at all."""
    body = small_file("AVIF")
    location = body.index(b"iloc") - 4
    length = int.from_bytes(body[location : location + 4], "big")
    fields = b"\0\0\0\0" + b"\0\0" + struct.pack(">H", items)
    fields += b"".join(struct.pack(">HHH", item, 0, 65_535) for item in range(items))
    box = struct.pack(">I4s", 8 + len(fields), b"iloc") + fields
    meta = body.index(b"meta") - 4
    meta_length = int.from_bytes(body[meta : meta + 4], "big") + len(box) - length
    changed = body[:location] + box + body[location + length :]
    return changed[:meta] + struct.pack(">I", meta_length) + changed[meta + 4 :]


def test_an_avif_file_whose_locations_take_no_room_is_refused_at_once() -> None:
    started = time.process_time()
    with pytest.raises(NotAPicture, match="too many extents"):
        inspect_picture(avif_of_endless_extents(500))
    assert time.process_time() - started < 1  # processor time: each of the 500 items alone would take 30 ms


def test_of_many_profiles_in_a_png_file_one_alone_is_inflated() -> None:
    profile = png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2 << 20), 9))
    body = with_png_chunks(small_file("PNG"), *[profile] * 400)
    started = time.process_time()
    assert inspect_picture(body).body == inspect_picture(small_file("PNG")).body
    assert time.process_time() - started < 1  # processor time: all 400 would take 4 s


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
