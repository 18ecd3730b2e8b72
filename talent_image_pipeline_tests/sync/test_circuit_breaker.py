"""The circuit breaker: a platform that is down is not asked again by the same run."""

import anyio
import anyio.lowlevel
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.limits.circuit_breaker import CircuitBreaker

outcomes = st.lists(st.sampled_from(list(Outcome)), max_size=40)


@given(outcomes, st.integers(1, 10))
def test_it_is_open_exactly_when_the_last_calls_all_failed(history: list[Outcome], threshold: int) -> None:
    breaker = CircuitBreaker(failures_to_open=threshold)
    for outcome in history:
        breaker.record(outcome)
    last = history[-threshold:]
    assert breaker.is_open == (len(last) == threshold and set(last) == {Outcome.UNAVAILABLE})


def test_any_answer_closes_it_again() -> None:
    for answer in set(Outcome) - {Outcome.UNAVAILABLE}:
        breaker = CircuitBreaker(failures_to_open=2)
        for outcome in (Outcome.UNAVAILABLE, Outcome.UNAVAILABLE, answer):
            breaker.record(outcome)
        assert not breaker.is_open, answer


def test_a_platform_that_is_down_costs_few_calls_however_many_accounts_wait() -> None:
    breaker = CircuitBreaker(failures_to_open=8)
    calls = 0

    async def read() -> None:
        nonlocal calls
        if breaker.is_open:
            return
        calls += 1
        await anyio.lowlevel.checkpoint()
        breaker.record(Outcome.UNAVAILABLE)

    async def batch(*, at_once: int) -> None:
        slots = anyio.Semaphore(at_once)

        async def one() -> None:
            async with slots:
                await read()

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(one)

    anyio.run(lambda: batch(at_once=5))
    assert 8 <= calls <= 8 + 4
