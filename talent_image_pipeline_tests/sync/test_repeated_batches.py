"""Batches whose run failed are asked for again: whoever is still due, after a pause, in ever smaller batches."""

from datetime import timedelta
from typing import Any

from talent_image_pipeline.sync.planning.repeated_batches import (
    FIRST_PAUSE,
    MOST_REPETITIONS,
    FailedBatch,
    plan_repetitions,
    talents_given_back,
)
from talent_image_pipeline_tests.sync.states import NOW

TALENTS = tuple(f"talent-{number:03}" for number in range(200))


def batch(**changes: Any) -> FailedBatch:
    usual: dict[str, Any] = {"run_id": "run", "talent_ids": TALENTS, "trigger": "daily", "repetition": 0}
    return FailedBatch(**usual | {"ended_at": NOW - timedelta(hours=1)} | changes)


def test_whoever_is_still_due_and_in_no_other_run_is_asked_for_in_one_run() -> None:
    (again,) = plan_repetitions([batch()], due=set(TALENTS[:150]), in_flight={TALENTS[0]}, now=NOW)
    assert again.talent_ids == TALENTS[1:150]
    assert (again.trigger, again.repetition) == ("daily", 1)


def test_a_batch_that_is_done_otherwise_is_not_asked_for() -> None:
    assert list(plan_repetitions([batch()], due=set(), in_flight=set(), now=NOW)) == []


def test_the_pause_doubles_and_begins_when_the_run_failed() -> None:
    for repetition in range(MOST_REPETITIONS):
        pause = FIRST_PAUSE * 2**repetition
        early = batch(repetition=repetition, ended_at=NOW - pause + timedelta(seconds=1))
        in_time = batch(repetition=repetition, ended_at=NOW - pause)
        assert talents_given_back([early], now=NOW) == set()
        assert talents_given_back([in_time], now=NOW) == set(TALENTS)
        assert list(plan_repetitions([early], due=set(TALENTS), in_flight=set(), now=NOW)) == []
    assert talents_given_back([batch(repetition=MOST_REPETITIONS)], now=NOW) == set()


def test_one_talent_that_makes_its_run_fail_ends_up_alone() -> None:
    sizes = []
    for repetition in range(MOST_REPETITIONS):
        again = list(plan_repetitions([batch(repetition=repetition)], due=set(TALENTS), in_flight=set(), now=NOW))
        sizes.append(max(len(one.talent_ids) for one in again))
        assert [talent_id for one in again for talent_id in one.talent_ids] == list(TALENTS)
        assert len({one.run_key for one in again}) == len(again)
    assert sizes == [200, 25, 3, 1]
