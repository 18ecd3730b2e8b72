"""What we add to the app's ``"Talent"`` on PostgreSQL: columns, indexes and free space, without making the app wait.

What belongs here: what is missing, adding it under short locks or none, and taking away again what we added.
What does not: our own tables (``migrations/``), and SQLite, where the first migration does all of this: a file that an
app and we share has one writer at a time in any case.

``ALTER TABLE`` locks everybody out of the table, for an instant; waiting for that lock makes everybody behind it wait
too. So each attempt waits half a second at most and the next one lets the app's queue drain first. Indexes are built
``CONCURRENTLY``, which lets everybody read and write meanwhile. What we add is written down before it is done, so that
a migration which was killed in between is resumed, and the way back takes away nothing of the app's.
See https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import sqlalchemy as sa
import tenacity

from talent_image_pipeline.database.identifiers import quoted
from talent_image_pipeline.database.tables import talent, talent_image_app_additions
from talent_image_pipeline.database.transactions import is_lock_conflict
from talent_image_pipeline.errors import UserError

#: The app's statements queue behind a lock that we wait for: never for longer than this.
LOCK_TIMEOUT: Final = "500ms"
#: How long to go on trying in all.
PATIENCE_SECONDS: Final = 120.0
#: Free space on each page, so that a talent's new stamp finds room beside the old one (a HOT update).
FILLFACTOR: Final = 90

_COLUMN, _INDEX, _STORAGE = "column", "index", "storage"

_Result = TypeVar("_Result")


class MigrationBlockedError(UserError):
    """Another session held a lock for too long. The message names the session; what was done so far stays done."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    definition: str


@dataclass(frozen=True, kw_only=True)
class _Index:
    """An index of one column.

    The stamps' index is a BRIN: from PostgreSQL 16 on an update that changes no other indexed column stays a HOT
    update, and "who was not synced since yesterday" skips whole ranges of pages all the same.
    """

    name: str
    column: str
    method: str


COLUMNS: Final = (
    _Column(name="profileImageUrl", definition="TEXT"),
    _Column(name="profileImageSource", definition="TEXT NOT NULL DEFAULT 'initials'"),
    _Column(name="lastProfileImageSyncAt", definition="TIMESTAMP(3)"),
)
_INDEXES: Final = (
    _Index(name="Talent_profileImageSource_idx", column="profileImageSource", method="btree"),
    _Index(name="Talent_lastProfileImageSyncAt_idx", column="lastProfileImageSyncAt", method="brin"),
)


def missing_columns(connection: sa.Connection) -> tuple[str, ...]:
    """Return those of our columns that the app's table does not have."""
    existing = {column["name"] for column in sa.inspect(connection).get_columns(talent.name)}
    return tuple(column.name for column in COLUMNS if column.name not in existing)


def lacks_index(connection: sa.Connection) -> bool:
    """Whether a column of ours has no index that serves."""
    indexed = {index.column for index in _existing_indexes(connection) if index.is_valid}
    return any(index.column not in indexed for index in _INDEXES)


def added_columns(connection: sa.Connection) -> tuple[str, ...]:
    """Return the columns that are there because we added them."""
    return tuple(sorted(name for kind, name in _added(connection) if kind == _COLUMN))


def add_missing(engine: sa.Engine, *, say: Callable[[str], None], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Add what ``"Talent"`` lacks: columns and free space at once, then indexes while the app goes on writing.

    Args:
        engine: A PostgreSQL database with the app's tables.
        say: Told what takes long, in words.
        patience_seconds: How long to try for the locks in all.

    Raises:
        MigrationBlockedError: when somebody else held a lock on the table all that time.
    """
    with_short_locks(engine, _add_columns, patience_seconds=patience_seconds)
    for index in _INDEXES:
        _build_index(engine, index, say=say)


def remove_added(engine: sa.Engine, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Take away what we added, and the list of it; what the app made itself stays.

    Raises:
        MigrationBlockedError: when somebody else held a lock on the table all that time.
    """
    with engine.connect() as connection:
        indexes = [name for kind, name in _added(connection) if kind == _INDEX]
        schema = _schema_of_talent(connection)
    for name in indexes:
        _outside_transaction(engine, f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema)}.{quoted(name)}")
    with_short_locks(engine, _remove_columns, patience_seconds=patience_seconds)


def with_short_locks(
    engine: sa.Engine, change: Callable[[sa.Connection], _Result], *, patience_seconds: float = PATIENCE_SECONDS
) -> _Result:
    """Make a change in one transaction that never waits long for a lock, again and again until it succeeds.

    Raises:
        MigrationBlockedError: when it did not, naming who holds locks on the app's table.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_lock_conflict),
        # Long enough for whatever queued behind the last attempt to be served.
        wait=tenacity.wait_random(min=0.5, max=1.5),
        stop=tenacity.stop_after_delay(patience_seconds),
        reraise=True,
    )

    def once() -> _Result:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.set_config("lock_timeout", LOCK_TIMEOUT, True)))
            return change(connection)

    try:
        return retrying(once)
    except sa.exc.DBAPIError as error:
        if not is_lock_conflict(error):
            raise
        raise MigrationBlockedError(
            f"another session held a lock for more than {patience_seconds:.0f} s: {_who_holds_locks(engine)}. "
            "Nothing of this step was changed; run talent-images migrate again when it is done"
        ) from None


def _who_holds_locks(engine: sa.Engine) -> str:
    """Name the sessions that hold locks on the app's table, the longest first; their statements may hold secrets."""
    statement = sa.text(
        "SELECT DISTINCT ON (activity.xact_start, activity.pid) activity.pid, activity.application_name,"
        " activity.state, extract(epoch FROM clock_timestamp() - activity.xact_start)"
        " FROM pg_locks JOIN pg_stat_activity AS activity ON activity.pid = pg_locks.pid"
        " WHERE pg_locks.relation = to_regclass(:table) AND pg_locks.granted AND activity.pid <> pg_backend_pid()"
        " ORDER BY activity.xact_start, activity.pid LIMIT 3"
    )
    with engine.connect() as connection:
        rows = connection.execute(statement, {"table": quoted(talent.name)}).all()
    sessions = [f"process {row[0]} ({row[1] or 'unnamed'}, {row[2]}, open for {row[3] or 0:.0f} s)" for row in rows]
    return ", ".join(sessions) or "it is gone by now"


def _add_columns(connection: sa.Connection) -> None:
    # The list of what is ours is not among the migrations: it has to be there before the first of them.
    talent_image_app_additions.create(connection, checkfirst=True)
    missing = missing_columns(connection)
    if not missing:
        return
    for column in COLUMNS:
        if column.name in missing:
            connection.exec_driver_sql(f'ALTER TABLE "Talent" ADD COLUMN {quoted(column.name)} {column.definition}')
            _remember(connection, _COLUMN, column.name)
    if not _has_fillfactor(connection):
        connection.exec_driver_sql(f'ALTER TABLE "Talent" SET (fillfactor = {FILLFACTOR})')
        _remember(connection, _STORAGE, "fillfactor")


def _remove_columns(connection: sa.Connection) -> None:
    for kind, name in _added(connection):
        if kind == _COLUMN:
            connection.exec_driver_sql(f'ALTER TABLE "Talent" DROP COLUMN IF EXISTS {quoted(name)}')
        elif kind == _STORAGE:
            connection.exec_driver_sql(f'ALTER TABLE "Talent" RESET ({name})')
    talent_image_app_additions.drop(connection, checkfirst=True)


def _has_fillfactor(connection: sa.Connection) -> bool:
    statement = sa.text("SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE oid = to_regclass(:table)")
    return "fillfactor" in (connection.scalar(statement, {"table": quoted(talent.name)}) or "")


def _added(connection: sa.Connection) -> list[tuple[str, str]]:
    if not sa.inspect(connection).has_table(talent_image_app_additions.name):
        return []
    added = talent_image_app_additions.c
    return [(row[0], row[1]) for row in connection.execute(sa.select(added.kind, added.name))]


def _remember(connection: sa.Connection, kind: str, name: str) -> None:
    if (kind, name) not in _added(connection):
        connection.execute(sa.insert(talent_image_app_additions).values(kind=kind, name=name))


@dataclass(frozen=True, kw_only=True)
class _ExistingIndex:
    """An index of ``"Talent"``, by its first column; one whose build was cut short is not valid."""

    name: str
    column: str
    is_valid: bool


def _build_index(engine: sa.Engine, index: _Index, *, say: Callable[[str], None]) -> None:
    """Build an index unless a valid one serves; the remains of a build that was cut short are cleared away first."""
    with engine.begin() as connection:
        existing = _existing_indexes(connection)
        if any(other.column == index.column and other.is_valid for other in existing):
            return
        schema = _schema_of_talent(connection)
        _remember(connection, _INDEX, index.name)
    name = quoted(index.name)
    if any(other.name == index.name for other in existing):
        _outside_transaction(engine, f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema)}.{name}")
    say(f"Building the index {index.name}. The app goes on working; transactions that are open now are waited for.")
    _outside_transaction(
        engine,
        f"CREATE INDEX CONCURRENTLY {name} ON {quoted(schema)}.{quoted(talent.name)}"
        f" USING {index.method} ({quoted(index.column)})",
    )


def _existing_indexes(connection: sa.Connection) -> list[_ExistingIndex]:
    statement = sa.text(
        "SELECT class.relname, attribute.attname, pg_index.indisvalid FROM pg_index"
        " JOIN pg_class AS class ON class.oid = pg_index.indexrelid"
        " JOIN pg_attribute AS attribute"
        " ON attribute.attrelid = pg_index.indrelid AND attribute.attnum = pg_index.indkey[0]"
        " WHERE pg_index.indrelid = to_regclass(:table)"
    )
    rows = connection.execute(statement, {"table": quoted(talent.name)})
    return [_ExistingIndex(name=row[0], column=row[1], is_valid=row[2]) for row in rows]


def _outside_transaction(engine: sa.Engine, statement: str) -> None:
    """Run what PostgreSQL refuses inside a transaction.

    Names must be complete: the address's schema is set for transactions only (``engine.py``).
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def _schema_of_talent(connection: sa.Connection) -> str:
    statement = sa.text("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(:table)")
    name: str = connection.execute(statement, {"table": quoted(talent.name)}).scalar_one()
    # The cast quotes where it must.
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
