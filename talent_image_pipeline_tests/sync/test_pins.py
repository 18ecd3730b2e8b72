"""An earlier picture can be pinned and freed again, and nothing else about the talent changes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import history_queries, maintenance_queries
from talent_image_pipeline.database.records import PictureRecord, TalentRecord, VersionRecord
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError
from talent_image_pipeline.sync.publishing.pins import PinningRefusedError, roll_back, unpin
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.stored_pictures import RULES, put_picture, read_picture

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
LATER = NOW + timedelta(days=10)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore.from_url(str(tmp_path / "images"))


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    """Ada has an Instagram and a YouTube account, nothing was read yet."""
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(connection, id="ada-instagram", talent_id="ada")
        insert_account(connection, id="ada-youtube", talent_id="ada", platform="YOUTUBE")
    return migrated_engine


@pytest.fixture
def pictures(engine: sa.Engine, store: PictureStore) -> list[PictureRecord]:
    """Three pictures that Ada showed one after the other, a day each."""
    found = [put_picture(store, seed) for seed in range(3)]
    for day, picture in enumerate(found):
        read_picture(engine, "ada-instagram", picture, now=NOW + timedelta(days=day))
    return found


def pin(engine: sa.Engine, store: PictureStore, version_id: int | None = None, talent_id: str = "ada") -> VersionRecord:
    async def run() -> VersionRecord:
        return await roll_back(engine, store, talent_id, version_id=version_id, rules=RULES, now=LATER)

    return anyio.run(run)


def shown(engine: sa.Engine) -> TalentRecord:
    with engine.connect() as connection:
        return history_queries.load_talents(connection, ["ada"])[0]


def history(engine: sa.Engine) -> list[VersionRecord]:
    with engine.connect() as connection:
        return history_queries.load_history(connection, "ada")


def address(picture: PictureRecord) -> str:
    return f"http://pictures.example/images/{picture.content_hash}/256.webp"


def test_a_rollback_shows_the_picture_before_at_once_and_the_history_says_so(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    before = shown(engine)

    pinned = pin(engine, store)

    after = shown(engine)
    assert after.image_url == address(pictures[1])
    assert after.image_source == "instagram"
    assert after.last_sync_at == before.last_sync_at
    newest, ended = history(engine)[:2]
    assert (newest.picture_hash, newest.valid_from, newest.run_id) == (pictures[1].content_hash, LATER, None)
    assert newest.why == f"pinned to version {pinned.version_id}"
    assert ended.valid_to == LATER


def test_rolling_back_again_goes_further_back_until_there_is_nothing_earlier(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    pin(engine, store)
    pin(engine, store)

    assert shown(engine).image_url == address(pictures[0])
    with pytest.raises(PinningRefusedError, match="no earlier version"):
        pin(engine, store)


def test_a_pin_survives_new_pictures_and_disconnects(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    pin(engine, store)

    read_picture(engine, "ada-instagram", put_picture(store, 7), now=LATER + timedelta(days=1))
    read_picture(engine, "ada-instagram", None, now=LATER + timedelta(days=2))

    assert shown(engine).image_url == address(pictures[1])
    assert len(history(engine)) == 4


def test_an_unpinned_talent_shows_at_once_what_wins_now(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    read_picture(engine, "ada-youtube", put_picture(store, 9), now=NOW + timedelta(days=3))
    pinned = pin(engine, store)
    stamp = shown(engine).last_sync_at

    resolution = unpin(engine, "ada", rules=RULES, now=LATER + timedelta(hours=1))

    assert resolution is not None
    assert resolution.source == "instagram"
    assert shown(engine).image_url == address(pictures[2])
    assert shown(engine).last_sync_at == stamp
    assert history(engine)[0].why == f"unpinned from version {pinned.version_id}"
    with pytest.raises(PinningRefusedError, match="No picture of ada is pinned"):
        unpin(engine, "ada", rules=RULES, now=LATER)


def test_unpinning_after_every_account_lost_its_picture_shows_the_initials(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    pin(engine, store)
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))

    unpin(engine, "ada", rules=RULES, now=LATER)

    assert (shown(engine).image_url, shown(engine).image_source) == (None, "initials")


def test_the_initials_can_be_pinned(engine: sa.Engine, store: PictureStore) -> None:
    read_picture(engine, "ada-instagram", None, now=NOW)
    read_picture(engine, "ada-instagram", put_picture(store, 1), now=NOW + timedelta(days=1))

    pinned = pin(engine, store)

    assert pinned.picture_hash is None
    assert (shown(engine).image_url, shown(engine).image_source) == (None, "initials")
    read_picture(engine, "ada-instagram", put_picture(store, 2), now=LATER)
    assert shown(engine).image_url is None


def test_a_version_can_be_named_even_the_present_one(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    present, _, first = history(engine)

    pin(engine, store, first.version_id)
    assert shown(engine).image_url == address(pictures[0])

    pin(engine, store, present.version_id)
    read_picture(engine, "ada-instagram", pictures[0], now=LATER + timedelta(days=1))
    assert shown(engine).image_url == address(pictures[2])


def lose_the_objects(engine: sa.Engine, store: PictureStore, picture: PictureRecord) -> None:
    async def delete() -> None:
        await store.delete(picture.content_hash)

    anyio.run(delete)


def find_damage(engine: sa.Engine, store: PictureStore, picture: PictureRecord) -> None:
    with engine.begin() as connection:
        maintenance_queries.mark_damaged(connection, [picture.content_hash], stored_before=LATER, now=LATER)


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (lose_the_objects, "not in the picture store"),
        (find_damage, "found damaged"),
    ],
)
def test_a_picture_that_is_not_ours_any_more_is_not_pinned(
    engine: sa.Engine,
    store: PictureStore,
    pictures: list[PictureRecord],
    lose: Callable[[sa.Engine, PictureStore, PictureRecord], None],
    words: str,
) -> None:
    lose(engine, store, pictures[1])

    with pytest.raises(PinningRefusedError, match=words):
        pin(engine, store)

    assert shown(engine).image_url == address(pictures[2])
    assert len(history(engine)) == 3


def test_another_talents_version_is_refused(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id="grace", name="Grace Hopper")
        insert_account(connection, id="grace-instagram", talent_id="grace", handle="@grace")
    read_picture(engine, "grace-instagram", pictures[0], now=NOW)

    with pytest.raises(PinningRefusedError, match=r"grace has no version 1. It has 4\."):
        pin(engine, store, version_id=1, talent_id="grace")


def test_a_manual_picture_is_neither_pinned_over_nor_touched_by_unpinning(
    engine: sa.Engine, store: PictureStore, pictures: list[PictureRecord]
) -> None:
    pin(engine, store)
    with engine.begin() as connection:
        connection.execute(
            sa.update(talent).values(profileImageSource="manual", profileImageUrl="http://by.hand/1.png")
        )
    before = shown(engine)

    with pytest.raises(PinningRefusedError, match="set by hand"):
        pin(engine, store)
    assert unpin(engine, "ada", rules=RULES, now=LATER) is None

    assert shown(engine) == before


def test_an_unknown_talent_is_refused_with_the_nearest(engine: sa.Engine, store: PictureStore) -> None:
    with pytest.raises(UnknownTalentError, match=r"'adda'.*ada \(Ada Lovelace\)"):
        pin(engine, store, talent_id="adda")
    with pytest.raises(UnknownTalentError, match="'adda'"):
        unpin(engine, "adda", rules=RULES, now=LATER)


def test_a_talent_that_never_showed_anything_has_nothing_to_go_back_to(engine: sa.Engine, store: PictureStore) -> None:
    with pytest.raises(PinningRefusedError, match="no versions yet"):
        pin(engine, store)
