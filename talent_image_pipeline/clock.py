"""The time, as everything here is handed it: aware, in UTC, injectable.

What belongs here: the one place that reads the machine's clock.
What does not: decisions about times (``sync/``) and how times are stored (``database/tables.py``).
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)
