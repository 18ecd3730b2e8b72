"""The steps of a run over a batch of talents, and all of them in a row: what assets, jobs and service call.

What belongs here: handing a batch from the choice to the reads to the columns.
What does not: the single decisions (the rooms beside this file) and what Dagster shows of them (``assets/``).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries, candidate_queries, ledger_queries, transactions
from talent_image_pipeline.database.records import Candidate, Reason
from talent_image_pipeline.platforms.contract import Platform
from talent_image_pipeline.settings import Settings, active_platforms
from talent_image_pipeline.sync.planning.candidates import Selection, choose_candidates, reading_rules
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline.sync.publishing.publish import PublishingRules, publish
from talent_image_pipeline.sync.reading.platform_threads import PlatformRead, PlatformThreads
from talent_image_pipeline.sync.reporting.reports import PlatformReport, ResolutionReport


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """One run over a batch.

    Attributes:
        run_id: The run, which claims what it reads and signs what it writes.
        batch: The run that chose the batch: usually this one.
        repeats: The run that this one repeats, if any; it has ended.
    """

    run_id: str
    batch: str
    repeats: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What all steps together came to."""

    selection: Selection
    platforms: tuple[PlatformReport, ...]
    resolution: ResolutionReport


def choose(engine: sa.Engine, settings: Settings, *, scope: SyncScope, run_id: str, must_exist: bool) -> Selection:
    """Choose a run's talents and hand them to the steps after it.

    Raises:
        UnknownTalentError: naming the first unknown id, where all ``must_exist``.
    """
    return choose_candidates(
        engine,
        scope=scope,
        run_id=run_id,
        now=utc_now(),
        verified_only=settings.talent_image_verified_only,
        must_exist=must_exist,
    )


def read_platforms(
    engine: sa.Engine,
    settings: Settings,
    threads: PlatformThreads,
    *,
    platforms: Sequence[Platform],
    run: BatchRun,
    scope: SyncScope,
) -> Iterator[PlatformRead]:
    """Read the batch's accounts on several platforms at once and yield each one's result as it ends."""
    if run.repeats is not None:
        # The run that this one repeats has ended, perhaps by being killed: nobody reads what it claimed.
        for platform in platforms:
            transactions.write(engine, ledger_queries.release_claims, run_id=run.repeats, platform=platform.name)
    accounts = [
        (
            platform,
            transactions.read(
                engine,
                account_queries.load_batch_accounts,
                run_id=run.batch,
                platform=platform.name,
                verified_only=settings.talent_image_verified_only,
            ),
        )
        for platform in platforms
    ]
    return threads.read(accounts, run_id=run.run_id, scope=scope)


def publishing_rules(settings: Settings) -> PublishingRules:
    """Return what the choice of a picture depends on besides the talent."""
    return PublishingRules(
        public_url=settings.talent_image_public_url, verified_only=settings.talent_image_verified_only
    )


def resolve_batch(engine: sa.Engine, settings: Settings, *, run: BatchRun) -> ResolutionReport:
    """Decide what each talent of the batch shows and write it down."""
    started = time.perf_counter()
    candidates = transactions.read(engine, candidate_queries.load_candidates, run.batch)
    report = publish(engine, candidates, rules=publishing_rules(settings), run_id=run.run_id, now=utc_now())
    report.seconds = time.perf_counter() - started
    return report


def resolve_unfinished(engine: sa.Engine, settings: Settings, *, scope: SyncScope, run_id: str) -> ResolutionReport:
    """Resolve everyone whose account changed, or was read and never resolved, without reading anything."""
    started = time.perf_counter()
    rules = reading_rules(verified_only=settings.talent_image_verified_only)
    found = transactions.read(
        engine, candidate_queries.find_changed_accounts, rules=rules, now=utc_now(), limit=scope.limit
    )
    wanted = set(scope.talent_ids)
    talents = sorted({one.talent_id for one in found if not wanted or one.talent_id in wanted})
    candidates = [Candidate(talent_id=talent_id, reason=Reason.ACCOUNT_CHANGED) for talent_id in talents]
    report = publish(engine, candidates, rules=publishing_rules(settings), run_id=run_id, now=utc_now())
    report.seconds = time.perf_counter() - started
    return report


def sync_batch(
    engine: sa.Engine,
    settings: Settings,
    threads: PlatformThreads,
    *,
    scope: SyncScope,
    run_id: str,
    repeats: str | None = None,
    must_exist: bool,
) -> BatchReport:
    """Do all steps: choose, read, resolve.

    Raises:
        UnknownTalentError: naming the first unknown id, where all ``must_exist``.
    """
    selection = choose(engine, settings, scope=scope, run_id=run_id, must_exist=must_exist)
    run = BatchRun(run_id=run_id, batch=run_id, repeats=repeats)
    reads = list(read_platforms(engine, settings, threads, platforms=active_platforms(), run=run, scope=scope))
    # A bug with one platform takes nothing from the others: what they gave is resolved before it is told.
    resolution = resolve_batch(engine, settings, run=run)
    for read in reads:
        if read.error is not None:
            raise read.error
    reports = tuple(read.report for read in reads if read.report is not None)
    return BatchReport(selection=selection, platforms=reports, resolution=resolution)
