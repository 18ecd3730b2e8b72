"""Bringing a database to the schema that this version expects, and back.

What belongs here: running the migrations safely (one process at a time, all or nothing) and saying what they did.
What does not: the migrations themselves (``migrations/versions``).

A new migration: ``alembic``'s own commands are not needed; add a file to ``migrations/versions`` whose
``down_revision`` is the newest one, and change ``tables.py`` with it. A test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from talent_image_pipeline.database.engine import require_app_tables_within

VERSION_TABLE: Final = "talent_images_alembic_version"

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Any number will do, as long as nothing else on the server uses it: "talentim" in ASCII.
_ADVISORY_LOCK: Final = 0x74616C656E74696D
_LOCK_TIMEOUT: Final = "10s"


class MigrationBlockedError(RuntimeError):
    """Something held a lock on the app's table for too long; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class MigrationReport:
    """What a migration did to the database.

    Attributes:
        revision_before: None where the database had none of ours.
        revision_after: None after going all the way down.
        created: Tables, columns and indexes that were not there before, in words, sorted.
        removed: The same of what is not there any more.
    """

    revision_before: str | None
    revision_after: str | None
    created: tuple[str, ...]
    removed: tuple[str, ...]


def migrate(engine: sa.Engine, *, with_app_tables: bool) -> MigrationReport:
    """Bring the database to the newest schema: all of it or, on any error, nothing.

    Safe to repeat and to run from several processes at once. What exists is left as it is.

    Args:
        engine: The database.
        with_app_tables: Create the app's tables where they are missing: for the embedded default, demo and tests.

    Raises:
        MissingAppTableError: when a table of the app is missing and is not ours to create.
        MigrationBlockedError: when the app's table stayed locked by somebody else.
    """

    def upgrade(connection: sa.Connection) -> None:
        if not with_app_tables:
            require_app_tables_within(connection)
        configuration = _configuration(connection)
        configuration.attributes["with_app_tables"] = with_app_tables
        command.upgrade(configuration, "head")

    return _run(engine, upgrade)


def migrate_down(engine: sa.Engine) -> MigrationReport:
    """Remove our tables, and of the app's tables what our migration had added to them and nothing else.

    Raises:
        MigrationBlockedError: when the app's table stayed locked by somebody else.
    """

    def downgrade(connection: sa.Connection) -> None:
        command.downgrade(_configuration(connection), "base")
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")

    return _run(engine, downgrade)


def _run(engine: sa.Engine, change: Callable[[sa.Connection], None]) -> MigrationReport:
    try:
        with engine.begin() as connection:
            _lock_out_other_migrations(connection)
            revision_before, before = _revision(connection), _schema_objects(connection)
            change(connection)
            revision_after, after = _revision(connection), _schema_objects(connection)
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "pgcode", None) == "55P03":  # lock_not_available
            raise MigrationBlockedError(
                f"another session held a lock on the app's tables for more than {_LOCK_TIMEOUT}; nothing was changed. "
                "Migrate again when it is done"
            ) from error
        raise
    return MigrationReport(
        revision_before=revision_before,
        revision_after=revision_after,
        created=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
    )


def _lock_out_other_migrations(connection: sa.Connection) -> None:
    """Let one process migrate at a time; on SQLite the transaction itself already holds the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        # Whoever waits for the app's table makes everybody after it wait too: give up before the app notices.
        connection.execute(sa.select(sa.func.set_config("lock_timeout", _LOCK_TIMEOUT, True)))


def _configuration(connection: sa.Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _schema_objects(connection: sa.Connection) -> frozenset[str]:
    inspector = sa.inspect(connection)
    tables = inspector.get_table_names()
    names = {f'table "{name}"' for name in tables}
    if "Talent" in tables:
        names |= {f'column "Talent"."{column["name"]}"' for column in inspector.get_columns("Talent")}
        names |= {f'index "{index["name"]}"' for index in inspector.get_indexes("Talent")}
    return frozenset(names)
