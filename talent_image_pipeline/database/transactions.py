"""Transactions that step aside for others and begin anew.

What belongs here: running a unit of work in one transaction, and again when the database gave it up for another one.
What does not: what is done in it, and how connections behave (``engine.py``).

Rows of the app are locked without waiting for them (PostgreSQL's ``NOWAIT``): whoever waits for a row while holding
another can be half of a deadlock, and the other half, which PostgreSQL may choose to end, would be the app's. Our own
rows are locked in one order everywhere: talents, ledger, accounts, pictures; of each, by id.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import sqlalchemy as sa
import tenacity

#: An app that keeps a row locked for longer than this has a problem of its own; the run fails and says so.
GIVE_UP_AFTER_SECONDS: Final = 30.0

_SERIALIZATION_FAILURE: Final = "40001"
_DEADLOCK_DETECTED: Final = "40P01"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_STEPPED_ASIDE: Final = frozenset({_SERIALIZATION_FAILURE, _DEADLOCK_DETECTED, _LOCK_NOT_AVAILABLE})

_Result = TypeVar("_Result")


def in_transaction(
    engine: sa.Engine,
    work: Callable[[sa.Connection], _Result],
    *,
    give_up_after_seconds: float = GIVE_UP_AFTER_SECONDS,
) -> _Result:
    """Do ``work`` in one transaction, and again from its beginning while others hold what it locks.

    Args:
        engine: The database.
        work: Called with an open transaction, possibly several times; only the last one counts.
        give_up_after_seconds: When to let the database's error through.

    Raises:
        sqlalchemy.exc.OperationalError: when another transaction held a row for too long.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_has_stepped_aside),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
        stop=tenacity.stop_after_delay(give_up_after_seconds),
        reraise=True,
    )

    def once() -> _Result:
        with engine.begin() as connection:
            return work(connection)

    return retrying(once)


def _has_stepped_aside(error: BaseException) -> bool:
    return isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "pgcode", None) in _STEPPED_ASIDE
