"""Reading platforms from ordinary threads: one event loop in a thread of its own, for as long as a process wants it.

What belongs here: handing out each platform's report as it is ready, and stopping reads that nobody waits for.
What does not: what is read and how (``session.py``), and the loop (``event_loop_thread.py``).
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from anyio.from_thread import BlockingPortal

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.event_loop_thread import event_loop_thread
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.reading.session import ReadingSession, open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.reports import PlatformReport

_SECONDS_TO_STOP = 30.0


@dataclass(frozen=True, kw_only=True)
class PlatformRead:
    """How reading one platform ended: with a report, or with an error of our own."""

    platform: Platform
    report: PlatformReport | None = None
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class PlatformThreads:
    """Reads platforms, several at once, for any number of callers in any threads."""

    portal: BlockingPortal
    session: ReadingSession

    def read(
        self, accounts: Sequence[tuple[Platform, Sequence[AccountRecord]]], *, run_id: str, scope: SyncScope
    ) -> Iterator[PlatformRead]:
        """Read the accounts of several platforms at once and yield how each ended, the quickest first.

        An interrupt, or a caller that stops listening, stops all of them promptly and leaves what is done: what was
        read is written and the claims are given back before this returns.
        """
        reads = [
            _Read(self.portal, self.session, platform, batch, run_id=run_id, scope=scope)
            for platform, batch in accounts
        ]
        by_future = {read.future: read.platform for read in reads}
        try:
            for future in as_completed(by_future):
                yield _ended(by_future[future], future)
        finally:
            for read in reads:
                read.stop()


def _ended(platform: Platform, future: "Future[PlatformReport]") -> PlatformRead:
    error = future.exception()
    if error is None:
        return PlatformRead(platform=platform, report=future.result())
    if isinstance(error, Exception):
        return PlatformRead(platform=platform, error=error)
    raise error


class _Read:
    """One platform that is being read in the event loop."""

    def __init__(
        self,
        portal: BlockingPortal,
        session: ReadingSession,
        platform: Platform,
        accounts: Sequence[AccountRecord],
        *,
        run_id: str,
        scope: SyncScope,
    ) -> None:
        self.platform = platform
        self._has_ended = threading.Event()

        async def read_in_loop() -> PlatformReport:
            try:
                return await session.read(
                    platform, accounts, run_id=run_id, force=scope.force, minimum_hours=scope.minimum_hours
                )
            finally:
                self._has_ended.set()

        self.future: Future[PlatformReport] = portal.start_task_soon(read_in_loop)

    def stop(self) -> None:
        """End the read if it goes on. The database must not be closed while what was read is written."""
        if not self.future.done():
            self.future.cancel()
            self._has_ended.wait(timeout=_SECONDS_TO_STOP)


@contextmanager
def open_platform_threads(
    *, settings: Settings, engine: sa.Engine, store: PictureStore, limits: ReadingLimits
) -> Iterator[PlatformThreads]:
    """Start the event loop and open what reading needs; nothing connects before it is used."""
    with ExitStack() as stack:
        portal = stack.enter_context(event_loop_thread())
        opened = open_reading_session(settings=settings, engine=engine, store=store, limits=limits)
        session = stack.enter_context(portal.wrap_async_context_manager(opened))
        yield PlatformThreads(portal=portal, session=session)
