"""The walk over all accounts: it leaves none out, keeps to its time, and says how long a round takes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.sync.planning.account_walk import (
    AIMED_AT,
    LARGEST_SLICE,
    SMALLEST_SLICE,
    Walk,
    describe_walk,
    next_step,
)

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
TICK = timedelta(seconds=5)


def walk_over(accounts: int, *, microseconds_each: float, ticks: int) -> tuple[list[int], Walk]:
    """Walk over accounts 0, 1, 2, ... ; returns which were looked at, in order, and where the walk is then."""
    walk, seen = Walk(), []
    for tick in range(ticks):
        begin = int(walk.after) + 1 if walk.after is not None else 0
        found = list(range(begin, min(accounts, begin + walk.size)))
        seen += found
        took = timedelta(microseconds=microseconds_each * max(1, len(found)))
        is_last = begin + walk.size >= accounts
        last_id = None if is_last else f"{found[-1]:09}"
        walk = next_step(walk, last_id=last_id, took=took, began_at=NOW + tick * TICK, is_crowded=False)
    return seen, walk


@given(st.integers(min_value=0, max_value=200_000), st.floats(min_value=0.1, max_value=100))
def test_every_round_looks_at_every_account_once_and_in_order(accounts: int, microseconds_each: float) -> None:
    seen, _ = walk_over(accounts, microseconds_each=microseconds_each, ticks=60)
    rounds = len(seen) // accounts if accounts else 0
    assert seen[: rounds * accounts] == list(range(accounts)) * rounds
    assert seen[rounds * accounts :] == list(range(len(seen) - rounds * accounts))


@given(st.floats(min_value=0.5, max_value=200))
def test_slices_settle_at_what_fits_into_the_time(microseconds_each: float) -> None:
    _, walk = walk_over(100_000_000, microseconds_each=microseconds_each, ticks=30)
    took = timedelta(microseconds=microseconds_each * walk.size)
    assert took <= 2 * AIMED_AT or walk.size == SMALLEST_SLICE
    assert took >= AIMED_AT / 2 or walk.size == LARGEST_SLICE


def test_the_time_of_a_round_is_told() -> None:
    _, walk = walk_over(1_000_000, microseconds_each=2, ticks=40)
    assert walk.last_round_seconds is not None
    assert walk.last_round_seconds > 3 * TICK.total_seconds()
    assert f"all of them take {walk.last_round_seconds:.0f} s" in describe_walk(
        Walk(after="9", size=10, last_round_seconds=walk.last_round_seconds), walk
    )


def test_where_more_changed_than_a_tick_takes_on_the_next_one_looks_there_again_at_less() -> None:
    before = Walk(after="5", size=4000, round_began_at=NOW)
    after = next_step(before, last_id="9", took=AIMED_AT, began_at=NOW + TICK, is_crowded=True)
    assert (after.after, after.size) == ("5", 2000)
