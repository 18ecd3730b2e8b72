"""The location that is shipped for nginx: the same answers as the service's own, from a real nginx."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa

from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline_tests.programs import find_program
from talent_image_pipeline_tests.service.in_process import running, service_on
from talent_image_pipeline_tests.service.nginx import running_nginx
from talent_image_pipeline_tests.service.test_app import CONTENT_HASH, RENDITIONS

# What every server says of itself and of its files' times.
ITS_OWN = {"date", "server", "connection", "last-modified", "accept-ranges"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A client of the service and one of an nginx in front of it, on one store."""
    program = find_program("nginx", what_for="the location that is shipped for nginx")
    directory: Path = tmp_path_factory.mktemp("nginx")
    store = PictureStore.from_url(str(directory / "images"))
    anyio.run(store.put, CONTENT_HASH, RENDITIONS)
    engine = sa.create_engine("sqlite://")
    with (
        running(service_on(store=store, engine=engine)) as service,
        running_nginx(
            program, directory=directory, store=directory / "images", service=str(service.base_url).rstrip("/")
        ) as address,
        httpx.Client(base_url=address) as nginx,
    ):
        yield service, nginx
    engine.dispose()


def answer(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    response = client.request(method, path, headers=headers)
    shown = {name: value for name, value in response.headers.items() if name not in ITS_OWN}
    return response.status_code, response.content, shown


@pytest.mark.parametrize("size", RENDITIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nginx_answers_a_picture_as_the_service_does(
    both: tuple[httpx.Client, httpx.Client], size: int, method: str
) -> None:
    path = f"/images/{CONTENT_HASH}/{size}.webp"
    service, nginx = both

    expected = answer(service, method, path, {})
    assert answer(nginx, method, path, {}) == expected
    assert expected[0] == 200
    again = {"If-None-Match": expected[2]["etag"]}
    assert answer(nginx, method, path, again)[2] == expected[2]


@pytest.mark.parametrize(
    "path",
    [
        f"/images/{'0' * 64}/256.webp",
        f"/images/{CONTENT_HASH}/255.webp",
        f"/images/{CONTENT_HASH}/256.webp/",
        f"/images/{CONTENT_HASH}/checksums",
        f"/images/{CONTENT_HASH}/",
        "/images/",
        "/images/.incoming/x",
        f"/images/..%2f{CONTENT_HASH}/256.webp",
        "/nginx.conf",
    ],
)
def test_nginx_serves_nothing_else_of_the_directory(both: tuple[httpx.Client, httpx.Client], path: str) -> None:
    _, nginx = both
    status, content, headers = answer(nginx, "GET", path, {})

    assert status == 404
    assert "immutable" not in headers.get("cache-control", "")
    assert b"RIFF" not in content


def test_what_nginx_does_not_have_is_remembered_for_as_long_as_the_service_says(
    both: tuple[httpx.Client, httpx.Client],
) -> None:
    service, nginx = both
    path = f"/images/{'0' * 64}/256.webp"

    assert answer(nginx, "GET", path, {})[2]["cache-control"] == answer(service, "GET", path, {})[2]["cache-control"]
