"""One value for the whole state of a social account, so that "did it change?" is a comparison inside the database.

What belongs here: what counts as the state, and its hash on each kind of database.
What does not: deciding what a change means (``sync/``).

The app does not move ``updatedAt`` when it reconnects or disconnects an account, so the state itself is compared. The
values of the two kinds of database differ from each other: a fingerprint is only ever compared with one that the same
database made.
"""

import hashlib
import json
import sqlite3
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

SQLITE_FUNCTION_NAME: Final = "talent_image_account_fingerprint"

_STATE_COLUMNS: Final = (
    "creatorId",
    "platform",
    "handle",
    "profileUrl",
    "connected",
    "connectionType",
    "accessToken",
    "refreshToken",
)


class _AccountFingerprint(GenericFunction[str]):
    """The function as each dialect spells it; its arguments are the state columns in order."""

    type = sa.Text()
    inherit_cache = True
    name = SQLITE_FUNCTION_NAME


@compiles(_AccountFingerprint, "postgresql")
def _compile_for_postgresql(element: _AccountFingerprint, compiler: SQLCompiler, **options: Any) -> str:
    """Hash the row's own text form: it quotes, and it tells null (nothing) from an empty string (two quotes)."""
    state = compiler.process(element.clause_expr, **options)
    return f"encode(sha256(convert_to(CAST(ROW{state} AS text), 'UTF8')), 'hex')"


def account_fingerprint(columns: sa.FromClause) -> sa.ColumnElement[str]:
    """Return the SQL expression that hashes an account's state.

    Args:
        columns: The app's ``SocialAccountConnection`` or an alias of it.

    Returns:
        64 hex digits. The same state always gives the same value within one database; the platform's case does not
        count, and null differs from an empty string.
    """
    return _AccountFingerprint(
        *(sa.func.lower(columns.c[name]) if name == "platform" else columns.c[name] for name in _STATE_COLUMNS)
    )


def register_sqlite_function(connection: sqlite3.Connection) -> None:
    """Give a SQLite connection the function that PostgreSQL has built in."""
    connection.create_function(SQLITE_FUNCTION_NAME, len(_STATE_COLUMNS), _hash_state, deterministic=True)


def _hash_state(*state: str | int | None) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
