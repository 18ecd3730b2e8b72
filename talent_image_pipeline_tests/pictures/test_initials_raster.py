"""Initials as pictures: in every script, inside the circle, the same bytes every time."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from talent_image_pipeline.pictures.initials.palette import colours_of
from talent_image_pipeline.pictures.initials.raster import render_initials

NAMES = {
    "Latin": "Jane Doe",
    "Cyrillic": "Анна Щукина",
    "Greek": "Σωκράτης Ωμέγας",
    "Arabic": "محمد علي",
    "Hebrew": "שרה כהן",
    "Han": "王伟",
    "Hangul": "김민수",
    "Hiragana": "さくら",
    "Devanagari": "अनिल कुमार",
    "Thai": "ธนา",
    "Tamil": "தமிழ்",
    "Ethiopic": "ሰላም",
    "Myanmar": "ကျော်",
    "Georgian": "თამარ",
    "Armenian": "Արամ Խաչատրյան",
    "Khmer": "សុខ",
    "emoji": "🎉",
}


def pixels(name: str, size: int = 128) -> npt.NDArray[np.int16]:
    """Return the picture's distance from its background, by pixel."""
    with Image.open(BytesIO(render_initials(talent_id="one", name=name, size=size)), formats=("WEBP",)) as picture:
        assert picture.size == (size, size)
        shown = np.asarray(picture.convert("RGB"), dtype=np.int16)
    background = np.asarray(Image.new("RGB", (1, 1), colours_of("one").background), dtype=np.int16)
    distance: npt.NDArray[np.int16] = np.abs(shown - background).max(axis=2)
    return distance


@pytest.mark.parametrize("script", NAMES)
def test_a_name_in_any_script_is_drawn_and_not_as_a_silhouette_or_an_empty_box(script: str) -> None:
    drawn = pixels(NAMES[script])

    assert (drawn > 100).sum() > 60
    assert not np.array_equal(drawn, pixels(""))
    # Every font draws what it does not have as the same box.
    assert not np.array_equal(drawn, pixels("\u0378"))


@pytest.mark.parametrize("script", NAMES)
def test_everything_that_is_drawn_lies_inside_the_circle_in_the_middle(script: str) -> None:
    drawn = pixels(NAMES[script], 256) > 40
    rows, columns = np.nonzero(drawn)
    reach = np.hypot(rows - 127.5, columns - 127.5).max()

    assert reach <= 256 * 0.44
    assert abs((rows.min() + rows.max()) / 2 - 127.5) <= 3
    assert abs((columns.min() + columns.max()) / 2 - 127.5) <= 3


def test_the_same_talent_gives_the_same_bytes_and_another_another_color() -> None:
    one = render_initials(talent_id="one", name="Jane Doe", size=64)

    assert one == render_initials(talent_id="one", name="Jane Doe", size=64)
    assert one != render_initials(talent_id="two", name="Jane Doe", size=64)


def test_a_name_without_letters_is_a_silhouette() -> None:
    assert (pixels("") > 100).sum() > 1000


@given(st.text(max_size=30))
@settings(max_examples=60)
def test_any_text_at_all_gives_a_picture(name: str) -> None:
    assert render_initials(talent_id="one", name=name, size=64).startswith(b"RIFF")


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="0 px"):
        render_initials(talent_id="one", name="Jane", size=0)
