"""The doctor finds what is missing or broken, says it without a secret, and changes nothing."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.migrate import migrate_down
from talent_image_pipeline.operations.diagnosis import Diagnosis, State
from talent_image_pipeline.operations.doctor import diagnose
from talent_image_pipeline.sandbox.server import running_sandbox
from talent_image_pipeline.settings import Settings, settings_with
from talent_image_pipeline_tests.pictures.loopback import LoopbackServer, answer
from talent_image_pipeline_tests.rows import insert_account, insert_talent

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
SECRET = "planted-secret-that-nobody-may-see"


@pytest.fixture
def platform() -> Iterator[LoopbackServer]:
    """Answers every request with a redirect, as the platforms' roots do."""
    with LoopbackServer(answer("Location: https://elsewhere.example/", status="302 Found", body=b"")) as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def settings_for(platform: LoopbackServer, **values: Any) -> Settings:
    names = ("instagram_api_url", "facebook_api_url", "tiktok_api_url", "youtube_api_url")
    return settings_with(**{**dict.fromkeys(names, platform.origin), **values})


def examine(settings: Settings) -> dict[str, Diagnosis]:
    found = anyio.run(partial(diagnose, settings, host_deadline_seconds=2.0))
    return {diagnosis.name: diagnosis for diagnosis in found}


def states(found: dict[str, Diagnosis]) -> dict[str, str]:
    return {name: str(diagnosis.state) for name, diagnosis in found.items()}


def test_a_complete_installation_is_well(
    platform: LoopbackServer, migrated_database_url: str, migrated_engine: sa.Engine, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(connection, id="1", talent_id="ada")
        insert_account(
            connection, id="2", talent_id="ada", platform="TIKTOK", access_token=SECRET, refresh_token=SECRET
        )
        insert_account(connection, id="3", talent_id="ada", platform="YOUTUBE")

    found = examine(
        settings_for(
            platform,
            talent_database_url=migrated_database_url,
            talent_image_store=str(tmp_path / "images"),
            talent_image_public_url="https://pictures.example",
            talent_api_token=SECRET,
            instagram_business_account_id="17841400000000000",
            instagram_business_token=SECRET,
            tiktok_client_key=SECRET,
            tiktok_client_secret=SECRET,
            youtube_api_key=SECRET,
        )
    )

    assert set(states(found).values()) == {"ok"}, found
    assert SECRET not in repr(found)
    assert not any(SECRET in request for request in platform.requests)


def test_before_anything_was_set_up_it_is_missing_and_stays_so(platform: LoopbackServer, tmp_path: Path) -> None:
    data = tmp_path / "data"

    found = examine(settings_for(platform, talent_data_dir=data))

    assert found["database"].state is State.MISSING
    assert "talent-images migrate" in found["database"].message
    assert found["picture store"].state is State.MISSING
    assert not data.exists()


def test_a_database_that_was_not_migrated_is_broken(
    platform: LoopbackServer, migrated_database_url: str, migrated_engine: sa.Engine
) -> None:
    migrate_down(migrated_engine)

    found = examine(settings_for(platform, talent_database_url=migrated_database_url))

    assert found["migrations"].state is State.BROKEN
    assert "run talent-images migrate" in found["migrations"].message


def test_a_database_that_is_not_the_apps_is_named(platform: LoopbackServer, postgres_url: str) -> None:
    found = examine(settings_for(platform, talent_database_url=postgres_url))

    assert found["app tables"].state is State.BROKEN
    assert '"Talent"' in found["app tables"].message


@pytest.mark.parametrize(
    "address", ["postgresql://app:{secret}@127.0.0.1:{port}/app", "mysql://app:{secret}@127.0.0.1:{port}/app"]
)
def test_a_database_that_cannot_be_opened_is_broken_and_the_rest_is_still_looked_at(
    platform: LoopbackServer, closed_port: int, address: str
) -> None:
    url = address.format(secret=SECRET, port=closed_port)

    found = examine(settings_for(platform, talent_database_url=url))

    assert found["database"].state is State.BROKEN
    assert found["picture workers"].state is State.OK
    assert SECRET not in repr(found)


def test_credentials_are_missing_only_where_connected_accounts_need_them(
    platform: LoopbackServer, migrated_database_url: str, migrated_engine: sa.Engine
) -> None:
    soon = NOW + timedelta(days=1)
    with migrated_engine.begin() as connection:
        for number in range(3):
            insert_talent(connection, id=f"talent-{number}")
            insert_account(connection, id=f"instagram-{number}", talent_id=f"talent-{number}")
        insert_account(
            connection,
            id="tiktok",
            talent_id="talent-0",
            platform="TikTok",
            access_token=SECRET,
            refresh_token=SECRET,
            expires_at=soon,
        )
        insert_account(connection, id="tiktok-1", talent_id="talent-1", platform="TIKTOK")
        insert_account(connection, id="youtube", talent_id="talent-0", platform="YOUTUBE", connected=False)

    found = examine(settings_for(platform, talent_database_url=migrated_database_url))

    by_handle = found["Instagram, handle alone"]
    assert by_handle.state is State.MISSING
    assert by_handle.message.startswith("3 connected accounts: ")
    assert "INSTAGRAM_BUSINESS_TOKEN" in by_handle.message
    assert found["Instagram, own token"].state is State.OK
    assert found["TikTok, own token"].message == "Each account's own token is used; 1 connected account."
    assert found["TikTok, renewing tokens"].state is State.MISSING
    assert "TIKTOK_CLIENT_KEY" in found["TikTok, renewing tokens"].message
    # No setting can mend this one, only the talent.
    assert found["TikTok, handle alone"].state is State.WARNING
    assert found["YouTube, handle alone"].state is State.OK
    assert "YOUTUBE_API_KEY" in found["YouTube, handle alone"].message
    assert SECRET not in repr(found)


def test_a_platform_that_cannot_be_reached_is_named_by_its_host(platform: LoopbackServer, closed_port: int) -> None:
    address = f"http://user:{SECRET}@127.0.0.1:{closed_port}/{SECRET}?key={SECRET}"

    found = examine(settings_for(platform, tiktok_api_url=address))

    assert found["TIKTOK_API_URL"].state is State.BROKEN
    assert found["TIKTOK_API_URL"].message == "127.0.0.1 cannot be reached: no connection."
    assert found["YOUTUBE_API_URL"].state is State.OK
    assert SECRET not in repr(found)


def test_a_platform_that_answers_no_http_is_broken(platform: LoopbackServer) -> None:
    with LoopbackServer(lambda send: send(b"SSH-2.0-OpenSSH\r\n\r\n")) as other:
        found = examine(settings_for(platform, youtube_api_url=other.origin))

    assert found["YOUTUBE_API_URL"].message == "127.0.0.1 cannot be reached: its answer is not HTTP."


def test_hosts_are_asked_without_credentials_or_paths(platform: LoopbackServer) -> None:
    with_path = f"http://user:{SECRET}@127.0.0.1:{platform.port}/{SECRET}?key={SECRET}"

    found = examine(
        settings_for(platform, instagram_api_url=with_path, instagram_business_token=SECRET, youtube_api_key=SECRET)
    )

    assert found["INSTAGRAM_API_URL"].state is State.OK
    assert len(platform.requests) == 4
    assert all(request.startswith("HEAD / HTTP/1.1") for request in platform.requests)
    assert not any("authorization" in request.lower() or SECRET in request for request in platform.requests)


def test_a_picture_store_that_is_a_file_is_broken(platform: LoopbackServer, tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_text("not a directory")

    assert examine(settings_for(platform, talent_image_store=str(file)))["picture store"].state is State.BROKEN
    below = examine(settings_for(platform, talent_image_store=str(file / "below")))["picture store"]
    assert below.state is State.BROKEN
    assert f"{file} is not a writable directory" in below.message


def test_an_object_store_that_does_not_answer_is_broken_and_its_keys_stay_secret(
    platform: LoopbackServer, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # Plain HTTP is refused before any try, so that nothing has to be waited for.
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")

    found = examine(settings_for(platform, talent_image_store="s3://talent-pictures"))

    assert found["picture store"].state is State.BROKEN
    assert SECRET not in repr(found)


def test_production_is_warned_of_a_loopback_address_and_of_trusted_origins(
    platform: LoopbackServer, migrated_database_url: str
) -> None:
    found = examine(
        settings_for(
            platform,
            talent_database_url=migrated_database_url,
            talent_image_public_url="http://localhost:3001",
            talent_image_trusted_origins="http://127.0.0.1:9999",
        )
    )

    assert found["TALENT_IMAGE_PUBLIC_URL"].state is State.WARNING
    assert found["TALENT_IMAGE_TRUSTED_ORIGINS"].state is State.WARNING


def test_the_embedded_default_may_be_on_loopback(platform: LoopbackServer, tmp_path: Path) -> None:
    found = examine(settings_for(platform, talent_data_dir=tmp_path / "data"))

    assert found["TALENT_IMAGE_PUBLIC_URL"].state is State.OK


def examine_live(settings: Settings) -> dict[str, Diagnosis]:
    found = anyio.run(partial(diagnose, settings, live=True))
    return {diagnosis.name: diagnosis for diagnosis in found}


def test_only_a_live_look_calls_the_platforms_and_finds_out_whether_the_credentials_are_accepted(
    tmp_path: Path,
) -> None:
    tried = ("Instagram, handle alone", "TikTok, renewing tokens", "YouTube, handle alone")
    with running_sandbox() as sandbox:
        given: dict[str, Any] = {name.lower(): value for name, value in sandbox.environment.items()}
        given["talent_data_dir"] = str(tmp_path)
        still = examine(settings_with(**given))
        assert all("Is configured" in still[name].message for name in tried)
        assert sandbox.world.calls.counts() == {}

        found = examine_live(settings_with(**given))
        assert {found[name].state for name in tried} == {State.OK}
        assert all("Was tried just now" in found[name].message for name in tried), found

        wrong = dict.fromkeys(("instagram_business_token", "tiktok_client_secret", "youtube_api_key"), SECRET)
        found = examine_live(settings_with(**given | wrong))
        assert {name: found[name].state for name in tried} == dict.fromkeys(tried, State.BROKEN), found
        assert SECRET not in repr(found)


def test_a_public_address_without_tls_is_a_warning(platform: LoopbackServer, tmp_path: Path) -> None:
    found = examine(settings_for(platform, talent_data_dir=tmp_path, talent_image_public_url="http://pictures.example"))

    assert found["TALENT_IMAGE_PUBLIC_URL"].state is State.WARNING
