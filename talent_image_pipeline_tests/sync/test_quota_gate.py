"""Limits: no run, alone or beside others, calls more often than a platform documents, or after it said stop."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.clock import next_midnight
from talent_image_pipeline.database import transactions
from talent_image_pipeline.database.quota_queries import SharedQuota
from talent_image_pipeline.database.tables import platform_blocks, platform_quota_calls, platform_quotas
from talent_image_pipeline.platforms.contract import (
    Account,
    Call,
    CallResult,
    Outcome,
    Quota,
    QuotaUsage,
    Reading,
    Scope,
)
from talent_image_pipeline.sync.limits.quota_gate import QuotaGate, reserve_calls
from talent_image_pipeline.sync.limits.quota_rules import (
    Admission,
    Blocked,
    admit,
    blocked_until,
    pace_for,
    period_of,
    units_day,
)

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PER_MINUTE = Quota(name="tiktok_user_info", calls=600, per_seconds=60)
PER_DAY = Quota(name="youtube", calls=6000, per_seconds=60, units_per_day=10, day_timezone="America/Los_Angeles")
moments = st.timedeltas(timedelta(0), timedelta(days=365)).map(NOON.__add__)


class SimulatedTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await anyio.lowlevel.checkpoint()


def call_for(account_id: str = "a", *, quota: str = PER_MINUTE.name, cost: int = 1) -> Call:
    return Call(accounts=(Account(account_id=account_id, handle=account_id),), quota=quota, cost=cost)


def limited(*, retry_at: datetime | None = None, scope: Scope = Scope.PLATFORM) -> CallResult:
    reading = Reading(outcome=Outcome.RATE_LIMITED, message="too many calls", retry_at=retry_at, scope=scope)
    return CallResult(readings=(reading,))


def answered(
    *, percent: float | None = None, regain_at: datetime | None = None, is_platform_wide: bool = True
) -> CallResult:
    usage = None
    if percent is not None:
        usage = QuotaUsage(percent=percent, regain_at=regain_at, is_platform_wide=is_platform_wide)
    return CallResult(readings=(Reading(outcome=Outcome.UNCHANGED, message=""),), usage=usage)


async def opened_gate(engine: sa.Engine, time: SimulatedTime) -> QuotaGate:
    gate = QuotaGate(engine=engine, quotas=[PER_MINUTE, PER_DAY], clock=time, sleep=time.sleep)
    await gate.load()
    return gate


# --- the pure decisions ---------------------------------------------------------------------------------------------


@given(st.floats(0, 200), st.floats(0, 200))
def test_the_pace_never_rises_with_usage(one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    assert 1.0 >= pace_for(lower) >= pace_for(higher) >= 0.0


@pytest.mark.parametrize(("percent", "pace"), [(0, 1.0), (74.9, 1.0), (90, 0.0), (100, 0.0)])
def test_the_pace_is_full_below_75_per_cent_and_none_from_90(percent: float, pace: float) -> None:
    assert pace_for(percent) == pace


def test_the_pace_is_lower_but_not_none_between_75_and_90_per_cent() -> None:
    assert 0 < pace_for(82.5) < 1


@given(moments)
def test_a_days_units_end_at_midnight_pacific(now: datetime) -> None:
    midnight = next_midnight(now, "America/Los_Angeles")
    assert now < midnight <= now + timedelta(hours=25)
    assert midnight.astimezone(ZoneInfo("America/Los_Angeles")).strftime("%H:%M:%S") == "00:00:00"
    last_moment = midnight - timedelta(microseconds=1)
    assert units_day(last_moment, "America/Los_Angeles") == units_day(now, "America/Los_Angeles")
    assert units_day(midnight, "America/Los_Angeles") > units_day(now, "America/Los_Angeles")


@given(moments, st.none() | st.timedeltas(timedelta(days=-3000), timedelta(days=3000)))
def test_a_block_always_ends_and_always_lies_ahead(now: datetime, ahead: timedelta | None) -> None:
    retry_at = None if ahead is None else now + ahead
    until = blocked_until(Reading(outcome=Outcome.RATE_LIMITED, message="", retry_at=retry_at), now)
    assert now < until <= now + timedelta(days=2)


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=2)))
def test_what_the_platform_says_of_a_blocks_end_is_obeyed_to_the_second(now: datetime, ahead: timedelta) -> None:
    reading = Reading(outcome=Outcome.RATE_LIMITED, message="", retry_at=now + ahead)
    assert blocked_until(reading, now) == now + ahead


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 80)), max_size=80), st.sampled_from([60.0, 3600.0]))
def test_no_sliding_window_ever_holds_more_than_the_documented_limit(
    steps: list[tuple[float, int]], window: float
) -> None:
    quota = Quota(name="q", calls=100, per_seconds=window)
    now, counted, made = NOON, dict[datetime, int](), list[tuple[datetime, int]]()
    for minutes, cost in steps:
        now += timedelta(seconds=minutes * window / 60)
        if admit(cost, shared=SharedQuota(calls=counted), quota=quota, now=now).refusal is None:
            period = period_of(now, quota)
            counted[period] = counted.get(period, 0) + cost
            made.append((now, cost))
        in_window = sum(calls for at, calls in made if at > now - timedelta(seconds=window))
        assert in_window <= 90


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.integers(1, 90))
def test_there_is_room_at_the_time_that_a_full_window_names(ages: list[int], cost: int) -> None:
    quota = Quota(name="q", calls=100, per_seconds=60)
    current = period_of(NOON, quota)
    shared = SharedQuota(calls={current - timedelta(seconds=5 * age): 45 for age in ages})
    refused = admit(cost, shared=shared, quota=quota, now=NOON)
    if refused.refusal is None:
        return
    assert refused.waits_for_window
    assert NOON < refused.refusal.until <= NOON + timedelta(seconds=66)
    assert admit(cost, shared=shared, quota=quota, now=refused.refusal.until).refusal is None


@given(st.integers(0, 90), st.integers(2, 90), st.sampled_from([None, 10.0, 80.0, 89.0]))
def test_what_a_refusal_says_would_still_fit_does_fit_and_one_more_does_not(
    used: int, cost: int, percent: float | None
) -> None:
    quota = Quota(name="q", calls=100, per_seconds=3600)
    shared = SharedQuota(calls={period_of(NOON, quota): used}, usage_percent=percent, usage_at=NOON)
    refusal = admit(cost, shared=shared, quota=quota, now=NOON).refusal
    if refusal is None:
        return
    assert refusal.room < cost
    if refusal.room:
        assert admit(refusal.room, shared=shared, quota=quota, now=NOON).refusal is None
    assert admit(refusal.room + 1, shared=shared, quota=quota, now=NOON).refusal is not None


def test_a_call_that_costs_more_than_the_limit_is_made_alone_rather_than_never() -> None:
    quota = Quota(name="q", calls=10, per_seconds=60)
    assert admit(50, shared=SharedQuota(), quota=quota, now=NOON) == Admission(counted=9)
    busy = SharedQuota(calls={period_of(NOON, quota): 1})
    assert admit(50, shared=busy, quota=quota, now=NOON).refusal is not None


# --- over runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quota", "most"), [(PER_DAY, 10), (PER_MINUTE, 540)])
def test_runs_at_once_never_overspend(migrated_engine: sa.Engine, quota: Quota, most: int) -> None:
    cost = 3 if quota is PER_DAY else 50

    def reserve(_: int) -> int:
        counted = 0
        for size in (cost, 1):
            admission, ahead = transactions.write(migrated_engine, reserve_calls, quota=quota, cost=size, now=NOON)
            counted += size + ahead if admission.refusal is None else 0
        return counted

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(reserve, range(24))) == most


async def _admitted_until_blocked(gate: QuotaGate, call: Call, *, limit: int) -> tuple[int, Blocked | None]:
    for count in range(limit):
        if block := await gate.admit(call):
            return count, block
    return limit, None


def test_the_days_units_are_counted_over_runs_and_come_back_at_midnight_pacific(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        call = call_for(quota=PER_DAY.name)
        assert await _admitted_until_blocked(await opened_gate(migrated_engine, time), call, limit=6) == (6, None)
        spent, block = await _admitted_until_blocked(await opened_gate(migrated_engine, time), call, limit=6)
        assert spent == 4
        assert block is not None
        assert block.until == datetime(2026, 3, 11, 7, 0, tzinfo=UTC)
        assert "10 units of youtube" in block.because
        time.now = block.until
        assert await (await opened_gate(migrated_engine, time)).admit(call) is None

    anyio.run(scenario)


def test_a_full_window_makes_the_next_call_wait_until_there_is_room(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        first, second = await opened_gate(migrated_engine, time), await opened_gate(migrated_engine, time)
        for _ in range(54):
            assert await first.admit(call_for(cost=10)) is None
        assert time.now == NOON
        assert await second.admit(call_for()) is None
        assert timedelta(seconds=60) <= time.now - NOON <= timedelta(seconds=66)

    anyio.run(scenario)


def test_a_call_is_left_for_a_later_run_rather_than_waiting_for_an_hourly_window(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        hourly = Quota(name="discovery", calls=200, per_seconds=3600)
        gate = QuotaGate(engine=migrated_engine, quotas=[hourly], clock=time, sleep=time.sleep)
        call = call_for(quota="discovery", cost=50)
        admitted, block = await _admitted_until_blocked(gate, call, limit=9)
        assert admitted == 3
        assert block is not None
        assert NOON + timedelta(hours=1) <= block.until <= NOON + timedelta(hours=1, minutes=6)
        assert time.now == NOON

    anyio.run(scenario)


def test_no_call_waits_for_its_turn_beyond_the_deadline(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        gate = await opened_gate(migrated_engine, time)
        assert await gate.admit(call_for(cost=540)) is None
        block = await gate.admit(call_for(), deadline=NOON + timedelta(seconds=30))
        assert block is not None
        assert time.now == NOON
        assert NOON + timedelta(seconds=60) <= block.until

    anyio.run(scenario)


def test_many_calls_at_once_are_all_counted(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(gate.admit, call_for(f"a{number}"))
        await gate.save()

    anyio.run(scenario)
    with migrated_engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.sum(platform_quota_calls.c.calls))) == 200


def test_what_was_counted_ahead_and_not_made_is_given_back(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        assert await gate.admit(call_for()) is None
        await gate.save()
        await gate.save()

    anyio.run(scenario)
    with migrated_engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.sum(platform_quota_calls.c.calls))) == 1


def test_what_was_counted_ahead_in_an_earlier_period_is_not_used_in_a_later_one(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        gate = await opened_gate(migrated_engine, time)
        assert await gate.admit(call_for()) is None
        time.now += timedelta(seconds=59)
        for number in range(540 - 21):
            assert await gate.admit(call_for(f"a{number}"), deadline=time.now) is None
        assert await gate.admit(call_for(), deadline=time.now) is not None

    anyio.run(scenario)


def test_counters_that_left_the_window_are_forgotten(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        for _ in range(30):
            gate = await opened_gate(migrated_engine, time)
            assert await gate.admit(call_for()) is None
            time.now += timedelta(seconds=10)

    anyio.run(scenario)
    with migrated_engine.connect() as connection:
        periods = connection.scalars(sa.select(platform_quota_calls.c.period)).all()
    assert 1 <= len(periods) <= 13


def test_calls_that_need_no_request_cost_nothing_and_never_wait(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        await gate.record_answer(call_for(), limited())
        assert await gate.admit(call_for(cost=0)) is None

    anyio.run(scenario)


# --- what platforms say ---------------------------------------------------------------------------------------------


def test_a_platform_that_said_stop_is_left_alone_by_the_next_run_too(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        until = NOON + timedelta(minutes=40)
        await (await opened_gate(migrated_engine, time)).record_answer(call_for("a"), limited(retry_at=until))
        next_run = await opened_gate(migrated_engine, time)
        block = await next_run.admit(call_for("b"))
        assert block == Blocked(until=until, because="too many calls")
        assert await next_run.admit(call_for("b", quota=PER_DAY.name)) is None

    anyio.run(scenario)


def test_a_run_that_is_under_way_heeds_the_stop_that_another_run_was_told(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        one, other = await opened_gate(migrated_engine, time), await opened_gate(migrated_engine, time)
        await one.record_answer(call_for("a"), limited())
        assert await other.admit(call_for("b")) is not None

    anyio.run(scenario)


def test_a_limit_of_one_token_stops_that_account_alone_in_every_run(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        await (await opened_gate(migrated_engine, time)).record_answer(call_for("a"), limited(scope=Scope.ACCOUNT))
        next_run = await opened_gate(migrated_engine, time)
        assert await next_run.admit(call_for("a")) is not None
        assert await next_run.admit(call_for("b")) is None

    anyio.run(scenario)


@pytest.mark.parametrize("longer_first", [True, False])
def test_a_shorter_block_never_replaces_a_longer_one(migrated_engine: sa.Engine, longer_first: bool) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        ends = [NOON + timedelta(hours=3), NOON + timedelta(minutes=1)]
        for retry_at in ends if longer_first else reversed(ends):
            await (await opened_gate(migrated_engine, time)).record_answer(call_for(), limited(retry_at=retry_at))
        block = await (await opened_gate(migrated_engine, time)).admit(call_for())
        assert block is not None
        assert block.until == ends[0]

    anyio.run(scenario)


def test_a_block_that_lapsed_is_forgotten(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        gate = await opened_gate(migrated_engine, time)
        await gate.record_answer(call_for("a"), limited(retry_at=NOON + timedelta(minutes=1)))
        await gate.record_answer(call_for("b"), limited(retry_at=NOON + timedelta(minutes=1), scope=Scope.ACCOUNT))
        time.now += timedelta(minutes=1)
        for each in (gate, await opened_gate(migrated_engine, time)):
            assert await each.admit(call_for("a")) is None
            assert await each.admit(call_for("b")) is None

    anyio.run(scenario)
    with migrated_engine.connect() as connection:
        assert connection.scalars(sa.select(platform_blocks.c.quota)).all() == []


def test_calls_stop_at_90_per_cent_of_reported_usage_until_it_is_regained(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        time = SimulatedTime()
        gate = await opened_gate(migrated_engine, time)
        await gate.record_answer(call_for(), answered(percent=89.9))
        assert await gate.admit(call_for()) is None
        regain_at = NOON + timedelta(minutes=7)
        await gate.record_answer(call_for(), answered(percent=90, regain_at=regain_at))
        for each in (gate, await opened_gate(migrated_engine, time)):
            block = await each.admit(call_for())
            assert block is not None
            assert block.until == regain_at
            assert "90 %" in block.because
        time.now = regain_at
        assert await gate.admit(call_for()) is None

    anyio.run(scenario)


def test_usage_that_one_token_reports_stops_that_token_alone(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        await gate.record_answer(call_for("a"), answered(percent=97, is_platform_wide=False))
        assert await gate.admit(call_for("a")) is not None
        assert await gate.admit(call_for("b")) is None

    anyio.run(scenario)


def test_reported_usage_reaches_the_other_runs(migrated_engine: sa.Engine) -> None:
    async def scenario() -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        for percent in (10.0, 42.0, 61.0):
            await gate.record_answer(call_for(), answered(percent=percent))
        await gate.save()

    anyio.run(scenario)
    with migrated_engine.connect() as connection:
        percent = connection.scalar(
            sa.select(platform_quotas.c.usage_percent).where(platform_quotas.c.quota == PER_MINUTE.name)
        )
    assert percent == 61.0


def test_fewer_calls_are_made_at_once_from_75_per_cent_of_reported_usage(migrated_engine: sa.Engine) -> None:
    async def admitted_at_once(percent: float) -> int:
        hourly = Quota(name=f"at {percent}", calls=100, per_seconds=3600)
        time = SimulatedTime()
        gate = QuotaGate(engine=migrated_engine, quotas=[hourly], clock=time, sleep=time.sleep)
        call = call_for(quota=hourly.name)
        await gate.record_answer(call, answered(percent=percent))
        admitted = 0
        while (block := await gate.admit(call, deadline=NOON)) is None:
            admitted += 1
        assert NOON < block.until <= NOON + timedelta(minutes=66)
        return admitted

    at_ease, slowed, slowest = (anyio.run(admitted_at_once, percent) for percent in (10.0, 80.0, 89.0))
    assert at_ease == 90
    assert 9 <= slowest < slowed < at_ease


def test_random_stops_of_several_runs_leave_the_latest_end_in_force(migrated_engine: sa.Engine) -> None:
    rng = random.Random(7)
    ends = [NOON + timedelta(minutes=rng.randint(1, 600)) for _ in range(12)]

    async def scenario(retry_at: datetime) -> None:
        gate = await opened_gate(migrated_engine, SimulatedTime())
        await gate.record_answer(call_for(), limited(retry_at=retry_at))

    def one_run(retry_at: datetime) -> None:
        anyio.run(scenario, retry_at)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one_run, ends))

    async def block() -> Blocked | None:
        return await (await opened_gate(migrated_engine, SimulatedTime())).admit(call_for())

    found = anyio.run(block)
    assert found is not None
    assert found.until == max(ends)
