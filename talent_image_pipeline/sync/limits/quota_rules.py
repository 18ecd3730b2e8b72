"""What the platforms' limits allow now: pure functions of what all runs have counted and what platforms said.

What belongs here: how many calls fit, when there is room again, and how long a stop lasts. What does not: counting and
waiting (``quota_gate.py``), and the platforms' documented figures (each platform's own file).

Every admitted call is counted before it is made, in the period in which it was admitted: a minute, or a twelfth of the
window where that is shorter. A call is admitted only while all periods that the last window touches hold less than
:data:`TARGET_SHARE` of the limit together; counting the period that the window only touches errs on the safe side.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from talent_image_pipeline.clock import next_midnight
from talent_image_pipeline.database.quota_queries import SharedQuota
from talent_image_pipeline.platforms.contract import Quota, QuotaUsage, Reading

#: What we take of a documented limit: the rest is for the app's own calls and for clocks that differ.
TARGET_SHARE = 0.9
#: From here on calls are stretched out, and from there on none is made (per cent of a quota, as reported).
SLOW_FROM_PERCENT = 75.0
STOP_FROM_PERCENT = 90.0
#: The least pace above a standstill: a quota at 89 % is still used, at a tenth of the rate.
SLOWEST_PACE = 0.1
#: A report of usage says nothing any more after the rolling hour that it counts.
USAGE_IS_FRESH_FOR = timedelta(hours=1)
#: The longest rolling window of a limit that comes without an end: Meta's platform limits, an hour
#: (developers.facebook.com/docs/graph-api/overview/rate-limiting). TikTok's minute is said by its client.
DEFAULT_BLOCK = timedelta(hours=1)
#: Nonsense in a header must not switch a platform off for good: no documented window is longer than a day.
LONGEST_BLOCK = timedelta(days=2)
SHORTEST_BLOCK = timedelta(seconds=1)

_LONGEST_PERIOD = timedelta(minutes=1)
_PERIODS_PER_WINDOW = 12


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """No call of this cost is to be made before ``until``.

    Attributes:
        until: The earliest time for it.
        because: A sentence for the data team.
        room: What a call may cost that is made now instead: a part of this one may still fit.
    """

    until: datetime
    because: str
    room: int = 0


@dataclass(frozen=True, kw_only=True)
class Admission:
    """How many calls may be made now, as counted in the window and in the day's units.

    Attributes:
        counted: What the admitted calls count as in the window; more than they cost while usage runs high.
        refusal: Why none is admitted; none when they are.
        waits_for_window: Whether the refusal only says that the window is full, so that waiting helps.
    """

    counted: int = 0
    refusal: Blocked | None = None
    waits_for_window: bool = False


def pace_for(percent: float) -> float:
    """Return at what share of its rate a quota may still be used, when so much of it is reported as used.

    Args:
        percent: Per cent of the quota used.

    Returns:
        1 below :data:`SLOW_FROM_PERCENT`, falling evenly from there, 0 from :data:`STOP_FROM_PERCENT`.
    """
    if percent < SLOW_FROM_PERCENT:
        return 1.0
    if percent >= STOP_FROM_PERCENT:
        return 0.0
    return max(SLOWEST_PACE, (STOP_FROM_PERCENT - percent) / (STOP_FROM_PERCENT - SLOW_FROM_PERCENT))


def units_day(now: datetime, timezone: str) -> str:
    """Return the day that units spent now belong to, as ``YYYY-MM-DD`` in the quota's own time zone."""
    return now.astimezone(ZoneInfo(timezone)).date().isoformat()


def period_of(now: datetime, quota: Quota) -> datetime:
    """Return the beginning of the period in which a call that is made now is counted."""
    seconds = _period(quota).total_seconds()
    return datetime.fromtimestamp(math.floor(now.timestamp() / seconds) * seconds, tz=now.tzinfo)


def oldest_period(now: datetime, quota: Quota) -> datetime:
    """Return the oldest period that a window which ends now touches."""
    return period_of(now, quota) - timedelta(seconds=quota.per_seconds)


def admit(cost: int, *, shared: SharedQuota, quota: Quota, now: datetime) -> Admission:
    """Decide whether calls of this cost may be made now.

    Args:
        cost: What they cost. More than the whole limit counts as the whole limit, so that they do not wait for ever.
        shared: What all runs know of the quota.
        quota: The documented limit.
        now: The time of the decision.
    """
    if shared.block is not None and shared.block[0] > now:
        return Admission(refusal=Blocked(until=shared.block[0], because=shared.block[1]))
    pace = _pace(shared, now)
    limit = max(1, math.floor(quota.calls * TARGET_SHARE))
    counted = min(math.ceil(cost / pace), limit)
    room = limit - sum(calls for period, calls in shared.calls.items() if period >= oldest_period(now, quota))
    units_left = math.inf if quota.units_per_day is None else quota.units_per_day - units_used(shared, quota, now)
    fits = max(0, math.floor(min(room * pace, units_left)))
    if cost > units_left:
        because = f"today's {quota.units_per_day} units of {quota.name} are used"
        return Admission(refusal=Blocked(until=next_midnight(now, quota.day_timezone), because=because, room=fits))
    if counted > room:
        until = _when_there_is_room(counted - room, shared, quota=quota, now=now)
        because = f"{quota.name} allows {quota.calls} calls per {quota.per_seconds:g} s; the rest is left for later"
        return Admission(refusal=Blocked(until=until, because=because, room=fits), waits_for_window=True)
    return Admission(counted=counted)


def units_used(shared: SharedQuota, quota: Quota, now: datetime) -> int:
    """Return the units of the day's budget that are spent."""
    return shared.units_used if shared.units_day == units_day(now, quota.day_timezone) else 0


def blocked_until(reading: Reading, now: datetime) -> datetime:
    """Return until when a ``rate_limited`` reading asks to be left alone.

    Where the platform did not say, :data:`DEFAULT_BLOCK`; never less than :data:`SHORTEST_BLOCK` nor more than
    :data:`LONGEST_BLOCK`.
    """
    return _within_reason(reading.retry_at, now)


def block_for_usage(usage: QuotaUsage, now: datetime) -> Blocked | None:
    """Return the block that reported usage asks for: one from :data:`STOP_FROM_PERCENT` on."""
    if pace_for(usage.percent) > 0:
        return None
    because = f"the platform reports {usage.percent:.0f} % of its quota used; stopped from {STOP_FROM_PERCENT:.0f} %"
    return Blocked(until=_within_reason(usage.regain_at, now), because=because)


def _within_reason(until: datetime | None, now: datetime) -> datetime:
    if until is None:
        return now + DEFAULT_BLOCK
    return min(max(until, now + SHORTEST_BLOCK), now + LONGEST_BLOCK)


def _pace(shared: SharedQuota, now: datetime) -> float:
    if shared.usage_percent is None or shared.usage_at is None or now - shared.usage_at >= USAGE_IS_FRESH_FOR:
        return 1.0
    return max(pace_for(shared.usage_percent), SLOWEST_PACE)


def _period(quota: Quota) -> timedelta:
    return min(_LONGEST_PERIOD, timedelta(seconds=quota.per_seconds / _PERIODS_PER_WINDOW))


def _when_there_is_room(missing: int, shared: SharedQuota, *, quota: Quota, now: datetime) -> datetime:
    """Return when enough of the oldest periods have left the window, or the whole window where nothing else helps."""
    last = period_of(now, quota)
    for period, calls in sorted(shared.calls.items()):
        if period < oldest_period(now, quota):
            continue
        missing -= calls
        if missing <= 0:
            last = period
            break
    return last + timedelta(seconds=quota.per_seconds) + _period(quota)
