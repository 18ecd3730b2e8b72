"""What reading one platform needs, and what bounds it.

What belongs here: the plain bundles that every stage gets. What does not: opening them (``session.py``).
"""

import random
from dataclasses import dataclass

import sqlalchemy as sa

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.platforms.contract import Platform, PlatformClient
from talent_image_pipeline.sync.limits.circuit_breaker import CircuitBreaker
from talent_image_pipeline.sync.limits.quota_gate import QuotaGate
from talent_image_pipeline.sync.reading.picture_ingest import PictureIngest
from talent_image_pipeline.sync.tokens.refresh_process import RefreshProcess


@dataclass(frozen=True, kw_only=True)
class ReadingLimits:
    """What bounds the reading of one platform.

    Attributes:
        api_concurrency: Calls at once; never more than the platform's own figure.
        picture_concurrency: Pictures at once between download and store.
        claim_seconds: How long a claim holds without being renewed.
        account_deadline_seconds: For all tries of one call.
        run_deadline_seconds: For everything; accounts not reached by then stay due.
        wait_for_claims_seconds: How long a forced run waits for another run that reads the same account.
        rows_per_write: Readings written in one transaction.
    """

    api_concurrency: int = 100
    picture_concurrency: int = 16
    claim_seconds: float = 90.0
    account_deadline_seconds: float = 30.0
    run_deadline_seconds: float = 600.0
    wait_for_claims_seconds: float = 30.0
    rows_per_write: int = 100


@dataclass(frozen=True, kw_only=True)
class PlatformTools:
    """What reading one platform needs."""

    platform: Platform
    client: PlatformClient
    gate: QuotaGate
    circuit: CircuitBreaker
    ingest: PictureIngest
    tokens: RefreshProcess
    engine: sa.Engine
    clock: Clock
    rng: random.Random
