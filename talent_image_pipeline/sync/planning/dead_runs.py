"""Which runs are dead: those whose sign of life has stood still for as long as somebody was looking.

What belongs here: the decision, and what is remembered from one look to the next.
What does not: signs of life (``sync/heartbeat.py``, ``database/heartbeat_queries.py``) and ending a run in Dagster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from talent_image_pipeline.sync.heartbeat import SECONDS_BETWEEN_BEATS

#: Four beats missed: a run that a busy machine holds up still makes one in that time.
DEAD_AFTER: Final = timedelta(seconds=4 * SECONDS_BETWEEN_BEATS)
#: A run that has begun and not opened the database yet: importing on a cold, busy machine takes its time.
FIRST_BEAT_WITHIN: Final = timedelta(seconds=45)
#: After a longer pause between two looks nothing is known of the time between: neither that of the daemon nor whether
#: the database could be written at all.
LOOKS_ARE_CONNECTED_WITHIN: Final = timedelta(seconds=25)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A run's number, none before its first sign of life, and since when it has been seen to be that."""

    beats: int | None
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Lookout:
    """What the last look saw; the sensor's cursor.

    Attributes:
        looked_at: When that was, on the clock of whoever looks.
        runs: The runs that were going on, by id.
    """

    looked_at: datetime
    runs: Mapping[str, Sighting]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The dead runs, sorted, and what to remember."""

    dead: tuple[str, ...]
    lookout: Lookout


_LOOKOUT: Final = TypeAdapter(Lookout)


def judge_runs(*, going_on: frozenset[str], beats: Mapping[str, int], before: Lookout | None, now: datetime) -> Verdict:
    """Decide which runs are dead.

    Args:
        going_on: The runs that have started and not ended, as Dagster says.
        beats: Their numbers, as the database has them now.
        before: What the last look saw.
        now: On the same clock as the last look.
    """
    is_connected = before is not None and timedelta(0) <= now - before.looked_at <= LOOKS_ARE_CONNECTED_WITHIN
    known = before.runs if before is not None and is_connected else {}
    sightings = {run_id: _look(known.get(run_id), beats.get(run_id), now) for run_id in sorted(going_on)}
    dead = tuple(run_id for run_id, sighting in sightings.items() if _is_dead(sighting, now))
    living = {run_id: sighting for run_id, sighting in sightings.items() if run_id not in dead}
    return Verdict(dead=dead, lookout=Lookout(looked_at=now, runs=living))


def lookout_from(cursor: str | None) -> Lookout | None:
    """Read what :func:`cursor_of` wrote; none where there is nothing, or something of another version."""
    if not cursor:
        return None
    try:
        return _LOOKOUT.validate_json(cursor)
    except ValueError:
        return None


def cursor_of(lookout: Lookout) -> str:
    """Write down what was seen."""
    return _LOOKOUT.dump_json(lookout).decode()


def _look(known: Sighting | None, beats: int | None, now: datetime) -> Sighting:
    if known is not None and known.beats == beats:
        return known
    return Sighting(beats=beats, since=now)


def _is_dead(sighting: Sighting, now: datetime) -> bool:
    patience = FIRST_BEAT_WITHIN if sighting.beats is None else DEAD_AFTER
    return now - sighting.since >= patience
