"""Which rights on a PostgreSQL database a role lacks, each with the statement that gives it.

What belongs here: what a run does to which table, what a migration does, and asking the server whether the role may.
What does not: who hears of it (``operations/doctor.py``, ``migrate.py``).
See https://www.postgresql.org/docs/current/ddl-priv.html.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from talent_image_pipeline.database.identifiers import quoted
from talent_image_pipeline.database.own_schema import schema_exists
from talent_image_pipeline.database.tables import metadata, social_account_connection, talent
from talent_image_pipeline.errors import UserError

_COLUMNS_WE_WRITE: Final = {
    talent.name: ("profileImageUrl", "profileImageSource", "lastProfileImageSyncAt"),
    social_account_connection.name: ("accessToken", "refreshToken", "expiresAt"),
}
_OURS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")


class MissingRightsError(UserError):
    """The database's role may not do what is needed; the message names the role, each right and how to give it."""


@dataclass(frozen=True, kw_only=True)
class MissingRight:
    """A right that a role lacks.

    Attributes:
        role: The role of the database's address.
        right: What it may not do, e.g. ``UPDATE (profileImageUrl)``.
        target: On what, e.g. ``table "Talent"``.
        remedy: The statement for the owner of the target to run.
    """

    role: str
    right: str
    target: str
    remedy: str

    def __str__(self) -> str:
        return f"role {self.role} lacks {self.right} on {self.target}: {self.remedy}"


def missing_for_reading(connection: sa.Connection) -> list[MissingRight]:
    """Return the rights without which this connection's role cannot even look: on schemas, and to read each table."""
    if connection.dialect.name != "postgresql":
        return []
    role = _current_role(connection)
    found = list(_unusable_schemas(connection, role))
    for table in (*_COLUMNS_WE_WRITE, *metadata.tables):
        found += _missing_on_table(connection, role, table, ("SELECT",))
    return found


def missing_for_runs(connection: sa.Connection) -> list[MissingRight]:
    """Return the rights that a run needs and this connection's role lacks; SQLite has no roles."""
    if connection.dialect.name != "postgresql":
        return []
    role = _current_role(connection)
    found = list(_unusable_schemas(connection, role))
    for table, columns in _COLUMNS_WE_WRITE.items():
        found += _missing_on_table(connection, role, table, ("SELECT",))
        found += _missing_on_columns(connection, role, table, columns)
    for table in metadata.tables:
        found += _missing_on_table(connection, role, table, _OURS)
        found += _missing_on_sequences(connection, role, table)
    return found


def missing_for_migrations(
    connection: sa.Connection, *, own_schema: str | None, changes_talent: bool
) -> list[MissingRight]:
    """Return the rights that a migration needs and this connection's role lacks.

    Args:
        connection: An open connection.
        own_schema: The schema of our own tables, where it is not the app's.
        changes_talent: Whether columns or indexes of the app's table are missing.
    """
    if connection.dialect.name != "postgresql":
        return []
    role = _current_role(connection)
    found = list(_missing_to_create_tables(connection, role, own_schema))
    tables = [name for name in metadata.tables if _exists(connection, name)]
    for name in [*tables, *([talent.name] if changes_talent else [])]:
        owner = _owner_unless_own(connection, name)
        if owner is not None:
            remedy = f"GRANT {quoted(owner)} TO {quoted(role)}; or migrate as {owner}"
            found.append(
                MissingRight(role=role, right="ownership, which ALTER TABLE needs,", target=_table(name), remedy=remedy)
            )
    return found


def describe(missing: list[MissingRight]) -> str:
    """Put missing rights into one sentence."""
    return "; ".join(str(right) for right in missing)


def _current_role(connection: sa.Connection) -> str:
    role: str = connection.execute(sa.text("SELECT current_user::text")).scalar_one()
    return role


def _unusable_schemas(connection: sa.Connection, role: str) -> Iterator[MissingRight]:
    path = connection.exec_driver_sql("SHOW search_path").scalar_one()
    names = [part.strip().strip('"').replace('""', '"') for part in path.split(",")]
    for schema in names:
        if schema_exists(connection, schema) and not _allows(
            connection, "has_schema_privilege(CAST(:target AS text), 'USAGE')", target=schema
        ):
            remedy = f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)};"
            yield MissingRight(role=role, right="USAGE", target=f"schema {quoted(schema)}", remedy=remedy)


def _missing_to_create_tables(connection: sa.Connection, role: str, own_schema: str | None) -> Iterator[MissingRight]:
    if own_schema is not None and not schema_exists(connection, own_schema):
        database: str = connection.execute(sa.text("SELECT current_database()::text")).scalar_one()
        if not _allows(connection, "has_database_privilege(current_database(), 'CREATE')"):
            remedy = f"CREATE SCHEMA {quoted(own_schema)} AUTHORIZATION {quoted(role)};"
            yield MissingRight(role=role, right="CREATE", target=f"database {quoted(database)}", remedy=remedy)
        return
    schema: str | None = own_schema or connection.execute(sa.text("SELECT current_schema()::text")).scalar()
    if schema is not None and not _allows(
        connection, "has_schema_privilege(CAST(:target AS text), 'CREATE')", target=schema
    ):
        remedy = f"GRANT CREATE ON SCHEMA {quoted(schema)} TO {quoted(role)};"
        yield MissingRight(role=role, right="CREATE", target=f"schema {quoted(schema)}", remedy=remedy)


def _missing_on_table(
    connection: sa.Connection, role: str, table: str, privileges: tuple[str, ...]
) -> Iterator[MissingRight]:
    if not _exists(connection, table):
        return
    missing = [
        privilege
        for privilege in privileges
        if not _allows(
            connection,
            "has_table_privilege(to_regclass(quote_ident(:target)), :privilege)",
            target=table,
            privilege=privilege,
        )
    ]
    if missing:
        rights = ", ".join(missing)
        remedy = f"GRANT {rights} ON {quoted(table)} TO {quoted(role)};"
        yield MissingRight(role=role, right=rights, target=_table(table), remedy=remedy)


def _missing_on_columns(
    connection: sa.Connection, role: str, table: str, columns: tuple[str, ...]
) -> Iterator[MissingRight]:
    """Look at the columns that we write one by one: the app need not give more than these."""
    if not _exists(connection, table):
        return
    existing = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    missing = [
        column
        for column in columns
        if column in existing
        and not _allows(
            connection,
            "has_column_privilege(to_regclass(quote_ident(:target)), :column, 'UPDATE')",
            target=table,
            column=column,
        )
    ]
    if missing:
        right = f"UPDATE ({', '.join(quoted(column) for column in missing)})"
        remedy = f"GRANT {right} ON {quoted(table)} TO {quoted(role)};"
        yield MissingRight(role=role, right=right, target=_table(table), remedy=remedy)


def _missing_on_sequences(connection: sa.Connection, role: str, table: str) -> Iterator[MissingRight]:
    for column in metadata.tables[table].columns:
        if column.autoincrement is not True or not _exists(connection, table):
            continue
        sequence: str | None = connection.execute(
            sa.text("SELECT pg_get_serial_sequence(quote_ident(:table), :column)"),
            {"table": table, "column": column.name},
        ).scalar()
        if sequence and not _allows(
            connection, "has_sequence_privilege(CAST(:target AS text), 'USAGE')", target=sequence
        ):
            remedy = f"GRANT USAGE ON SEQUENCE {sequence} TO {quoted(role)};"
            yield MissingRight(role=role, right="USAGE", target=f"sequence {sequence}", remedy=remedy)


def _owner_unless_own(connection: sa.Connection, table: str) -> str | None:
    """Return who owns a table, unless this role may act as the owner."""
    owner: str | None = connection.execute(
        sa.text(
            "SELECT pg_get_userbyid(relowner)::text FROM pg_class"
            " WHERE oid = to_regclass(quote_ident(:table)) AND NOT pg_has_role(relowner, 'USAGE')"
        ),
        {"table": table},
    ).scalar()
    return owner


def _exists(connection: sa.Connection, table: str) -> bool:
    return _allows(connection, "to_regclass(quote_ident(:target)) IS NOT NULL", target=table)


def _allows(connection: sa.Connection, question: str, **parameters: str) -> bool:
    return bool(connection.execute(sa.text(f"SELECT {question}"), parameters).scalar())


def _table(name: str) -> str:
    return f"table {quoted(name)}"
