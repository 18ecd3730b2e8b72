"""Refreshes and batches that people ask for, run in this process and shared by whoever asks for the same at once.

What belongs here: who waits for which run, how many go on at once, and ending in order.
What does not: the run itself (``runs.py``), and what is answered (``api/``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol
from uuid import uuid4

import anyio
import anyio.to_thread

from talent_image_pipeline.sync.planning.scope import SyncScope

#: Runs at once: a run mostly waits for platforms and for the disk.
REFRESHES_AT_ONCE: Final = 8
#: Refreshes that are going or wait for their turn; whoever comes later is asked to come again.
MOST_REFRESHES: Final = 64
#: How long a stop waits for what is still running when all requests have ended.
SECONDS_TO_END: Final = 5.0


class TooManyRefreshesError(Exception):
    """So many refreshes are waiting that one more would wait for too long."""


class InterruptedRefreshError(Exception):
    """The service was stopped before the run had ended; what the run had read by then is kept."""


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A run that has ended; ``failure`` says in words why it failed, none when it succeeded."""

    run_id: str
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is, in the words of Dagster, like ``STARTED`` or ``SUCCESS``."""

    run_id: str
    status: str


class Jobs(Protocol):
    """What runs jobs: blocking calls, made from threads."""

    @property
    def readiness(self) -> str:
        """``ok``, ``starting`` or ``unavailable``."""

    def refresh(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read one talent's accounts now, and wait until that is done."""

    def sync_changed(self, talent_id: str, *, run_id: str) -> EndedRun:
        """Read what changed among one talent's accounts, and wait until that is done."""

    def sync(self, scope: SyncScope, *, run_id: str, tags: Mapping[str, str]) -> EndedRun:
        """Sync the talents of a scope, and wait until that is done."""

    def states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Return how far these runs are; a run that has not begun is left out."""

    def record_interruption(self, run_id: str) -> None:
        """Note in a run's history that it was interrupted, unless it has ended."""


@dataclass(eq=False)
class _Going:
    task: "asyncio.Task[EndedRun]"
    run_id: str


@dataclass(eq=False)
class Refreshing:
    """Runs refreshes and batches of the service; one instance for a process, used from its event loop alone."""

    jobs: Jobs
    seconds_to_end: float = SECONDS_TO_END
    _by_talent: dict[str, _Going] = field(default_factory=dict)
    _batch_runs: set[_Going] = field(default_factory=set)
    _batches: "set[asyncio.Task[None]]" = field(default_factory=set)
    _refreshes: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(REFRESHES_AT_ONCE))
    _one_batch: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _is_ending: bool = False

    async def refresh(self, talent_id: str) -> EndedRun:
        """Refresh a talent, or wait for the refresh of the same talent that is going on.

        Raises:
            TooManyRefreshesError: when too many are waiting.
            InterruptedRefreshError: when the service is stopped meanwhile.
        """
        return await self._joined(talent_id, lambda run_id: self.jobs.refresh(talent_id, run_id=run_id))

    async def carry_through_change(self, talent_id: str) -> EndedRun:
        """Read what changed among a talent's accounts, with a run that begins after this call. Raises as ``refresh``.

        A run that is going on already may have read the accounts as they were before.
        """
        going = self._by_talent.get(talent_id)
        if going is not None:
            await asyncio.wait([going.task])
        return await self._joined(talent_id, lambda run_id: self.jobs.sync_changed(talent_id, run_id=run_id))

    @property
    def has_batches(self) -> bool:
        """Whether a sync of many talents is going on."""
        return bool(self._batches)

    def start_batches(
        self,
        runs: Mapping[str, SyncScope],
        *,
        tags: Mapping[str, str],
        on_end: Callable[[Sequence[EndedRun]], Awaitable[None]],
    ) -> "asyncio.Task[None]":
        """Start these runs, one after the other, and return at once.

        Args:
            runs: The scopes, each under the id that its run is to have.
            tags: For all of them.
            on_end: Awaited with those that ended, after the last one or when the service is stopped.

        Returns:
            The task that ends when all is done.
        """

        async def run_all() -> None:
            ended: list[EndedRun] = []
            try:
                for run_id, scope in runs.items():
                    going = self._start(
                        run_id, partial(self.jobs.sync, scope, run_id=run_id, tags=tags), self._one_batch
                    )
                    self._batch_runs.add(going)
                    try:
                        ended.append(await going.task)
                    finally:
                        self._batch_runs.discard(going)
            except InterruptedRefreshError:
                pass
            finally:
                await on_end(ended)

        task = asyncio.create_task(run_all())
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)
        return task

    async def end(self) -> None:
        """Take no more, wait for what is going on, and record what does not end in time as interrupted."""
        self._is_ending = True
        going = [*self._by_talent.values(), *self._batch_runs]
        if going:
            await asyncio.wait([one.task for one in going], timeout=self.seconds_to_end)
        interrupted = [one for one in going if not one.task.done()]
        for one in interrupted:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in going), *self._batches, return_exceptions=True)
        for one in interrupted:
            await anyio.to_thread.run_sync(self.jobs.record_interruption, one.run_id)

    async def _joined(self, talent_id: str, run: Callable[[str], EndedRun]) -> EndedRun:
        going = self._by_talent.get(talent_id)
        if going is None:
            if len(self._by_talent) >= MOST_REFRESHES:
                raise TooManyRefreshesError
            run_id = str(uuid4())
            going = self._start(run_id, partial(run, run_id), self._refreshes)
            self._by_talent[talent_id] = going
            going.task.add_done_callback(lambda _: self._by_talent.pop(talent_id, None))
        # Whoever hangs up leaves the run to the others.
        return await asyncio.shield(going.task)

    def _start(self, run_id: str, run: Callable[[], EndedRun], limiter: anyio.CapacityLimiter) -> _Going:
        async def in_thread() -> EndedRun:
            try:
                if self._is_ending:
                    raise InterruptedRefreshError
                return await anyio.to_thread.run_sync(run, limiter=limiter, abandon_on_cancel=True)
            except asyncio.CancelledError:
                raise InterruptedRefreshError from None

        task = asyncio.create_task(in_thread())
        task.add_done_callback(_see_failure)
        return _Going(task=task, run_id=run_id)


def _see_failure(task: "asyncio.Task[EndedRun]") -> None:
    """Look at a failure that may have nobody left to wait for it: asyncio would complain otherwise."""
    if not task.cancelled():
        task.exception()
