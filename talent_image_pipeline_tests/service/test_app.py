"""The HTTP service over real sockets: headers, caching, and what it answers when something is missing or down."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from xml.etree import ElementTree as ET

import anyio
import httpx
import pytest
import sqlalchemy as sa
from PIL import Image

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.keys import content_hash_of, rendition_url
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline_tests.rows import insert_talent
from talent_image_pipeline_tests.service.in_process import NOW, running, service_on


def make_renditions() -> dict[int, bytes]:
    renditions = {}
    for size in RENDITION_SIZES:
        encoded = BytesIO()
        Image.new("RGB", (size, size), "teal").save(encoded, "WEBP")
        renditions[size] = encoded.getvalue()
    return renditions


RENDITIONS = make_renditions()
CONTENT_HASH = content_hash_of(RENDITIONS)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore.from_url(str(tmp_path / "images"))


@pytest.fixture
def stored_picture(store: PictureStore) -> str:
    async def put() -> None:
        await store.put(CONTENT_HASH, RENDITIONS)

    anyio.run(put)
    return CONTENT_HASH


@pytest.fixture
def engine(migrated_sqlite_file: Path, tmp_path: Path, opened: Callable[[str], sa.Engine]) -> sa.Engine:
    return opened(f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path / 'talents.db')}")


@pytest.fixture
def client(store: PictureStore, engine: sa.Engine) -> Iterator[httpx.Client]:
    service = service_on(store=store, engine=engine)
    with running(service) as client:
        yield client


@pytest.fixture
def add_talent(engine: sa.Engine) -> Callable[..., None]:
    def add(**columns: str | None) -> None:
        with engine.begin() as connection:
            insert_talent(connection, **columns)  # type: ignore[arg-type]

    return add


def drawn_text(response: httpx.Response) -> str | None:
    return ET.fromstring(response.content).findtext("{http://www.w3.org/2000/svg}text")  # noqa: S314 - our own drawing


def assert_is_safe(response: httpx.Response) -> None:
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "server" not in response.headers


@pytest.mark.parametrize("size", RENDITION_SIZES)
def test_a_stored_rendition_is_served_for_ever(client: httpx.Client, stored_picture: str, size: int) -> None:
    response = client.get(f"/images/{stored_picture}/{size}.webp")

    assert response.status_code == 200
    assert response.content == RENDITIONS[size]
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["etag"].startswith('"')
    assert_is_safe(response)


def test_every_rendition_has_a_tag_of_its_own(client: httpx.Client, stored_picture: str) -> None:
    tags = {client.get(f"/images/{stored_picture}/{size}.webp").headers["etag"] for size in RENDITION_SIZES}

    assert len(tags) == len(RENDITION_SIZES)


def test_the_published_address_is_one_that_the_service_answers(client: httpx.Client, stored_picture: str) -> None:
    address = rendition_url(str(client.base_url), stored_picture)

    assert client.get(address).content == RENDITIONS[256]


@pytest.mark.parametrize("header", ["{}", "W/{}", '"other", {}', "*", '"other" , W/{}'])
def test_a_client_that_has_the_picture_is_told_so_without_a_body(
    client: httpx.Client, stored_picture: str, header: str
) -> None:
    address = f"/images/{stored_picture}/256.webp"
    tag = client.get(address).headers["etag"]

    response = client.get(address, headers={"If-None-Match": header.format(tag)})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == tag
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert_is_safe(response)


def test_another_tag_gets_the_picture(client: httpx.Client, stored_picture: str) -> None:
    response = client.get(f"/images/{stored_picture}/256.webp", headers={"If-None-Match": '"other"'})

    assert response.content == RENDITIONS[256]


def test_head_answers_as_get_does_without_the_body(client: httpx.Client, stored_picture: str) -> None:
    address = f"/images/{stored_picture}/256.webp"
    get, head = client.get(address), client.head(address)

    assert head.status_code == 200
    assert head.content == b""
    assert {name: value for name, value in head.headers.items() if name != "date"} == {
        name: value for name, value in get.headers.items() if name != "date"
    }


@pytest.mark.parametrize(
    "path",
    [
        f"/images/{'0' * 64}/256.webp",
        f"/images/{CONTENT_HASH}/255.webp",
        f"/images/{CONTENT_HASH}/0256.webp",
        f"/images/{CONTENT_HASH}/256.png",
        f"/images/{CONTENT_HASH}/256.webp/",
        f"/images/{CONTENT_HASH}/",
        f"/images/{CONTENT_HASH.upper()}/256.webp",
        f"/images/{CONTENT_HASH[:-1]}/256.webp",
        f"/images/{CONTENT_HASH}%0A/256.webp",
        f"/images/{CONTENT_HASH}/256.webp%00",
        "/images/%2e%2e/%2e%2e%2f256.webp",
        f"/images/..%2f{CONTENT_HASH}/256.webp",
        "/images/.incoming/256.webp",
    ],
)
def test_what_is_no_picture_is_not_found_and_not_remembered_for_long(
    client: httpx.Client, stored_picture: str, path: str
) -> None:
    response = client.get(path, follow_redirects=False)

    assert response.status_code == 404
    assert "immutable" not in response.headers.get("cache-control", "")
    assert_is_safe(response)


def test_a_picture_that_is_not_there_yet_is_asked_for_again_within_a_minute(client: httpx.Client) -> None:
    response = client.get(f"/images/{'0' * 64}/256.webp")

    assert response.headers["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize("damaged", [b"", RENDITIONS[256][:-1], b"<html><script>alert(1)</script></html>"])
def test_damaged_bytes_are_never_served(
    client: httpx.Client, stored_picture: str, tmp_path: Path, damaged: bytes
) -> None:
    (tmp_path / "images" / stored_picture / "256.webp").write_bytes(damaged)

    response = client.get(f"/images/{stored_picture}/256.webp")

    assert response.status_code == 404
    assert response.headers["cache-control"] == "public, max-age=60"
    assert client.get("/readyz").status_code == 200


def test_other_methods_change_nothing(client: httpx.Client, stored_picture: str) -> None:
    address = f"/images/{stored_picture}/256.webp"

    for method in ("PUT", "POST", "DELETE", "PATCH"):
        response = client.request(method, address, content=b"x")
        assert response.status_code == 405
        assert_is_safe(response)
    assert client.get(address).content == RENDITIONS[256]


def test_initials_are_drawn_from_the_display_name_first(client: httpx.Client, add_talent: Callable[..., None]) -> None:
    add_talent(id="one", name="Jane Doe", display_name="Анна Щукина")
    add_talent(id="two", name="Jane Doe", display_name=None)
    add_talent(id="three", name="Jane Doe", display_name="  ")

    assert [drawn_text(client.get(f"/initials/{talent_id}.svg")) for talent_id in ("one", "two", "three")] == [
        "АЩ",
        "JD",
        "JD",
    ]


def test_a_drawing_is_kept_for_minutes_and_revalidated(client: httpx.Client, add_talent: Callable[..., None]) -> None:
    add_talent(id="one", name="Jane Doe")

    response = client.get("/initials/one.svg")
    again = client.get("/initials/one.svg", headers={"If-None-Match": response.headers["etag"]})

    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["cache-control"].startswith("public, max-age=300")
    assert_is_safe(response)
    assert (again.status_code, again.content) == (304, b"")


def test_a_rename_changes_the_drawing_and_its_tag(
    client: httpx.Client, add_talent: Callable[..., None], engine: sa.Engine
) -> None:
    add_talent(id="one", name="Jane Doe")
    before = client.get("/initials/one.svg")
    with engine.begin() as connection:
        connection.execute(sa.update(talent).values(name="Jane Roe"))

    after = client.get("/initials/one.svg", headers={"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert drawn_text(after) == "JR"


def test_a_name_full_of_markup_stays_text(store: PictureStore, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id="one", name='<script>alert(1)</script> & "quotes"')

    with running(service_on(store=store, engine=engine, talent_image_public_names=True)) as client:
        response = client.get("/initials/one.svg")

    assert "<script" not in response.text
    assert ET.fromstring(response.content).get("aria-label") == '<script>alert(1)</script> & "quotes"'  # noqa: S314


def test_whoever_guesses_an_id_does_not_learn_the_name(client: httpx.Client, add_talent: Callable[..., None]) -> None:
    add_talent(id="one", name="Jane Doe")

    drawing = client.get("/initials/one.svg")

    assert ET.fromstring(drawing.content).get("aria-label") == "JD"  # noqa: S314
    assert "Jane" not in drawing.text


def test_an_id_with_odd_characters_is_looked_up_as_it_is(client: httpx.Client, add_talent: Callable[..., None]) -> None:
    add_talent(id="ä b.svg'; DROP", name="Jane Doe")

    assert drawn_text(client.get("/initials/%C3%A4%20b.svg%27%3B%20DROP.svg")) == "JD"


def test_both_kinds_of_database_are_asked_the_same_way(store: PictureStore, migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="one", name="Jane Doe", display_name="JD Official")
    service = service_on(store=store, engine=migrated_engine)

    with running(service) as client:
        assert drawn_text(client.get("/initials/one.svg")) == "JO"
        assert client.get("/initials/a%00b.svg").status_code == 404
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "path", ["/initials/nobody.svg", "/initials/a%00b.svg", "/initials/%FF%FE.svg", "/initials/.svg"]
)
def test_an_unknown_talent_is_not_found(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert "immutable" not in response.headers.get("cache-control", "")
    assert_is_safe(response)


def test_an_alive_service_says_so_without_asking_anything(store: PictureStore, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'no such directory' / 'talents.db'}")
    with running(service_on(store=store, engine=engine)) as client:
        response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert response.headers["cache-control"] == "no-store"
    engine.dispose()


def test_a_ready_service_says_so_and_as_of_when(client: httpx.Client) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "database": "ok",
        "picture_store": "ok",
        "refreshes": "starting",
        "checked_at": NOW.isoformat(),
    }
    assert response.headers["cache-control"] == "no-store"


def test_readiness_is_looked_at_every_few_seconds_however_often_it_is_asked_for(
    store: PictureStore, engine: sa.Engine
) -> None:
    looks = count(1)
    service = service_on(store=store, engine=engine, clock=lambda: NOW + timedelta(seconds=next(looks)))
    with running(service) as client:
        answers = {client.get("/readyz").json()["checked_at"] for _ in range(20)}

    assert len(answers) == 1


def test_a_defect_is_answered_safely_and_without_its_details(store: PictureStore, engine: sa.Engine) -> None:
    def broken_clock() -> datetime:
        raise RuntimeError("hunter2")

    service = service_on(store=store, engine=engine, clock=broken_clock)
    with running(service) as client:
        response = client.get("/readyz")

    assert response.status_code == 500
    assert response.headers["cache-control"] == "no-store"
    assert "hunter2" not in response.text
    assert_is_safe(response)


def test_without_its_database_the_service_shows_pictures_and_silhouettes_and_says_that_it_is_unwell(
    store: PictureStore, stored_picture: str, tmp_path: Path
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'no such directory' / 'talents.db'}")
    service = service_on(store=store, engine=engine)
    with running(service) as client:
        assert client.get(f"/images/{stored_picture}/256.webp").status_code == 200

        initials = client.get("/initials/one.svg")
        assert (initials.status_code, drawn_text(initials)) == (503, None)
        assert initials.headers["cache-control"] == "no-store"
        assert int(initials.headers["retry-after"]) > 0
        assert_is_safe(initials)

        health = client.get("/readyz")
        assert health.status_code == 503
        assert (health.json()["database"], health.json()["picture_store"]) == ("unavailable", "ok")
    engine.dispose()


def test_without_its_store_the_service_says_so_and_lets_nobody_remember_it(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    store = PictureStore.from_url("s3://talent-pictures")
    service = service_on(store=store, engine=engine)
    with running(service) as client:
        response = client.get(f"/images/{CONTENT_HASH}/256.webp")
        assert response.status_code == 503
        assert response.headers["cache-control"] == "no-store"
        assert int(response.headers["retry-after"]) > 0
        assert client.get("/readyz").json()["picture_store"] == "unavailable"


def test_a_public_address_with_a_path_is_answered_with_and_without_it(
    store: PictureStore, stored_picture: str, engine: sa.Engine
) -> None:
    service = service_on(store=store, engine=engine, public_url="https://agency.example/talent")
    with running(service) as client:
        for prefix in ("", "/talent"):
            assert client.get(f"{prefix}/images/{stored_picture}/64.webp").content == RENDITIONS[64]
        assert client.get(f"/other/images/{stored_picture}/64.webp").status_code == 404
