"""The same picture, encoded anew, looks the same; another picture does not."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from talent_image_pipeline.pictures.rendering.perceptual_hash import looks_the_same
from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline_tests.pictures.picture_files import astronaut, encoded, portrait_on


def hash_of(image: Image.Image, image_format: str = "JPEG", **options: object) -> str:
    return render_picture(encoded(image, image_format, **options)).perceptual_hash


@given(
    side=st.integers(min_value=100, max_value=900),
    quality=st.integers(min_value=25, max_value=98),
    image_format=st.sampled_from(["JPEG", "WEBP"]),
)
@settings(max_examples=40, deadline=None)
def test_a_portrait_that_a_network_encoded_anew_looks_the_same(side: int, quality: int, image_format: str) -> None:
    copy = astronaut().resize((side, side), Image.Resampling.LANCZOS)
    assert looks_the_same(hash_of(copy, image_format, quality=quality), hash_of(astronaut(), "PNG"))


@pytest.mark.parametrize("flat", [(0, 0, 0), (255, 255, 255), (120, 60, 200)])
def test_a_flat_picture_that_was_encoded_anew_looks_the_same(flat: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (320, 320), flat)
    assert looks_the_same(hash_of(image, "PNG"), hash_of(image.resize((200, 200)), "JPEG", quality=40))


OTHERS = {
    "itself": astronaut(),
    "mirrored": ImageOps.mirror(astronaut()),
    "closer": astronaut().crop((110, 0, 340, 230)),
    "moved": astronaut().crop((40, 0, 472, 432)),
    "grey": astronaut().convert("L"),
    "tinted": Image.blend(astronaut(), Image.new("RGB", (512, 512), (255, 120, 0)), 0.25),
    "brighter": ImageEnhance.Brightness(astronaut()).enhance(1.4),
    "on another background": portrait_on((512, 512), width=330, at=(90, 80)),
    "a gradient": Image.linear_gradient("L").resize((320, 320)),
    "flat black": Image.new("RGB", (320, 320)),
    "flat white": Image.new("RGB", (320, 320), (255, 255, 255)),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(OTHERS, 2)))
def test_another_picture_looks_different(first: str, second: str) -> None:
    assert not looks_the_same(hash_of(OTHERS[first]), hash_of(OTHERS[second]))


hashes = st.binary(min_size=80, max_size=80).map(bytes.hex)


@given(first=hashes, second=hashes)
def test_the_comparison_is_reflexive_and_symmetric(first: str, second: str) -> None:
    assert looks_the_same(first, first)
    assert looks_the_same(first, second) == looks_the_same(second, first)


def test_hashes_of_another_length_are_never_the_same() -> None:
    assert not looks_the_same("00" * 80, "00" * 32)
