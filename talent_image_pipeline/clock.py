"""The time, as everything here is handed it: aware, in UTC, injectable.

What belongs here: the one place that reads the machine's clock.
What does not: decisions about times (``sync/``) and how times are stored (``database/tables.py``).
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


def next_midnight(now: datetime, timezone: str) -> datetime:
    """Return the next midnight of an IANA time zone, across its clock changes, in ``now``'s own zone."""
    zone = ZoneInfo(timezone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, tzinfo=zone).astimezone(now.tzinfo)
