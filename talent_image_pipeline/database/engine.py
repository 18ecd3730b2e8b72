"""Opening the database: one engine, set up the same way wherever it is used.

What belongs here: how connections behave on each kind of database, and clear errors where there is nothing to open.
What does not: the spellings of an address (``url.py``), tables, queries and migrations.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import tenacity

from talent_image_pipeline.database.fingerprint import register_sqlite_function
from talent_image_pipeline.database.identifiers import quoted
from talent_image_pipeline.database.tables import app_metadata
from talent_image_pipeline.database.url import DatabaseAddress, describe_place, parse_database_address
from talent_image_pipeline.errors import UserError

SQLITE_BUSY_TIMEOUT_SECONDS: Final = 30
#: What a run may open altogether where the address sets no limit: its own connections and its token refreshes'.
POSTGRESQL_CONNECTION_LIMIT: Final = 10
_FOR_TOKEN_REFRESHES: Final = 2
POOL_TIMEOUT_SECONDS: Final = 30.0

_READ_ONLY: Final = "talent_image_read_only"
_OWN_SCHEMA: Final = "talent_image_own_schema"
_INSUFFICIENT_PRIVILEGE: Final = "42501"


class DatabaseUnavailableError(UserError):
    """The database cannot be reached. The message says where it was looked for, never the password."""


class ConnectionShare(StrEnum):
    """Whose part of a run's connections an engine may use.

    A run works in two processes, and ``connection_limit`` in the address is meant for both of them together.
    """

    RUN = "run"
    REFRESHING = "refreshing"


class MissingAppTableError(UserError):
    """The database is not the app's: a table of the app is missing."""


def open_engine(url: str, *, share: ConnectionShare = ConnectionShare.RUN) -> sa.Engine:
    """Open the database and prove that it can be reached.

    On SQLite every transaction takes the write lock when it begins, so that none is refused half-way; use
    :func:`read_only` for transactions that only read.

    Args:
        url: As :func:`~talent_image_pipeline.database.url.parse_database_address` accepts it.
        share: Whose part of the connections this engine may use.

    Raises:
        DatabaseAddressError: when the address cannot be used.
        DatabaseUnavailableError: when there is no database at the address, or it lets nobody in.
    """
    address = parse_database_address(url)
    is_sqlite = address.url.get_backend_name() == "sqlite"
    engine = _sqlite_engine(address) if is_sqlite else _postgresql_engine(address, share)
    try:
        with read_only(engine).connect() as connection:
            connection.execute(sa.select(1))
    except sa.exc.DBAPIError as error:
        engine.dispose()
        # Neither driver ever repeats the password; SQLAlchemy's own text and the chain are left out all the same.
        reason = " ".join(str(error.orig).split())
        raise DatabaseUnavailableError(f"cannot open {address.place}: {reason}") from None
    return engine


def read_only(engine: sa.Engine) -> sa.Engine:
    """Return the same engine, over the same connections, for transactions that only read.

    Readers do not wait for writers: SQLite takes no lock until the first statement, PostgreSQL refuses writes.
    """
    return engine.execution_options(**{_READ_ONLY: True, "postgresql_readonly": True})


def own_schema_of(engine: sa.Engine) -> str | None:
    """Return the PostgreSQL schema of our own tables, where the address names one beside the app's."""
    schema: str | None = engine.get_execution_options().get(_OWN_SCHEMA)
    return schema


def require_app_tables(engine: sa.Engine) -> None:
    """Make sure that this is the app's database.

    Raises:
        MissingAppTableError: naming every table that is missing, and the database and schema that were looked at.
    """
    with read_only(engine).connect() as connection:
        require_app_tables_within(connection)


def require_app_tables_within(connection: sa.Connection) -> None:
    """Do what :func:`require_app_tables` does, in a transaction that is open already."""
    inspector = sa.inspect(connection)
    missing = [f'"{name}"' for name in app_metadata.tables if not inspector.has_table(name)]
    if missing:
        place = describe_place(connection.engine.url, schema=_current_schemas(connection))
        raise MissingAppTableError(
            f"{', '.join(missing)} not found in {place}: "
            "is TALENT_DATABASE_URL the address of the agency's app, with its ?schema=?"
        )


def _current_schemas(connection: sa.Connection) -> str | None:
    if connection.dialect.name != "postgresql":
        return None
    schemas: list[str] = connection.execute(sa.text("SELECT current_schemas(false)::text[]")).scalar_one()
    # There is no current schema where none of those on the search path exists.
    return ", ".join(schemas) or connection.exec_driver_sql("SHOW search_path").scalar_one()


def _sqlite_engine(address: DatabaseAddress) -> sa.Engine:
    path = Path(address.url.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # The app's table of accounts is in it, with their tokens.
            path.touch(mode=0o600)
        _switch_to_write_ahead_log(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnavailableError(f"cannot open {address.place}: {error}") from None
    engine = sa.create_engine(
        address.url,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        # A statement that fails is logged by whoever catches it, and among its parameters are tokens.
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _set_up_sqlite_connection)
    sa.event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


# SQLite waits for every lock but this one: of several processes that open a new file at once, some are refused.
@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_busy),
    stop=tenacity.stop_after_delay(SQLITE_BUSY_TIMEOUT_SECONDS),
    wait=tenacity.wait_random(min=0.01, max=0.1),
    reraise=True,
)
def _switch_to_write_ahead_log(path: Path) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _set_up_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    # Python's driver would begin transactions late and never before a SELECT; _begin_on_sqlite does it instead.
    connection.isolation_level = None
    register_sqlite_function(connection)
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # A rotated token pair exists nowhere else once the platform answered: it must survive a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_on_sqlite(connection: sa.Connection) -> None:
    reads_only = connection.get_execution_options().get(_READ_ONLY, False)
    # A transaction that reads first and writes later fails at once when another wrote in between: SQLite does not wait
    # there, whatever the timeout. Taking the write lock at the start does wait.
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _postgresql_engine(address: DatabaseAddress, share: ConnectionShare) -> sa.Engine:
    engine = sa.create_engine(
        address.url,
        connect_args=dict(address.connect_arguments),
        pool_pre_ping=True,
        pool_size=_connections_of(share, limit=address.connection_limit),
        max_overflow=0,
        pool_timeout=_pool_timeout(address),
        # Looking up the hstore type costs a round trip for every new connection; nothing here uses it.
        use_native_hstore=False,
        # As on SQLite: tokens are among the parameters.
        hide_parameters=True,
        execution_options={_OWN_SCHEMA: address.own_schema},
    )
    sa.event.listen(engine, "handle_error", _leave_out_row_contents)
    sa.event.listen(engine, "handle_error", _say_who_lacks_a_right)
    settings = _transaction_settings(address)
    if settings:
        sa.event.listen(engine, "begin", lambda connection: _apply_settings(connection, settings))
    return engine


def _connections_of(share: ConnectionShare, *, limit: int | None) -> int:
    """Divide what the address allows between a run and its token refreshes; each needs one."""
    total = max(2, POSTGRESQL_CONNECTION_LIMIT if limit is None else limit)
    for_token_refreshes = min(_FOR_TOKEN_REFRESHES, total // 2)
    return for_token_refreshes if share is ConnectionShare.REFRESHING else total - for_token_refreshes


def _say_who_lacks_a_right(context: sa.engine.ExceptionContext) -> None:
    """Add to PostgreSQL's "permission denied for ..." what it leaves out: who was denied, and where to read on."""
    if getattr(context.original_exception, "pgcode", None) != _INSUFFICIENT_PRIVILEGE:
        return
    role = (context.engine.url.username if context.engine else None) or "of the database's address"
    hint = f" (role {role}; talent-images doctor names each missing right and the GRANT to run)"
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (f"{error.args[0]}{hint}", *error.args[1:])


def _leave_out_row_contents(context: sa.engine.ExceptionContext) -> None:
    """Keep an error's first line: those below it can hold the whole row, tokens included."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).split("\n", maxsplit=1)[0], *error.args[1:])


def _pool_timeout(address: DatabaseAddress) -> float | None:
    if address.pool_timeout is None:
        return POOL_TIMEOUT_SECONDS
    return address.pool_timeout or None


@dataclass(frozen=True, kw_only=True)
class _TransactionSetting:
    """A setting of PostgreSQL's, and the SQL that gives its value with one parameter."""

    name: str
    expression: str
    value: str


def _transaction_settings(address: DatabaseAddress) -> list[_TransactionSetting]:
    settings = []
    schemas = [quoted(schema) for schema in (address.own_schema, address.schema) if schema]
    if schemas:
        # Where the address names no schema of the app's, the server's own search path finds its tables.
        expression = "%s" if address.schema else "%s || ', ' || current_setting('search_path')"
        value = ", ".join(dict.fromkeys(schemas))
        settings.append(_TransactionSetting(name="search_path", expression=expression, value=value))
    if address.statement_timeout is not None:
        value = f"{address.statement_timeout:.0f}s"
        settings.append(_TransactionSetting(name="statement_timeout", expression="%s", value=value))
    return settings


def _apply_settings(connection: sa.Connection, settings: Sequence[_TransactionSetting]) -> None:
    """Set what the address asks for, for this transaction.

    pgbouncer refuses it as a startup option, and in transaction mode hands a session's setting to somebody else: inside
    the transaction is the one place that is right with and without pgbouncer.
    """
    calls = ", ".join(f"set_config('{setting.name}', {setting.expression}, true)" for setting in settings)
    connection.exec_driver_sql(f"SELECT {calls}", tuple(setting.value for setting in settings))
