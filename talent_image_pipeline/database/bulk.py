"""Many rows in one statement, on both databases.

What belongs here: updating and upserting rows in bulk.
What does not: which rows and why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]


def update_rows(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, key: str, where: sa.ColumnElement[bool]
) -> None:
    """Set, for each row, all its values but ``key`` where the key matches and ``where`` holds.

    Every row has the same names. PostgreSQL gets one ``UPDATE ... FROM (VALUES ...)``; SQLite, which runs inside this
    process and knows no such list of values, one prepared statement.
    """
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    if connection.dialect.name == "sqlite":
        statement = (
            sa.update(table)
            .where(table.c[key] == sa.bindparam(f"new_{key}"), where)
            .values({table.c[name]: sa.bindparam(f"new_{name}") for name in names})
        )
        connection.execute(statement, [{f"new_{name}": value for name, value in row.items()} for row in rows])
        return
    columns = [key, *names]
    new = sa.values(*(sa.column(name, table.c[name].type) for name in columns), name="new").data(
        [tuple(row[name] for name in columns) for row in rows]
    )
    # A list of nothing but nulls has no type of its own.
    changes = {table.c[name]: sa.cast(new.c[name], table.c[name].type) for name in names}
    connection.execute(sa.update(table).where(table.c[key] == new.c[key], where).values(changes))


def insert_for(connection: sa.Connection, table: sa.Table) -> "postgresql.Insert | sqlite.Insert":
    """Return the dialect's ``INSERT`` that knows ``ON CONFLICT``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
