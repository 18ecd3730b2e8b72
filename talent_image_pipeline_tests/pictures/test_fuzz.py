"""Whatever bytes come in: a refusal in words or a whole picture, nothing else."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES, NotAPicture
from talent_image_pipeline_tests.pictures.picture_files import FORMATS, png_chunk, small_file

EXAMPLES = 120
STARTS = [small_file(image_format)[:16] for image_format in FORMATS]


def refused_or_rendered(body: bytes) -> None:
    """Check the two ways in which any bytes may end."""
    try:
        picture = render_picture(body)
    except NotAPicture:
        return
    assert tuple(picture.renditions) == RENDITION_SIZES
    assert min(picture.width, picture.height) >= 64
    for rendition in picture.renditions.values():
        with Image.open(io.BytesIO(rendition), formats=["WEBP"]) as image:
            image.load()
            assert image.width == image.height <= 512


@pytest.mark.parametrize("image_format", FORMATS)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_real_file_with_flipped_bits_is_refused_or_rendered(image_format: str, data: st.DataObject) -> None:
    body = bytearray(small_file(image_format))
    places = st.integers(0, 8 * len(body) - 1) | st.integers(0, 8 * 200)
    for bit in data.draw(st.lists(places, min_size=1, max_size=12)):
        body[bit // 8] ^= 1 << bit % 8
    refused_or_rendered(bytes(body))


@pytest.mark.parametrize("image_format", FORMATS)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_real_file_with_parts_moved_dropped_or_replaced_is_refused_or_rendered(
    image_format: str, data: st.DataObject
) -> None:
    body = small_file(image_format)
    start = data.draw(st.integers(0, len(body)))
    length = data.draw(st.integers(0, 64))
    replacement = data.draw(
        st.binary(max_size=64) | st.sampled_from([b"\xff" * 16, b"\0" * 16, body[: length + 8], body[-length - 8 :]])
    )
    refused_or_rendered(body[:start] + replacement + body[start + length :])


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=400))
@settings(max_examples=EXAMPLES, deadline=None)
def test_nonsense_behind_a_sound_start_is_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(NotAPicture):
        render_picture(start + rest)


@given(body=st.binary(max_size=400))
@settings(max_examples=EXAMPLES, deadline=None)
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(NotAPicture):
        render_picture(body)


@given(
    header=st.binary(min_size=13, max_size=13),
    data=st.binary(max_size=200),
    more=st.lists(st.tuples(st.sampled_from([b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"acTL"]), st.binary(max_size=60))),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_png_file_of_sound_chunks_with_nonsense_inside_is_refused_or_rendered(
    header: bytes, data: bytes, more: list[tuple[bytes, bytes]]
) -> None:
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    refused_or_rendered(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, content) for kind, content in chunks))


@pytest.mark.parametrize("image_format", FORMATS)
@given(exif=st.binary(max_size=200), profile=st.binary(max_size=200))
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_nonsense_in_the_metadata_changes_nothing(image_format: str, exif: bytes, profile: bytes) -> None:
    body = small_file(image_format)
    if image_format == "PNG":
        body = body[:33] + png_chunk(b"eXIf", exif) + png_chunk(b"iCCP", profile) + body[33:]
    if image_format == "JPEG":
        segments = ((b"\xff\xe1", b"Exif\0\0" + exif), (b"\xff\xe2", b"ICC_PROFILE\0\1\1" + profile))
        packed = b"".join(kind + (len(content) + 2).to_bytes(2, "big") + content for kind, content in segments)
        body = body[:2] + packed + body[2:]
    assert render_picture(body).width == 72
