"""Everything that reading the platforms needs, opened once for a run and closed with it.

What belongs here: putting clients, downloader, picture workers and quota gate together from the settings.
What does not: what is done with them (``platform_reader.py``) and Dagster (``resources.py``).
"""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import httpx
import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.pictures.download.downloader import PictureDownloader
from talent_image_pipeline.pictures.rendering.worker_pool import PictureWorkers, process_workers
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.platforms.transport import ApiTransport, open_api_client
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.limits.circuit_breaker import CircuitBreaker
from talent_image_pipeline.sync.limits.quota_gate import QuotaGate
from talent_image_pipeline.sync.reading.outcome_rules import CONSEQUENCES
from talent_image_pipeline.sync.reading.picture_ingest import PictureIngest
from talent_image_pipeline.sync.reading.platform_reader import read_platform
from talent_image_pipeline.sync.reading.tools import PlatformTools, ReadingLimits
from talent_image_pipeline.sync.reporting.platform_days import record_day
from talent_image_pipeline.sync.reporting.reports import PlatformReport
from talent_image_pipeline.sync.tokens.refresh_process import RefreshProcess, open_refresh_process


@dataclass(frozen=True, kw_only=True)
class ReadingSession:
    """Open connections and worker processes, shared by all platforms of a run."""

    platform_values: Mapping[str, Any] = field(repr=False)
    engine: sa.Engine
    store: PictureStore
    tokens: RefreshProcess
    api_client: httpx.AsyncClient
    downloader: PictureDownloader
    workers: PictureWorkers
    limits: ReadingLimits
    clock: Clock
    rng: random.Random = field(default_factory=random.Random)

    async def read(
        self,
        platform: Platform,
        accounts: Sequence[AccountRecord],
        *,
        run_id: str,
        force: bool,
        minimum_hours: float,
    ) -> PlatformReport:
        """Read a platform's accounts; see :func:`~talent_image_pipeline.sync.reading.platform_reader.read_platform`."""
        transport = ApiTransport(self.api_client)
        downloader = self.downloader.counted_apart()
        tools = PlatformTools(
            platform=platform,
            client=platform.open_client(self.platform_values, transport, self.clock),
            tokens=self.tokens,
            gate=QuotaGate(engine=self.engine, quotas=platform.quotas, clock=self.clock),
            circuit=CircuitBreaker(),
            ingest=PictureIngest(downloader=downloader, workers=self.workers, store=self.store),
            engine=self.engine,
            clock=self.clock,
            rng=self.rng,
        )
        report = await read_platform(
            tools,
            accounts=accounts,
            run_id=run_id,
            force=force,
            minimum_hours=minimum_hours,
            limits=self.limits,
        )
        report.api_calls += transport.calls
        report.downloads = downloader.downloads
        report.bytes_received = downloader.bytes_received
        failures = sum(count for outcome, count in report.outcomes.items() if CONSEQUENCES[outcome].is_failure)
        await anyio.to_thread.run_sync(lambda: record_day(self.engine, report, failures=failures, now=self.clock()))
        return report


@asynccontextmanager
async def open_reading_session(
    *, settings: Settings, engine: sa.Engine, store: PictureStore, limits: ReadingLimits, clock: Clock = utc_now
) -> AsyncIterator[ReadingSession]:
    """Open what reading needs; nothing connects or starts before it is used."""
    values = settings.platform_values
    database_url = SecretStr(settings.database_url)
    async with (
        open_api_client() as api_client,
        PictureDownloader(trusted_origins=settings.trusted_origins, clock=clock) as downloader,
        open_refresh_process(database_url=database_url, platform_values=values, clock=clock) as tokens,
    ):
        yield ReadingSession(
            platform_values=values,
            tokens=tokens,
            engine=engine,
            store=store,
            api_client=api_client,
            downloader=downloader,
            workers=process_workers(),
            limits=limits,
            clock=clock,
        )
