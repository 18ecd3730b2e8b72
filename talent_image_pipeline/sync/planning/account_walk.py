"""Walking over all accounts a slice at a time: where the next slice begins, how large it is, how long a round takes.

What belongs here: those decisions, and what is remembered from one tick to the next.
What does not: looking at the accounts of a slice (``database/candidate_queries.py``).

Whether an account changed is computed from its row, so that no index can find it. A tick therefore looks at as many as
its time allows, in the order of their ids, and the next tick goes on there. Small databases are one slice.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

#: What looking at a slice should take; a tick never takes more than twice that for it.
AIMED_AT: Final = timedelta(milliseconds=125)
SMALLEST_SLICE: Final = 500
LARGEST_SLICE: Final = 200_000
_FIRST_SLICE: Final = 5_000
#: A slice that was fast may have been lucky: what the next one may grow by.
_GROWTH: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Where the walk is.

    Attributes:
        after: The id of the last account that was looked at; none at the beginning of a round.
        size: How many accounts the next slice has.
        round_began_at: When the round under way began; none before the first.
        last_round_seconds: How long the last whole round took; none before there was one.
        round_ended_at: When that was.
    """

    after: str | None = None
    size: int = _FIRST_SLICE
    round_began_at: datetime | None = None
    last_round_seconds: float | None = None
    round_ended_at: datetime | None = None

    def is_resting(self, now: datetime, *, for_: timedelta) -> bool:
        """Whether a round ended less than so long ago and no other has begun."""
        return self.after is None and self.round_ended_at is not None and now - self.round_ended_at < for_


def next_step(walk: Walk, *, last_id: str | None, took: timedelta, began_at: datetime, is_crowded: bool) -> Walk:
    """Decide where the walk goes on.

    Args:
        walk: Where it was.
        last_id: The last id of the slice; none when the slice reached the last account of all.
        took: How long looking at the slice took.
        began_at: When the tick began.
        is_crowded: Whether more changed in the slice than a tick takes on: the next tick looks again, at less.
    """
    size = _next_size(walk.size, took)
    round_began_at = walk.round_began_at if walk.after is not None and walk.round_began_at is not None else began_at
    if is_crowded:
        return replace(walk, size=max(SMALLEST_SLICE, walk.size // 2), round_began_at=round_began_at)
    if last_id is not None:
        return replace(walk, after=last_id, size=size, round_began_at=round_began_at)
    seconds = max(0.0, (began_at + took - round_began_at).total_seconds())
    return Walk(after=None, size=size, last_round_seconds=seconds, round_ended_at=began_at)


def describe_walk(before: Walk, after: Walk) -> str:
    """Say what a tick looked at, and how long it takes until every account has been looked at."""
    if before.after is None and after.after is None:
        return "looked at every account"
    if after.last_round_seconds is None:
        return f"looked at up to {before.size} accounts of the first round"
    return f"looked at up to {before.size} accounts; all of them take {after.last_round_seconds:.0f} s"


def _next_size(size: int, took: timedelta) -> int:
    if took <= timedelta(0):
        return min(LARGEST_SLICE, int(size * _GROWTH))
    fitting = size * (AIMED_AT / took)
    return int(min(LARGEST_SLICE, size * _GROWTH, max(SMALLEST_SLICE, fitting)))
