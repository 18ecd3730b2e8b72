"""Retries: only what may help, only a few times, never beyond the deadline."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.platforms.contract import Account, Call, CallResult, Outcome, Reading
from talent_image_pipeline.sync.limits.retries import call_with_retries, unavailable_backoff

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
DOWN = Reading(outcome=Outcome.UNAVAILABLE, message="down", is_retryable=True)
NONSENSE = Reading(outcome=Outcome.UNAVAILABLE, message="nonsense", is_retryable=False)
FINE = Reading(outcome=Outcome.UNCHANGED, message="")


class Platform:
    """Answers each account with its script, one reading per try, the last one for ever; time passes by sleeping."""

    def __init__(self, script: Mapping[str, Sequence[Reading]]) -> None:
        self.script = {name: list(readings) for name, readings in script.items()}
        self.calls: list[Call] = []
        self.waits: list[float] = []
        self.now = NOON
        self.rng = random.Random()

    async def attempt(self, call: Call) -> CallResult:
        self.calls.append(call)
        return CallResult(readings=tuple(self._next(account.account_id) for account in call.accounts))

    def _next(self, account_id: str) -> Reading:
        left = self.script[account_id]
        return left.pop(0) if len(left) > 1 else left[0]

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)

    def read(self, *, cost: int = 1, within: timedelta = timedelta(minutes=5)) -> list[Reading]:
        call = Call(accounts=tuple(Account(account_id=name, handle=name) for name in self.script), quota="q", cost=cost)

        async def scenario() -> CallResult:
            return await call_with_retries(
                call,
                attempt=self.attempt,
                deadline=NOON + within,
                rng=self.rng,
                clock=lambda: self.now,
                sleep=self.sleep,
            )

        return list(anyio.run(scenario).readings)


def test_a_passing_failure_is_tried_again_until_it_has_passed() -> None:
    platform = Platform({"a": [DOWN, DOWN, FINE]})
    assert platform.read() == [FINE]
    assert len(platform.calls) == 3


def test_three_tries_are_made_at_most() -> None:
    platform = Platform({"a": [DOWN]})
    assert platform.read() == [DOWN]
    assert len(platform.calls) == 3


@pytest.mark.parametrize(
    "reading", [NONSENSE, *(Reading(outcome=each, message="") for each in set(Outcome) - {Outcome.UNAVAILABLE})]
)
def test_what_another_try_cannot_help_is_not_tried_again(reading: Reading) -> None:
    platform = Platform({"a": [reading]})
    assert platform.read() == [reading]
    assert len(platform.calls) == 1
    assert not platform.waits


def test_only_the_accounts_of_a_batch_that_failed_are_asked_for_again_and_paid_for() -> None:
    platform = Platform({"a": [FINE], "b": [DOWN, FINE], "c": [NONSENSE], "d": [DOWN, DOWN, NONSENSE]})
    assert platform.read(cost=4) == [FINE, FINE, NONSENSE, NONSENSE]
    assert [[each.account_id for each in call.accounts] for call in platform.calls] == [
        ["a", "b", "c", "d"],
        ["b", "d"],
        ["d"],
    ]
    assert [call.cost for call in platform.calls] == [4, 2, 1]


def test_a_batch_that_costs_one_unit_costs_one_again() -> None:
    platform = Platform({"a": [DOWN, FINE], "b": [DOWN, FINE]})
    platform.read(cost=1)
    assert [call.cost for call in platform.calls] == [1, 1]


def test_no_wait_reaches_beyond_the_deadline() -> None:
    platform = Platform({"a": [DOWN]})
    assert platform.read(within=timedelta(0)) == [DOWN]
    assert len(platform.calls) == 1
    assert not platform.waits


def test_waits_are_jittered_and_their_bound_doubles() -> None:
    waits = []
    for _ in range(40):
        platform = Platform({"a": [DOWN]})
        platform.read()
        waits.append(platform.waits)
    first, second = zip(*waits, strict=True)
    assert all(0 <= wait <= 0.5 for wait in first)
    assert all(0 <= wait <= 1.0 for wait in second)
    assert max(second) > 0.5
    assert len(set(first)) > 1


@given(st.integers(0, 10_000), st.integers())
def test_the_backoff_lies_between_minutes_and_six_hours(failures: int, seed: int) -> None:
    wait = unavailable_backoff(failures, rng=random.Random(seed))
    assert timedelta(minutes=2) <= wait <= timedelta(hours=6)


@given(st.integers(1, 30), st.integers())
def test_the_backoff_never_shrinks_while_failures_go_on(failures: int, seed: int) -> None:
    shorter, longer = (unavailable_backoff(each, rng=random.Random(seed)) for each in (failures, failures + 1))
    assert shorter <= longer


def test_accounts_that_failed_together_do_not_return_together() -> None:
    rng = random.Random(1)
    assert len({unavailable_backoff(3, rng=rng) for _ in range(50)}) == 50
