"""How an opened database behaves, on both kinds."""

import socket
import sqlite3
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.engine import (
    ConnectionShare,
    DatabaseUnavailableError,
    MissingAppTableError,
    open_engine,
    read_only,
    require_app_tables,
)
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline_tests.rows import insert_account, insert_talent

Opener = Callable[[str], sa.Engine]


def test_rows_survive_the_engine_that_wrote_them(migrated_database_url: str, opened: Opener) -> None:
    first = opened(migrated_database_url)
    with first.begin() as connection:
        insert_talent(connection, id="t1", name="Zoë")
    first.dispose()
    with opened(migrated_database_url).connect() as connection:
        assert connection.scalars(sa.select(talent.c.name)).all() == ["Zoë"]


def test_a_transaction_that_fails_leaves_nothing_behind(migrated_engine: sa.Engine) -> None:
    def insert_a_talent_and_a_stray_account() -> None:
        with migrated_engine.begin() as connection:
            insert_talent(connection, id="t1")
            insert_account(connection, id="a1", talent_id="nobody")

    with pytest.raises(sa.exc.IntegrityError):
        insert_a_talent_and_a_stray_account()
    with migrated_engine.connect() as connection:
        assert connection.scalars(sa.select(talent.c.id)).all() == []


def test_an_error_repeats_no_token(migrated_engine: sa.Engine) -> None:
    """PostgreSQL would show the whole row that it refuses, SQLAlchemy the parameters of the statement."""
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="t1")
        insert_account(connection, id="a1", talent_id="t1", access_token="p1anted-token")
    with migrated_engine.connect() as connection:
        broken = sa.update(social_account_connection).values(handle=None, refreshToken="p1anted-refresh")
        with pytest.raises(sa.exc.IntegrityError) as caught:
            connection.execute(broken)
    assert "handle" in str(caught.value)
    assert "p1anted" not in "".join(traceback.format_exception(caught.value))


def test_deleting_a_talent_deletes_its_accounts(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="t1")
        insert_account(connection, id="a1", talent_id="t1")
        connection.execute(sa.delete(talent))
        assert connection.scalars(sa.select(social_account_connection.c.id)).all() == []


def test_writers_that_read_first_wait_for_each_other(sqlite_url: str, opened: Opener) -> None:
    """Without the write lock from the start, all but one of them would be refused half-way."""
    engine = opened(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (value INTEGER)")
        connection.exec_driver_sql("INSERT INTO counter VALUES (0)")

    def count_up() -> None:
        for _ in range(20):
            with engine.begin() as connection:
                value = connection.exec_driver_sql("SELECT value FROM counter").scalar_one()
                connection.exec_driver_sql("UPDATE counter SET value = ?", (value + 1,))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT value FROM counter").scalar_one() == 80


def test_a_reader_does_not_wait_for_a_writer(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as writer:
        insert_talent(writer, id="t1")
        with read_only(migrated_engine).connect() as reader:
            assert reader.scalars(sa.select(talent.c.id)).all() == []


def test_a_database_is_durable_and_keeps_its_references(sqlite_url: str, opened: Opener) -> None:
    """2 is FULL: a transaction that was committed survives a power cut."""
    with opened(sqlite_url).connect() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_a_new_file_that_another_process_is_setting_up_is_waited_for(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "talents.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (id INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, other.close)
    done.start()
    try:
        with opened(f"sqlite:///{path}").connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    finally:
        done.join()


def test_the_directory_of_a_sqlite_file_is_made(tmp_path: Path, opened: Opener) -> None:
    opened(f"sqlite:///{tmp_path / 'new' / 'deep' / 'talents.db'}")
    assert (tmp_path / "new" / "deep" / "talents.db").exists()


def test_a_sqlite_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, " * 100, encoding="utf-8")
    with pytest.raises(DatabaseUnavailableError, match=r"letter\.txt: file is not a database"):
        open_engine(f"sqlite:///{tmp_path / 'letter.txt'}")


def test_a_sqlite_file_below_a_file_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatabaseUnavailableError, match=r"talents\.db"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'talents.db'}")


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = listener.getsockname()[1]
        with pytest.raises(DatabaseUnavailableError) as caught:
            open_engine(f"postgresql://ada:p4ss-w0rd@127.0.0.1:{port}/agency?schema=talents")
    message = str(caught.value)
    assert f"'agency' at 127.0.0.1, port {port}, schema 'talents'" in message
    assert "p4ss-w0rd" not in message
    assert caught.value.__cause__ is None


def test_a_database_that_does_not_exist_is_named(postgres_url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match="nowhere"):
        open_engine(postgres_url.replace("/test_", "/nowhere_"))


def test_a_connection_that_the_server_dropped_is_replaced(postgres_url: str, opened: Opener) -> None:
    engine = opened(f"{postgres_url}&connection_limit=1")
    with engine.connect() as connection:
        process = connection.scalar(sa.select(sa.func.pg_backend_pid()))
    with opened(postgres_url).begin() as other:
        other.execute(sa.select(sa.func.pg_terminate_backend(process, 5000)))
    with engine.connect() as connection:
        assert connection.scalar(sa.select(1)) == 1


def test_what_the_address_asks_for_holds_in_every_transaction(postgres_url: str, opened: Opener) -> None:
    engine = opened(f"{postgres_url}&schema=talents&socket_timeout=9&connection_limit=1&pool_timeout=3")
    for _ in range(2):
        with engine.begin() as connection:
            shown = [
                connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("search_path", "statement_timeout", "application_name")
            ]
            assert shown == ['"talents"', "9s", "talent_image_pipeline"]


def test_a_connection_given_back_keeps_nothing_of_the_schema(postgres_url: str, opened: Opener) -> None:
    """Behind pgbouncer the same connection serves somebody else next."""
    engine = opened(f"{postgres_url}&schema=talents&connection_limit=1")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW search_path").scalar_one() == '"talents"'
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("SHOW search_path")
        assert "talents" not in str(cursor.fetchone())
    finally:
        raw.close()


def has_room(engine: sa.Engine, stack: ExitStack) -> bool:
    """Take another connection and keep it, if there is one."""
    try:
        stack.enter_context(engine.connect())
    except sa.exc.TimeoutError:
        return False
    return True


@pytest.mark.parametrize(("limit", "expected"), [(None, 10), (1, 2), (2, 2), (3, 3), (7, 7)])
def test_a_run_and_its_token_refreshes_keep_the_limit_together(
    postgres_url: str, opened: Opener, limit: int | None, expected: int
) -> None:
    """Each of the two needs one connection, so that a limit of 1 counts as 2."""
    suffix = "" if limit is None else f"&connection_limit={limit}"
    # Other tests of this kind may run beside it, on the same server.
    name = f"a_run_{uuid4().hex}"
    address = f"{postgres_url}{suffix}&pool_timeout=1&application_name={name}"
    with ExitStack() as stack:
        for share in ConnectionShare:
            engine = open_engine(address, share=share)
            stack.callback(engine.dispose)
            while has_room(engine, stack):
                pass
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        with opened(postgres_url).connect() as connection:
            assert connection.exec_driver_sql(count, (name,)).scalar_one() == expected


def test_the_apps_database_is_recognised(migrated_engine: sa.Engine) -> None:
    require_app_tables(migrated_engine)


def test_a_database_of_somebody_else_is_refused_with_both_tables_and_the_place(
    database_url: str, opened: Opener
) -> None:
    engine = opened(database_url)
    with pytest.raises(MissingAppTableError) as caught:
        require_app_tables(engine)
    message = str(caught.value)
    assert '"Talent", "SocialAccountConnection" not found in ' in message
    assert str(engine.url.database) in message
    assert ("schema 'public'" in message) == (engine.dialect.name == "postgresql")


def test_a_schema_that_does_not_exist_is_said_to_be_missing(postgres_url: str, opened: Opener) -> None:
    with pytest.raises(MissingAppTableError, match="nowhere"):
        require_app_tables(opened(f"{postgres_url}&schema=nowhere"))


def test_nothing_is_left_open(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)")
    engine.dispose()
    path = engine.url.database
    assert path is not None
    other = sqlite3.connect(path, isolation_level="EXCLUSIVE", timeout=0)
    try:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    finally:
        other.close()
