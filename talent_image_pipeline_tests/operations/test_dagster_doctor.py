"""What the doctor says of Dagster: a dead daemon, a switched-off schedule and an overdue sync are seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from talent_image_pipeline.operations.dagster_doctor import DagsterState, judge_dagster
from talent_image_pipeline.operations.diagnosis import Diagnosis, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WELL = DagsterState(
    home="/srv/dagster",
    heartbeats={"SENSOR": NOW - timedelta(seconds=20), "SCHEDULER": NOW - timedelta(seconds=40)},
    switched_on={"daily_profile_image_sync": True, "social_account_changes": True},
    last_success=NOW - timedelta(hours=10),
)


def judge(state: DagsterState, *, is_embedded: bool = False) -> dict[str, Diagnosis]:
    return {found.name: found for found in judge_dagster(state, now=NOW, is_embedded=is_embedded)}


def test_a_dagster_at_work_is_well() -> None:
    found = judge(WELL)

    assert {diagnosis.state for diagnosis in found.values()} == {State.OK}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("heartbeats", "says"),
    [
        ({"SENSOR": NOW - timedelta(minutes=6), "SCHEDULER": NOW}, "(SENSOR)"),
        ({"SENSOR": None, "SCHEDULER": None}, "never was"),
    ],
)
def test_a_silent_daemon_is_broken_in_production_and_a_warning_in_the_embedded_default(
    heartbeats: dict[str, datetime | None], says: str
) -> None:
    state = replace(WELL, heartbeats=heartbeats)

    assert judge(state)["Dagster daemon"].state is State.BROKEN
    assert says in judge(state)["Dagster daemon"].message
    assert judge(state, is_embedded=True)["Dagster daemon"].state is State.WARNING


def test_what_was_switched_off_is_named() -> None:
    found = judge(replace(WELL, switched_on={"daily_profile_image_sync": False, "social_account_changes": True}))

    assert found["daily_profile_image_sync"].state is State.WARNING
    assert found["social_account_changes"].state is State.OK


def test_a_sync_that_is_overdue_is_a_warning() -> None:
    assert judge(replace(WELL, last_success=NOW - timedelta(hours=27)))["last successful run"].state is State.WARNING
    assert judge(replace(WELL, last_success=None))["last successful run"].state is State.MISSING


def test_without_a_home_or_a_storage_nothing_else_is_judged() -> None:
    assert list(judge(DagsterState(home=None))) == ["Dagster home"]
    assert judge(DagsterState(home=None))["Dagster home"].state is State.BROKEN
    assert judge(replace(WELL, problem="refused"))["Dagster storage"].state is State.BROKEN
    assert judge(replace(WELL, has_history=False))["Dagster storage"].state is State.MISSING
