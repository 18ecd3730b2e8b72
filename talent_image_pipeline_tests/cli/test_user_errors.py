"""What a person can mend is said in one to three lines by the real command, without a traceback or a secret."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from psycopg2 import sql

from talent_image_pipeline.database.migrate import migrate_down
from talent_image_pipeline.database.schema_revision import VERSION_TABLE
from talent_image_pipeline_tests.cli.terminal import message_of, run
from talent_image_pipeline_tests.conftest import PROJECT_ROOT, PostgresServer

SECRET = "planted-secret-that-nobody-may-see"


def test_a_setting_that_cannot_be_used_is_named_and_its_value_is_not_repeated(tmp_path: Path) -> None:
    message = message_of(
        run(
            "gc",
            cwd=tmp_path,
            INSTAGRAM_API_URL=f"user:{SECRET}@graph.instagram.com",
            TALENT_IMAGE_TRUSTED_ORIGINS=f"http://127.0.0.1/{SECRET}",
            TALENT_IMAGE_VERIFIED_ONLY=SECRET,
        )
    )

    for name in ("INSTAGRAM_API_URL", "TALENT_IMAGE_TRUSTED_ORIGINS", "TALENT_IMAGE_VERIFIED_ONLY"):
        assert name in message
    assert SECRET not in message


def test_doctor_says_of_every_setting_why_it_cannot_be_used(tmp_path: Path) -> None:
    result = run(
        "doctor", cwd=tmp_path, INSTAGRAM_API_URL="graph.instagram.com", TALENT_IMAGE_VERIFIED_ONLY=f"{SECRET}!"
    )

    assert result.returncode == 1
    assert "https://example.com" in result.stdout
    assert "TALENT_IMAGE_VERIFIED_ONLY" in result.stdout
    assert SECRET not in result.stdout + result.stderr


def test_a_database_that_was_not_migrated_names_the_command_that_does_it(
    tmp_path: Path, migrated_sqlite_file: Path, opened: Callable[[str], sa.Engine], sqlite_url: str
) -> None:
    (tmp_path / "talents.db").write_bytes(migrated_sqlite_file.read_bytes())
    migrate_down(opened(sqlite_url))

    assert "talent-images migrate" in message_of(run("show", "ada", cwd=tmp_path, TALENT_DATABASE_URL=sqlite_url))


def test_a_refresh_before_the_migration_names_the_command_and_no_class(
    tmp_path: Path, migrated_sqlite_file: Path, opened: Callable[[str], sa.Engine], sqlite_url: str
) -> None:
    (tmp_path / "talents.db").write_bytes(migrated_sqlite_file.read_bytes())
    migrate_down(opened(sqlite_url))
    (tmp_path / "dagster.yaml").write_text((PROJECT_ROOT / "dagster.yaml").read_text())

    message = message_of(run("refresh", "ada", cwd=tmp_path, TALENT_DATABASE_URL=sqlite_url))

    assert "talent-images migrate" in message
    assert "talent_image_pipeline." not in message


def test_a_database_that_a_newer_version_migrated_is_not_touched(
    tmp_path: Path, migrated_sqlite_file: Path, opened: Callable[[str], sa.Engine], sqlite_url: str
) -> None:
    (tmp_path / "talents.db").write_bytes(migrated_sqlite_file.read_bytes())
    with opened(sqlite_url).begin() as connection:
        connection.execute(
            sa.update(sa.table(VERSION_TABLE, sa.column("version_num"))).values(version_num="from_the_future")
        )

    message = message_of(run("show", "ada", cwd=tmp_path, TALENT_DATABASE_URL=sqlite_url))

    assert "'from_the_future'" in message
    assert "newer version" in message


@pytest.fixture
def reader(postgres_server: PostgresServer) -> Iterator[str]:
    """A role that may connect, and nothing more."""
    role = sql.Identifier("image_reader")
    postgres_server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    yield "image_reader"
    postgres_server.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_missing_right_is_said_with_its_role_and_the_statement_that_grants_it(
    tmp_path: Path, postgres_server: PostgresServer, reader: str
) -> None:
    url = postgres_server.url(postgres_server.create_migrated_database()).replace("postgres@", f"{reader}@")

    message = message_of(run("show", "ada", cwd=tmp_path, TALENT_DATABASE_URL=url))

    assert f"role {reader}" in message
    assert "lacks SELECT" in message
    assert "GRANT SELECT ON" in message


def test_a_port_that_is_taken_is_named(tmp_path: Path, migrated_sqlite_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        url = f"sqlite:///{migrated_sqlite_file}"
        served = message_of(
            run("serve", "--port", port, cwd=tmp_path, TALENT_DATABASE_URL=url, TALENT_API_TOKEN="a" * 32)
        )
        boxed = message_of(run("sandbox", "--port", port, cwd=tmp_path))

    for message in (served, boxed):
        assert port in message
        assert "another" in message


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "sheet.html"

    assert str(missing) in message_of(run("contact-sheet", str(missing), cwd=tmp_path))


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "occupied"
    file.write_text("not a directory")

    assert "occupied" in message_of(run("migrate", cwd=tmp_path, TALENT_DATA_DIR=str(file)))
