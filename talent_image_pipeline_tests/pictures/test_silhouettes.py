"""What networks draw for people without a picture is recognised; what people show of themselves is not."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline_tests.pictures.picture_files import astronaut, encoded, portrait_on

Colour = tuple[int, int, int]
Drawing = Callable[[ImageDraw.ImageDraw], None]
WHITE: Colour = (255, 255, 255)
MAGENTA: Colour = (194, 24, 91)


def drawn(drawing: Drawing, *, background: Colour, size: int = 320) -> Image.Image:
    """Return what a drawing on a canvas of 1000 x 1000 looks like at a size."""
    image = Image.new("RGB", (1000, 1000), background)
    drawing(ImageDraw.Draw(image))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def silhouette(*, background: Colour, figure: Colour, size: int = 320, gap: int = 0) -> Image.Image:
    def draw(pen: ImageDraw.ImageDraw) -> None:
        pen.ellipse((320, 200, 680, 560), fill=figure)
        pen.ellipse((140, 550 + gap, 860, 1300), fill=figure)

    return drawn(draw, background=background, size=size)


def in_a_circle(image: Image.Image) -> Image.Image:
    mask = Image.new("L", (1000, 1000))
    ImageDraw.Draw(mask).ellipse((0, 0, 999, 999), fill=255)
    return Image.composite(image, Image.new("RGB", image.size, WHITE), mask.resize(image.size))


def letter_avatar(letter: str, *, background: Colour, size: int = 320) -> Image.Image:
    image = Image.new("RGB", (size, size), background)
    font = ImageFont.load_default(size=size * 0.55)
    ImageDraw.Draw(image).text((size / 2, size / 2), letter, font=font, fill=WHITE, anchor="mm")
    return image


SILHOUETTES = {
    "white on grey": silhouette(background=(219, 219, 219), figure=WHITE),
    "grey on white": silhouette(background=WHITE, figure=(150, 150, 150)),
    "dark": silhouette(background=(35, 35, 35), figure=(120, 120, 120)),
    "light on blue": silhouette(background=(60, 110, 200), figure=(225, 235, 250)),
    "the head afloat": silhouette(background=(219, 219, 219), figure=WHITE, gap=70),
    "in a circle": in_a_circle(silhouette(background=(200, 205, 210), figure=WHITE)),
    "of 100 pixels": silhouette(background=(219, 219, 219), figure=WHITE, size=100),
    "of 1080 pixels": silhouette(background=(219, 219, 219), figure=WHITE, size=1080),
}


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("image", SILHOUETTES.values(), ids=SILHOUETTES.keys())
def test_a_default_silhouette_counts_as_generated(image: Image.Image, image_format: str) -> None:
    picture = render_picture(encoded(image, image_format))
    assert picture.is_generated
    assert "silhouette" in str(picture.generated_message)


@pytest.mark.parametrize("letter", "ABDEFGHIKLMNOPRSTUVWXYZ")
@pytest.mark.parametrize("background", [MAGENTA, (0, 137, 123), (69, 90, 100)])
def test_a_letter_avatar_counts_as_generated_where_the_network_makes_such(letter: str, background: Colour) -> None:
    body = encoded(letter_avatar(letter, background=background), "JPEG", quality=85)
    picture = render_picture(body, may_be_letter_avatar=True)
    assert picture.is_generated
    assert "letter" in str(picture.generated_message)


@pytest.mark.parametrize("letter", "ABDEFGHIKLMNOPRSTUVWXYZ")
def test_on_a_network_that_makes_no_letter_avatars_a_letter_is_a_logo(letter: str) -> None:
    body = encoded(letter_avatar(letter, background=MAGENTA), "JPEG", quality=85)
    assert not render_picture(body).is_generated


@pytest.mark.parametrize("background", [(255, 0, 0), (88, 101, 242), (29, 185, 84), (200, 30, 110), (0, 130, 252)])
def test_a_letter_on_a_colour_that_is_not_the_networks_is_a_logo(background: Colour) -> None:
    body = encoded(letter_avatar("B", background=background), "PNG")
    assert not render_picture(body, may_be_letter_avatar=True).is_generated


def cartoon(pen: ImageDraw.ImageDraw) -> None:
    """Draw a head and shoulders with eyes and a mouth."""
    pen.ellipse((320, 200, 680, 560), fill=WHITE)
    pen.ellipse((140, 560, 860, 1300), fill=WHITE)
    for left in (400, 540):
        pen.ellipse((left, 330, left + 60, 400), fill=(20, 20, 20))
    pen.arc((400, 380, 600, 500), 20, 160, fill=(20, 20, 20), width=16)


def heart(pen: ImageDraw.ImageDraw) -> None:
    pen.ellipse((300, 300, 520, 520), fill=WHITE)
    pen.ellipse((480, 300, 700, 520), fill=WHITE)
    pen.polygon([(315, 465), (685, 465), (500, 720)], fill=WHITE)


def two_letters(pen: ImageDraw.ImageDraw) -> None:
    pen.text((500, 500), "TR", font=ImageFont.load_default(size=420), fill=WHITE, anchor="mm")


def paw(pen: ImageDraw.ImageDraw) -> None:
    pen.ellipse((370, 480, 630, 720), fill=WHITE)
    for left, top in ((290, 420), (390, 310), (510, 310), (610, 420)):
        pen.ellipse((left, top, left + 100, top + 140), fill=WHITE)


def crossed_letter(pen: ImageDraw.ImageDraw) -> None:
    pen.text((500, 500), "B", font=ImageFont.load_default(size=550), fill=WHITE, anchor="mm")
    pen.rectangle((440, 220, 480, 780), fill=WHITE)
    pen.rectangle((520, 220, 560, 780), fill=WHITE)


REAL_PICTURES = {
    "a portrait": astronaut(),
    "a grey portrait": astronaut().convert("L"),
    "a high-key portrait": ImageOps.autocontrast(astronaut().point(lambda value: min(255, 90 + value))),
    "a portrait in black and white alone": astronaut().convert("L").point(lambda value: 255 * (value > 110)),
    "a portrait in four tones": ImageOps.posterize(astronaut(), 2),
    "a blurred portrait": astronaut().filter(ImageFilter.GaussianBlur(12)),
    "a portrait on one flat colour": portrait_on((512, 512), width=300, at=(100, 130)),
    "a face alone": astronaut().crop((150, 40, 300, 190)),
    "a cartoon with a face": drawn(cartoon, background=MAGENTA),
    "a heart": drawn(heart, background=MAGENTA),
    "a disc": drawn(lambda pen: pen.ellipse((250, 250, 750, 750), fill=WHITE), background=MAGENTA),
    "a square": drawn(lambda pen: pen.rectangle((260, 260, 740, 740), fill=WHITE), background=MAGENTA),
    "an arrow to play": drawn(
        lambda pen: pen.polygon([(320, 260), (320, 740), (740, 500)], fill=WHITE), background=MAGENTA
    ),
    "a paw": drawn(paw, background=MAGENTA),
    "a letter with a stroke through it": drawn(crossed_letter, background=MAGENTA),
    "two letters": drawn(two_letters, background=MAGENTA),
    "a dark letter": ImageOps.invert(letter_avatar("K", background=MAGENTA)),
    "a white letter on black": letter_avatar("K", background=(10, 10, 10)),
    "one flat colour": Image.new("RGB", (200, 200), MAGENTA),
    "a gradient": Image.linear_gradient("L").resize((200, 200)),
    "a ramp of noise": Image.fromarray(np.random.default_rng(3).integers(0, 256, (200, 200, 3), dtype=np.uint8)),
}


@pytest.mark.parametrize("image", REAL_PICTURES.values(), ids=REAL_PICTURES.keys())
def test_what_people_show_of_themselves_is_a_picture(image: Image.Image) -> None:
    picture = render_picture(encoded(image, "JPEG", quality=85), may_be_letter_avatar=True)
    assert picture.generated_message is None
    assert not picture.is_generated


def test_no_part_of_a_photograph_is_taken_for_generated() -> None:
    for side in (64, 90, 130):
        for left in range(0, 512 - side, 70):
            for top in range(0, 512 - side, 70):
                part = astronaut().crop((left, top, left + side, top + side))
                assert render_picture(encoded(part, "PNG")).generated_message is None
