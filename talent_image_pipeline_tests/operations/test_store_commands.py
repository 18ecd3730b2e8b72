"""The commands around a talent's pictures: what they print, and with which exit code they end."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from talent_image_pipeline.cli.commands import talent_images
from talent_image_pipeline.database import history_queries
from talent_image_pipeline.database.records import PictureRecord
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline_tests.pictures.loopback import LoopbackServer, answer
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync.stored_pictures import RULES, put_picture, read_picture

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def store(directory: Path) -> PictureStore:
    return PictureStore.from_url(str(directory))


@pytest.fixture
def engine(
    migrated_engine: sa.Engine, migrated_database_url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> sa.Engine:
    """What the commands find through their settings: Ada, with an Instagram account."""
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_database_url)
    monkeypatch.setenv("TALENT_IMAGE_STORE", str(directory))
    monkeypatch.setenv("TALENT_IMAGE_PUBLIC_URL", RULES.public_url)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada", name="Ada [bold]Lovelace[/bold]")
        insert_account(connection, id="ada-instagram", talent_id="ada", access_token=TOKEN, refresh_token=TOKEN)
    return migrated_engine


@pytest.fixture
def pictures(engine: sa.Engine, store: PictureStore) -> list[PictureRecord]:
    found = [put_picture(store, seed) for seed in range(2)]
    for day, picture in enumerate(found):
        read_picture(engine, "ada-instagram", picture, now=LONG_AGO + timedelta(days=day))
    return found


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(talent_images, [command, *arguments])


def shown_address(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return history_queries.load_talents(connection, ["ada"])[0].image_url


def test_show_prints_everything_about_a_talent_and_no_token(engine: sa.Engine, pictures: list[PictureRecord]) -> None:
    run("rollback", "ada")

    result = run("show", "ada")

    assert result.exit_code == 0
    assert "Ada [bold]Lovelace[/bold] (ada)" in result.output
    assert f"address  {RULES.image_url(pictures[0].content_hash)}" in result.output.splitlines()
    for word in ("@ada", "OAUTH, own token, renewable", "picture", "Decision", "A person pinned version 1", "run-1"):
        assert word in result.output
    assert "pinned to version 1" in result.output
    assert TOKEN not in result.output


def test_an_unknown_talent_ends_every_command_with_the_nearest_and_exit_code_1(engine: sa.Engine) -> None:
    for command in ("show", "rollback", "unpin"):
        result = run(command, "adaa")
        assert result.exit_code == 1
        assert "'adaa'" in result.output
        assert "Did you mean ada" in result.output


def test_rollback_and_unpin_say_what_is_shown(engine: sa.Engine, pictures: list[PictureRecord]) -> None:
    rolled_back = run("rollback", "ada")
    assert (rolled_back.exit_code, shown_address(engine)) == (0, RULES.image_url(pictures[0].content_hash))
    assert rolled_back.output == f"Pinned ada to version 1: the instagram picture {pictures[0].content_hash[:12]}.\n"

    unpinned = run("unpin", "ada")
    assert (unpinned.exit_code, shown_address(engine)) == (0, RULES.image_url(pictures[1].content_hash))
    assert unpinned.output == "Unpinned ada: it now shows instagram.\n"

    again = run("unpin", "ada")
    assert again.exit_code == 1
    assert "No picture of ada is pinned" in again.output


def test_a_rollback_to_a_version_that_is_not_there_is_refused(engine: sa.Engine, pictures: list[PictureRecord]) -> None:
    result = run("rollback", "ada", "77")

    assert result.exit_code == 1
    assert "ada has no version 77. It has 2, 1." in result.output


def test_gc_removes_garbage_and_with_dry_run_only_counts_it(
    engine: sa.Engine, store: PictureStore, directory: Path, pictures: list[PictureRecord]
) -> None:
    garbage = put_picture(store, 5)
    for path in (directory / garbage.content_hash).iterdir():
        os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))

    assert run("gc", "--dry-run").output.startswith("Would remove 1 picture of ")
    assert (directory / garbage.content_hash / "512.webp").exists()

    result = run("gc")
    assert (result.exit_code, result.output.startswith("Removed 1 picture of ")) == (0, True)
    assert not (directory / garbage.content_hash / "512.webp").exists()
    assert run("gc", "--grace-hours", "0").output.startswith("Removed 0 pictures")
    assert run("gc", "--grace-hours", "-1").exit_code == 2


def test_verify_ends_with_exit_code_1_when_it_finds_damage(
    engine: sa.Engine, directory: Path, pictures: list[PictureRecord]
) -> None:
    assert run("verify").output == "Checked 2 pictures: 0 damaged.\n"
    history_only, current = pictures
    for picture in pictures:
        (directory / picture.content_hash / "512.webp").unlink()

    result = run("verify")

    assert result.exit_code == 1
    assert (
        f"{current.content_hash}: the 512 px rendition is not there; the next sync fetches it again." in result.output
    )
    assert f"{history_only.content_hash}: the 512 px rendition is not there; only the history" in result.output
    assert result.output.endswith("Checked 2 pictures: 2 damaged.\n")


def test_doctor_ends_with_exit_code_1_only_when_something_is_broken(
    engine: sa.Engine, store: PictureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text(f"storage:\n  sqlite:\n    base_dir: {tmp_path}/history\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with LoopbackServer(answer(body=b"")) as platform:
        for name in ("INSTAGRAM", "FACEBOOK", "TIKTOK", "YOUTUBE"):
            monkeypatch.setenv(f"{name}_API_URL", platform.origin)
        well = run("doctor")
        monkeypatch.setenv("TALENT_IMAGE_STORE", "ftp://somewhere")
        broken = run("doctor")

    assert well.exit_code == 0, well.output
    assert "migrations" in well.output
    assert broken.exit_code == 1
    assert "pictures cannot be stored at ftp://" in broken.output


def test_doctor_names_a_setting_that_cannot_be_used_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOUTUBE_API_URL", TOKEN)
    monkeypatch.setenv("TALENT_IMAGE_VERIFIED_ONLY", TOKEN)

    result = run("doctor")

    assert result.exit_code == 1
    assert "YOUTUBE_API_URL" in result.output
    assert "TALENT_IMAGE_VERIFIED_ONLY" in result.output
    assert TOKEN not in result.output
