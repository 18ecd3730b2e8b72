"""The persistent Dagster instance: opening it with errors that a person can mend, and looking at it.

What belongs here: what is read from the instance. What does not: judging it (``operations/dagster_doctor.py``).
"""

import fcntl
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.ref import InstanceRef
from dagster_postgres.utils import DagsterPostgresException

from talent_image_pipeline.automation.schedules import daily_profile_image_sync
from talent_image_pipeline.automation.sensors import social_account_changes
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.operations.dagster_doctor import DagsterState

#: What a sync by itself needs of the daemon's parts.
_NEEDED_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
_UNSET_VARIABLE = re.compile(r'environment variable "([^"]+)" which is not set')
_opening = threading.Lock()
_SQLITE_DIRECTORY = re.compile(r"^ *sqlite: *\n(?: *#.*\n)* *base_dir: *(\S+)", re.MULTILINE)


class DagsterUnavailableError(UserError):
    """Dagster's instance cannot be opened; the message names what to mend."""


@contextmanager
def open_instance(home: Path, *, overrides: Any = None) -> Iterator[dg.DagsterInstance]:
    """Open the instance of a directory with a ``dagster.yaml``.

    Args:
        home: The directory.
        overrides: What this process wants otherwise than the file says, by section.

    Raises:
        DagsterUnavailableError: when its directory, its ``dagster.yaml`` or its storage cannot be used.
    """
    # Each of its tries to connect would print the driver's whole message; the last one is in the error.
    logging.disable(logging.WARNING)
    try:
        with _opened_by_one_at_a_time(home):
            instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))
    except (dg.DagsterError, DagsterPostgresException, sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        raise DagsterUnavailableError(f"Dagster cannot be opened in {home}: {_reason(error)}") from None
    finally:
        logging.disable(logging.NOTSET)
    _leave_logging_alone(instance)
    with instance:
        yield instance


def _leave_logging_alone(instance: dg.DagsterInstance) -> None:
    """Let runs log to Dagster's event log without setting up the process's logging for each of them.

    Dagster does that for every run, whether or not ``dagster.yaml`` names any handlers (ours names none), and closes
    every handler there is meanwhile: two runs in threads of one process then wait for each other for ever, the one with
    the logging module's lock for a handler, the other with the handler for that lock.
    """
    # An instance may also be of a class of one's own, but only through every dagster.yaml there is.
    instance.get_yaml_python_handlers = list  # type: ignore[method-assign]


@contextmanager
def _opened_by_one_at_a_time(home: Path) -> Iterator[None]:
    """Keep threads and processes from creating Dagster's SQLite files at the same moment.

    Two that do leave two rows in their version table, after which nobody can open them again.
    """
    with _opening, (home / "dagster.yaml").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def look_at_instance(home: Path | None) -> DagsterState:
    """Look at the instance in a directory, without creating anything."""
    if home is None:
        return DagsterState(home=None, problem="There is no dagster.yaml here, and DAGSTER_HOME is not set.")
    if not (home / "dagster.yaml").is_file():
        return DagsterState(
            home=None, problem=f"{home} has no dagster.yaml: point DAGSTER_HOME at a directory with one."
        )
    if _is_without_history(home):
        return DagsterState(home=str(home), has_history=False)
    try:
        with open_instance(home) as instance:
            return _look(instance, home)
    except DagsterUnavailableError as error:
        return DagsterState(home=str(home), problem=str(error))
    except (dg.DagsterError, sa.exc.SQLAlchemyError) as error:
        return DagsterState(home=str(home), problem=f"Dagster's storage cannot be read: {_reason(error)}")


def _look(instance: dg.DagsterInstance, home: Path) -> DagsterState:
    heartbeats = instance.get_daemon_heartbeats()
    successes = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)
    stopped = {state.instigator_name for state in instance.all_instigator_state() if state.status.value == "STOPPED"}
    names = (daily_profile_image_sync.name, social_account_changes.name)
    return DagsterState(
        home=str(home),
        heartbeats={
            daemon: _moment(heartbeats[daemon].timestamp) if daemon in heartbeats else None
            for daemon in _NEEDED_DAEMONS
        },
        switched_on={name: name not in stopped for name in names},
        last_success=_moment(successes[0].end_time) if successes and successes[0].end_time else None,
    )


def _is_without_history(home: Path) -> bool:
    """Whether the storage is a directory that does not exist yet; opening it would create it."""
    found = _SQLITE_DIRECTORY.search((home / "dagster.yaml").read_text(encoding="utf-8"))
    return found is not None and not Path(found[1]).exists()


def _reason(error: Exception) -> str:
    """Say why, in one line: the first cause of Dagster's configuration errors, the driver's own words otherwise."""
    if isinstance(error, ImportError) and "psycopg" in str(error):
        return "write its PostgreSQL address with postgresql+psycopg2:// in place of postgresql://."
    unset = _UNSET_VARIABLE.search(str(error))
    if unset is not None:
        return f"its dagster.yaml reads the environment variable {unset[1]}, which is not set."
    if isinstance(error, dg.DagsterInvalidConfigError):
        return "its dagster.yaml is not valid; dagster instance info says where."
    cause: Any = getattr(error.__cause__ or error, "orig", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
