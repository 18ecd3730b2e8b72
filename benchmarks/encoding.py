"""What the encoder's effort buys: processor time, bytes and likeness of the renditions, by its settings.

    uv run python -m benchmarks.encoding

What belongs here: one table over the encoder's settings. What does not: the way of a whole picture (``rendering.py``).
"""

import io
import statistics
import time
from importlib.resources import files

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage.metrics import structural_similarity

from benchmarks.rendering import sample_pictures
from talent_image_pipeline.pictures.rendering.render import METHOD, QUALITY

_SIDES = (64, 128, 256, 512)
_SETTINGS = [(quality, method) for quality in (75, 78, 80) for method in (0, 1, 2, 3, 4, 6)]
_DRAWN = 6
_ROUNDS = 5


def main() -> None:
    """Encode the tests' portrait and some drawn ones with each setting, and print what it takes and gives."""
    with Image.open(io.BytesIO((files("skimage") / "data" / "astronaut.png").read_bytes())) as image:
        portrait = image.convert("RGB")
    drawn = [Image.open(io.BytesIO(body)).convert("RGB") for body in sample_pictures(_DRAWN, side=_SIDES[-1])]
    sources = [
        {side: picture.resize((side, side), Image.Resampling.LANCZOS) for side in _SIDES}
        for picture in (portrait, *drawn)
    ]
    names = ("quality", "effort", "four sizes, CPU", "four sizes, bytes", "portrait at 256 px, bytes", "SSIM at 256 px")
    table = Table(*names, title="WebP: time against bytes and likeness")
    for quality, method in _SETTINGS:
        spent, sizes, likeness = _measure(sources, quality=quality, method=method)
        chosen = " (chosen)" if (quality, method) == (QUALITY, METHOD) else ""
        portrait_bytes = len(_encoded(sources[0][256], quality=quality, method=method))
        table.add_row(
            f"{quality}{chosen}",
            f"{method}",
            f"{1000 * spent:.1f} ms",
            f"{sizes:.0f}",
            f"{portrait_bytes}",
            f"{likeness:.4f}",
        )
    Console(width=120).print(table)


def _measure(sources: list[dict[int, Image.Image]], *, quality: int, method: int) -> tuple[float, float, float]:
    """Return seconds of processor time and bytes for a picture, and the mean likeness of its 256 px."""
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        encoded = [
            {side: _encoded(image, quality=quality, method=method) for side, image in one.items()} for one in sources
        ]
        times.append((time.process_time() - started) / len(sources))
    sizes = statistics.mean(sum(map(len, one.values())) for one in encoded)
    likeness = statistics.mean(_likeness(one[256], body[256]) for one, body in zip(sources, encoded, strict=True))
    return min(times), sizes, likeness


def _encoded(image: Image.Image, *, quality: int, method: int) -> bytes:
    output = io.BytesIO()
    image.save(output, "WEBP", quality=quality, method=method)
    return output.getvalue()


def _likeness(image: Image.Image, body: bytes) -> float:
    shown = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
    return float(structural_similarity(np.asarray(image), shown, channel_axis=2))


if __name__ == "__main__":
    main()
