"""Living within the platforms' limits: counting calls with all other runs, waiting for room, sharing what answers say.

What belongs here: the effects. What does not: the decisions (``quota_rules.py``), the statements
(``database/quota_queries.py``) and retries (``retries.py``).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
import sqlalchemy as sa

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.database import quota_queries, transactions
from talent_image_pipeline.database.quota_queries import EVERYBODY
from talent_image_pipeline.platforms.contract import Call, CallResult, Outcome, Quota, Scope
from talent_image_pipeline.sync.limits import quota_rules
from talent_image_pipeline.sync.limits.quota_rules import Admission, Blocked

#: A call waits this long for its turn (TikTok's minute fits in), and is left for a later run rather than longer.
LONGEST_WAIT = timedelta(seconds=75)
#: Reports of usage come with every answer; the table needs them now and then.
SAVE_USAGE_EVERY = timedelta(seconds=10)
#: Calls are counted this many at a time, ahead of being made: a transaction for each would cost more than the calls.
COUNTED_AT_ONCE = 20

Sleep = Callable[[float], Awaitable[None]]


@dataclass(kw_only=True)
class _Lane:
    """What one run keeps of one quota: calls that it counted in a period and has not made yet, and reported usage."""

    quota: Quota
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    period: datetime | None = None
    counted_ahead: int = 0
    unsaved_percent: float | None = None
    saved_at: datetime | None = None


class QuotaGate:
    """Lets calls through as far as the platform's limits allow; one per run, learning with all other runs.

    Args:
        engine: Where the quota tables are.
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
        self._blocks: dict[tuple[str, str], Blocked] = {}
        self._lanes = {quota.name: _Lane(quota=quota) for quota in quotas}

    async def load(self) -> None:
        """Learn what other runs were told, and forget what is over."""
        now = self._clock()
        await transactions.write_in_thread(self._engine, quota_queries.forget_lapsed_blocks, now=now)
        found = await transactions.read_in_thread(
            self._engine, quota_queries.blocks_of, quotas=tuple(self._lanes), now=now
        )
        self._blocks.update({key: Blocked(until=until, because=why) for key, (until, why) in found.items()})

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
        patience = self._clock() + LONGEST_WAIT
        give_up_at = patience if deadline is None else min(patience, deadline)
        if block := await self._wait_for_room(self._lanes[call.quota], call.cost, give_up_at=give_up_at):
            return block
        # While this call waited, the answer to another one may have said stop.
        return self.block_of(call)

    def block_of(self, call: Call) -> Blocked | None:
        """Return the block of the call's quota, or of its account where it reads a single one, as far as known here."""
        keys = [(call.quota, EVERYBODY)]
        if len(call.accounts) == 1:
            keys.append((call.quota, call.accounts[0].account_id))
        blocks = [self._blocks[key] for key in keys if key in self._blocks and self._blocks[key].until > self._clock()]
        return max(blocks, key=lambda block: block.until, default=None)

    async def record_answer(self, call: Call, result: CallResult) -> None:
        """Take in what an answer says of the limits; a block is shared with the other runs before this returns."""
        now = self._clock()
        for key, block in _blocks_in(call, result, now).items():
            await self._block(key, block)
        if result.usage is not None and result.usage.is_platform_wide:
            lane = self._lanes[call.quota]
            lane.unsaved_percent = result.usage.percent
            if lane.saved_at is None or now - lane.saved_at >= SAVE_USAGE_EVERY:
                await self._save_usage(lane)

    async def save(self) -> None:
        """Share what was learned and not yet written, and give back what was counted and not made."""
        for lane in self._lanes.values():
            await self._save_usage(lane)
            if lane.counted_ahead and lane.period is not None:
                await transactions.write_in_thread(
                    self._engine, _give_back, quota=lane.quota, period=lane.period, calls=lane.counted_ahead
                )
                lane.counted_ahead = 0

    async def _block(self, key: tuple[str, str], block: Blocked) -> None:
        known = self._blocks.get(key)
        if known is not None and known.until >= block.until:
            return
        self._blocks[key] = block
        quota, account_id = key
        await transactions.write_in_thread(
            self._engine,
            quota_queries.store_block,
            quota=quota,
            account_id=account_id,
            until=block.until,
            because=block.because,
        )

    async def _wait_for_room(self, lane: _Lane, cost: int, *, give_up_at: datetime) -> Blocked | None:
        while True:
            async with lane.turn:
                admission = await self._take(lane, cost)
            refusal = admission.refusal
            if refusal is None or not admission.waits_for_window or refusal.until > give_up_at:
                return refusal
            await self._sleep(max((refusal.until - self._clock()).total_seconds(), 0.001))

    async def _take(self, lane: _Lane, cost: int) -> Admission:
        """Take what a call costs of what was counted ahead, counting more where that is used up."""
        now = self._clock()
        if lane.period != quota_rules.period_of(now, lane.quota):
            # What was counted in an earlier period may not be made in this one; there it is on the safe side.
            lane.counted_ahead = 0
        if lane.counted_ahead < cost:
            admission, ahead = await transactions.write_in_thread(
                self._engine, reserve_calls, quota=lane.quota, cost=cost, now=now
            )
            if admission.refusal is not None:
                if not admission.waits_for_window and not admission.refusal.room:
                    self._blocks[lane.quota.name, EVERYBODY] = admission.refusal
                return admission
            lane.period, lane.counted_ahead = quota_rules.period_of(now, lane.quota), cost + ahead
        lane.counted_ahead -= cost
        return Admission()

    async def _save_usage(self, lane: _Lane) -> None:
        if lane.unsaved_percent is None:
            return
        percent, lane.unsaved_percent, lane.saved_at = lane.unsaved_percent, None, self._clock()
        await transactions.write_in_thread(
            self._engine, quota_queries.store_usage, quota=lane.quota.name, percent=percent, now=lane.saved_at
        )


def reserve_calls(connection: sa.Connection, *, quota: Quota, cost: int, now: datetime) -> tuple[Admission, int]:
    """Count a call, and some that may follow it, in one transaction that no other run can interleave.

    Returns:
        The decision, and what was counted beyond ``cost``: nothing where the window is small or usage runs high, so
        that the last calls of a limit are left to whoever makes them.
    """
    shared = quota_queries.lock_quota(connection, quota=quota.name, now=now)
    ahead = COUNTED_AT_ONCE if quota.calls >= COUNTED_AT_ONCE**2 and quota.units_per_day is None else 0
    admission = quota_rules.admit(cost + ahead, shared=shared, quota=quota, now=now)
    if ahead and (admission.refusal is not None or admission.counted != cost + ahead):
        ahead = 0
        admission = quota_rules.admit(cost, shared=shared, quota=quota, now=now)
    if admission.refusal is not None:
        return admission, 0
    quota_queries.record_calls(
        connection,
        quota=quota.name,
        period=quota_rules.period_of(now, quota),
        calls=admission.counted,
        forget_before=quota_rules.oldest_period(now, quota),
    )
    if quota.units_per_day is not None:
        used = quota_rules.units_used(shared, quota, now) + cost
        day = quota_rules.units_day(now, quota.day_timezone)
        quota_queries.record_units(connection, quota=quota.name, day=day, units_used=used)
    return admission, ahead


def _give_back(connection: sa.Connection, *, quota: Quota, period: datetime, calls: int) -> None:
    quota_queries.record_calls(
        connection,
        quota=quota.name,
        period=period,
        calls=-calls,
        forget_before=period - timedelta(seconds=quota.per_seconds),
    )


def _blocks_in(call: Call, result: CallResult, now: datetime) -> dict[tuple[str, str], Blocked]:
    """Return the blocks that an answer asks for, by quota and account: the longest of each."""
    found: list[tuple[tuple[str, str], Blocked]] = []
    for account, reading in zip(call.accounts, result.readings, strict=True):
        if reading.outcome is Outcome.RATE_LIMITED:
            whom = EVERYBODY if reading.scope is Scope.PLATFORM else account.account_id
            until = quota_rules.blocked_until(reading, now)
            found.append(((call.quota, whom), Blocked(until=until, because=reading.message)))
    if result.usage is not None and (block := quota_rules.block_for_usage(result.usage, now)):
        accounts = [account.account_id for account in call.accounts]
        found.extend(
            ((call.quota, whom), block) for whom in ([EVERYBODY] if result.usage.is_platform_wide else accounts)
        )
    return dict(sorted(found, key=lambda item: item[1].until))
