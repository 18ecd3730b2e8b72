"""The circuit breaker: a platform that is down is not asked again by the same run."""

import anyio
import anyio.lowlevel
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.sync.limits.circuit_breaker import CircuitBreaker


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 10))
def test_it_is_open_exactly_when_the_last_calls_all_failed(history: list[bool], threshold: int) -> None:
    breaker = CircuitBreaker(failures_to_open=threshold)
    for answered in history:
        breaker.record(answered=answered)
    last = history[-threshold:]
    assert breaker.is_open == (len(last) == threshold and not any(last))


def test_a_platform_that_is_down_costs_few_calls_however_many_accounts_wait() -> None:
    breaker = CircuitBreaker(failures_to_open=8)
    calls = 0

    async def read() -> None:
        nonlocal calls
        if breaker.is_open:
            return
        calls += 1
        await anyio.lowlevel.checkpoint()
        breaker.record(answered=False)

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
