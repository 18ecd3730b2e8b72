"""The columns of the tables behind the assets, as the UI shows them.

What belongs here: reading them from the file beside this one, which every process of Dagster's can afford to load; the
tables themselves would bring the database library with them. ``python -m talent_image_pipeline.assets.columns`` writes
the file from the tables, and a test says when to.
What does not: the tables (``database/tables.py``).
"""

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

COLUMNS_FILE = Path(__file__).with_name("columns.json")


def table_schema(table: str, *, only: Collection[str] | None = None) -> dg.TableSchema:
    """Return a table's columns, or those of them that an asset is about.

    Raises:
        KeyError: naming a table or a column that does not exist.
    """
    columns = {column["name"]: column for column in _tables()[table]}
    names = columns if only is None else only
    return dg.TableSchema(columns=[_column(columns[name]) for name in names])


def _column(column: dict[str, Any]) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=column["nullable"], unique=column["unique"])
    return dg.TableColumn(
        name=column["name"], type=column["type"], description=column["description"], constraints=constraints
    )


@cache
def _tables() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = json.loads(COLUMNS_FILE.read_text(encoding="utf-8"))
    return tables


def describe_tables() -> str:
    """Return what the file has to hold: name, type on PostgreSQL and meaning of every column of every table."""
    from sqlalchemy.dialects import postgresql

    from talent_image_pipeline.database.tables import app_metadata, metadata

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = {
        table.name: [
            {
                "name": column.name,
                "type": column.type.compile(dialect=dialect),
                "description": column.comment,
                "nullable": bool(column.nullable),
                # Of a key of several columns no single one is unique.
                "unique": bool(column.unique) or (column.primary_key and len(table.primary_key.columns) == 1),
            }
            for column in table.columns
        ]
        for table in (*app_metadata.sorted_tables, *metadata.sorted_tables)
    }
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COLUMNS_FILE.write_text(describe_tables(), encoding="utf-8")
