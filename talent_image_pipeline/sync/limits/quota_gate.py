"""Living within the platforms' limits: whether a call may be made now, and what its answer teaches all runs.

What belongs here: the decisions about limits as pure functions, and :class:`QuotaGate`, which applies them.
What does not: the statements on the shared table (``database/quota_queries.py``), the platforms' documented figures
(each platform's own file) and retries (``retries.py``).

A limit per window is kept over all runs, not only within one: the window is cut into slices, every admitted call is
counted in its slice in the database before it is made, and a call is admitted only while all slices that the last
window touches hold less than :data:`TARGET_SHARE` of the limit. Counting one slice more than the window is long errs
on the safe side. Calls that wait at the same time are counted in one transaction. Within a run, a leaky bucket
stretches the calls out when the platform reports that a quota runs low.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import anyio
import sqlalchemy as sa
from aiolimiter import AsyncLimiter

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.database import quota_queries, transactions
from talent_image_pipeline.database.quota_queries import SharedQuota
from talent_image_pipeline.platforms.contract import Call, CallResult, Outcome, Quota, QuotaUsage, Reading, Scope

#: What we take of a documented limit: the rest is for the app's own calls and for clocks that differ.
TARGET_SHARE = 0.9
#: From here on calls are stretched out, and from there on none is made (per cent of a quota, as reported).
SLOW_FROM_PERCENT = 75.0
STOP_FROM_PERCENT = 90.0
#: The least pace above a standstill: a quota at 89 % is still used, at a tenth of the rate.
SLOWEST_PACE = 0.1
#: The longest rolling window of a limit that comes without an end: Meta's platform limits, an hour
#: (developers.facebook.com/docs/graph-api/overview/rate-limiting). TikTok's minute is said by its client.
DEFAULT_BLOCK = timedelta(hours=1)
#: Nonsense in a header must not switch a platform off for good: no documented window is longer than a day.
LONGEST_BLOCK = timedelta(days=2)
SHORTEST_BLOCK = timedelta(seconds=1)
#: A call waits this long for its turn (TikTok's minute fits in), and is left for a later run rather than longer.
LONGEST_WAIT = timedelta(seconds=75)
#: A report of usage says nothing any more after the rolling hour that it counts.
USAGE_IS_FRESH_FOR = timedelta(hours=1)
#: Reports come with every answer; the table needs them now and then.
SAVE_USAGE_EVERY = timedelta(seconds=10)

_SLICES = 12

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """No call is to be made before ``until``; ``because`` is a sentence for the data team."""

    until: datetime
    because: str


@dataclass(frozen=True, kw_only=True)
class RetryAt:
    """The window is full: there is room again at ``at``."""

    at: datetime


@dataclass(frozen=True, kw_only=True)
class Admission:
    """How many of the waiting calls are admitted, in their order, and why the next one is not."""

    admitted: int
    refusal: Blocked | RetryAt | None = None


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


def next_units_day(now: datetime, timezone: str) -> datetime:
    """Return when the daily budget is renewed: the next midnight of the quota's time zone, in ``now``'s zone."""
    zone = ZoneInfo(timezone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, tzinfo=zone).astimezone(now.tzinfo)


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


def slice_number(now: datetime, quota: Quota) -> int:
    """Return the number of the slice of the quota's window that ``now`` lies in."""
    return math.floor(now.timestamp() / _slice_seconds(quota))


def admit_calls(costs: Sequence[int], *, shared: SharedQuota, quota: Quota, now: datetime) -> Admission:
    """Decide how many of the waiting calls may be made now.

    Args:
        costs: What each call costs, in the order in which they came. A call that costs more than the whole limit is
            taken as costing the whole limit, so that it does not wait for ever.
        shared: What all runs know of the quota.
        quota: The documented limit.
        now: The time of the decision.
    """
    if shared.blocked_until is not None and shared.blocked_until > now:
        return Admission(admitted=0, refusal=_shared_block(shared))
    calls_left = _calls_per_window(quota) - _calls_in_window(shared, slice_number(now, quota))
    units_left = _units_left(shared, quota, now)
    for admitted, cost in enumerate(costs):
        calls = min(cost, _calls_per_window(quota))
        if units_left is not None and cost > units_left:
            return Admission(admitted=admitted, refusal=_out_of_units(quota, now))
        if calls > calls_left:
            missing = calls - calls_left
            return Admission(admitted=admitted, refusal=_when_there_is_room(missing, shared, quota=quota, now=now))
        calls_left -= calls
        units_left = None if units_left is None else units_left - cost
    return Admission(admitted=len(costs))


def _shared_block(shared: SharedQuota) -> Blocked | None:
    if shared.blocked_until is None:
        return None
    return Blocked(until=shared.blocked_until, because=shared.blocked_because or "the platform said stop")


def _out_of_units(quota: Quota, now: datetime) -> Blocked:
    return Blocked(
        until=next_units_day(now, quota.day_timezone),
        because=f"today's {quota.units_per_day} units of {quota.name} are used",
    )


def _when_there_is_room(missing: int, shared: SharedQuota, *, quota: Quota, now: datetime) -> RetryAt:
    """Return when enough of the oldest slices have left the window, or the whole window where nothing else helps."""
    for number, calls in sorted(shared.calls_by_slice.items()):
        if number < slice_number(now, quota) - _SLICES:
            continue
        missing -= calls
        if missing <= 0:
            return RetryAt(at=_slice_is_gone_at(number, quota, now))
    return RetryAt(at=_slice_is_gone_at(slice_number(now, quota), quota, now))


def _slice_is_gone_at(number: int, quota: Quota, now: datetime) -> datetime:
    return datetime.fromtimestamp((number + _SLICES + 1) * _slice_seconds(quota), tz=now.tzinfo)


def _slice_seconds(quota: Quota) -> float:
    return quota.per_seconds / _SLICES


def _calls_per_window(quota: Quota) -> int:
    return max(1, math.floor(quota.calls * TARGET_SHARE))


def _calls_in_window(shared: SharedQuota, current: int) -> int:
    return sum(calls for number, calls in shared.calls_by_slice.items() if number >= current - _SLICES)


def _units_left(shared: SharedQuota, quota: Quota, now: datetime) -> int | None:
    if quota.units_per_day is None:
        return None
    return quota.units_per_day - _units_used(shared, quota, now)


def _units_used(shared: SharedQuota, quota: Quota, now: datetime) -> int:
    return shared.units_used if shared.units_day == units_day(now, quota.day_timezone) else 0


def reserve_calls(
    connection: sa.Connection, *, quota: Quota, costs: Sequence[int], now: datetime
) -> tuple[Admission, SharedQuota]:
    """Decide over waiting calls and count the admitted ones, in one transaction that no other run can interleave.

    Returns:
        The decision, and what all runs knew of the quota just before.
    """
    shared = quota_queries.lock_quota(connection, quota=quota.name, now=now)
    admission = admit_calls(costs, shared=shared, quota=quota, now=now)
    current = slice_number(now, quota)
    gone = [number for number in shared.calls_by_slice if number < current - _SLICES]
    if gone:
        quota_queries.drop_slices(connection, quota=quota.name, slice_numbers=gone)
    admitted = costs[: admission.admitted]
    if admitted:
        calls = sum(min(cost, _calls_per_window(quota)) for cost in admitted)
        quota_queries.record_calls(connection, quota=quota.name, slice_number=current, calls=calls, now=now)
    if admitted and quota.units_per_day is not None:
        day = units_day(now, quota.day_timezone)
        used = _units_used(shared, quota, now) + sum(admitted)
        quota_queries.record_units(connection, quota=quota.name, day=day, units_used=used)
    return admission, shared


@dataclass(eq=False, kw_only=True)
class _Ticket:
    """One call that waits at the gate; ``answer`` is set once it was decided."""

    cost: int
    is_decided: bool = False
    refusal: Blocked | RetryAt | None = None


@dataclass(kw_only=True)
class _Lane:
    """What one run keeps of one quota."""

    quota: Quota
    limiter: AsyncLimiter
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: list[_Ticket] = field(default_factory=list)
    percent: float = 0.0
    percent_at: datetime | None = None
    saved_at: datetime | None = None
    is_saved: bool = True


class QuotaGate:
    """Lets calls through as far as the platform's limits allow; one per run, learning with all other runs.

    Args:
        engine: Where ``platform_quotas`` is.
        quotas: The documented limits of every quota that a call can name.
        clock: The time.
        sleep: How to wait for a turn, in seconds.
    """

    def __init__(
        self, *, engine: sa.Engine, quotas: Sequence[Quota], clock: Clock = utc_now, sleep: Sleep = anyio.sleep
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._sleep = sleep
        self._blocks: dict[str, Blocked] = {}
        self._lanes = {
            quota.name: _Lane(quota=quota, limiter=AsyncLimiter(_calls_per_window(quota), quota.per_seconds))
            for quota in quotas
        }

    async def load(self) -> None:
        """Learn what other runs were told, and forget what is over."""
        now = self._clock()
        await transactions.write_in_thread(self._engine, partial(quota_queries.forget_lapsed_blocks, now=now))
        blocks = await transactions.read_in_thread(
            self._engine, quota_queries.blocks_of, quotas=tuple(self._lanes), now=now
        )
        self._blocks.update({key: Blocked(until=until, because=why) for key, (until, why) in blocks.items()})

    async def admit(self, call: Call, *, deadline: datetime | None = None) -> Blocked | None:
        """Wait for the call's turn.

        Args:
            call: The call that is about to be made.
            deadline: No wait reaches beyond it, nor is any longer than :data:`LONGEST_WAIT`.

        Returns:
            None when the call may be made, and counts; otherwise why it is not to be made, and until when.
        """
        if call.cost == 0:
            return None
        if block := self.block_of(call):
            return block
        lane = self._lanes[call.quota]
        patience = LONGEST_WAIT if deadline is None else min(LONGEST_WAIT, deadline - self._clock())
        give_up_at = self._clock() + patience
        if block := await self._wait_for_room(lane, call.cost, give_up_at=give_up_at):
            return block
        if block := await self._slow_down(lane, call.cost, give_up_at=give_up_at):
            return block
        # While this call waited, the answer to another one may have said stop.
        return self.block_of(call)

    def block_of(self, call: Call) -> Blocked | None:
        """Return the block of the call's quota, or of its token where it reads with one only, as far as known here."""
        keys = [call.quota]
        if len(call.accounts) == 1:
            keys.append(token_key(call.quota, call.accounts[0].account_id))
        blocks = [self._blocks[key] for key in keys if key in self._blocks and self._blocks[key].until > self._clock()]
        return max(blocks, key=lambda block: block.until, default=None)

    async def record_answer(self, call: Call, result: CallResult) -> None:
        """Take in what an answer says of the limits; a block is shared with the other runs before this returns."""
        now = self._clock()
        for key, block in _blocks_in(call, result, now).items():
            await self._block(key, block)
        usage = result.usage
        if usage is not None and usage.is_platform_wide:
            lane = self._lanes[call.quota]
            lane.percent, lane.percent_at, lane.is_saved = usage.percent, now, False
            if lane.saved_at is None or now - lane.saved_at >= SAVE_USAGE_EVERY:
                await self._save_usage(lane)

    async def save(self) -> None:
        """Share what was learned and not yet written."""
        for lane in self._lanes.values():
            if not lane.is_saved:
                await self._save_usage(lane)

    async def _block(self, key: str, block: Blocked) -> None:
        known = self._blocks.get(key)
        if known is not None and known.until >= block.until:
            return
        self._blocks[key] = block
        store = partial(quota_queries.store_block, key=key, until=block.until, because=block.because)
        await transactions.write_in_thread(self._engine, partial(store, now=self._clock()))

    async def _wait_for_room(self, lane: _Lane, cost: int, *, give_up_at: datetime) -> Blocked | None:
        while isinstance(refusal := await self._reserve(lane, cost), RetryAt):
            if refusal.at > give_up_at:
                return _full(lane.quota, until=refusal.at)
            wait = refusal.at - self._clock()
            await self._sleep(max(wait.total_seconds(), 0.001))
        return refusal

    async def _reserve(self, lane: _Lane, cost: int) -> Blocked | RetryAt | None:
        """Ask for one call. Whoever gets the lane's turn asks for everyone who waits by then."""
        ticket = _Ticket(cost=cost)
        lane.waiting.append(ticket)
        try:
            async with lane.turn:
                if not ticket.is_decided:
                    await self._reserve_for(lane, list(lane.waiting))
        finally:
            if ticket in lane.waiting:
                lane.waiting.remove(ticket)
        return ticket.refusal

    async def _reserve_for(self, lane: _Lane, tickets: Sequence[_Ticket]) -> None:
        costs = [ticket.cost for ticket in tickets]
        reserve = partial(reserve_calls, quota=lane.quota, costs=costs, now=self._clock())
        admission, shared = await transactions.write_in_thread(self._engine, reserve)
        self._merge_shared(lane, shared, admission)
        for position, ticket in enumerate(tickets):
            ticket.refusal = None if position < admission.admitted else admission.refusal
            ticket.is_decided = True
        lane.waiting = [ticket for ticket in lane.waiting if not ticket.is_decided]

    def _merge_shared(self, lane: _Lane, shared: SharedQuota, admission: Admission) -> None:
        """Remember what other runs wrote since this one last looked."""
        if isinstance(admission.refusal, Blocked):
            self._blocks[lane.quota.name] = admission.refusal
        if shared.usage_percent is not None and shared.learned_at is not None and lane.is_saved:
            lane.percent, lane.percent_at = shared.usage_percent, shared.learned_at

    async def _slow_down(self, lane: _Lane, cost: int, *, give_up_at: datetime) -> Blocked | None:
        """Let the call drip through the bucket; at a lower pace it counts as several."""
        now = self._clock()
        amount = min(cost / self._pace(lane, now), lane.limiter.max_rate)
        drips_through_in = timedelta(seconds=amount * lane.limiter.time_period / lane.limiter.max_rate)
        if lane.limiter.has_capacity(amount) or now + drips_through_in <= give_up_at:
            with anyio.move_on_after((give_up_at - now).total_seconds()):
                await lane.limiter.acquire(amount)
                return None
        return _full(lane.quota, until=now + drips_through_in)

    def _pace(self, lane: _Lane, now: datetime) -> float:
        is_fresh = lane.percent_at is not None and now - lane.percent_at < USAGE_IS_FRESH_FOR
        return max(pace_for(lane.percent), SLOWEST_PACE) if is_fresh else 1.0

    async def _save_usage(self, lane: _Lane) -> None:
        now = self._clock()
        lane.is_saved, lane.saved_at = True, now
        store = partial(quota_queries.store_usage, quota=lane.quota.name, percent=lane.percent, now=now)
        await transactions.write_in_thread(self._engine, store)


def token_key(quota: str, account_id: str) -> str:
    """Return the key under which a block of one token alone is shared."""
    return f"{quota}/{account_id}"


def _blocks_in(call: Call, result: CallResult, now: datetime) -> dict[str, Blocked]:
    """Return the blocks that an answer asks for, by the key they are shared under: the longest of each."""
    found: list[tuple[str, Blocked]] = []
    for account, reading in zip(call.accounts, result.readings, strict=True):
        if reading.outcome is Outcome.RATE_LIMITED:
            key = call.quota if reading.scope is Scope.PLATFORM else token_key(call.quota, account.account_id)
            found.append((key, Blocked(until=blocked_until(reading, now), because=reading.message)))
    if result.usage is not None and (block := block_for_usage(result.usage, now)):
        tokens = [token_key(call.quota, account.account_id) for account in call.accounts]
        found.extend((key, block) for key in ([call.quota] if result.usage.is_platform_wide else tokens))
    return dict(sorted(found, key=lambda item: item[1].until))


def _full(quota: Quota, *, until: datetime) -> Blocked:
    return Blocked(
        until=until,
        because=f"{quota.name} allows {quota.calls} calls per {quota.per_seconds:g} s; the rest is left for later",
    )
