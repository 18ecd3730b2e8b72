"""What Dagster hands to assets, schedule and sensor: the database, the picture store, the platforms, the scope.

What belongs here: resources that open plain objects of the library from the settings and close them again.
What does not: the objects themselves. No resource has a secret among its config fields: what Dagster knows of a
resource it also stores and shows, so secrets are read from the settings when a run opens the resource.

See https://docs.dagster.io/guides/build/external-resources.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import dagster as dg
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from pydantic import Field, PrivateAttr

from talent_image_pipeline.database.engine import open_engine, require_app_tables
from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.database.schema_revision import require_current_schema
from talent_image_pipeline.event_loop_thread import event_loop_thread
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.settings import Settings, load_settings
from talent_image_pipeline.sync.heartbeat import beating
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DUE_AFTER_HOURS, SyncScope
from talent_image_pipeline.sync.reading.session import ReadingSession, open_reading_session
from talent_image_pipeline.sync.reading.tools import ReadingLimits
from talent_image_pipeline.sync.reporting.reports import PlatformReport

_SECONDS_TO_STOP = 30.0


class DatabaseResource(dg.ConfigurableResource[Any]):
    """The app's database, with our own tables in it; where it is comes from ``TALENT_DATABASE_URL``."""

    _settings: Settings = PrivateAttr()
    _engine: sa.Engine = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["DatabaseResource", None, None]:
        """Open the database for a run or a tick."""
        self._settings = load_settings()
        self._engine = open_engine(self._settings.database_url)
        try:
            require_app_tables(self._engine)
            require_current_schema(self._engine)
            with beating(self._engine, run_id=context.run.run_id) if context.run else nullcontext():
                yield self
        finally:
            self._engine.dispose()

    @property
    def settings(self) -> Settings:
        """The settings that were in force when the run began."""
        return self._settings

    @property
    def engine(self) -> sa.Engine:
        """The open database."""
        return self._engine


class PictureStoreResource(dg.ConfigurableResource[Any]):
    """Where pictures are kept; from ``TALENT_IMAGE_STORE``."""

    _store: PictureStore = PrivateAttr()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Open the store."""
        self._store = PictureStore.from_url(load_settings().image_store_url)

    @property
    def store(self) -> PictureStore:
        """The open store."""
        return self._store


class PlatformsResource(dg.ConfigurableResource[Any]):
    """The platforms' clients, the downloader and the picture workers, in one event loop for the whole run."""

    database: dg.ResourceDependency[DatabaseResource]
    picture_store: dg.ResourceDependency[PictureStoreResource]
    api_concurrency: int = Field(default=100, description="How many API calls to one platform go on at once.")
    picture_concurrency: int = Field(default=16, description="How many pictures are downloaded and rendered at once.")
    claim_seconds: float = Field(
        default=90.0,
        description="How long an account stays claimed by a run that was killed, in seconds; a live run renews it.",
    )
    run_deadline_seconds: float = Field(
        default=600.0, description="How long reading one platform may take in all, in seconds."
    )
    wait_for_claims_seconds: float = Field(
        default=30.0, description="How long a refresh waits for another run that reads the same account, in seconds."
    )

    _portal: BlockingPortal = PrivateAttr()
    _session: ReadingSession = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["PlatformsResource", None, None]:
        """Start the event loop and open what reading needs."""
        with ExitStack() as stack:
            self._portal = stack.enter_context(event_loop_thread())
            session = open_reading_session(
                settings=self.database.settings,
                engine=self.database.engine,
                store=self.picture_store.store,
                limits=ReadingLimits(
                    api_concurrency=self.api_concurrency,
                    picture_concurrency=self.picture_concurrency,
                    claim_seconds=self.claim_seconds,
                    run_deadline_seconds=self.run_deadline_seconds,
                    wait_for_claims_seconds=self.wait_for_claims_seconds,
                ),
            )
            self._session = stack.enter_context(self._portal.wrap_async_context_manager(session))
            yield self

    def read(
        self, platform: Platform, accounts: Sequence[AccountRecord], *, run_id: str, scope: SyncScope
    ) -> PlatformReport:
        """Read a platform's accounts; an interrupt stops it promptly and leaves what is done."""
        has_ended = threading.Event()

        async def read_in_loop() -> PlatformReport:
            try:
                return await self._session.read(
                    platform, accounts, run_id=run_id, force=scope.force, minimum_hours=scope.minimum_hours
                )
            finally:
                has_ended.set()

        reading = self._portal.start_task_soon(read_in_loop)
        try:
            return reading.result()
        except BaseException:
            reading.cancel()
            # The database must not be closed while what was read is written and the claims are given back.
            has_ended.wait(timeout=_SECONDS_TO_STOP)
            raise


class SyncScopeResource(dg.ConfigurableResource[Any]):
    """Which talents a run is about. With nothing set: everyone due, up to 200."""

    talent_ids: list[str] = Field(
        default=[], description='Only these talents, by their id in the app, e.g. ["talent_123"]. Empty: everyone.'
    )
    limit: int = Field(default=BATCH_SIZE, description="At most so many talents, the longest waiting first.")
    force: bool = Field(
        default=False,
        description="Read the talents' accounts now, whether or not they are due.",
    )
    minimum_hours: float = Field(
        default=DUE_AFTER_HOURS, description="How many hours ago a talent's last sync must be for the talent to be due."
    )

    def scope(self) -> SyncScope:
        """Return the scope as a plain value.

        Raises:
            dagster.Failure: when it cannot be meant; says which field is wrong, and is not retried.
        """
        try:
            return SyncScope(
                talent_ids=tuple(self.talent_ids),
                limit=self.limit,
                force=self.force,
                minimum_hours=self.minimum_hours,
            )
        except ValueError as error:
            raise dg.Failure(description=f"The sync scope cannot be used: {error}", allow_retries=False) from None


def scope_config(scope: SyncScope) -> dict[str, Any]:
    """Return the run config that asks for a scope."""
    config = {
        "talent_ids": list(scope.talent_ids),
        "limit": scope.limit,
        "force": scope.force,
        "minimum_hours": scope.minimum_hours,
    }
    return {"resources": {"scope": {"config": config}}}


def talents_named_in(run_config: Any) -> list[str]:
    """Return the talents that a run's config names; empty where it names none."""
    node = run_config
    for key in ("resources", "scope", "config", "talent_ids"):
        node = node.get(key) if isinstance(node, dict) else None
    return [talent_id for talent_id in node if isinstance(talent_id, str)] if isinstance(node, list) else []
