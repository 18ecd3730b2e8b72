"""From a database address as an operator writes it to what SQLAlchemy needs: pure, no connection is made.

What belongs here: the spellings that are accepted (PostgreSQL, Prisma, SQLite) and what each parameter means.
What does not: opening the database (``engine.py``).

Prisma's parameters are described at https://www.prisma.io/docs/orm/overview/databases/postgresql, libpq's at
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from talent_image_pipeline.errors import UserError

DEFAULT_CONNECT_TIMEOUT_SECONDS: Final = "10"
APPLICATION_NAME: Final = "talent_image_pipeline"

_POSTGRESQL_SCHEMES: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg2"})
_SQLITE_SCHEMES: Final = frozenset({"sqlite", "sqlite+pysqlite"})
_PASSED_TO_LIBPQ: Final = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "host",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "options",
        "port",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
# Prisma prepares statements and psycopg2 does not: that cache has no counterpart, and pgbouncer asks nothing of us.
_WITHOUT_EFFECT: Final = frozenset({"pgbouncer", "statement_cache_size"})
_MEANT_FOR_US: Final = frozenset(
    {"connection_limit", "image_schema", "pool_timeout", "schema", "socket_timeout", "sslaccept"}
)


class DatabaseAddressError(UserError):
    """The database address cannot be used. The message names the part that is wrong, never the password."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """Where the database is and how it is to be used.

    Attributes:
        url: For SQLAlchemy; its ``repr`` masks the password.
        schema: The PostgreSQL schema of the app's tables; none: the server's own search path decides.
        own_schema: The PostgreSQL schema of our own tables; none: they lie beside the app's.
        connection_limit: At most so many connections at once; none where the address does not say.
        pool_timeout: Seconds to wait for a free connection; none where the address does not say, 0 waits for ever.
        statement_timeout: Seconds that one statement may take; none where the address does not say.
        connect_arguments: What libpq is handed beside the URL.
    """

    url: sa.URL
    schema: str | None = None
    own_schema: str | None = None
    connection_limit: int | None = None
    pool_timeout: float | None = None
    statement_timeout: float | None = None
    connect_arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where this is, in words and without secrets."""
        return describe_place(self.url, schema=self.schema)


def describe_place(url: sa.URL, *, schema: str | None = None) -> str:
    """Say where a database is: kind, host, port, database and schema; neither user nor password."""
    if url.get_backend_name() == "sqlite":
        return f"the SQLite file {url.database}"
    host = url.host or _single(url.query.get("host")) or "the local socket"
    port = url.port or _single(url.query.get("port")) or 5432
    place = f"the PostgreSQL database {url.database or '(the default)'!r} at {host}, port {port}"
    return f"{place}, schema {schema!r}" if schema else place


def parse_database_address(text: str) -> DatabaseAddress:
    """Read an address as an operator writes it.

    Args:
        text: ``postgres://``, ``postgresql://`` (also with Prisma's parameters) or ``sqlite:///path``.

    Raises:
        DatabaseAddressError: when the kind of database, a parameter or a value is not known here.
    """
    try:
        url = make_url(text.strip())
    except (sa.exc.ArgumentError, ValueError):
        # The parser's own message repeats the whole address, password included.
        raise DatabaseAddressError(
            "the database address cannot be read; write it like postgresql://user:password@host:5432/database "
            "or sqlite:///path/to/file.db"
        ) from None
    if "@" in (url.host or ""):
        # Where the password holds a bare @, what follows it would be taken for the host, and be shown.
        raise DatabaseAddressError("the password in the database address has an @ in it: write it as %40")
    if url.drivername in _SQLITE_SCHEMES:
        return _sqlite_address(url)
    if url.drivername in _POSTGRESQL_SCHEMES:
        return _postgresql_address(url)
    raise DatabaseAddressError(
        f"{url.drivername!r} databases are not supported; the address must start with postgresql:// or sqlite:///"
    )


def with_own_schema(text: str, schema: str) -> str:
    """Return an operator's address with ``TALENT_IMAGE_SCHEMA`` added to it, for everybody who opens the database."""
    separator = "&" if "?" in text else "?"
    return f"{text.strip()}{separator}image_schema={quote(schema, safe='')}"


def _sqlite_address(url: sa.URL) -> DatabaseAddress:
    if "image_schema" in url.query:
        raise DatabaseAddressError("TALENT_IMAGE_SCHEMA is for PostgreSQL: a SQLite file has no schemas")
    if url.query:
        raise DatabaseAddressError(f"a SQLite address takes no parameters, and this one has {_names(url.query)}")
    if url.host or not url.database or url.database == ":memory:":
        raise DatabaseAddressError("a SQLite address must name a file, like sqlite:///path/to/file.db")
    return DatabaseAddress(url=url.set(drivername="sqlite+pysqlite"))


def _postgresql_address(url: sa.URL) -> DatabaseAddress:
    parameters = {name: _only_value(name, value) for name, value in url.query.items()}
    unknown = set(parameters) - _PASSED_TO_LIBPQ - _WITHOUT_EFFECT - _MEANT_FOR_US
    if unknown:
        raise DatabaseAddressError(
            f"the database address has parameters that are not known: {_names(unknown)}; "
            f"known are {_names(_PASSED_TO_LIBPQ | _WITHOUT_EFFECT | _MEANT_FOR_US)}"
        )
    connection_limit = _number("connection_limit", parameters)
    if connection_limit is not None and (connection_limit < 1 or connection_limit != int(connection_limit)):
        raise DatabaseAddressError("connection_limit in the database address must be a whole number from 1 on")
    return DatabaseAddress(
        url=url.set(drivername="postgresql+psycopg2", query=_socket_parameters(parameters)),
        schema=parameters.get("schema") or None,
        own_schema=parameters.get("image_schema") or None,
        connection_limit=None if connection_limit is None else int(connection_limit),
        pool_timeout=_number("pool_timeout", parameters),
        statement_timeout=_number("socket_timeout", parameters),
        connect_arguments=_libpq_arguments(parameters),
    )


def _socket_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: parameters[name] for name in ("host", "port") if name in parameters}


def _libpq_arguments(parameters: Mapping[str, str]) -> dict[str, str]:
    arguments = {"application_name": APPLICATION_NAME, "connect_timeout": DEFAULT_CONNECT_TIMEOUT_SECONDS}
    arguments |= {name: value for name, value in parameters.items() if name in _PASSED_TO_LIBPQ - {"host", "port"}}
    return arguments | _certificate_arguments(parameters)


def _certificate_arguments(parameters: Mapping[str, str]) -> dict[str, str]:
    """Turn Prisma's ``sslaccept`` into libpq's words: ``strict`` checks the certificate against the host's name."""
    accept = parameters.get("sslaccept", "accept_invalid_certs")
    if accept == "accept_invalid_certs":
        return {}
    if accept == "strict":
        return {"sslmode": "verify-full", "sslrootcert": parameters.get("sslrootcert", "system")}
    raise DatabaseAddressError("sslaccept in the database address must be strict or accept_invalid_certs")


def _number(name: str, parameters: Mapping[str, str]) -> float | None:
    if name not in parameters:
        return None
    value = parameters[name]
    if not value.isascii() or not value.isdigit():
        raise DatabaseAddressError(f"{name} in the database address must be a whole number, not {value!r}")
    return float(value)


def _only_value(name: str, value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    raise DatabaseAddressError(f"the database address names {name} more than once")


def _single(value: str | tuple[str, ...] | None) -> str | None:
    return value if value is None or isinstance(value, str) else value[0]


def _names(names: Mapping[str, object] | frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
