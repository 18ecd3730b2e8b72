"""The sample talents' photographs: the same for the same seed, other people for other seeds, and something to crop."""

import io
from collections.abc import AsyncIterator

import anyio
import numpy as np
import pytest
from PIL import Image

from talent_image_pipeline.pictures.rendering.rendered_picture import RenderedPicture
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers
from talent_image_pipeline.sandbox.photographs import Framing, photograph
from talent_image_pipeline.sandbox.portraits import Picture, encoded
from talent_image_pipeline.sandbox.samples import SAMPLES, build_sample_world

SIDE = 320


def pixels(image: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return np.asarray(image, dtype=np.float64)


def test_a_seed_decides_every_pixel() -> None:
    assert photograph(7, SIDE).tobytes() == photograph(7, SIDE).tobytes()
    assert np.abs(pixels(photograph(7, SIDE)) - pixels(photograph(8, SIDE))).mean() > 10


@pytest.mark.parametrize("framing", Framing)
def test_a_photograph_has_the_depth_of_one(framing: Framing) -> None:
    image = photograph(7, SIDE, framing)

    assert image.size == (SIDE, SIDE)
    assert len(set(image.get_flattened_data())) > 5_000, "no flat areas: light and grain are everywhere"


def sample_pictures() -> list[Picture]:
    """Return the pictures of those sample talents who are not in the middle of their own picture."""
    world = build_sample_world()
    found = []
    for sample in SAMPLES:
        for account in sample.accounts:
            upstream = world.find(account.network, account.handle) if account.network else None
            if upstream is not None and upstream.picture.framing is not Framing.CLOSE:
                found.append(upstream.picture)
    return found


async def rendered(pictures: list[Picture]) -> AsyncIterator[RenderedPicture]:
    async with PictureWorkers(processes=1) as workers:
        for picture in pictures:
            yield await workers.render(encoded(picture, picture.size))


def test_full_bodies_and_people_at_the_side_of_their_picture_are_found_by_the_crop() -> None:
    async def crops() -> list[bool]:
        return [
            picture.crop.side < picture.width or picture.crop.left > 0 async for picture in rendered(sample_pictures())
        ]

    cropped = anyio.run(crops)

    assert len(cropped) >= 4
    assert sum(cropped) >= len(cropped) - 1, cropped


def test_they_are_encoded_as_real_files() -> None:
    picture = sample_pictures()[0]

    assert Image.open(io.BytesIO(encoded(picture, 256))).size == (256, 256)
