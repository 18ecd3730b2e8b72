"""Which pictures become ours, and which are the ones that we have."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw, ImageFont

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.records import PictureRecord
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES, CropBox, RenderedPicture
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reading.picture_ingest import may_be_the_same_picture, picture_record
from talent_image_pipeline_tests.pictures.picture_files import astronaut, encoded
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim
from talent_image_pipeline_tests.sync.loopback_networks import Networks, reading

LOOKS = "0123456789abcdef"
LOOKS_OTHERWISE = "fedcba9876543210"


def rendered(*, side: int = 320, looks: str = LOOKS, content_hash: str = "new") -> RenderedPicture:
    return RenderedPicture(
        content_hash=content_hash,
        renditions=dict.fromkeys(RENDITION_SIZES, b"bytes"),
        width=side,
        height=side,
        side=min(side, 512),
        crop=CropBox(left=0, top=0, side=side),
        focus_x=0.5,
        focus_y=0.5,
        perceptual_hash=looks,
        is_generated=False,
        generated_message=None,
    )


OWNED: PictureRecord = picture_record(rendered(content_hash="owned"))


def test_only_what_looks_the_same_may_be_the_same_picture() -> None:
    assert may_be_the_same_picture(OWNED, rendered())
    assert may_be_the_same_picture(OWNED, rendered(side=400))
    assert not may_be_the_same_picture(OWNED, rendered(looks=LOOKS_OTHERWISE))


def test_a_clearly_larger_source_replaces_a_small_picture_but_not_one_that_is_large_enough() -> None:
    assert not may_be_the_same_picture(OWNED, rendered(side=480))
    assert may_be_the_same_picture(replace(OWNED, width=512, height=512), rendered(side=1080))


def test_a_damaged_picture_is_never_the_same() -> None:
    assert not may_be_the_same_picture(replace(OWNED, is_damaged=True), rendered(content_hash="owned"))


def test_a_row_counts_all_bytes_of_a_picture() -> None:
    assert OWNED.bytes == len(RENDITION_SIZES) * len(b"bytes")


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        far = utc_now() + timedelta(days=50)
        insert_account(connection, id="ada", talent_id="ada", handle="ada", access_token="token-of-ada", expires_at=far)
    return migrated_engine


def test_a_picture_that_the_network_encoded_anew_under_a_new_name_keeps_its_hash(
    engine: sa.Engine, tmp_path: Path
) -> None:
    portrait = astronaut().crop((150, 20, 470, 340))
    networks = Networks(has_pictures=True, bodies={"ada": encoded(portrait, "JPEG", quality=95)})

    async def act() -> None:
        async with reading(engine, tmp_path, networks=networks) as reader:
            await reader.read(["ada"])
            before = sim.ledger_of(engine, "ada")
            networks.bodies = {"renamed": encoded(portrait, "JPEG", quality=70)}
            networks.answers = {"ada": lambda: networks.user_with_picture("ada", picture="renamed")}
            report = await reader.read(["ada"], minimum_hours=0)
            after = sim.ledger_of(engine, "ada")
            assert (report.outcomes, report.pictures_changed) == ({Outcome.UNCHANGED: 1}, 0)
            assert before is not None
            assert after is not None
            assert after["picture_hash"] == before["picture_hash"]
            assert after["content_id"] != before["content_id"]
            again = await reader.read(["ada"], force=True, run_id="again")
            assert (again.outcomes, again.downloads) == ({Outcome.UNCHANGED: 1}, 0)

    asyncio.run(act())


def logo(text: str, *, quality: int = 90) -> bytes:
    """Return a team's logo: large plain areas and one line of text."""
    picture = Image.new("RGB", (320, 320), "#123a7c")
    drawing = ImageDraw.Draw(picture)
    drawing.ellipse((20, 20, 300, 300), outline="white", width=10)
    drawing.text((60, 130), text, fill="white", font=ImageFont.load_default(size=56))
    return encoded(picture, "JPEG", quality=quality)


@pytest.mark.parametrize(
    ("new", "force", "is_published"),
    [
        (logo("TEAM 26"), False, True),
        (logo("TEAM 25", quality=70), False, False),
        (logo("TEAM 25", quality=70), True, True),
    ],
    ids=["one digit changed", "encoded anew", "encoded anew and a person asks"],
)
def test_a_picture_that_merely_resembles_the_old_one_is_published(
    engine: sa.Engine, tmp_path: Path, new: bytes, force: bool, is_published: bool
) -> None:
    networks = Networks(has_pictures=True, bodies={"ada": logo("TEAM 25")})

    async def act() -> None:
        async with reading(engine, tmp_path, networks=networks) as reader:
            await reader.read(["ada"])
            networks.bodies = {"renamed": new}
            networks.answers = {"ada": lambda: networks.user_with_picture("ada", picture="renamed")}
            report = await reader.read(["ada"], force=force, minimum_hours=0)
            assert report.pictures_changed == is_published

    asyncio.run(act())


def test_a_store_that_is_gone_makes_the_read_unavailable_and_keeps_the_row(engine: sa.Engine, tmp_path: Path) -> None:
    async def act() -> None:
        async with reading(engine, tmp_path, networks=Networks(has_pictures=True)) as reader:
            shutil.rmtree(tmp_path / "images")
            (tmp_path / "images").write_text("a file where the directory was")
            report = await reader.read(["ada"])
            assert report.outcomes == {Outcome.UNAVAILABLE: 1}
            assert report.internal_errors == 0
            assert "could not be stored" in report.failures[0].message

    asyncio.run(act())
    row = sim.ledger_of(engine, "ada")
    assert row is not None
    assert (row["picture_hash"], row["outcome"]) == (None, "unavailable")
