"""Which runs are ended: those that stood still under somebody's eyes, and no others."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.sync.planning.dead_runs import (
    DEAD_AFTER,
    FIRST_BEAT_WITHIN,
    LOOKS_ARE_CONNECTED_WITHIN,
    Lookout,
    Verdict,
    cursor_of,
    judge_runs,
    lookout_from,
)

START = datetime(2026, 11, 21, 2, tzinfo=UTC)
LOOK = timedelta(seconds=10)


def look_on(history: list[Mapping[str, int]], *, every: timedelta = LOOK) -> list[Verdict]:
    """Look again and again at one run, ``r``, and remember through the cursor as the sensor does."""
    verdicts: list[Verdict] = []
    cursor: str | None = None
    for number, beats in enumerate(history):
        verdict = judge_runs(
            going_on=frozenset({"r"}), beats=beats, before=lookout_from(cursor), now=START + number * every
        )
        cursor = cursor_of(verdict.lookout)
        verdicts.append(verdict)
    return verdicts


def died(verdicts: list[Verdict]) -> int | None:
    """The number of the look that ended the run."""
    return next((number for number, verdict in enumerate(verdicts) if verdict.dead), None)


def test_a_run_whose_count_stands_still_is_ended_within_half_a_minute() -> None:
    verdicts = look_on([{"r": 7}] * 4)
    number = died(verdicts)
    assert number is not None
    assert DEAD_AFTER <= number * LOOK <= timedelta(seconds=30)
    assert "r" not in verdicts[number].lookout.runs


@given(st.lists(st.integers(min_value=1, max_value=3), min_size=1, max_size=50))
def test_a_run_that_beats_between_any_two_looks_is_never_ended(steps: list[int]) -> None:
    counts = [sum(steps[:number]) for number in range(1, len(steps) + 1)]
    assert died(look_on([{"r": count} for count in counts])) is None


def test_a_run_that_never_reached_the_database_is_ended_within_a_minute() -> None:
    number = died(look_on([{}] * 7))
    assert number is not None
    assert FIRST_BEAT_WITHIN <= number * LOOK <= timedelta(seconds=60)


@given(st.integers(min_value=26, max_value=100_000))
def test_nothing_is_ended_for_what_happened_while_nobody_looked(pause: int) -> None:
    """The daemon was down, or the database: the runs may have beaten all that time, or could not."""
    before = look_on([{"r": 7}] * 2)[-1].lookout
    now = before.looked_at + timedelta(seconds=pause)
    assert timedelta(seconds=pause) > LOOKS_ARE_CONNECTED_WITHIN
    assert judge_runs(going_on=frozenset({"r"}), beats={"r": 7}, before=before, now=now).dead == ()


def test_a_clock_that_was_set_back_ends_nothing() -> None:
    before = look_on([{"r": 7}] * 2)[-1].lookout
    now = before.looked_at - timedelta(minutes=5)
    assert judge_runs(going_on=frozenset({"r"}), beats={"r": 7}, before=before, now=now).dead == ()


def test_a_run_that_ended_by_itself_is_forgotten() -> None:
    before = look_on([{"r": 7}] * 2)[-1].lookout
    verdict = judge_runs(going_on=frozenset(), beats={}, before=before, now=before.looked_at + LOOK)
    assert verdict == Verdict(dead=(), lookout=Lookout(looked_at=before.looked_at + LOOK, runs={}))


def test_a_cursor_of_another_version_counts_as_none() -> None:
    assert lookout_from('{"sequence": 3}') is None
    assert lookout_from("3") is None
