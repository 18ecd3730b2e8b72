"""Who waits for which run, how many go on at once, and that a stop leaves nothing that looks as if it went on."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from talent_image_pipeline.service.refreshing import (
    MOST_REFRESHES,
    EndedRun,
    InterruptedRefreshError,
    Refreshing,
    RunState,
    TooManyRefreshesError,
)
from talent_image_pipeline.sync.planning.scope import SyncScope


class HeldJobs:
    """Jobs that go on until they are let go."""

    readiness = "ok"

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.interrupted: list[str] = []
        self.may_end = threading.Event()
        self._change = threading.Condition()

    def _begin(self, what: str) -> None:
        with self._change:
            self.begun.append(what)
            self._change.notify_all()

    def wait_until_begun(self, number: int) -> None:
        with self._change:
            assert self._change.wait_for(lambda: len(self.begun) >= number, timeout=30)

    def refresh(self, talent_id: str, *, run_id: str) -> EndedRun:
        self._begin(talent_id)
        self.may_end.wait(timeout=30)
        return EndedRun(run_id=run_id, failure=None)

    def sync_changed(self, talent_id: str, *, run_id: str) -> EndedRun:
        self._begin(f"changed {talent_id}")
        self.may_end.wait(timeout=30)
        return EndedRun(run_id=run_id, failure=None)

    def sync(self, scope: SyncScope, *, run_id: str, tags: Mapping[str, str]) -> EndedRun:
        self._begin(f"sync {' '.join(scope.talent_ids)}")
        self.may_end.wait(timeout=30)
        return EndedRun(run_id=run_id, failure=None)

    def states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        return []

    def record_interruption(self, run_id: str) -> None:
        self.interrupted.append(run_id)


async def until(*, jobs: HeldJobs, begun: int) -> None:
    """Wait until so many jobs have begun, each in a thread of its own."""
    await asyncio.to_thread(jobs.wait_until_begun, begun)


def test_many_who_ask_for_the_same_talent_share_one_run_and_others_have_their_own() -> None:
    async def ask() -> tuple[list[EndedRun], list[str]]:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs)
        asked = [asyncio.create_task(refreshing.refresh(talent)) for talent in ("a", "a", "b", "a")]
        await until(jobs=jobs, begun=2)
        jobs.may_end.set()
        return list(await asyncio.gather(*asked)), jobs.begun

    runs, begun = asyncio.run(ask())
    assert sorted(begun) == ["a", "b"]
    assert len({run.run_id for run in runs}) == 2
    assert runs[0] == runs[1] == runs[3]


def test_whoever_hangs_up_leaves_the_run_to_the_others() -> None:
    async def ask() -> EndedRun:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs)
        first, second = (asyncio.create_task(refreshing.refresh("a")) for _ in range(2))
        await until(jobs=jobs, begun=1)
        first.cancel()
        await asyncio.sleep(0)
        jobs.may_end.set()
        return await second

    assert asyncio.run(ask()).failure is None


def test_a_change_is_carried_through_by_a_run_that_begins_after_it() -> None:
    async def ask() -> list[str]:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs)
        before = asyncio.create_task(refreshing.refresh("a"))
        await until(jobs=jobs, begun=1)
        changes = [asyncio.create_task(refreshing.carry_through_change("a")) for _ in range(3)]
        await asyncio.sleep(0.01)
        jobs.may_end.set()
        after = await asyncio.gather(*changes)
        assert (await before).run_id not in {run.run_id for run in after}
        assert len({run.run_id for run in after}) == 1
        return jobs.begun

    assert asyncio.run(ask()) == ["a", "changed a"]


def test_too_many_at_once_are_asked_to_come_again() -> None:
    async def ask() -> None:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs)
        asked = [asyncio.create_task(refreshing.refresh(str(number))) for number in range(MOST_REFRESHES)]
        await until(jobs=jobs, begun=8)
        with pytest.raises(TooManyRefreshesError):
            await refreshing.refresh("one more")
        jobs.may_end.set()
        await asyncio.gather(*asked)
        await refreshing.refresh("one more")

    asyncio.run(ask())


def test_a_stop_waits_for_what_ends_in_time() -> None:
    async def stop() -> tuple[EndedRun, HeldJobs]:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs)
        asked = asyncio.create_task(refreshing.refresh("a"))
        await until(jobs=jobs, begun=1)
        ending = asyncio.create_task(refreshing.end())
        await asyncio.sleep(0.01)
        jobs.may_end.set()
        await ending
        return await asked, jobs

    run, jobs = asyncio.run(stop())
    assert run.failure is None
    assert jobs.interrupted == []


def test_what_does_not_end_in_time_is_recorded_as_interrupted_batches_too() -> None:
    async def stop() -> tuple[HeldJobs, list[Sequence[EndedRun]]]:
        jobs = HeldJobs()
        refreshing = Refreshing(jobs=jobs, seconds_to_end=0.05)
        ended: list[Sequence[EndedRun]] = []

        async def note(runs: Sequence[EndedRun]) -> None:
            ended.append(runs)

        asked = asyncio.create_task(refreshing.refresh("a"))
        scopes = {"batch-1": SyncScope(talent_ids=("b",)), "batch-2": SyncScope(talent_ids=("c",))}
        refreshing.start_batches(scopes, tags={}, on_end=note)
        assert refreshing.has_batches
        await until(jobs=jobs, begun=2)
        await refreshing.end()
        with pytest.raises(InterruptedRefreshError):
            await asked
        with pytest.raises(InterruptedRefreshError):
            await refreshing.refresh("too late")
        jobs.may_end.set()
        return jobs, ended

    jobs, ended = asyncio.run(stop())
    assert len(jobs.interrupted) == 2
    assert "batch-1" in jobs.interrupted
    assert "sync c" not in jobs.begun
    assert ended == [[]]


def test_batches_run_one_after_the_other_and_their_end_is_noted_once() -> None:
    async def run() -> tuple[list[str], list[int]]:
        jobs = HeldJobs()
        jobs.may_end.set()
        refreshing = Refreshing(jobs=jobs)
        noted: list[int] = []

        async def note(runs: Sequence[EndedRun]) -> None:
            noted.append(len(runs))

        scopes = {str(number): SyncScope(talent_ids=(str(number),)) for number in range(3)}
        await refreshing.start_batches(scopes, tags={}, on_end=note)
        await asyncio.sleep(0)
        assert not refreshing.has_batches
        return jobs.begun, noted

    assert asyncio.run(run()) == (["sync 0", "sync 1", "sync 2"], [3])
