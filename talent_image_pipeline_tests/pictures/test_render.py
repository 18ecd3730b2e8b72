"""What a picture becomes: four square renditions without a trace of the received bytes."""

import hashlib
import io
import itertools
import zipfile

import numpy as np
import pytest
from PIL import Image

from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES, NotAPicture
from talent_image_pipeline_tests.pictures.picture_files import FORMATS, astronaut, decoded, encoded, small_file

MARKER = b"GPS 59.3293 N 18.0686 E"


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_picture_becomes_four_square_webp_renditions(image_format: str) -> None:
    picture = render_picture(encoded(astronaut(), image_format))
    assert tuple(picture.renditions) == RENDITION_SIZES
    for size, body in picture.renditions.items():
        with Image.open(io.BytesIO(body)) as image:
            assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (size, size))
    assert picture.content_hash == hashlib.sha256(picture.renditions[512]).hexdigest()
    assert (picture.width, picture.height, picture.side) == (512, 512, 512)
    assert (picture.focus_x, picture.focus_y) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (64, (64, 64, 64, 64)),
        (100, (64, 100, 100, 100)),
        (128, (64, 128, 128, 128)),
        (240, (64, 128, 240, 240)),
        (320, (64, 128, 256, 256)),
        (511, (64, 128, 256, 511)),
        (512, (64, 128, 256, 512)),
        (2000, (64, 128, 256, 512)),
    ],
)
def test_nothing_is_enlarged_and_the_largest_rendition_stands_in_for_those_above_it(
    side: int, sides: tuple[int, ...]
) -> None:
    picture = render_picture(encoded(astronaut().crop((150, 20, 320, 190)).resize((side, side)), "JPEG"))
    assert tuple(decoded(body).width for body in picture.renditions.values()) == sides
    assert picture.side == sides[-1]
    for smaller, larger in itertools.pairwise(RENDITION_SIZES):
        stands_in = decoded(picture.renditions[smaller]).width >= sides[-1]
        assert (picture.renditions[smaller] == picture.renditions[larger]) == stands_in


def test_the_same_bytes_give_the_same_renditions() -> None:
    body = encoded(astronaut(), "JPEG")
    assert render_picture(body) == render_picture(body)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_the_rendition_of_256_pixels_of_the_portrait_takes_at_most_12_kb(image_format: str) -> None:
    assert len(render_picture(encoded(astronaut(), image_format)).renditions[256]) <= 12_000


def test_the_smallest_rendition_is_as_sharp_as_the_source_allows() -> None:
    rendered = np.asarray(decoded(render_picture(encoded(astronaut(), "PNG")).renditions[64]).convert("L")).astype(int)
    ideal = np.asarray(astronaut().convert("L").resize((64, 64), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(np.diff(rendered)).mean() >= 0.97 * np.abs(np.diff(ideal)).mean()
    assert np.abs(rendered - ideal).mean() < 8


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_all_metadata_is_gone_from_the_renditions(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = MARKER.decode()
    exif.get_ifd(0x8825)[29] = MARKER.decode()
    body = encoded(astronaut(), image_format, exif=exif, xmp=b"<x:xmpmeta>" + MARKER + b"</x:xmpmeta>")
    assert MARKER in body
    for rendition in render_picture(body).renditions.values():
        assert MARKER not in rendition
        with Image.open(io.BytesIO(rendition)) as image:
            assert not image.getexif()
            assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)


def polyglots() -> dict[str, bytes]:
    script = b"*/=1;alert('polyglot script');/*"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("polyglot.html", "<script>alert('polyglot script')</script>")
    gif = small_file("GIF")
    jpeg = small_file("JPEG")
    comment = b"\xff\xfe" + (len(script) + 2).to_bytes(2, "big") + script
    return {
        "a GIF file that is a script": gif[:-1] + b"\x21\xfe" + bytes([len(script)]) + script + b"\0\x3b",
        "a JPEG file that is an archive": jpeg + archive.getvalue(),
        "a JPEG file with a page behind it": jpeg + b"<html><script>alert('polyglot script')</script>",
        "a JPEG file with a script in a comment": jpeg[:2] + comment + jpeg[2:],
        "a PNG file with a page behind it": small_file("PNG") + b"<script>alert('polyglot script')</script>",
        "a WebP file with a page behind it": small_file("WEBP") + b"<script>alert('polyglot script')</script>",
    }


@pytest.mark.parametrize("body", polyglots().values(), ids=polyglots().keys())
def test_of_a_polyglot_nothing_but_the_picture_is_left(body: bytes) -> None:
    assert b"polyglot" in body
    for rendition in render_picture(body).renditions.values():
        assert b"polyglot" not in rendition
        assert b"<script" not in rendition
        assert b"PK\x03\x04" not in rendition
        assert rendition[:4] == b"RIFF"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_bytes_behind_the_picture_change_nothing(image_format: str) -> None:
    body = small_file(image_format)
    assert render_picture(body + b"trailing bytes").content_hash == render_picture(body).content_hash


def test_a_tight_crop_of_a_large_jpeg_is_cut_from_full_detail() -> None:
    scene = Image.new("RGB", (3000, 1000), (90, 110, 130))
    scene.paste(astronaut().resize((900, 900)), (1900, 60))
    picture = render_picture(encoded(scene, "JPEG"))
    assert picture.side == 512
    assert 0.6 < picture.focus_x < 0.85


def test_a_refusal_says_why_in_words() -> None:
    with pytest.raises(NotAPicture, match="not a picture in an accepted format"):
        render_picture(b"<html>404</html>")
