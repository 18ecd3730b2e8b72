"""Bringing a database to the schema that this version expects, and back, while the app goes on working.

What belongs here: the order of the steps, letting one process migrate at a time, and saying what was done.
What does not: the migrations themselves (``migrations/versions``), and what we add to the app's table on PostgreSQL
(``app_additions.py``).

On PostgreSQL there are three steps, each of them whole or not done at all, and all of them safe to repeat: what the
app's table lacks, our own tables, and nothing else. On SQLite all of it is one transaction.

A new migration: ``alembic``'s own commands are not needed; add a file to ``migrations/versions`` whose
``down_revision`` is the newest one, and change ``tables.py`` with it. A test compares the two.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from talent_image_pipeline.database import app_additions
from talent_image_pipeline.database.app_additions import MigrationBlockedError, with_short_locks
from talent_image_pipeline.database.change_feed import install_change_feed, remove_change_feed
from talent_image_pipeline.database.engine import own_schema_of, require_app_tables
from talent_image_pipeline.database.own_schema import drop_own_schema_if_empty, prepare_own_schema
from talent_image_pipeline.database.rights import MissingRightsError, describe, missing_for_migrations
from talent_image_pipeline.database.schema_revision import VERSION_TABLE, current_revision
from talent_image_pipeline.database.tables import talent_image_app_additions
from talent_image_pipeline.errors import UserError

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Any number will do, as long as nothing else on the server uses it: "talentim" in ASCII.
_ADVISORY_LOCK: Final = 0x74616C656E74696D
_SECONDS_BETWEEN_LOOKS: Final = 2.0
_LOCK_NOT_AVAILABLE: Final = "55P03"
_INSUFFICIENT_PRIVILEGE: Final = "42501"


class AppColumnsMissingError(UserError):
    """The app's own migration was to add our columns to its table and has not done so in time."""


@dataclass(frozen=True, kw_only=True)
class MigrationPatience:
    """How long a migration waits for others.

    Attributes:
        wait_seconds: For the app's own migration to add our columns, where that is its task.
        lock_seconds: For locks that others hold, in all; each attempt waits half a second.
        other_migration_seconds: For another process that migrates.
    """

    wait_seconds: float = 600.0
    lock_seconds: float = app_additions.PATIENCE_SECONDS
    other_migration_seconds: float = 60.0


_USUAL_PATIENCE: Final = MigrationPatience()


@dataclass(frozen=True, kw_only=True)
class MigrationReport:
    """What a migration did to the database.

    Attributes:
        revision_before: None where the database had none of ours.
        revision_after: None after going all the way down.
        created: Tables, columns and indexes that were not there before, in words, sorted.
        removed: The same of what is not there any more.
        notes: What the operator should know or do next, in sentences.
    """

    revision_before: str | None
    revision_after: str | None
    created: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...] = ()


def migrate(
    engine: sa.Engine,
    *,
    with_app_tables: bool,
    app_owns_columns: bool = False,
    with_change_feed: bool = False,
    patience: MigrationPatience = _USUAL_PATIENCE,
    say: Callable[[str], None] = lambda _: None,
) -> MigrationReport:
    """Bring the database to the newest schema.

    Safe to repeat, after a kill too, and to run from several processes at once. What exists is left as it is. On
    PostgreSQL no statement of the app waits for it longer than half a second.

    Args:
        engine: The database.
        with_app_tables: Create the app's tables where they are missing: for the embedded default, demo and tests.
        app_owns_columns: Wait until the app's own migration has added our columns to its table; never add them.
        with_change_feed: Also write down each change of an account, by triggers on the app's table.
        patience: How long to wait for others.
        say: Told what takes long, in words.

    Raises:
        MissingAppTableError: when a table of the app is missing and is not ours to create.
        MissingRightsError: when the database's role may not do what is needed; nothing was changed.
        AppColumnsMissingError: when the app was to add our columns and has not.
        MigrationBlockedError: when somebody else held a lock for too long.
    """
    if not with_app_tables:
        require_app_tables(engine)
    if app_owns_columns:
        _wait_for_the_apps_columns(engine, patience, say)
    with _naming_missing_rights(engine), _the_only_migration(engine, patience):
        revision_before, before = _look(engine)
        if engine.dialect.name == "postgresql":
            _upgrade_postgresql(engine, patience, say, with_app_tables=with_app_tables)
        else:
            _in_sqlite_transaction(engine, lambda connection: _upgrade(connection, with_app_tables=with_app_tables))
        if with_change_feed:
            _change_app_table(engine, install_change_feed, patience)
        revision_after, after = _look(engine)
        notes = _notes(engine)
    return MigrationReport(
        revision_before=revision_before,
        revision_after=revision_after,
        created=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        notes=notes,
    )


def migrate_down(engine: sa.Engine, *, patience: MigrationPatience = _USUAL_PATIENCE) -> MigrationReport:
    """Remove our tables, and of the app's tables what we had added to them and nothing else.

    Raises:
        MissingRightsError: when the database's role may not do what is needed.
        MigrationBlockedError: when somebody else held a lock for too long.
    """
    with _naming_missing_rights(engine), _the_only_migration(engine, patience):
        revision_before, before = _look(engine)
        _change_app_table(engine, remove_change_feed, patience)
        if engine.dialect.name == "postgresql":
            with_short_locks(engine, _downgrade, patience_seconds=patience.lock_seconds)
            app_additions.remove_added(engine, patience_seconds=patience.lock_seconds)
            _drop_own_schema(engine)
        else:
            _in_sqlite_transaction(engine, _downgrade_sqlite)
        revision_after, after = _look(engine)
    return MigrationReport(
        revision_before=revision_before,
        revision_after=revision_after,
        created=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
    )


def _upgrade_postgresql(
    engine: sa.Engine, patience: MigrationPatience, say: Callable[[str], None], *, with_app_tables: bool
) -> None:
    own_schema = own_schema_of(engine)
    if own_schema is not None:
        with_short_locks(
            engine,
            lambda connection: prepare_own_schema(connection, own_schema, version_table=VERSION_TABLE),
            patience_seconds=patience.lock_seconds,
        )
    with engine.connect() as connection:
        has_talent = sa.inspect(connection).has_table("Talent")
    if has_talent:
        app_additions.add_missing(engine, say=say, patience_seconds=patience.lock_seconds)
    with_short_locks(
        engine,
        lambda connection: _upgrade(connection, with_app_tables=with_app_tables),
        patience_seconds=patience.lock_seconds,
    )


def _change_app_table(engine: sa.Engine, change: Callable[[sa.Connection], None], patience: MigrationPatience) -> None:
    """Change something about the app's table of accounts, where there is one, without making the app wait."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("SocialAccountConnection"):
            return
    if engine.dialect.name == "postgresql":
        with_short_locks(engine, change, patience_seconds=patience.lock_seconds)
    else:
        _in_sqlite_transaction(engine, change)


def _upgrade(connection: sa.Connection, *, with_app_tables: bool) -> None:
    talent_image_app_additions.create(connection, checkfirst=True)
    configuration = _configuration(connection)
    configuration.attributes["with_app_tables"] = with_app_tables
    command.upgrade(configuration, "head")


def _downgrade(connection: sa.Connection) -> None:
    if current_revision(connection) is None:
        return
    command.downgrade(_configuration(connection), "base")
    connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")


def _downgrade_sqlite(connection: sa.Connection) -> None:
    _downgrade(connection)
    talent_image_app_additions.drop(connection, checkfirst=True)


def _drop_own_schema(engine: sa.Engine) -> None:
    own_schema = own_schema_of(engine)
    if own_schema is not None:
        with engine.begin() as connection:
            drop_own_schema_if_empty(connection, own_schema)


def _in_sqlite_transaction(engine: sa.Engine, change: Callable[[sa.Connection], None]) -> None:
    """Change everything in one transaction, in which foreign keys are looked at once, before it is committed.

    SQLite rebuilds a table by dropping it, at which foreign keys that refer to it would delete or refuse.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                change(connection)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise RuntimeError(f"rows of {broken[0][0]} refer to rows of {broken[0][2]} that are not there")
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


def _wait_for_the_apps_columns(engine: sa.Engine, patience: MigrationPatience, say: Callable[[str], None]) -> None:
    give_up_at = time.monotonic() + patience.wait_seconds
    while True:
        with engine.connect() as connection:
            missing = app_additions.missing_columns(connection)
        if not missing:
            return
        names = ", ".join(f'"{name}"' for name in missing)
        if time.monotonic() >= give_up_at:
            raise AppColumnsMissingError(
                f'"Talent" still lacks {names} after {patience.wait_seconds:.0f} s: '
                "deploy the migration of the app that adds them, or migrate without --app-owns-columns"
            )
        say(f'Waiting for the app\'s own migration to add {names} to "Talent".')
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextmanager
def _the_only_migration(engine: sa.Engine, patience: MigrationPatience) -> Iterator[None]:
    """Let one process migrate at a time; on SQLite the transaction itself holds the write lock.

    The lock belongs to a transaction of its own, beside those that migrate: pgbouncer in transaction mode would hand a
    session's lock to somebody else. That transaction holds no snapshot, so that no index build waits for it.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:
        # Not one of the pool's: an address may allow one connection in all.
        connection.detach()
        timeout = f"{patience.other_migration_seconds * 1000:.0f}ms"
        for name, value in (("lock_timeout", timeout), ("idle_in_transaction_session_timeout", "0")):
            connection.execute(sa.select(sa.func.set_config(name, value, True)))
        try:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise MigrationBlockedError(
                f"another process has been migrating this database for {patience.other_migration_seconds:.0f} s; "
                "nothing was changed. Run talent-images migrate again when it is done"
            ) from None
        yield


@contextmanager
def _naming_missing_rights(engine: sa.Engine) -> Iterator[None]:
    """Refuse before anything is changed when the role lacks rights, and name them."""
    _refuse_without_rights(engine)
    try:
        yield
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        raise MissingRightsError(str(error.orig)) from None


def _refuse_without_rights(engine: sa.Engine) -> None:
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            missing = missing_for_migrations(
                connection, own_schema=own_schema_of(engine), changes_talent=_changes_talent(connection)
            )
        if missing:
            raise MissingRightsError(f"{describe(missing)} Nothing was changed")


def _changes_talent(connection: sa.Connection) -> bool:
    has_talent = sa.inspect(connection).has_table("Talent")
    return has_talent and (bool(app_additions.missing_columns(connection)) or app_additions.lacks_index(connection))


def _configuration(connection: sa.Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _look(engine: sa.Engine) -> tuple[str | None, frozenset[str]]:
    """Return our revision, and what is there: tables, and the columns and indexes of the app's table."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        tables = inspector.get_table_names()
        names = {f'table "{name}"' for name in tables}
        if "Talent" in tables:
            names |= {f'column "Talent"."{column["name"]}"' for column in inspector.get_columns("Talent")}
            names |= {f'index "{index["name"]}"' for index in inspector.get_indexes("Talent")}
        return current_revision(connection), frozenset(names)


def _notes(engine: sa.Engine) -> tuple[str, ...]:
    """Tell an operator whose app migrates with Prisma what Prisma will make of this."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("_prisma_migrations"):
            return ()
        added = app_additions.added_columns(connection)
    notes = []
    if added:
        names = ", ".join(f'"{name}"' for name in added)
        notes.append(
            f"The app migrates with Prisma, and {names} were added by us. A migration of the app's that adds them too "
            "would fail, and Prisma would then refuse every later one (P3009). Before it is deployed, run: "
            "npx prisma migrate resolve --applied <the name of that migration>. Where the app's migration comes first, "
            "use: talent-images migrate --app-owns-columns."
        )
    if engine.dialect.name == "postgresql" and own_schema_of(engine) is None:
        notes.append(
            "Our tables lie in the app's schema, where prisma migrate dev calls them drift and prisma db push offers "
            "to drop them. Set TALENT_IMAGE_SCHEMA=talent_images and run talent-images migrate again: it moves them."
        )
    return tuple(notes)
