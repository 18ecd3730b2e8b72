"""Transactions on real databases: what they wait for, and what they are repeated after."""

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import transactions
from talent_image_pipeline.database.tables import talent
from talent_image_pipeline_tests.rows import insert_talent


def names_of(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(talent.c.name).order_by(talent.c.id)))


def rename(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.update(talent).values(name=name))


@pytest.fixture
def beginnings(migrated_engine: sa.Engine) -> list[str]:
    """How each transaction on SQLite began."""
    begun: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    sa.event.listen(migrated_engine, "before_cursor_execute", note)
    return begun


def test_a_transaction_that_only_reads_does_not_wait_for_a_writer(
    migrated_engine: sa.Engine, beginnings: list[str]
) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada", name="Ada")
    beginnings.clear()
    with migrated_engine.begin() as writer:
        rename(writer, "Ada Lovelace")
        assert transactions.read(migrated_engine, names_of) == ["Ada"]
    if migrated_engine.dialect.name == "sqlite":
        assert beginnings == ["BEGIN IMMEDIATE", "BEGIN"]


def test_reading_refuses_to_write_where_the_database_can_tell(migrated_engine: sa.Engine) -> None:
    if migrated_engine.dialect.name == "sqlite":
        return
    with pytest.raises(sa.exc.DBAPIError, match="read-only"):
        transactions.read(migrated_engine, rename, "nobody")


def test_a_writer_waits_for_a_row_that_somebody_locks_and_then_does_its_work_once(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada", name="Ada")
    tries: list[int] = []
    has_tried_again = threading.Event()

    def change(connection: sa.Connection) -> None:
        tries.append(1)
        if len(tries) > 1:
            has_tried_again.set()
        connection.execute(sa.select(talent.c.id).with_for_update(nowait=True))
        rename(connection, "from the waiting one")

    with migrated_engine.begin() as other:
        rename(other, "from the other one")
        waiting = threading.Thread(target=transactions.write, args=(migrated_engine, change))
        waiting.start()
        if migrated_engine.dialect.name == "postgresql":
            assert has_tried_again.wait(timeout=30)
    waiting.join(timeout=30)
    assert transactions.read(migrated_engine, names_of) == ["from the waiting one"]


def test_an_error_of_the_work_itself_is_not_repeated(migrated_engine: sa.Engine) -> None:
    tries: list[int] = []

    def change(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(sa.text("SELECT no_such_column FROM no_such_table"))

    with pytest.raises(sa.exc.DBAPIError):
        transactions.write(migrated_engine, change)
    assert tries == [1]


def test_a_cut_connection_is_opened_again_and_the_work_done_from_its_beginning(
    postgres_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    engine = opened(postgres_url)
    tries: list[int] = []

    def work(connection: sa.Connection) -> object:
        tries.append(1)
        if len(tries) == 1:
            own_backend = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            with engine.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": own_backend})
        return connection.scalar(sa.text("SELECT 42"))

    assert transactions.write(engine, work) == 42
    assert len(tries) == 2
