"""How good the squares are: what share of faces is in the circle, of heads whole, and of faces not tiny.

    uv run python -m benchmarks.faces                     the tables, in about a minute
    uv run python -m benchmarks.faces --sheet sheet.jpg   also a contact sheet of every kind of scene

It needs npm, which fetches a package with free photographs (``photographs.py``).

What belongs here: the measures and their tables. What does not: the pictures.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.photographs import Scene, read_archive, scenes
from talent_image_pipeline.pictures.rendering.crop import SHARP_SIDE, Square, choose_square
from talent_image_pipeline.pictures.rendering.decode import Pixels
from talent_image_pipeline.pictures.rendering.faces import Face, look_for_faces

# As the pipeline decodes a picture before it looks for faces.
_SHORT_SIDE = 512
# What is over the circle by less is background.
_TOLERATED = 0.02
_TINY = 0.2
_LOOKS = ((160, 0.6), (224, 0.6), (320, 0.6), (640, 0.7))
_SHEET_HEIGHT, _SHEET_COLUMNS = 150, 6


@dataclass(frozen=True, kw_only=True)
class _Result:
    scene: Scene
    square: Square

    @property
    def can_be_in_circle(self) -> bool:
        """Whether any circle inside the picture holds the whole face: not where the edge cuts it."""
        face, image = _known(self.scene), self.scene.image
        reach = face.radius * (1 - _TOLERATED)
        return (
            reach <= face.x <= image.width - reach
            and reach <= face.y <= image.height - reach
            and 2 * reach <= min(image.size)
        )

    @property
    def is_in_circle(self) -> bool:
        face, half = _known(self.scene), self.square.side / 2
        points = [(face.width / 2 * math.cos(a), face.height / 2 * math.sin(a)) for a in np.linspace(0, 6.28, 32)]
        reach = max(
            math.hypot(face.x + x - self.square.left - half, face.y + y - self.square.top - half) for x, y in points
        )
        return reach <= half * (1 + _TOLERATED)

    @property
    def is_head_whole(self) -> bool:
        """Whether the square holds the head from the hair to the chin, as far as the picture holds it."""
        face, square, image = _known(self.scene), self.square, self.scene.image
        slack = _TOLERATED * square.side
        return (
            square.left <= max(0, face.x - face.width / 2) + slack
            and square.top <= max(0, face.crown) + slack
            and square.left + square.side >= min(image.width, face.x + face.width / 2) - slack
            and square.top + square.side >= min(image.height, face.y + face.height / 2) - slack
        )

    @property
    def is_tiny(self) -> bool:
        """Whether the face is tiny although the source has the pixels for a closer square."""
        return _known(self.scene).width < _TINY * self.square.side and self.square.side > SHARP_SIDE * (1 + _TOLERATED)

    @property
    def is_as_it_was(self) -> bool:
        return self.square.side >= min(self.scene.image.size) - 1


def _known(scene: Scene) -> Face:
    if scene.face is None:
        raise ValueError("the scene has no face")
    return scene.face


def _decoded(image: Image.Image) -> Pixels:
    factor = min(image.size) // _SHORT_SIDE
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _result(scene: Scene) -> _Result:
    pixels = _decoded(scene.image)
    scale = pixels.shape[1] / scene.image.width
    square = choose_square(pixels, scale=scale)
    source = Square(left=square.left / scale, top=square.top / scale, side=square.side / scale)
    return _Result(scene=scene, square=source)


def _share(results: Sequence[_Result], name: str) -> str:
    return f"{100 * statistics.mean(getattr(one, name) for one in results):.1f} %" if results else "-"


def _squares_table(results: Sequence[_Result]) -> Table:
    names = ("pictures", "number", "face in circle", "where one can", "head whole", "face tiny", "left whole")
    table = Table(*names, title="The squares")
    with_face = [one for one in results if one.scene.face is not None]
    kinds = list(dict.fromkeys(one.scene.kind for one in with_face))
    for kind in (*kinds, "all with a face"):
        chosen = [one for one in with_face if kind in {one.scene.kind, "all with a face"}]
        possible = [one for one in chosen if one.can_be_in_circle]
        shares = [_share(chosen, name) for name in ("is_head_whole", "is_tiny", "is_as_it_was")]
        in_circle = (_share(chosen, "is_in_circle"), f"{_share(possible, 'is_in_circle')} of {len(possible)}")
        table.add_row(kind, str(len(chosen)), *in_circle, *shares)
    without = [one for one in results if one.scene.face is None]
    table.add_row("no face", str(len(without)), "-", "-", "-", "-", _share(without, "is_as_it_was"))
    return table


def _looks_table(found: Sequence[Scene]) -> Table:
    names = ("long side", "score", "face found", "small face found", "a face where none is", "CPU")
    table = Table(*names, title="The detector")
    for side, score in _LOOKS:
        started = time.process_time()
        pictures = [_decoded(scene.image) for scene in found]
        looks = [look_for_faces(pixels, long_side=side, score=score) for pixels in pictures]
        spent = 1000 * (time.process_time() - started) / len(found)
        seen = list(
            zip(found, looks, [p.shape[1] / s.image.width for p, s in zip(pictures, found, strict=True)], strict=True)
        )
        hits = [(scene.kind, _is_hit(scene, faces, scale)) for scene, faces, scale in seen if scene.face is not None]
        small = [hit for kind, hit in hits if kind.startswith("full")]
        false = [bool(faces) for scene, faces, _ in seen if scene.face is None]
        shares = (f"{100 * statistics.mean(one):.1f} %" for one in ([hit for _, hit in hits], small))
        table.add_row(f"{side} px", f"{score}", *shares, f"{sum(false)} of {len(false)}", f"{spent:.1f} ms")
    return table


def _is_hit(scene: Scene, faces: Sequence[Face], scale: float) -> bool:
    """Return whether one of the faces, in pixels of a reduced picture, is the known one."""
    known = _known(scene)
    return any(
        math.hypot(face.x / scale - known.x, face.y / scale - known.y) <= known.width / 2
        and 0.5 <= face.width / scale / known.width <= 2
        for face in faces
    )


def _sheet(results: Sequence[_Result]) -> Image.Image:
    kinds = list(dict.fromkeys(one.scene.kind for one in results))
    rows = [[one for one in results if one.scene.kind == kind][3::11][:_SHEET_COLUMNS] for kind in kinds]
    pairs = [[_pair(one) for one in row] for row in rows]
    width = max(sum(pair.width + 8 for pair in row) for row in pairs)
    sheet = Image.new("RGB", (width, len(rows) * (_SHEET_HEIGHT + 8)), "white")
    for number, row in enumerate(pairs):
        left = 0
        for pair in row:
            sheet.paste(pair, (left, number * (_SHEET_HEIGHT + 8)))
            left += pair.width + 8
    return sheet


def _pair(result: _Result) -> Image.Image:
    """Return the source with its square drawn in, beside what is shown."""
    image, square = result.scene.image.copy(), result.square
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    shown = image.crop(tuple(round(edge) for edge in box)).resize((_SHEET_HEIGHT, _SHEET_HEIGHT))
    pen = ImageDraw.Draw(image)
    pen.rectangle(box, outline="yellow", width=max(1, image.height // 100))
    pen.ellipse(box, outline="yellow", width=max(1, image.height // 100))
    image = image.resize((round(image.width * _SHEET_HEIGHT / image.height), _SHEET_HEIGHT))
    pair = Image.new("RGB", (image.width + 4 + _SHEET_HEIGHT, _SHEET_HEIGHT), "white")
    pair.paste(image)
    pair.paste(shown, (image.width + 4, 0))
    return pair


@click.command(help="Measure the squares that are shown, on free photographs.")
@click.option("--archive", type=click.Path(path_type=Path, exists=True), help="The package, where it is there already.")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), help="Also write a contact sheet there.")
def main(*, archive: Path | None, sheet_file: Path | None) -> None:
    """Measure and print."""
    found = list(scenes(read_archive(archive)))
    results = [_result(scene) for scene in track(found, "Choosing squares", console=Console(stderr=True))]
    console = Console(width=110)
    console.print(_looks_table(found))
    console.print(_squares_table(results))
    if sheet_file is not None:
        _sheet(results).save(sheet_file, quality=70)


if __name__ == "__main__":
    main()
