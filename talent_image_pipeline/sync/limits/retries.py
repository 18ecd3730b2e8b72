"""Trying again: within a run at once, and between runs after a backoff.

What belongs here: which readings are worth another try, how long to wait, and when to give up.
What does not: stopping for a whole platform (``circuit_breaker.py``) and limits that a platform announces
(``quota_gate.py``).
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import anyio

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.platforms.contract import Account, Call, CallResult, Outcome, Reading

MOST_TRIES = 3
#: Full jitter: the first wait is anything up to this, the second anything up to twice as much.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0

FIRST_BACKOFF = timedelta(minutes=5)
LONGEST_BACKOFF = timedelta(hours=6)

Sleep = Callable[[float], Awaitable[None]]


def is_worth_another_try(reading: Reading) -> bool:
    """Whether the same call may end otherwise within seconds."""
    return reading.outcome is Outcome.UNAVAILABLE and reading.is_retryable


def unavailable_backoff(consecutive_failures: int, *, rng: random.Random) -> timedelta:
    """Return how long an account is left alone after failed reads in a row.

    The limit doubles from :data:`FIRST_BACKOFF` to :data:`LONGEST_BACKOFF`. The wait is drawn from its upper half, so
    that accounts that failed together do not return together, and none returns at once.

    Args:
        consecutive_failures: How many reads in a row failed, this one included.
        rng: Where the jitter comes from.
    """
    doublings = min(max(consecutive_failures, 1) - 1, 10)
    limit = min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)
    return limit * rng.uniform(0.5, 1.0)


async def call_with_retries(
    call: Call,
    *,
    attempt: Callable[[Call], Awaitable[CallResult]],
    deadline: datetime,
    rng: random.Random,
    clock: Clock = utc_now,
    sleep: Sleep = anyio.sleep,
) -> CallResult:
    """Make a call, and make it again for those of its accounts for whom another try may help.

    Args:
        call: The call.
        attempt: Makes it once; given the same call or one of a part of its accounts.
        deadline: The earlier one of the account's and the run's: no wait reaches beyond it. A try that is under way
            is not cut off here.
        rng: Where the jitter comes from.
        clock: The time.
        sleep: How to wait, in seconds.

    Returns:
        A reading for each account of ``call``, in its order: the last one each account got; the rest as the last
        try brought it.
    """
    readings: dict[str, Reading] = {}
    for tries in count(1):
        rest = _rest_of(call, readings)
        result = await attempt(rest)
        readings.update(
            (account.account_id, reading) for account, reading in zip(rest.accounts, result.readings, strict=True)
        )
        wait = _wait_after(tries, rng=rng)
        is_worth_it = not result.must_split and any(map(is_worth_another_try, result.readings))
        if not is_worth_it or tries >= MOST_TRIES or clock() + timedelta(seconds=wait) >= deadline:
            break
        await sleep(wait)
    return replace(result, readings=tuple(readings[account.account_id] for account in call.accounts))


def _wait_after(tries: int, *, rng: random.Random) -> float:
    return rng.uniform(0.0, min(FIRST_WAIT_SECONDS * 2 ** (tries - 1), LONGEST_WAIT_SECONDS))


def _rest_of(call: Call, readings: dict[str, Reading]) -> Call:
    """Return the call without the accounts that have been answered; each left out makes it at most one unit cheaper."""

    def is_open(account: Account) -> bool:
        return account.account_id not in readings or is_worth_another_try(readings[account.account_id])

    accounts = tuple(filter(is_open, call.accounts))
    return replace(call, accounts=accounts, cost=min(call.cost, len(accounts)))
