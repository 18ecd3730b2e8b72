"""The one way to read and write the database: a unit of work in a transaction, repeated when the database gave it up.

What belongs here: running a unit of work, and again after a lock conflict or a lost connection. What does not: what is
done in it, and how connections behave (``engine.py``).

Rows of the app are locked without waiting for them (PostgreSQL's ``NOWAIT``): whoever waits for a row while holding
another can be half of a deadlock, and the other half, which PostgreSQL may choose to end, would be the app's. Our own
rows are locked in one order everywhere: talents, ledger, accounts, pictures; of each, by id.

A unit of work may run several times, and on a lost connection even after it was committed, when the answer to the
commit was lost: units of work are written so that repeating one does no harm.
"""

from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio.to_thread
import sqlalchemy as sa
import tenacity

from talent_image_pipeline.database.engine import read_only

#: An app that keeps a row locked for longer than this has a problem of its own; the run fails and says so.
LOCK_CONFLICTS_ARE_RETRIED_FOR_SECONDS: Final = 30.0
#: A restart or a failover of PostgreSQL is over by then; what was read is kept in memory meanwhile.
LOST_CONNECTIONS_ARE_RETRIED_FOR_SECONDS: Final = 60.0

_SERIALIZATION_FAILURE: Final = "40001"
_DEADLOCK_DETECTED: Final = "40P01"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_LOCK_CONFLICTS: Final = frozenset({_SERIALIZATION_FAILURE, _DEADLOCK_DETECTED, _LOCK_NOT_AVAILABLE})
#: ``connection_exception`` and what a server says that stops, crashed or starts
#: (postgresql.org/docs/current/errcodes-appendix.html).
_CONNECTION_EXCEPTIONS: Final = "08"
_SERVER_IS_DOWN: Final = frozenset({"57P01", "57P02", "57P03"})

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def read(
    engine: sa.Engine,
    query: Callable[Concatenate[sa.Connection, _Arguments], _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Call ``query`` in a transaction that only reads: it waits for no writer and takes no write lock.

    Args:
        engine: The database.
        query: Called with an open transaction and the arguments, possibly several times.
        arguments: What ``query`` gets besides.
        named: Likewise, by name.

    Raises:
        sqlalchemy.exc.DBAPIError: when the database cannot be reached for a minute, or refuses the query.
    """
    return _repeat(read_only(engine), lambda connection: query(connection, *arguments, **named))


def write(
    engine: sa.Engine,
    change: Callable[Concatenate[sa.Connection, _Arguments], _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Call ``change`` in a transaction, and again from its beginning while others hold what it locks.

    Args:
        engine: The database.
        change: Called with an open transaction and the arguments, possibly several times; only the last one counts.
        arguments: What ``change`` gets besides.
        named: Likewise, by name.

    Raises:
        sqlalchemy.exc.DBAPIError: when another transaction held a row for half a minute, when the database cannot be
            reached for a minute, or when it refuses the change.
    """
    return _repeat(engine, lambda connection: change(connection, *arguments, **named))


async def read_in_thread(
    engine: sa.Engine,
    query: Callable[Concatenate[sa.Connection, _Arguments], _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Do what :func:`read` does, beside the event loop."""
    return await anyio.to_thread.run_sync(lambda: read(engine, query, *arguments, **named))


async def write_in_thread(
    engine: sa.Engine,
    change: Callable[Concatenate[sa.Connection, _Arguments], _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Do what :func:`write` does, beside the event loop."""
    return await anyio.to_thread.run_sync(lambda: write(engine, change, *arguments, **named))


def is_lock_conflict(error: BaseException | None) -> bool:
    """Whether a transaction failed only because another one held a lock: it may be tried again."""
    return _sqlstate_of(error) in _LOCK_CONFLICTS


def is_lost_connection(error: BaseException | None) -> bool:
    """Whether the connection to a server was cut or refused: by a restart, a failover or the network."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    state = _sqlstate_of(error)
    if state is not None:
        return state.startswith(_CONNECTION_EXCEPTIONS) or state in _SERVER_IS_DOWN
    # Of a connection that never came about, or broke off, the driver has no code to give.
    has_server = hasattr(error.orig, "pgcode")
    return has_server and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _repeat(engine: sa.Engine, work: Callable[[sa.Connection], _Result]) -> _Result:
    def once() -> _Result:
        with engine.begin() as connection:
            return work(connection)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: is_lock_conflict(error) or is_lost_connection(error)),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
        stop=_is_over,
        reraise=True,
    )
    return retrying(once)


def _is_over(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    patience = (
        LOST_CONNECTIONS_ARE_RETRIED_FOR_SECONDS
        if is_lost_connection(error)
        else LOCK_CONFLICTS_ARE_RETRIED_FOR_SECONDS
    )
    return (state.seconds_since_start or 0.0) >= patience


def _sqlstate_of(error: BaseException | None) -> str | None:
    state: str | None = getattr(error.orig, "pgcode", None) if isinstance(error, sa.exc.DBAPIError) else None
    return state
