"""Photographs that anybody may use, and scenes made of them whose faces are known.

What belongs here: fetching the pictures that a package brings, and composing scenes. 72 portraits and 50 landscapes
come with ``tabler-ui`` 0.0.34 (MIT license) from the npm registry; nothing of them is kept in this repository.
What does not: what is measured on them (``faces.py``).
"""

import hashlib
import io
import random
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from talent_image_pipeline.pictures.rendering.faces import Face, look_for_faces

PACKAGE = "tabler-ui@0.0.34"
_SHA512 = (
    "d6cb50c44c7dadf0836812a1e9c345f1ba0fe05bcb111acb75e5a3ec55c9620c"
    "61c5e8256896b298dd5b1b675abd55b2b0356168bdb43e8653e113416151821c"
)
_FACES, _LANDSCAPES = "package/dist/demo/faces/", "package/dist/demo/photos/"
# Where a face is in a portrait is measured on a copy this large, by a look this close: far more than the pipeline
# takes on the scenes, in which the portrait is a small part.
_TRUTH_SIDE, _TRUTH_LOOK, _TRUTH_SCORE = 512, 320, 0.7


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture whose face is known.

    Attributes:
        kind: What it stands for.
        image: The picture.
        face: Where its face is; none in a picture without one.
    """

    kind: str
    image: Image.Image
    face: Face | None


@dataclass(frozen=True, kw_only=True)
class _Portrait:
    image: Image.Image
    face: Face


def fetch_archive(directory: Path) -> Path:
    """Fetch the package with npm, into a directory; return its archive."""
    command = ["npm", "pack", "--silent", PACKAGE]
    name = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.split()[-1]  # noqa: S603
    return directory / name


def read_archive(archive: Path | None) -> dict[str, bytes]:
    """Return the pictures of the package by name.

    Args:
        archive: The package's archive; none fetches it.

    Raises:
        ValueError: when it is another file than the one that the figures were measured on.
    """
    with tempfile.TemporaryDirectory() as directory:
        content = (archive or fetch_archive(Path(directory))).read_bytes()
    if hashlib.sha512(content).hexdigest() != _SHA512:
        raise ValueError(f"this is not the archive of {PACKAGE} that the figures were measured on")
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        wanted = [one for one in package.getmembers() if one.name.startswith((_FACES, _LANDSCAPES))]
        return {one.name: _content(package, one) for one in sorted(wanted, key=lambda one: one.name)}


def scenes(pictures: dict[str, bytes]) -> Iterator[Scene]:
    """Yield portraits as networks show them, and people smaller and smaller in front of landscapes, always the same.

    Args:
        pictures: By name, as :func:`read_archive` returns them.
    """
    chance = random.Random(11)
    portraits = [
        portrait for name, body in pictures.items() if name.startswith(_FACES) and (portrait := _portrait(body))
    ]
    landscapes = [_opened(body) for name, body in pictures.items() if name.endswith("-1500.jpg")]
    for portrait in portraits:
        yield Scene(kind="head and shoulders", image=portrait.image, face=portrait.face)
    for kind, size, shares in (
        ("half figure, wide", (1280, 853), (0.16, 0.24)),
        ("half figure, tall", (1080, 1350), (0.15, 0.25)),
        ("full figure", (1440, 1440), (0.06, 0.11)),
        ("full figure, tall", (1080, 1920), (0.07, 0.12)),
    ):
        for portrait in portraits:
            yield _composed(chance, kind, portrait, chance.choice(landscapes), size, chance.uniform(*shares))
    for landscape in landscapes:
        yield Scene(kind="no face", image=landscape, face=None)


def _content(package: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = package.extractfile(member)
    return file.read() if file is not None else b""


def _opened(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        return image.convert("RGB")


def _portrait(body: bytes) -> _Portrait | None:
    """Return a portrait with its face, or none where it is not a single, clear one."""
    image = _opened(body)
    large = image.resize((_TRUTH_SIDE, _TRUTH_SIDE), Image.Resampling.LANCZOS)
    faces = look_for_faces(np.asarray(large), long_side=_TRUTH_LOOK, score=_TRUTH_SCORE)
    if len(faces) != 1:
        return None
    return _Portrait(image=image, face=_moved(faces[0], scale=image.width / _TRUTH_SIDE))


def _moved(face: Face, *, scale: float, left: float = 0.0, top: float = 0.0) -> Face:
    return Face(
        x=left + face.x * scale,
        y=top + face.y * scale,
        width=face.width * scale,
        height=face.height * scale,
        eyes=top + face.eyes * scale,
    )


def _composed(
    chance: random.Random,
    kind: str,
    portrait: _Portrait,
    landscape: Image.Image,
    size: tuple[int, int],
    share: float,
) -> Scene:
    """Put a person in front of a landscape, with the face as wide as a share of the picture's shorter side."""
    width, height = size
    scale = share * min(size) / portrait.face.width
    side = max(8, round(portrait.image.width * scale))
    image = _filling(landscape, size)
    left = round(chance.uniform(0.02, 0.98) * max(0, width - side))
    top = round(chance.uniform(0.02, 0.3) * max(0, height - side))
    _draw_body(image, left=left, top=top, side=side, color=_clothing(portrait.image))
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((side * 0.04, -side * 0.1, side * 0.96, side * 1.4), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(side * 0.02))
    image.paste(portrait.image.resize((side, side), Image.Resampling.LANCZOS), (left, top), mask)
    return Scene(
        kind=kind, image=image, face=_moved(portrait.face, scale=side / portrait.image.width, left=left, top=top)
    )


def _filling(landscape: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = max(size[0] / landscape.width, size[1] / landscape.height)
    resized = landscape.resize((round(landscape.width * scale) + 1, round(landscape.height * scale) + 1))
    return resized.crop((0, 0, *size))


def _draw_body(image: Image.Image, *, left: int, top: int, side: int, color: tuple[int, int, int]) -> None:
    pen = ImageDraw.Draw(image)
    across, shoulders = left + side / 2, top + 0.85 * side
    pen.rounded_rectangle(
        (across - 0.5 * side, shoulders, across + 0.5 * side, shoulders + 1.5 * side), 0.2 * side, color
    )
    for foot in (-0.3, 0.05):
        legs = (across + foot * side, shoulders + 1.4 * side, across + (foot + 0.25) * side, shoulders + 3.2 * side)
        pen.rectangle(legs, tuple(value // 2 for value in color))


def _clothing(portrait: Image.Image) -> tuple[int, int, int]:
    """Return the color at the portrait's lower edge."""
    quarter = portrait.width // 4
    edge = np.asarray(portrait.crop((quarter, portrait.height - 2, 3 * quarter, portrait.height)))
    red, green, blue = edge.reshape(-1, 3).mean(axis=0)
    return int(red), int(green), int(blue)
