"""Draws a sheet for a person to judge the pictures by: sources with their square and circle, beside their renditions.

What belongs here: the sample scenes and the HTML of the sheet: one file, with everything inside.
What does not: anything that a run needs.

``python -m talent_image_pipeline.operations.contact_sheet SHEET.html`` writes it. Where scikit-image is installed its
public-domain portrait is pasted, scaled and turned; without it the scenes hold drawn faces.
"""

import base64
import importlib.util
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from talent_image_pipeline.pictures.initials.drawing import draw_initials
from talent_image_pipeline.pictures.rendering.render import render_picture
from talent_image_pipeline.pictures.rendering.rendered_picture import NotAPicture, RenderedPicture

_SHOWN_HEIGHT = 260
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fafafa }
section { display: flex; gap: 1rem; align-items: flex-end; flex-wrap: wrap; margin: 0 0 1.5rem; padding: 1rem;
  background: #fff; border: 1px solid #ddd }
figure { margin: 0 } figcaption { color: #666; font-size: 12px }
h2 { font-size: 15px; margin: 0; width: 100% } .round { border-radius: 50% }
.initials { display: grid; grid-template-columns: repeat(auto-fill, 140px); gap: 1rem }
"""
_NAMES = (
    "Jane Doe",
    "Ana-María López",
    "Zoë",
    "Łukasz Żak",
    "Straße Süß",
    "İpek Işık",  # noqa: RUF001 - Turkish has two letters of this shape
    "Иван Петров",
    "Ελένη Παππά",
    "王小明",
    "山田 太郎",
    "김민수",
    "محمد علي",
    "דוד כהן",
    "अनिल कुमार",
    "สมชาย ใจดี",
    "𠮷野 家",
    "👩🏽‍🎤 🎶",
    "<script>",
    "",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A sample picture and what is to be seen of it."""

    title: str
    image: Image.Image


def write_contact_sheet(path: Path) -> None:
    """Write the sheet as one HTML file.

    Args:
        path: Where to; an existing file is replaced.
    """
    sections = "\n".join(_section(scene) for scene in scenes())
    initials = "\n".join(_initials(name) for name in _NAMES)
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Contact sheet</title><style>{_STYLE}</style>'
        f"<h1>Pictures</h1>{sections}<h1>Initials</h1><div class='initials'>{initials}</div></html>",
        encoding="utf-8",
    )


def scenes() -> Iterator[Scene]:
    """Yield the sample pictures."""
    portrait, body = _portrait(), _upper_body()
    yield Scene(title="Portrait, square: kept whole", image=portrait)
    yield Scene(
        title="Face off-centre on the right of a landscape", image=_on((1280, 720), body, at=(830, 60), width=420)
    )
    yield Scene(
        title="Face off-centre on the left of a landscape", image=_on((1280, 720), body, at=(10, 120), width=420)
    )
    yield Scene(title="Face in the corner of a square", image=_on((700, 700), body, at=(0, 0), width=280))
    yield Scene(title="Small face in a square: closer", image=_on((800, 800), body, at=(280, 120), width=240))
    yield Scene(title="Full body, tall", image=_full_body())
    yield Scene(title="Face low in a tall picture", image=_on((600, 1000), body, at=(110, 480), width=380))
    yield Scene(title="Group that fits into one circle", image=_group(gap=40))
    yield Scene(title="Group that is too wide: the most prominent face", image=_group(gap=620))
    yield Scene(title="No face, tall: the upper third", image=_landscape((600, 1000)))
    yield Scene(title="No face, wide: the middle", image=_landscape((1200, 600)))
    yield Scene(title="Black bars at the sides", image=_framed(portrait, (910, 512)))
    yield Scene(title="Black bars above and below", image=_framed(portrait, (512, 700)))
    yield Scene(title="Blurred bars", image=_with_blurred_bars(_on((420, 700), body, at=(20, 120), width=380)))
    yield Scene(title="Grey, tight", image=ImageOps.grayscale(body))
    yield Scene(title="Small source of 100 pixels", image=portrait.resize((100, 100)))
    yield Scene(title="Default silhouette: counts as no picture", image=_silhouette())


def _section(scene: Scene) -> str:
    output = io.BytesIO()
    scene.image.convert("RGB").save(output, "JPEG", quality=90)
    try:
        picture = render_picture(output.getvalue())
    except NotAPicture as reason:
        return f"<section><h2>{escape(scene.title)}</h2>Refused: {escape(str(reason))}</section>"
    renditions = "".join(
        f'<figure><img class="round" width="{size}" height="{size}" src="{_data_address("image/webp", body)}" alt="">'
        f"<figcaption>{size}: {len(body) / 1000:.1f} KB</figcaption></figure>"
        for size, body in sorted(picture.renditions.items(), reverse=True)
    )
    verdict = f"; {picture.generated_message}" if picture.is_generated else ""
    title = f"{scene.title} ({picture.width} x {picture.height}, square of {picture.crop.side:.0f}{verdict})"
    return f"<section><h2>{escape(title)}</h2>{_marked_source(output.getvalue(), picture)}{renditions}</section>"


def _marked_source(body: bytes, picture: RenderedPicture) -> str:
    """Return the source with the square and the circle that the app draws."""
    crop, line = picture.crop, max(picture.width, picture.height) / 200
    half = crop.side / 2
    return (
        f'<svg height="{_SHOWN_HEIGHT}" viewBox="0 0 {picture.width} {picture.height}">'
        f'<image width="{picture.width}" height="{picture.height}" href="{_data_address("image/jpeg", body)}"/>'
        f'<g fill="none" stroke="#f0f" stroke-width="{line:.1f}">'
        f'<rect x="{crop.left:.1f}" y="{crop.top:.1f}" width="{crop.side:.1f}" height="{crop.side:.1f}"/>'
        f'<circle cx="{crop.left + half:.1f}" cy="{crop.top + half:.1f}" r="{half:.1f}"/></g></svg>'
    )


def _initials(name: str) -> str:
    drawn = draw_initials(talent_id=name, name=name, size=128)
    address = _data_address("image/svg+xml", drawn.encode())
    caption = escape(name) or "no name"
    return f'<figure><img class="round" src="{address}" alt=""><figcaption>{caption}</figcaption></figure>'


def _data_address(kind: str, body: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


def _portrait() -> Image.Image:
    """Return the portrait that scikit-image ships, or a drawn one."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        return _drawn_portrait()
    with Image.open(Path(package.origin).parent / "data" / "astronaut.png") as image:
        return image.convert("RGB")


def _drawn_portrait() -> Image.Image:
    image = _landscape((512, 512))
    pen = ImageDraw.Draw(image)
    pen.ellipse((90, 330, 380, 700), fill=(50, 70, 120))
    pen.ellipse((150, 20, 300, 200), fill=(60, 40, 30))
    pen.ellipse((165, 50, 285, 205), fill=(225, 180, 150))
    for left in (192, 236):
        pen.ellipse((left, 110, left + 24, 124), fill=(30, 25, 25))
    pen.polygon([(225, 125), (215, 155), (235, 155)], fill=(190, 140, 115))
    pen.chord((195, 160, 255, 190), 0, 180, fill=(160, 60, 60))
    return image


def _upper_body() -> Image.Image:
    return _portrait().crop((90, 0, 350, 330))


def _landscape(size: tuple[int, int]) -> Image.Image:
    """Return a soft sky above a meadow."""
    ramp = Image.linear_gradient("L").resize(size)
    image = ImageOps.colorize(ramp, black=(120, 160, 200), white=(80, 110, 60), mid=(210, 200, 180))
    pen = ImageDraw.Draw(image)
    for index in range(6):
        left = size[0] * index // 6
        pen.ellipse((left, size[1] * 0.6, left + size[0] // 3, size[1] * 1.2), fill=(70 + 12 * index, 100, 60))
    return image


def _on(size: tuple[int, int], body: Image.Image, *, at: tuple[int, int], width: int) -> Image.Image:
    image = _landscape(size)
    image.paste(body.resize((width, width * body.height // body.width)), at)
    return image


def _full_body() -> Image.Image:
    image = _landscape((600, 1000))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((210, 250, 390, 620), 40, fill=(200, 90, 40))
    pen.rounded_rectangle((220, 580, 290, 980), 20, fill=(40, 50, 80))
    pen.rounded_rectangle((310, 580, 380, 980), 20, fill=(40, 50, 80))
    # A pasted panel with straight edges between soft sides would be taken for a picture with blurred bars.
    head = _upper_body().resize((220, 279))
    mask = Image.new("L", head.size)
    ImageDraw.Draw(mask).ellipse((10, 0, 210, 279), fill=255)
    image.paste(head, (190, 60), mask.filter(ImageFilter.GaussianBlur(8)))
    return image


def _group(*, gap: int) -> Image.Image:
    body = _upper_body()
    image = _landscape((560 + gap, 480))
    image.paste(body, (10, 100))
    image.paste(ImageOps.mirror(body), (290 + gap, 120))
    return image


def _framed(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    framed = Image.new("RGB", size)
    framed.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return framed


def _with_blurred_bars(image: Image.Image) -> Image.Image:
    width = 16 * image.height // 9
    fill = ImageOps.fit(image, (width, image.height)).filter(ImageFilter.GaussianBlur(40))
    fill = fill.point(lambda value: value * 0.6)
    fill.paste(image, ((width - image.width) // 2, 0))
    return fill


def _silhouette() -> Image.Image:
    image = Image.new("RGB", (640, 640), (219, 219, 219))
    pen = ImageDraw.Draw(image)
    pen.ellipse((205, 130, 435, 360), fill=(255, 255, 255))
    pen.ellipse((90, 380, 550, 840), fill=(255, 255, 255))
    return image


if __name__ == "__main__":
    write_contact_sheet(Path(sys.argv[1]))
