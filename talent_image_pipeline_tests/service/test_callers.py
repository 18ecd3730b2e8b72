"""Who is let in, with what, and what a token is."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.api_token import MissingApiTokenError, is_token, load_api_token
from talent_image_pipeline.service.sessions import (
    SESSION_COOKIE,
    SESSION_LASTS,
    Session,
    is_csrf_token,
    open_session,
    read_session,
)
from talent_image_pipeline.settings import Settings
from talent_image_pipeline_tests.service.in_process import NOW, running, service_on
from talent_image_pipeline_tests.service.live_service import API_TOKEN

TOKEN = SecretStr(API_TOKEN)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[httpx.Client]:
    engine = sa.create_engine(f"sqlite:///{migrated_sqlite_file}")
    store = PictureStore.from_url(str(tmp_path_factory.mktemp("images")))
    with running(service_on(store=store, engine=engine)) as client:
        yield client
    engine.dispose()


def settings(**values: object) -> Settings:
    return Settings.model_validate(values)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin/talents"),
        ("GET", "/api/admin/stats"),
        ("GET", "/api/admin/talent/nobody"),
        ("GET", "/api/admin/talent/nobody/profile-image"),
        ("POST", "/api/admin/talent/nobody/profile-image/sync"),
        ("POST", "/api/admin/talent/nobody/profile-image/changed"),
        ("PUT", "/api/admin/talent/nobody/pin"),
        ("DELETE", "/api/admin/talent/nobody/pin"),
        ("POST", "/api/admin/talent/sync/profile-images"),
        ("GET", "/api/admin/talent/sync/profile-images/00000000-0000-4000-8000-000000000000"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {API_TOKEN}x"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {API_TOKEN}"},
        {"Authorization": API_TOKEN},
        {"Cookie": f"{SESSION_COOKIE}=0.0.0"},
    ],
)
def test_nobody_gets_in_without_the_token_or_a_session(
    client: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    response = client.request(method, path, headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "AUTH_REQUIRED"
    assert API_TOKEN not in response.text


def test_a_session_reads_with_its_cookie_and_changes_things_with_its_pages_token_alone(client: httpx.Client) -> None:
    session = open_session(TOKEN, now=NOW)
    cookie = {"Cookie": f"{SESSION_COOKIE}={session.cookie}"}

    assert client.get("/api/admin/talents", headers=cookie).status_code == 200
    unpin = "/api/admin/talent/nobody/pin"
    assert client.delete(unpin, headers=cookie).status_code == 403
    assert client.delete(unpin, headers={**cookie, "X-CSRF-Token": "wrong"}).status_code == 403
    assert client.delete(unpin, headers={**cookie, "X-CSRF-Token": session.csrf_token}).status_code == 404


def test_a_session_ends_by_itself(client: httpx.Client) -> None:
    expired = open_session(TOKEN, now=NOW - SESSION_LASTS)

    response = client.get("/api/admin/talents", headers={"Cookie": f"{SESSION_COOKIE}={expired.cookie}"})

    assert response.status_code == 401


def test_a_session_of_another_token_is_none() -> None:
    session = open_session(SecretStr("another-token-of-before"), now=NOW)

    assert read_session(session.cookie, TOKEN, now=NOW) is None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_cookie_that_was_changed_anywhere_is_none(part: int) -> None:
    parts = open_session(TOKEN, now=NOW).cookie.split(".")
    parts[part] = parts[part][:-1] + ("1" if parts[part][-1] == "0" else "0")

    assert read_session(".".join(parts), TOKEN, now=NOW) is None


def test_the_page_token_of_one_session_is_not_that_of_another() -> None:
    one, other = open_session(TOKEN, now=NOW), open_session(TOKEN, now=NOW)
    read_again: Session | None = read_session(one.cookie, TOKEN, now=NOW + timedelta(hours=1))

    assert read_again is not None
    assert is_csrf_token(one.csrf_token, read_again)
    assert not is_csrf_token(other.csrf_token, read_again)
    assert not is_csrf_token("ä", read_again)


def test_the_embedded_default_makes_a_token_once_that_only_its_owner_can_read(tmp_path: Path) -> None:
    embedded = settings(talent_data_dir=tmp_path / "data")

    first, second = load_api_token(embedded), load_api_token(embedded)

    assert first == second
    assert len(first.get_secret_value()) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "api-token").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["api-token"]


def test_a_real_database_needs_a_token_that_somebody_chose() -> None:
    with pytest.raises(MissingApiTokenError, match="TALENT_API_TOKEN is not set"):
        load_api_token(settings(talent_database_url="postgresql://app@db/app"))


@pytest.mark.parametrize("value", ["short", " " * 40, "with a blank in between", "ünïcödé-token-of-the-app"])
def test_a_token_that_cannot_be_one_is_refused_without_being_repeated(value: str) -> None:
    with pytest.raises(MissingApiTokenError, match="TALENT_API_TOKEN must have") as caught:
        load_api_token(settings(talent_api_token=value))
    assert value.strip() == "" or value not in str(caught.value)


def test_only_the_token_itself_is_the_token() -> None:
    assert is_token(API_TOKEN, TOKEN)
    for other in ("", API_TOKEN[:-1], API_TOKEN + "x", API_TOKEN.upper(), "\udcff"):
        assert not is_token(other, TOKEN)


def test_an_unknown_address_and_an_unknown_method_have_the_one_error_shape(client: httpx.Client) -> None:
    for response, status in (
        (client.get("/api/admin/nothing"), 404),
        (client.patch("/api/admin/talents"), 405),
    ):
        assert response.status_code == status
        assert response.json()["success"] is False
        assert response.json()["error"]["code"]


def test_without_its_database_the_api_says_so_and_when_to_come_again(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'no such directory' / 'talents.db'}")
    store = PictureStore.from_url(str(tmp_path / "images"))
    with running(service_on(store=store, engine=engine)) as client:
        response = client.get("/api/admin/talents", headers={"Authorization": f"Bearer {API_TOKEN}"})

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "sqlite" not in response.text
    assert "SELECT" not in response.text
    engine.dispose()
