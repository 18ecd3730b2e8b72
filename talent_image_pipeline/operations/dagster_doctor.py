"""Whether Dagster runs what it should: judgements of what was read from its instance.

What belongs here: pure rules and their sentences. What does not: reading the instance (``automation/instance.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from talent_image_pipeline.operations.diagnosis import Diagnosis, broken, missing, ok, warning

#: A daemon writes a heartbeat every 30 seconds. Dagster itself calls it dead after half an hour, which is late.
DAEMON_IS_SILENT_AFTER = timedelta(minutes=5)
#: The daily run, and two hours for it to be late.
SYNC_IS_OVERDUE_AFTER = timedelta(hours=26)


@dataclass(frozen=True, kw_only=True)
class DagsterState:
    """What was found of Dagster.

    Attributes:
        home: Its directory; None if there is none.
        problem: Why its storage cannot be opened; None if it can be.
        has_history: Whether anything was ever stored.
        heartbeats: When each daemon that is needed was last alive, by its name; None if never.
        switched_on: Of each schedule and sensor, whether it is on.
        last_success: When a run last ended well.
    """

    home: str | None
    problem: str | None = None
    has_history: bool = True
    heartbeats: Mapping[str, datetime | None] = field(default_factory=dict)
    switched_on: Mapping[str, bool] = field(default_factory=dict)
    last_success: datetime | None = None


def judge_dagster(state: DagsterState, *, now: datetime, is_embedded: bool) -> list[Diagnosis]:
    """Judge what was found.

    Args:
        state: What was found.
        now: The present time.
        is_embedded: Whether this is the embedded default, in which nothing needs to run all the time.
    """
    home, storage = "Dagster home", "Dagster storage"
    if state.home is None:
        return [broken(home, state.problem or "There is none: set DAGSTER_HOME.")]
    found = [ok(home, f"{state.home} has a dagster.yaml.")]
    if state.problem is not None:
        return [*found, broken(storage, state.problem)]
    if not state.has_history:
        return [*found, missing(storage, "Nothing has run here yet; the first run creates it.")]
    found.append(ok(storage, "It answers."))
    found.append(_judge_daemon(state.heartbeats, now=now, is_embedded=is_embedded))
    for name, is_on in sorted(state.switched_on.items()):
        if is_on:
            found.append(ok(name, "It is on."))
        else:
            found.append(warning(name, "It was switched off: switch it on under Automation in the Dagster UI."))
    return [*found, _judge_last_success(state.last_success, now=now)]


def _judge_daemon(heartbeats: Mapping[str, datetime | None], *, now: datetime, is_embedded: bool) -> Diagnosis:
    name = "Dagster daemon"
    silent = sorted(daemon for daemon, at in heartbeats.items() if at is None or now - at > DAEMON_IS_SILENT_AFTER)
    if not silent:
        return ok(name, f"All {len(heartbeats)} parts sent a heartbeat within {_minutes(DAEMON_IS_SILENT_AFTER)}.")
    last = max((at for at in heartbeats.values() if at is not None), default=None)
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last is not None else "and never was"
    parts = "" if len(silent) == len(heartbeats) else f" ({', '.join(silent)})"
    message = f"It is not running{parts}, {since}: nothing syncs by itself. Start dagster-daemon run, or dagster dev."
    return warning(name, message) if is_embedded else broken(name, message)


def _judge_last_success(at: datetime | None, *, now: datetime) -> Diagnosis:
    name = "last successful run"
    if at is None:
        return missing(name, "No run has succeeded yet.")
    message = f"It ended at {at:%Y-%m-%d %H:%M} UTC."
    if now - at > SYNC_IS_OVERDUE_AFTER:
        return warning(name, f"{message} That is more than {SYNC_IS_OVERDUE_AFTER // timedelta(hours=1)} hours ago.")
    return ok(name, message)


def _minutes(duration: timedelta) -> str:
    return f"{duration // timedelta(minutes=1)} minutes"
