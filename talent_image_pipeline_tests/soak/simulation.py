"""The whole reader in one process against the sandbox, at any time that a test says it is.

What belongs here: a clock that can be moved, one run of the pipeline at that time, and what the app does to its rows.
What does not: faults, and judging what came of them (the tests).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import dagster as dg
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal, start_blocking_portal

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, candidate_queries, ledger_queries
from talent_image_pipeline.database.engine import open_engine, read_only
from talent_image_pipeline.database.tables import platform_images, social_account_connection, talent
from talent_image_pipeline.pictures.download.downloader import DownloadLimits, PictureDownloader
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.server import running_sandbox
from talent_image_pipeline.sandbox.situations import Network, PictureKind
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline.settings import settings_with
from talent_image_pipeline.sync.planning.candidates import choose_candidates
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.publishing.publish import PublishingRules, publish
from talent_image_pipeline.sync.reading.session import ReadingSession, open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.reports import PlatformReport, ResolutionReport
from talent_image_pipeline_tests.dagster_ticks import DagsterTicks, scope_of
from talent_image_pipeline_tests.rows import insert_account, insert_talent

PUBLIC_URL = "http://pictures.example"
PICTURE_SIDE = 128


class SimulatedClock:
    """The machine's clock, moved: it goes on at its real pace, so that what waits by it comes to an end."""

    def __init__(self, begins_at: datetime) -> None:
        self._offset = begins_at - utc_now()

    def __call__(self) -> datetime:
        return utc_now() + self._offset

    def advance(self, by: timedelta) -> None:
        """Let time pass at once."""
        self._offset += by

    def move_to(self, moment: datetime) -> None:
        """Let it be a later moment; the clock is never put back."""
        self._offset += max(moment - self(), timedelta())


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What one run did. Without ``resolution`` it was stopped before it published anything."""

    run_id: str
    reasons: dict[str, str]
    reports: dict[str, PlatformReport]
    resolution: ResolutionReport | None = None


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """One database, one picture store and one sandbox, under one clock."""

    clock: SimulatedClock
    world: World
    engine: sa.Engine
    store: PictureStore
    rules: PublishingRules
    portal: BlockingPortal
    session: ReadingSession
    ticks: DagsterTicks
    numbers: "count[int]" = field(default_factory=count)

    # The app's side

    def add_talent(self, talent_id: str, **values: Any) -> None:
        """Let the app have a talent."""
        with self.engine.begin() as connection:
            insert_talent(connection, id=talent_id, **values)

    def add_upstream(self, network: Network | str, handle: str, *, number: int | None = None) -> None:
        """Let a network have an account, with a small picture that looks like no other."""
        seed = next(self.numbers) if number is None else number
        picture = Picture(kind=PictureKind.CROWD, seed=seed, size=PICTURE_SIDE)
        self.world.add_account(network, handle, picture=picture)

    def connect(self, talent_id: str, network: Network | str, handle: str, *, with_token: bool = True) -> str:
        """Let a talent connect an account of the sandbox, as the app would store it; returns the connection's id."""
        account_id = f"{talent_id}-{network}"
        values: dict[str, Any] = {"platform": Network(network).upper(), "handle": handle}
        if with_token and network != Network.YOUTUBE:
            values |= self._tokens(network, handle, names=("access_token", "refresh_token", "expires_at"))
        with self.engine.begin() as connection:
            insert_account(connection, id=account_id, talent_id=talent_id, **values)
        return account_id

    def reconnect(self, account_id: str, network: Network | str, handle: str, *, with_token: bool = True) -> None:
        """Let a talent connect an account anew, perhaps another one, as the app stores it."""
        tokens: dict[str, Any] = {"accessToken": None, "refreshToken": None, "expiresAt": None}
        if with_token and network != Network.YOUTUBE:
            tokens = self._tokens(network, handle, names=("accessToken", "refreshToken", "expiresAt"))
        self.change_account(account_id, handle=handle, connected=True, **tokens)

    def _tokens(self, network: Network | str, handle: str, *, names: Sequence[str]) -> dict[str, Any]:
        given = self.world.connect(network, handle)
        return dict(zip(names, (given.access_token, given.refresh_token, given.expires_at), strict=True))

    def change_account(self, account_id: str, **values: Any) -> None:
        """Change a connection as the app does: without touching ``updatedAt``."""
        row = social_account_connection.c.id == account_id
        with self.engine.begin() as connection:
            connection.execute(sa.update(social_account_connection).where(row).values(**values))

    def delete_account(self, account_id: str) -> None:
        """Remove a connection."""
        with self.engine.begin() as connection:
            row = social_account_connection.c.id == account_id
            connection.execute(sa.delete(social_account_connection).where(row))

    def delete_talent(self, talent_id: str) -> None:
        """Remove a talent and, as the app's foreign key does, its connections."""
        with self.engine.begin() as connection:
            of_talent = social_account_connection.c.creatorId == talent_id
            connection.execute(sa.delete(social_account_connection).where(of_talent))
            connection.execute(sa.delete(talent).where(talent.c.id == talent_id))

    def shown(self, talent_id: str) -> tuple[str, str | None]:
        """Return what a talent shows: source and address."""
        columns = (talent.c.profileImageSource, talent.c.profileImageUrl)
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(talent.c.id == talent_id)).one()
            return row[0], row[1]

    def ledger(self, account_id: str) -> dict[str, Any]:
        """Return an account's row of the ledger."""
        statement = sa.select(platform_images).where(platform_images.c.account_id == account_id)
        with self.engine.connect() as connection:
            return dict(connection.execute(statement).mappings().one())

    # Runs

    def sync(self, *talent_ids: str, **scope: Any) -> Synced:
        """Do what a run of the job does, from the choice of candidates to the talents' columns."""
        synced, _ = self._read(SyncScope(talent_ids=talent_ids, **scope), interrupted_after=None)
        with read_only(self.engine).begin() as connection:
            rows = candidate_queries.load_candidates(connection, synced.run_id)
        resolution = publish(self.engine, rows, rules=self.rules, run_id=synced.run_id, now=self.clock())
        return replace(synced, resolution=resolution)

    def sync_without_publishing(self, *talent_ids: str, interrupted_after: float | None = None, **scope: Any) -> Synced:
        """Do what a run does that ends before its last asset; interrupted in the middle of its reads, where asked."""
        return self._read(SyncScope(talent_ids=talent_ids, **scope), interrupted_after=interrupted_after)[0]

    def sync_daily(self) -> list[Synced]:
        """Do what the daily schedule asks for."""
        return [self._run(request) for request in self.ticks.daily()]

    def catch_up(self) -> list[Synced]:
        """Do what the hourly catch-up asks for."""
        return [self._run(request) for request in self.ticks.catch_up()]

    def sync_changes(self) -> list[Synced]:
        """Do what the sensor asks for, tick after tick, until it asks for nothing more."""
        synced: list[Synced] = []
        while requests := self.ticks.changes():
            synced += [self._run(request) for request in requests]
        return synced

    def _run(self, request: dg.RunRequest) -> Synced:
        scope = scope_of(request)
        return self.sync(*scope.talent_ids, limit=scope.limit, force=scope.force, minimum_hours=scope.minimum_hours)

    def leave_claims(self, account_ids: Sequence[str]) -> None:
        """Do what a run does that is killed right after it claimed accounts: leave the claims behind."""
        now = self.clock()
        until = now + timedelta(seconds=self.session.limits.claim_seconds)
        with self.engine.begin() as connection:
            accounts = account_queries.load_accounts(connection, account_ids)
            run_id = f"killed-{next(self.numbers)}"
            ledger_queries.claim_accounts(connection, accounts, run_id=run_id, until=until, now=now)

    def _read(self, scope: SyncScope, *, interrupted_after: float | None) -> tuple[Synced, bool]:
        run_id = f"run-{next(self.numbers)}"
        selection = choose_candidates(
            self.engine, scope=scope, run_id=run_id, now=self.clock(), verified_only=False, must_exist=False
        )
        reports: dict[str, PlatformReport] = {}
        is_whole = self.portal.call(self._read_platforms, scope, run_id, reports, interrupted_after)
        reasons = {candidate.talent_id: str(candidate.reason) for candidate in selection.candidates}
        return Synced(run_id=run_id, reasons=reasons, reports=reports), is_whole

    async def _read_platforms(
        self, scope: SyncScope, run_id: str, reports: dict[str, PlatformReport], interrupted_after: float | None
    ) -> bool:
        """Read all platforms at once, as a run's steps do on a machine with room; returns whether it got to the end."""

        async def read(name: str) -> None:
            platform = next(platform for platform in PLATFORMS if platform.name == name)
            with read_only(self.engine).begin() as connection:
                accounts = account_queries.load_batch_accounts(
                    connection, run_id=run_id, platform=name, verified_only=False
                )
            reports[name] = await self.session.read(
                platform, accounts, run_id=run_id, force=scope.force, minimum_hours=scope.minimum_hours
            )

        with anyio.move_on_after(interrupted_after) as run:
            async with anyio.create_task_group() as steps:
                for platform in PLATFORMS:
                    steps.start_soon(read, platform.name)
        return not run.cancelled_caught

    # What came in at the networks

    def calls(self) -> Counter[str]:
        """Return how many requests came to each endpoint since :meth:`forget_calls`."""
        return Counter({endpoint: sum(by.values()) for endpoint, by in self.world.calls.counts().items()})

    def calls_about(self, handle: str) -> Counter[str]:
        """Return how many requests, or items of a batch, came about one account."""
        counts = self.world.calls.counts()
        return Counter({endpoint: by[handle] for endpoint, by in counts.items() if handle in by})

    def forget_calls(self) -> None:
        """Begin to count anew."""
        self.world.calls.clear()


@contextmanager
def open_simulation(
    *,
    database_url: str,
    directory: Path,
    begins_at: datetime,
    limits: ReadingLimits | None = None,
    download_limits: DownloadLimits | None = None,
) -> Iterator[Simulation]:
    """Start a sandbox without any account, and open what a run needs, until the end of the block.

    Args:
        database_url: A migrated database.
        directory: Where pictures are stored.
        begins_at: What time it is at first.
        limits: What bounds a run, where it is not what it is in production.
        download_limits: Likewise for one picture.
    """
    clock = SimulatedClock(begins_at)
    # Closed without the test's own failure, which the event loop would wrap into groups.
    stack = ExitStack()
    try:
        sandbox = stack.enter_context(running_sandbox(World(clock=clock)))
        values: dict[str, Any] = {name.lower(): value for name, value in sandbox.environment.items()}
        values |= {"talent_database_url": database_url, "talent_data_dir": directory}
        values |= {"talent_image_public_url": PUBLIC_URL, "_env_file": None}
        settings = settings_with(**values)
        engine = open_engine(database_url)
        stack.callback(engine.dispose)
        store = PictureStore.from_url(settings.image_store_url)
        portal = stack.enter_context(start_blocking_portal())
        opened = open_reading_session(
            settings=settings, engine=engine, store=store, limits=limits or ReadingLimits(), clock=clock
        )
        session = stack.enter_context(portal.wrap_async_context_manager(opened))
        if download_limits is not None:
            downloader = PictureDownloader(
                trusted_origins=settings.trusted_origins, limits=download_limits, clock=clock
            )
            stack.enter_context(portal.wrap_async_context_manager(downloader))
            session = replace(session, downloader=downloader)
        yield Simulation(
            clock=clock,
            world=sandbox.world,
            engine=engine,
            store=store,
            rules=PublishingRules(public_url=PUBLIC_URL, verified_only=False),
            portal=portal,
            session=session,
            ticks=DagsterTicks(
                engine=engine,
                settings=settings,
                clock=clock,
                instance=stack.enter_context(dg.instance_for_test()),
            ),
        )
    finally:
        stack.close()
