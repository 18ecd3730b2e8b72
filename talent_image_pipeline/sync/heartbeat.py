"""A run's sign of life, given for as long as its process lives.

What belongs here: the thread that gives it.
What does not: who looks (``planning/dead_runs.py``).
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

import sqlalchemy as sa

from talent_image_pipeline.database import heartbeat_queries

SECONDS_BETWEEN_BEATS: Final = 5.0

_logger = logging.getLogger(__name__)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@contextmanager
def beating(engine: sa.Engine, *, run_id: str, seconds: float = SECONDS_BETWEEN_BEATS) -> Iterator[None]:
    """Give a run's sign of life inside, and take it away at the end.

    While the database cannot be reached there is none, and the run goes on: whoever looks cannot reach it either.
    """
    has_ended = threading.Event()
    _try(
        engine,
        heartbeat_queries.begin_heartbeat,
        run_id=run_id,
        host=socket.gethostname(),
        process_id=os.getpid(),
    )
    thread = threading.Thread(target=_go_on, args=(engine, run_id, seconds, has_ended), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join(timeout=seconds)
        _try(engine, heartbeat_queries.forget_heartbeats, run_ids=[run_id])


def _go_on(engine: sa.Engine, run_id: str, seconds: float, has_ended: threading.Event) -> None:
    while not has_ended.wait(seconds):
        if _try(engine, heartbeat_queries.beat, run_id=run_id) is False:
            _logger.error("[TALENT_IMAGE] run %s was taken for dead, and its claims are gone", run_id)
            return


def _try(
    engine: sa.Engine,
    change: Callable[Concatenate[sa.Connection, _Arguments], _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result | None:
    """Write without trying again: the next beat comes soon, and one that waited for a minute would be of no use."""
    try:
        with engine.begin() as connection:
            return change(connection, *arguments, **named)
    except sa.exc.SQLAlchemyError as error:
        _logger.warning("[TALENT_IMAGE] the run's heartbeat could not be written: %s", type(error).__name__)
        return None
