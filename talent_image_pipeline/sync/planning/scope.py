"""Which talents a run is about.

What belongs here: the scope that the daily run, the sensor and a person share.
What does not: who of them is due (``due.py``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

BATCH_SIZE = 200
#: A day has at most so many batches: each is a run, and asking for a run costs the daemon a query and a launch.
MOST_BATCHES_A_DAY = 500

#: A talent synced by yesterday's 02:00 run carries a stamp from seconds to a few hours after 02:00. Asking for a full
#: 24 hours at 02:00 today would find none of them due and sync everybody every 48 hours.
DAILY_MINIMUM_HOURS = 20.0

#: After this long a talent is due at any time of the day.
DUE_AFTER_HOURS = 24.0


@dataclass(frozen=True, kw_only=True)
class SyncScope:
    """Which talents a run is about.

    Attributes:
        talent_ids: Only these; empty means everyone who is due.
        limit: At most so many talents, the longest waiting first.
        force: Read them whether or not they are due.
        minimum_hours: How long ago the last sync must be for a talent to be due.
        platforms: Only accounts on these; empty means all.
    """

    talent_ids: tuple[str, ...] = ()
    limit: int = BATCH_SIZE
    force: bool = False
    minimum_hours: float = DUE_AFTER_HOURS
    platforms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: naming the field and what it must be.
        """
        if self.limit < 1:
            raise ValueError(f"limit is {self.limit}; it must be at least 1")
        if self.minimum_hours < 0:
            raise ValueError(f"minimum_hours is {self.minimum_hours}; it cannot be negative")
        if any(not talent_id.strip() for talent_id in self.talent_ids):
            raise ValueError("talent_ids holds a blank id; remove it")

    @property
    def minimum_age(self) -> timedelta:
        """``minimum_hours`` as a duration."""
        return timedelta(hours=self.minimum_hours)

    def on(self, platforms: Iterable[str]) -> "SyncScope":
        """Return the same scope, about these platforms alone."""
        return replace(self, platforms=tuple(platforms))
