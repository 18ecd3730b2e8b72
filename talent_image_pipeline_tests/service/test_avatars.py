"""The stable address of a talent's picture, over real sockets."""

import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
from PIL import Image

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.avatar_route import wanted_size
from talent_image_pipeline_tests.rows import insert_talent
from talent_image_pipeline_tests.service.in_process import running, service_on
from talent_image_pipeline_tests.service.test_app import CONTENT_HASH, RENDITIONS, assert_is_safe

PUBLIC_URL = "https://talent.example"
ADDRESS = f"{PUBLIC_URL}/images/{CONTENT_HASH}/256.webp"


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    store = PictureStore.from_url(str(tmp_path / "images"))
    anyio.run(store.put, CONTENT_HASH, RENDITIONS)
    return store


@pytest.fixture
def engine(migrated_sqlite_file: Path, tmp_path: Path, opened: Callable[[str], sa.Engine]) -> sa.Engine:
    engine = opened(f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path / 'talents.db')}")
    with engine.begin() as connection:
        insert_talent(connection, id="ada", profile_image_url=ADDRESS, profile_image_source="instagram")
        insert_talent(connection, id="new", name="Grace Hopper")
        insert_talent(
            connection,
            id="by-hand",
            profile_image_url="https://agency.example/by-hand.jpg",
            profile_image_source="manual",
        )
    return engine


@pytest.fixture
def client(store: PictureStore, engine: sa.Engine) -> Iterator[httpx.Client]:
    with running(service_on(store=store, engine=engine, public_url=PUBLIC_URL)) as client:
        yield client


def show(engine: sa.Engine, talent_id: str, address: str | None) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(talent).where(talent.c.id == talent_id).values(profileImageUrl=address))


def side_of(response: httpx.Response) -> int:
    with Image.open(BytesIO(response.content), formats=("WEBP",)) as picture:
        return picture.width


def test_todays_picture_is_answered_with_its_bytes_to_be_asked_for_again_within_a_minute(
    client: httpx.Client,
) -> None:
    response = client.get("/avatars/ada")

    assert response.status_code == 200
    assert response.content == RENDITIONS[256]
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"].startswith("public, max-age=60,")
    assert_is_safe(response)
    again = client.get("/avatars/ada", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("1", 64),
        ("64", 64),
        ("65", 128),
        ("200", 256),
        ("512", 512),
        ("4096", 512),
        ("0", 64),
        ("-3", 256),
        ("big", 256),
    ],
)
def test_any_size_gives_the_smallest_rendition_that_is_as_large(client: httpx.Client, asked: str, given: int) -> None:
    assert client.get("/avatars/ada", params={"size": asked}).content == RENDITIONS[given]
    assert side_of(client.get("/avatars/new", params={"size": asked})) == given
    assert wanted_size(asked) == given


def test_who_has_no_picture_is_shown_as_initials_unless_somebody_wants_to_know(client: httpx.Client) -> None:
    initials = client.get("/avatars/new")

    assert (initials.status_code, initials.headers["content-type"]) == (200, "image/webp")
    assert client.get("/avatars/new", params={"d": "404"}).status_code == 404
    assert client.get("/avatars/ada", params={"d": "404"}).status_code == 200
    again = client.get("/avatars/new", headers={"If-None-Match": initials.headers["etag"]})
    assert again.status_code == 304


def test_a_change_shows_with_the_next_request(client: httpx.Client, engine: sa.Engine) -> None:
    before = client.get("/avatars/ada")
    show(engine, "ada", None)
    after = client.get("/avatars/ada", headers={"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert after.content != before.content


def test_a_picture_set_by_hand_is_where_its_address_says(client: httpx.Client) -> None:
    response = client.get("/avatars/by-hand", follow_redirects=False)

    assert (response.status_code, response.headers["location"]) == (302, "https://agency.example/by-hand.jpg")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "https://a.example/\r\nSet-Cookie: x=y",
        "https://a.example/ü",
        "//a.example/x",
        f"{PUBLIC_URL}/avatars/by-hand",
        "",
    ],
)
def test_an_address_that_nobody_may_be_sent_to_is_shown_as_initials(
    client: httpx.Client, engine: sa.Engine, address: str
) -> None:
    show(engine, "by-hand", address)

    response = client.get("/avatars/by-hand", follow_redirects=False)

    assert (response.status_code, response.headers["content-type"]) == (200, "image/webp")


@pytest.mark.parametrize("path", ["/avatars/nobody", "/avatars/a%00b", "/avatars/%FF"])
def test_only_an_unknown_talent_is_not_found(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert_is_safe(response)


def test_a_picture_that_is_damaged_or_lost_is_never_a_broken_image(client: httpx.Client, tmp_path: Path) -> None:
    stored = tmp_path / "images" / CONTENT_HASH / "256.webp"
    flipped = bytearray(stored.read_bytes())
    flipped[-3] ^= 1
    stored.write_bytes(flipped)

    damaged = client.get("/avatars/ada")
    assert (damaged.status_code, side_of(damaged)) == (200, 256)
    assert damaged.content not in (bytes(flipped), RENDITIONS[256])
    assert damaged.headers["cache-control"] == "public, max-age=10"
    assert client.get(f"/images/{CONTENT_HASH}/256.webp").status_code == 404

    shutil.rmtree(stored.parent)
    assert side_of(client.get("/avatars/ada", params={"size": "64"})) == 64


def test_while_the_database_is_gone_the_last_picture_stays_and_who_is_not_known_is_a_silhouette(
    store: PictureStore, engine: sa.Engine, tmp_path: Path
) -> None:
    with running(service_on(store=store, engine=engine, public_url=PUBLIC_URL)) as client:
        assert client.get("/avatars/ada").status_code == 200
        engine.dispose()
        (tmp_path / "talents.db").rename(tmp_path / "away.db")
        (tmp_path / "talents.db").mkdir()

        assert client.get("/avatars/ada").content == RENDITIONS[256]
        unknown = client.get("/avatars/new")
        assert (unknown.status_code, side_of(unknown)) == (503, 256)
        assert unknown.headers["cache-control"] == "no-store"
    (tmp_path / "talents.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "talents.db")


def test_by_setting_the_address_leads_to_the_immutable_one(store: PictureStore, engine: sa.Engine) -> None:
    with running(service_on(store=store, engine=engine, public_url=PUBLIC_URL, talent_avatar_redirect=True)) as client:
        response = client.get("/avatars/ada", params={"size": "64"}, follow_redirects=False)

    assert (response.status_code, response.headers["location"]) == (302, ADDRESS.replace("256", "64"))
    assert response.headers["cache-control"].startswith("public, max-age=60,")


def test_with_a_public_base_of_the_store_the_address_leads_there(store: PictureStore, engine: sa.Engine) -> None:
    base = "https://pictures.s3.example/talents"
    with running(
        service_on(store=store, engine=engine, public_url=PUBLIC_URL, talent_image_store_public_url=f"{base}/")
    ) as client:
        response = client.get("/avatars/ada", follow_redirects=False)

        assert response.headers["location"] == f"{base}/{CONTENT_HASH}/256.webp"
        assert client.get("/avatars/new").status_code == 200


def test_initials_come_as_webp_in_every_size_of_a_picture_and_in_no_other(client: httpx.Client) -> None:
    for size in RENDITIONS:
        response = client.get(f"/initials/new/{size}.webp")
        assert (side_of(response), response.headers["content-type"]) == (size, "image/webp")
        assert_is_safe(response)

    assert client.get("/initials/new/100.webp").status_code == 404
    assert client.get("/initials/nobody/64.webp").status_code == 404
