"""Whether a database has been migrated to the schema that this version needs.

Every command and every run asks, so this reads the migrations' file names and headers and does without Alembic, whose
import takes longer than the question.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.errors import UserError

VERSION_TABLE: Final = "talent_images_alembic_version"

_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
_REVISION: Final = re.compile(r'^revision\b[^=\n]*= *"(.+)"$', re.MULTILINE)
_DOWN_REVISION: Final = re.compile(r'^down_revision\b[^=\n]*= *"(.+)"$', re.MULTILINE)


class SchemaRevisionError(UserError):
    """The database does not have the schema that this version needs."""


def require_current_schema(engine: sa.Engine) -> None:
    """Make sure that the database has been migrated to this version's schema, and no further.

    Raises:
        SchemaRevisionError: naming the command that mends it.
    """
    with read_only(engine).connect() as connection:
        problem = schema_problem(current_revision(connection))
    if problem is not None:
        raise SchemaRevisionError(problem)


def schema_problem(current: str | None) -> str | None:
    """Say what is wrong with the revision that a database is at, or None if it is the newest that this code knows."""
    if current == newest_revision():
        return None
    if current is None:
        return "The database has not been prepared for profile images: run talent-images migrate."
    if current in _all_revisions():
        return f"The database is at an older schema, {current!r}: run talent-images migrate."
    return (
        f"The database is at schema {current!r}, which this version does not know: "
        "a newer version has migrated it. Install that version."
    )


def current_revision(connection: sa.Connection) -> str | None:
    """Return the revision that a database is at, or None if it has none of our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))
    revision: str | None = connection.scalar(sa.select(version.c.version_num))
    return revision


def newest_revision() -> str:
    """Return the newest revision that this code knows."""
    (newest,) = _all_revisions() - {found for text in _sources() for found in _DOWN_REVISION.findall(text)}
    return newest


def _all_revisions() -> frozenset[str]:
    return frozenset(found for text in _sources() for found in _REVISION.findall(text))


@cache
def _sources() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(_VERSIONS.glob("*.py")))
