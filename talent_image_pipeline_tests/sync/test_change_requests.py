"""Which runs the sensor asks for."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.candidate_queries import AccountFinding
from talent_image_pipeline.sync.planning.change_requests import (
    MAXIMUM_REQUESTS_PER_TICK,
    AccountChange,
    ChangePlan,
    FailedRun,
    change_of,
    plan_change_requests,
)
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE
from talent_image_pipeline_tests.sync.states import NOW

talent_numbers = st.integers(min_value=0, max_value=30)


def change(talent: int, *, state: str = "new", account: int = 0, waits_until: datetime | None = None) -> AccountChange:
    account_id = f"account-{talent}-{account}"
    return AccountChange(account_id=account_id, talent_id=f"talent-{talent}", state=state, waits_until=waits_until)


def plan(*changes: AccountChange, **facts: object) -> ChangePlan:
    usual: dict[str, object] = {"in_flight": frozenset(), "failed_runs": [], "sequence": 0, "now": NOW}
    return plan_change_requests(changes, **usual | facts)  # type: ignore[arg-type]


def asked(plan: ChangePlan) -> list[str]:
    return [talent_id for request in plan.requests for talent_id in request.talent_ids]


@given(talents=st.lists(talent_numbers, max_size=60), in_flight=st.sets(talent_numbers))
def test_every_change_is_asked_for_on_its_way_or_left_and_never_twice(talents: list[int], in_flight: set[int]) -> None:
    made = plan(*(change(talent) for talent in talents), in_flight={f"talent-{talent}" for talent in in_flight})
    named = asked(made)
    assert len(named) == len(set(named))
    assert set(named) == {f"talent-{talent}" for talent in set(talents) - in_flight}


def test_a_talent_with_several_changed_accounts_is_asked_for_once() -> None:
    assert asked(plan(change(1, account=1), change(1, account=2))) == ["talent-1"]


def test_many_changes_become_few_runs_and_the_rest_waits_for_the_next_tick() -> None:
    talents = BATCH_SIZE * MAXIMUM_REQUESTS_PER_TICK + 1
    made = plan(*(change(talent) for talent in range(talents)))
    assert len(made.requests) == MAXIMUM_REQUESTS_PER_TICK
    assert made.left_for_next_tick == 1
    assert "1 talent(s) are left for the next tick" in made.message


def test_a_talent_whose_run_is_on_its_way_is_not_asked_for_again() -> None:
    made = plan(change(1), in_flight={"talent-1"})
    assert made.requests == ()
    assert "on their way" in made.message


def test_a_failed_run_is_asked_for_again_after_a_backoff_and_apart_from_the_others() -> None:
    failed = [FailedRun(talent_ids=frozenset({"talent-1"}), ended_at=NOW)]
    soon = plan(change(1), change(2), failed_runs=failed, now=NOW + timedelta(seconds=1))
    assert asked(soon) == ["talent-2"]
    later = plan(change(1), change(2), failed_runs=failed, now=NOW + timedelta(minutes=1))
    assert [request.talent_ids for request in later.requests] == [("talent-2",), ("talent-1",)]


def test_a_killed_run_of_many_talents_is_asked_for_as_few_smaller_runs_until_a_talent_is_alone() -> None:
    many = [change(talent) for talent in range(BATCH_SIZE)]
    failed = FailedRun(talent_ids=frozenset(item.talent_id for item in many), ended_at=NOW)
    later = NOW + timedelta(hours=1)
    sizes = []
    for failures in (1, 2, 3):
        made = plan(*many, failed_runs=[failed] * failures, now=later)
        sizes.append(max(len(request.talent_ids) for request in made.requests))
    assert sizes[0] < BATCH_SIZE
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_the_backoff_grows_with_every_failed_run() -> None:
    failed = [FailedRun(talent_ids=frozenset({"talent-1"}), ended_at=NOW)] * 5
    assert asked(plan(change(1), failed_runs=failed, now=NOW + timedelta(minutes=1))) == []


def test_an_account_that_returns_to_an_earlier_state_gets_another_run_key() -> None:
    first = plan(change(1, state="a"), sequence=0).requests[0].run_key
    second = plan(change(1, state="b"), sequence=1).requests[0].run_key
    third = plan(change(1, state="a"), sequence=2).requests[0].run_key
    assert len({first, second, third}) == 3


def test_a_tick_that_is_evaluated_again_asks_under_the_same_key() -> None:
    assert plan(change(1), change(2), sequence=7).requests == plan(change(1), change(2), sequence=7).requests


def test_an_account_that_changes_all_the_time_waits_and_is_named_with_the_time() -> None:
    waits_until = NOW + timedelta(minutes=20)
    restless = plan(change(1, waits_until=waits_until), change(2))
    assert asked(restless) == ["talent-2"]
    assert (
        f"1 account(s) were read 4 times within an hour because they changed, and wait until {waits_until:%H:%M}"
        in (restless.message)
    )


@pytest.mark.parametrize(
    ("facts", "waits_until"),
    [
        ({"reads_by_change": 3}, None),
        ({"reads_by_change": 4}, NOW + timedelta(minutes=20)),
        ({"reads_by_change": 40}, NOW + timedelta(minutes=20)),
        ({"reads_by_change": 4, "reads_by_change_since": NOW - timedelta(hours=1)}, None),
        ({"reads_by_change": 4, "awaits_read": False}, None),
        ({"reads_by_change": 0, "reads_by_change_since": None}, None),
    ],
    ids=["three reads", "four", "forty", "an hour ago", "a disconnect needs no read", "never"],
)
def test_four_reads_by_change_within_an_hour_are_enough(facts: dict[str, Any], waits_until: datetime | None) -> None:
    usual: dict[str, Any] = {"awaits_read": True, "reads_by_change_since": NOW - timedelta(minutes=40)}
    finding = AccountFinding(account_id="a", talent_id="t", fingerprint="f", **usual | facts)
    assert change_of(finding, now=NOW).waits_until == waits_until
