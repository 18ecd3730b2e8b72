"""When failed reads are tried again: together, every quarter of an hour, an outage with one account first."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.candidate_queries import FailedRead
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.planning.failed_reads import (
    LOOKED_FOR_EVERY,
    MOST_IN_ONE_RUN,
    RetryMemory,
    RetryPlan,
    is_silent,
    plan_retries,
)
from talent_image_pipeline_tests.sync.states import NOW

UP = [Outcome.UNAVAILABLE, Outcome.UNCHANGED]
DOWN = [Outcome.UNAVAILABLE] * 8


def failed(numbers: Iterable[int], *, platform: str = "instagram") -> list[FailedRead]:
    return [FailedRead(account_id=f"{platform}-{n}", talent_id=f"talent-{n}", platform=platform) for n in numbers]


def plan(due: list[FailedRead], **facts: Any) -> RetryPlan:
    usual: dict[str, Any] = {"newest": {}, "in_flight": frozenset(), "memory": RetryMemory(), "now": NOW}
    return plan_retries(due, **usual | facts)


def test_all_that_is_due_makes_one_run() -> None:
    due = failed(range(700)) + failed(range(500, 900), platform="youtube")
    assert plan(due, newest={"instagram": UP, "youtube": UP}).talent_ids == tuple(f"talent-{n}" for n in range(900))


def test_the_next_look_is_a_quarter_of_an_hour_later() -> None:
    first = plan(failed([1]), newest={"instagram": UP})
    for minutes, asked in [(0, ()), (14, ()), (15, ("talent-2",)), (16, ("talent-2",))]:
        now = NOW + timedelta(minutes=minutes)
        assert plan(failed([2]), newest={"instagram": UP}, memory=first.memory, now=now).talent_ids == asked
    assert not first.memory.is_worth_a_look(NOW + LOOKED_FOR_EVERY - timedelta(seconds=1))


def test_an_outage_is_probed_with_one_account_per_platform() -> None:
    due = failed(range(50)) + failed(range(50, 90), platform="tiktok") + failed([95], platform="youtube")
    probe = plan(due, newest={"instagram": DOWN, "tiktok": DOWN, "youtube": UP})
    assert probe.talent_ids == ("talent-0", "talent-50", "talent-95")
    assert probe.memory.probed == {"instagram", "tiktok"}
    assert "instagram, tiktok with one account first" in probe.message


def test_as_soon_as_a_probe_is_answered_everybody_else_is_read_without_waiting_for_the_next_look() -> None:
    probe = plan(failed(range(50)), newest={"instagram": DOWN})
    soon = {"memory": probe.memory, "now": NOW + timedelta(seconds=20)}
    assert plan(failed(range(1, 50)), newest={"instagram": DOWN}, **soon).talent_ids == ()
    answered = plan(failed(range(1, 50)), newest={"instagram": [Outcome.PICTURE, *DOWN]}, **soon)
    assert len(answered.talent_ids) == 49
    assert answered.memory.probed == frozenset()


def test_a_probe_that_fails_leaves_everybody_else_untouched_until_the_next_look() -> None:
    probe = plan(failed(range(50)), newest={"instagram": DOWN})
    for seconds in (20, 300, 880):
        soon = {"memory": probe.memory, "now": NOW + timedelta(seconds=seconds)}
        assert plan(failed(range(1, 50)), newest={"instagram": DOWN}, **soon).talent_ids == ()
    later = {"memory": probe.memory, "now": NOW + LOOKED_FOR_EVERY}
    assert plan(failed(range(1, 50)), newest={"instagram": DOWN}, **later).talent_ids == ("talent-1",)


def test_a_retry_waits_for_no_run_but_one_of_its_own_talent() -> None:
    due = failed(range(3))
    assert plan(due, newest={"instagram": UP}, in_flight={"talent-1", "stranger"}).talent_ids == (
        "talent-0",
        "talent-2",
    )


def test_more_than_one_run_takes_is_asked_for_when_that_run_has_ended() -> None:
    due = failed(range(MOST_IN_ONE_RUN))
    first = plan(due, newest={"instagram": UP})
    assert len(first.talent_ids) == MOST_IN_ONE_RUN
    soon = {"memory": first.memory, "now": NOW + timedelta(seconds=10), "newest": {"instagram": UP}}
    assert plan(due, in_flight=set(first.talent_ids), **soon).talent_ids == ()
    rest = failed(range(MOST_IN_ONE_RUN, MOST_IN_ONE_RUN + 10))
    assert len(plan(rest, **soon).talent_ids) == 10


def test_a_platform_is_silent_when_none_of_its_newest_reads_was_answered() -> None:
    assert is_silent(DOWN)
    assert is_silent([Outcome.MISCONFIGURED])
    assert is_silent([*DOWN, Outcome.PICTURE])
    assert not is_silent([])
    assert not is_silent([*DOWN[:7], Outcome.RATE_LIMITED])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["instagram", "tiktok"])), max_size=20),
    st.dictionaries(st.sampled_from(["instagram", "tiktok"]), st.sampled_from([UP, DOWN])),
    st.sets(st.integers(0, 9)),
    st.integers(0, 40),
)
def test_nobody_is_forgotten_and_nobody_asked_for_twice(
    reads: list[tuple[int, str]], newest: dict[str, list[Outcome]], going: set[int], minutes: int
) -> None:
    due = [read for number, platform in reads for read in failed([number], platform=platform)]
    in_flight = {f"talent-{number}" for number in going}
    memory = RetryMemory(looked_at=NOW - timedelta(minutes=minutes))
    result = plan(due, newest=newest, in_flight=in_flight, memory=memory)
    assert len(set(result.talent_ids)) == len(result.talent_ids)
    assert in_flight.isdisjoint(result.talent_ids)
    ready = {read.platform for read in due if read.talent_id not in in_flight}
    reached = {read.platform for read in due if read.talent_id in result.talent_ids}
    assert reached >= (ready if minutes >= 15 else set())
    assert minutes >= 15 or not result.talent_ids
