"""The PostgreSQL schema of our own tables, where they have one beside the app's (``TALENT_IMAGE_SCHEMA``).

What belongs here: making that schema, and moving tables into it that an earlier version made in the app's.
What does not: finding tables in it: the search path, set for each transaction, sees to that (``engine.py``).
"""

import sqlalchemy as sa

from talent_image_pipeline.database.identifiers import quoted
from talent_image_pipeline.database.tables import metadata

#: What an earlier version also had.
_FORMER_TABLES = ("app_schema_additions",)


def schema_exists(connection: sa.Connection, schema: str) -> bool:
    """Whether the database has this schema."""
    return (
        connection.execute(sa.text("SELECT to_regnamespace(quote_ident(:name))"), {"name": schema}).scalar() is not None
    )


def prepare_own_schema(connection: sa.Connection, schema: str, *, version_table: str) -> None:
    """Make the schema where it is missing, and bring tables of ours that are elsewhere into it.

    They are ours where the table with our revision lies beside them.
    """
    if not schema_exists(connection, schema):
        connection.exec_driver_sql(f"CREATE SCHEMA {quoted(schema)}")
    former = _schema_of(connection, version_table)
    if former is None or former == schema:
        return
    for name in (*metadata.tables, *_FORMER_TABLES, version_table):
        if _schema_of(connection, name) == former:
            connection.exec_driver_sql(f"ALTER TABLE {quoted(former)}.{quoted(name)} SET SCHEMA {quoted(schema)}")


def drop_own_schema_if_empty(connection: sa.Connection, schema: str) -> None:
    """Remove the schema when nothing is left in it."""
    statement = sa.text("SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:name))")
    if schema_exists(connection, schema) and connection.execute(statement, {"name": schema}).scalar_one() == 0:
        connection.exec_driver_sql(f"DROP SCHEMA {quoted(schema)}")


def _schema_of(connection: sa.Connection, table: str) -> str | None:
    """Return the schema in which the search path finds a table."""
    statement = sa.text(
        "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE pg_class.oid = to_regclass(quote_ident(:table))"
    )
    name: str | None = connection.execute(statement, {"table": table}).scalar()
    return name
