"""What the commands print: JSON for programs, and text that cannot steer a terminal for people."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from talent_image_pipeline.cli.commands import talent_images
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline_tests.rows import insert_account, insert_talent

HOSTILE = "Eve\x1b[2J\x1b]0;owned\x07[bold red]\u202egnp\nsecond line"


@pytest.fixture(autouse=True)
def engine(
    migrated_sqlite_file: Path, tmp_path: Path, opened: Callable[[str], sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> sa.Engine:
    """What the commands find: Eve, whose name, handle and failure are hostile, and Ada."""
    (tmp_path / "talents.db").write_bytes(migrated_sqlite_file.read_bytes())
    url = f"sqlite:///{tmp_path / 'talents.db'}"
    monkeypatch.setenv("TALENT_DATABASE_URL", url)
    monkeypatch.setenv("TALENT_IMAGE_STORE", str(tmp_path / "images"))
    (tmp_path / "images").mkdir()
    engine = opened(url)
    with engine.begin() as connection:
        insert_talent(connection, id="ada", name="Ada Lovelace")
        insert_talent(connection, id="eve", name=HOSTILE)
        insert_account(connection, id="eve-instagram", talent_id="eve", handle=HOSTILE)
        connection.execute(
            sa.insert(platform_images).values(
                account_id="eve-instagram",
                talent_id="eve",
                platform="instagram",
                handle=HOSTILE,
                outcome="needs_reconnect",
                failure=f"Reconnect {HOSTILE} " + "very " * 100 + "soon.",
            )
        )
    return engine


def run(*arguments: str) -> Result:
    return CliRunner().invoke(talent_images, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("arguments", [("list",), ("show", "eve"), ("show", "nobody[/bold]\x1b[2J")])
def test_names_handles_and_messages_cannot_steer_the_terminal(arguments: tuple[str, ...]) -> None:
    printed = run(*arguments).output

    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "\u202e" not in printed
    if arguments[-1] != "nobody[/bold]\x1b[2J":
        assert "[bold red]" in printed, "markup is printed as it stands"


def test_cells_are_cut_where_they_would_make_a_table_unreadable() -> None:
    assert max(len(line) for line in run("list").output.splitlines()) <= 160
    assert "…" in run("list").output


def parsed(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_report_has_a_form_for_programs() -> None:
    listing = parsed("list", "--needs-attention")
    assert [talent["talent_id"] for talent in listing] == ["eve"]
    assert listing[0]["name"] == HOSTILE
    assert parsed("show", "ada lovelace")["talent"]["talent_id"] == "ada"
    assert parsed("gc", "--dry-run")["removed"] == []
    assert parsed("verify")["checked"] == 0


def test_the_doctors_report_has_a_form_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("INSTAGRAM_API_URL", "FACEBOOK_API_URL", "TIKTOK_API_URL", "YOUTUBE_API_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    result = run("doctor", "--json")

    states = {found["name"]: found["state"] for found in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert states["migrations"] == "ok"
    assert states["Dagster home"] == "broken"


def test_an_unknown_talent_is_told_with_the_nearest() -> None:
    assert (
        run("show", "adda").output == "Error: No talent has the id or name 'adda'. Did you mean ada (Ada Lovelace)?\n"
    )


def test_the_version_is_printed() -> None:
    assert run("--version").output.startswith("talent-images 0.")


def test_a_settings_file_and_a_data_directory_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALENT_DATABASE_URL")
    (tmp_path / "mine.env").write_text(f"TALENT_DATABASE_URL=sqlite:///{tmp_path / 'named.db'}\n")

    assert "Error" in run("--env-file", str(tmp_path / "mine.env"), "show", "ada").output
    assert (tmp_path / "named.db").exists()
    monkeypatch.delenv("TALENT_ENV_FILE")
    assert run("--data-dir", str(tmp_path / "kept"), "migrate").exit_code == 0
    assert (tmp_path / "kept" / "talents.db").exists()


def test_commands_are_completed_in_the_shell_without_being_imported() -> None:
    words = {"COMP_WORDS": "talent-images ref", "COMP_CWORD": "1", "_TALENT_IMAGES_COMPLETE": "bash_complete"}
    script = "import sys; sys.argv=['talent-images']; from talent_image_pipeline.cli.main import main\n"
    script += "try: main()\nfinally: print(sorted({'dagster', 'sqlalchemy'} & set(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **words}, capture_output=True, text=True, check=False
    )

    assert process.stdout == "plain,refresh\n[]\n"


def test_the_list_can_be_narrowed_and_says_when_it_was_cut() -> None:
    assert "2 talents." in run("list").output
    assert "There are more than 1; --limit 0 lists all." in run("list", "--limit", "1").output
    assert parsed("list", "--source", "instagram") == []
    assert len(parsed("list", "--source", "initials", "--limit", "0")) == 2
    assert run("list", "--source", "myspace").exit_code == 2
