"""Reading one platform for a run: one asynchronous pipeline from claimed accounts to written ledger rows.

What belongs here: the stages in their order, how they overlap, and what bounds them.
What does not: the stages themselves, each a module of its own beside this one.

    claims -> plan -> [api_concurrency times caller] -> [picture_concurrency times picture_stage] -> one writer

Every queue between them is bounded, so that memory does not grow with the batch. Calls, downloads, rendering (in
processes of its own) and writing overlap.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.planning.due import batches, is_owed_a_read
from talent_image_pipeline.sync.reading.caller import Caller
from talent_image_pipeline.sync.reading.claimed_accounts import AccountReading, PlannedCall
from talent_image_pipeline.sync.reading.claims import Claims
from talent_image_pipeline.sync.reading.fresh_tokens import FreshTokens
from talent_image_pipeline.sync.reading.picture_stage import PictureStage
from talent_image_pipeline.sync.reading.probes import OwedAccounts, split_off_probes
from talent_image_pipeline.sync.reading.refusals import Refusals
from talent_image_pipeline.sync.reading.tools import PlatformTools, ReadingLimits
from talent_image_pipeline.sync.reading.writer import Writer
from talent_image_pipeline.sync.reporting.reports import PlatformReport

#: Accounts claimed at a time: whole calls of 50, and few enough that a claim is short.
CLAIM_CHUNK = 200
_OUTCOMES_WITHOUT_PICTURE = frozenset({Outcome.NO_PICTURE, Outcome.GONE})


async def read_platform(
    tools: PlatformTools,
    *,
    accounts: Sequence[AccountRecord],
    run_id: str,
    force: bool,
    minimum_hours: float,
    limits: ReadingLimits,
) -> PlatformReport:
    """Read those of a batch's accounts on one platform that are owed a read.

    A platform that is down, slow or says stop never fails this, never makes it longer than its deadline, and never
    changes a picture. When it is cancelled, what was read is written and the claims are given back.

    Args:
        tools: The platform and what reading it needs.
        accounts: The batch's accounts on this platform, the longest waiting first.
        run_id: The run that claims them.
        force: Whether healthy accounts are read before their time, claims of other runs are waited for, and what
            turned out to be no picture is looked at again.
        minimum_hours: How old a healthy read must be to be repeated.
        limits: What bounds the work.
    """
    started = time.perf_counter()
    report = PlatformReport(platform=tools.platform.name, accounts=len(accounts))
    age = timedelta(hours=minimum_hours)
    owed = [account for account in accounts if is_owed_a_read(account, now=tools.clock(), minimum_age=age, force=force)]
    report.not_owed = len(accounts) - len(owed)
    if owed:
        reader = _reader(tools, run_id=run_id, force=force, limits=limits, report=report, is_alone=len(owed) == 1)
        await reader.read(owed)
    report.ended_unanswered = tools.circuit.is_open
    report.seconds = time.perf_counter() - started
    return report


def _reader(
    tools: PlatformTools, *, run_id: str, force: bool, limits: ReadingLimits, report: PlatformReport, is_alone: bool
) -> "_PlatformReader":
    deadline = tools.clock() + timedelta(seconds=limits.run_deadline_seconds)
    claims = Claims(
        engine=tools.engine,
        clock=tools.clock,
        run_id=run_id,
        platform=tools.platform.name,
        lasts_seconds=limits.claim_seconds,
    )
    refusals = Refusals()
    caller = Caller(
        tools=tools,
        tokens=FreshTokens(tools=tools, claims=claims, refusals=refusals, report=report),
        refusals=refusals,
        report=report,
        deadline=deadline,
        seconds_per_call=limits.account_deadline_seconds,
    )
    return _PlatformReader(
        tools=tools,
        limits=limits,
        claims=claims,
        caller=caller,
        pictures=PictureStage(tools=tools, caller=caller, report=report, force=force),
        writer=Writer(
            tools=tools, run_id=run_id, report=report, rows_per_write=limits.rows_per_write, is_alone=is_alone
        ),
        report=report,
        deadline=deadline,
        force=force,
    )


@dataclass(frozen=True, kw_only=True)
class _PlatformReader:
    """The stages of one platform in one run, and the queues between them."""

    tools: PlatformTools
    limits: ReadingLimits
    claims: Claims
    caller: Caller
    pictures: PictureStage
    writer: Writer
    report: PlatformReport
    deadline: datetime
    force: bool

    async def read(self, owed: Sequence[AccountRecord]) -> None:
        """Run all stages until every account is read, or the deadline has passed."""
        await self.tools.gate.load()
        accounts = split_off_probes(owed, force=self.force)
        try:
            async with self.claims.held():
                await self._run_stages(accounts.now)
                await self._read_suspended(accounts)
        finally:
            with anyio.CancelScope(shield=True):
                await self.tools.gate.save()

    async def _read_suspended(self, accounts: OwedAccounts) -> None:
        """Read the accounts that a mass of dead tokens put off, once one of the probes among them was answered."""
        if not accounts.suspended:
            return
        if self.writer.has_accepted(accounts.probes):
            await self._run_stages(accounts.suspended)
        else:
            self.report.suspended += len(accounts.suspended)

    async def _run_stages(self, owed: Sequence[AccountRecord]) -> None:
        concurrency = min(self.limits.api_concurrency, self.tools.platform.concurrency)
        call_in, call_out = anyio.create_memory_object_stream[PlannedCall](0)
        picture_in, picture_out = anyio.create_memory_object_stream[AccountReading](self.limits.picture_concurrency)
        done_in, done_out = anyio.create_memory_object_stream[AccountReading](self.limits.rows_per_write)
        async with anyio.create_task_group() as stages:
            stages.start_soon(self.writer.write_all, done_out)
            stages.start_soon(self._warm_workers, _expected_pictures(owed))
            async with done_in, anyio.create_task_group() as ingesters:
                for _ in range(self.limits.picture_concurrency):
                    ingesters.start_soon(self._ingest_all, picture_out.clone(), done_in.clone())
                picture_out.close()
                async with picture_in:
                    async with anyio.create_task_group() as callers:
                        for _ in range(concurrency):
                            callers.start_soon(self._call_all, call_out.clone(), picture_in.clone(), done_in.clone())
                        call_out.close()
                        async with call_in:
                            await self._feed(owed, call_in)
                    for decided in self.caller.decided():
                        await done_in.send(decided)

    async def _warm_workers(self, pictures: int) -> None:
        """Start picture workers while the first calls are on their way."""
        if pictures:
            await self.tools.ingest.workers.warm(pictures=pictures)

    async def _feed(self, owed: Sequence[AccountRecord], calls: MemoryObjectSendStream[PlannedCall]) -> None:
        """Claim accounts chunk by chunk, just before they are read, and plan their calls."""
        elsewhere: list[AccountRecord] = []
        for chunk in batches(owed, size=CLAIM_CHUNK):
            if self._is_too_late():
                self.report.not_reached += len(chunk)
                continue
            elsewhere += await self._feed_chunk(chunk, calls)
        self.report.claimed_by_other_run += len(elsewhere)
        if self.force and elsewhere:
            unread = await self.claims.wait_for_others(elsewhere, seconds=self.limits.wait_for_claims_seconds)
            still_elsewhere = await self._feed_chunk(unread, calls)
            self.report.claimed_by_other_run -= len(unread) - len(still_elsewhere)

    async def _feed_chunk(
        self, chunk: Sequence[AccountRecord], calls: MemoryObjectSendStream[PlannedCall]
    ) -> list[AccountRecord]:
        """Claim a chunk and hand out its calls; returns the accounts that another run has."""
        claimed = await self.claims.take(chunk)
        for planned in self.caller.plan(claimed):
            await calls.send(planned)
        mine = {account.account_id for account in claimed}
        return [account for account in chunk if account.account_id not in mine]

    async def _call_all(
        self,
        calls: MemoryObjectReceiveStream[PlannedCall],
        pictures: MemoryObjectSendStream[AccountReading],
        done: MemoryObjectSendStream[AccountReading],
    ) -> None:
        async with calls, pictures, done:
            async for planned in calls:
                if self._is_too_late():
                    self.report.not_reached += len(planned.accounts)
                    continue
                for found in await self.caller.read(planned):
                    await (pictures if found.reading.outcome is Outcome.PICTURE else done).send(found)

    async def _ingest_all(
        self, pictures: MemoryObjectReceiveStream[AccountReading], done: MemoryObjectSendStream[AccountReading]
    ) -> None:
        async with pictures, done:
            async for found in pictures:
                await done.send(await self.pictures.settle(found))

    def _is_too_late(self) -> bool:
        return self.tools.clock() >= self.deadline


def _expected_pictures(accounts: Sequence[AccountRecord]) -> int:
    """Count the accounts whose next reading is likely a picture: those without one that were not found to have none."""
    ledgers = [account.ledger for account in accounts]
    return sum(
        ledger is None or (ledger.picture_hash is None and ledger.outcome not in _OUTCOMES_WITHOUT_PICTURE)
        for ledger in ledgers
    )
