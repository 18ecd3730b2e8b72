"""Reading one platform for a run: one asynchronous pipeline from claimed accounts to written ledger rows.

What belongs here: the stages, how they overlap, and what bounds them.
What does not: single decisions (``due.py``, ``outcome_rules.py``), limits (``quota_gate.py``), tokens
(``refresh.py``) and what becomes of a picture (``picture_ingest.py``).

    claim a chunk -> plan calls -> [api_concurrency callers] -> [picture_concurrency owners] -> one writer

Every queue between them is bounded, so that memory does not grow with the batch. Calls, downloads, rendering (in
processes of its own) and writing overlap.
"""

import logging
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import anyio
import sqlalchemy as sa
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pydantic import SecretStr

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.database import account_queries, ledger_queries, transactions
from talent_image_pipeline.database.records import AccountRecord, PictureRecord
from talent_image_pipeline.pictures.download.downloader import PictureExpired
from talent_image_pipeline.platforms.contract import (
    Account,
    Call,
    CallResult,
    Outcome,
    Platform,
    PlatformClient,
    Reading,
)
from talent_image_pipeline.platforms.readings import misconfigured
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.limits.circuit_breaker import CircuitBreaker
from talent_image_pipeline.sync.limits.quota_gate import Blocked, QuotaGate
from talent_image_pipeline.sync.limits.retries import call_with_retries
from talent_image_pipeline.sync.planning.due import batches, is_owed_a_read
from talent_image_pipeline.sync.reading.outcome_rules import (
    CONSEQUENCES,
    NEXT_DAY,
    PictureAction,
    StoredReference,
    is_known_to_be_no_picture,
    ledger_after,
)
from talent_image_pipeline.sync.reading.picture_ingest import IngestResult, PictureIngest
from talent_image_pipeline.sync.reporting.reports import AccountFailure, PlatformReport
from talent_image_pipeline.sync.tokens.refresh import RefreshReport, is_readable_without_refresh
from talent_image_pipeline.sync.tokens.refresh_process import RefreshProcess

_logger = logging.getLogger(__name__)

#: Accounts claimed at a time: whole calls of 50, and few enough that a claim is short.
CLAIM_CHUNK = 200
_SECONDS_BETWEEN_CLAIM_LOOKS = 0.25
_SECONDS_TO_GATHER = 0.05
#: The key of what is wrong with token refreshes, beside the quotas' names; reads with living tokens go on.
_RENEWALS = "token refreshes"
_OUTCOMES_WITHOUT_PICTURE = frozenset({Outcome.NO_PICTURE, Outcome.GONE})


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
    owner: PictureIngest
    tokens: RefreshProcess
    engine: sa.Engine
    clock: Clock
    rng: random.Random


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A reading on its way to the ledger."""

    account: AccountRecord
    reading: Reading
    picture: StoredReference | None = None
    record: PictureRecord | None = None


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
    reader = _PlatformReader(
        tools=tools, run_id=run_id, limits=limits, deadline=_deadline(tools.clock, limits), force=force
    )
    reader.report.accounts = len(accounts)
    age = timedelta(hours=minimum_hours)
    owed = [account for account in accounts if is_owed_a_read(account, now=tools.clock(), minimum_age=age, force=force)]
    reader.report.not_owed = len(accounts) - len(owed)
    if owed:
        await reader.read(owed)
    reader.report.ended_unanswered = tools.circuit.is_open
    reader.report.seconds = time.perf_counter() - started
    return reader.report


def _deadline(clock: Clock, limits: ReadingLimits) -> datetime:
    return clock() + timedelta(seconds=limits.run_deadline_seconds)


@dataclass(kw_only=True)
class _PlatformReader:
    """The pipeline of one platform in one run."""

    tools: PlatformTools
    run_id: str
    limits: ReadingLimits
    deadline: datetime
    force: bool
    report: PlatformReport = field(init=False)
    pictures: dict[str, PictureRecord] = field(default_factory=dict)
    claimed: dict[str, AccountRecord] = field(default_factory=dict)
    misconfigured: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.report = PlatformReport(platform=self.tools.platform.name)

    async def read(self, owed: Sequence[AccountRecord]) -> None:
        """Run all stages until every account is read, or the deadline has passed."""
        await self.tools.gate.load()
        try:
            async with self._claims_renewed():
                await self._run_stages(owed)
        finally:
            with anyio.CancelScope(shield=True):
                await transactions.write_in_thread(
                    self.tools.engine,
                    ledger_queries.release_claims,
                    run_id=self.run_id,
                    platform=self.tools.platform.name,
                )
                await self.tools.gate.save()

    async def _run_stages(self, owed: Sequence[AccountRecord]) -> None:
        concurrency = min(self.limits.api_concurrency, self.tools.platform.concurrency)
        call_in, call_out = anyio.create_memory_object_stream[Call](0)
        picture_in, picture_out = anyio.create_memory_object_stream[_Read](self.limits.picture_concurrency)
        done_in, done_out = anyio.create_memory_object_stream[_Read](self.limits.rows_per_write)
        async with anyio.create_task_group() as stages:
            stages.start_soon(self._write_all, done_out)
            stages.start_soon(self._warm_workers, _expected_pictures(owed))
            async with done_in, anyio.create_task_group() as owners:
                for _ in range(self.limits.picture_concurrency):
                    owners.start_soon(self._own_all, picture_out.clone(), done_in.clone())
                picture_out.close()
                async with picture_in, anyio.create_task_group() as callers:
                    for _ in range(concurrency):
                        callers.start_soon(self._call_all, call_out.clone(), picture_in.clone(), done_in.clone())
                    call_out.close()
                    async with call_in:
                        await self._feed(owed, call_in)

    async def _warm_workers(self, pictures: int) -> None:
        """Start picture workers while the first calls are on their way."""
        if pictures:
            await self.tools.owner.workers.warm(pictures=pictures)

    # Claiming

    async def _feed(self, owed: Sequence[AccountRecord], calls: MemoryObjectSendStream[Call]) -> None:
        """Claim accounts chunk by chunk, just before they are read, and plan their calls."""
        elsewhere: list[AccountRecord] = []
        for chunk in batches(owed, size=CLAIM_CHUNK):
            if self._is_too_late():
                self.report.not_reached += len(chunk)
                continue
            elsewhere += await self._feed_chunk(chunk, calls)
        self.report.claimed_by_other_run += len(elsewhere)
        if self.force and elsewhere:
            unread = await self._wait_for_claims(elsewhere)
            still_elsewhere = await self._feed_chunk(unread, calls)
            self.report.claimed_by_other_run -= len(unread) - len(still_elsewhere)

    async def _feed_chunk(
        self, chunk: Sequence[AccountRecord], calls: MemoryObjectSendStream[Call]
    ) -> list[AccountRecord]:
        """Claim a chunk and hand out its calls; returns the accounts that another run has."""
        now = self.tools.clock()
        mine = await transactions.write_in_thread(
            self.tools.engine,
            ledger_queries.claim_accounts,
            chunk,
            run_id=self.run_id,
            until=self._claim_ends(now),
            now=now,
        )
        accounts = [account for account in chunk if account.account_id in mine]
        ledgers = [account.ledger for account in accounts if account.ledger is not None]
        hashes = {ledger.picture_hash for ledger in ledgers if ledger.picture_hash is not None}
        self.pictures.update(await transactions.read_in_thread(self.tools.engine, ledger_queries.load_pictures, hashes))
        self.claimed.update({account.account_id: account for account in accounts})
        for call in self.tools.client.plan_calls([self._as_the_client_knows_it(account) for account in accounts]):
            await calls.send(call)
        return [account for account in chunk if account.account_id not in mine]

    async def _wait_for_claims(self, accounts: Sequence[AccountRecord]) -> list[AccountRecord]:
        """Wait until no other run reads these accounts; returns those that still have not been read."""
        account_ids = [account.account_id for account in accounts]
        with anyio.move_on_after(self.limits.wait_for_claims_seconds):
            # The claims are other processes': only the database tells when they end.
            while await self._is_any_claimed(account_ids):  # noqa: ASYNC110
                await anyio.sleep(_SECONDS_BETWEEN_CLAIM_LOOKS)
        read_before = {account.account_id: account.ledger and account.ledger.read_at for account in accounts}
        current = await transactions.read_in_thread(self.tools.engine, account_queries.load_accounts, account_ids)
        return [
            account
            for account in current
            if account.connected and (account.ledger and account.ledger.read_at) == read_before[account.account_id]
        ]

    async def _is_any_claimed(self, account_ids: Sequence[str]) -> bool:
        return await transactions.read_in_thread(
            self.tools.engine, ledger_queries.is_any_claimed, account_ids, now=self.tools.clock()
        )

    def _as_the_client_knows_it(self, account: AccountRecord) -> Account:
        ledger = account.ledger if is_same_account(account.ledger, account) else None
        owned = self.pictures.get(ledger.picture_hash) if ledger and ledger.picture_hash else None
        return Account(
            account_id=account.account_id,
            handle=account.handle,
            profile_url=account.profile_url,
            access_token=account.access_token,
            refresh_token=account.refresh_token,
            token_expires_at=account.token_expires_at,
            upstream_id=ledger.upstream_id if ledger else None,
            content_id=ledger.content_id if ledger and owned and not owned.is_damaged else None,
        )

    @asynccontextmanager
    async def _claims_renewed(self) -> AsyncIterator[None]:
        """Keep this run's claims alive for as long as it lives."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._renew_claims)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _renew_claims(self) -> None:
        while True:
            await anyio.sleep(self.limits.claim_seconds / 3)
            until = self._claim_ends(self.tools.clock())
            try:
                await transactions.write_in_thread(
                    self.tools.engine, ledger_queries.renew_claims, run_id=self.run_id, until=until
                )
            except sa.exc.SQLAlchemyError as error:
                # The claims hold for two more tries; if they lapse, what was read is at worst not written.
                _logger.warning("[TALENT_IMAGE] claims could not be renewed: %s", type(error).__name__)

    def _claim_ends(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.limits.claim_seconds)

    # Calling

    async def _call_all(
        self,
        calls: MemoryObjectReceiveStream[Call],
        pictures: MemoryObjectSendStream[_Read],
        done: MemoryObjectSendStream[_Read],
    ) -> None:
        async with calls, pictures, done:
            async for call in calls:
                if self._is_too_late():
                    self.report.not_reached += len(call.accounts)
                    continue
                for read in await self._readings_of(call):
                    await (pictures if read.reading.outcome is Outcome.PICTURE else done).send(read)

    async def _readings_of(self, call: Call) -> list[_Read]:
        """Make a call and return a reading for each of its accounts, whatever happens."""
        try:
            with self._timed("api"):
                result = await self._call(call)
        except Exception as error:  # noqa: BLE001 - a bug with one account must not take the batch with it
            self._note_internal_error(error)
            result = _for_all(call, Outcome.UNAVAILABLE, f"an error of this pipeline: {type(error).__name__}")
        return [
            _Read(account=self.claimed[account.account_id], reading=reading)
            for account, reading in zip(call.accounts, result.readings, strict=True)
        ]

    async def _call(self, call: Call) -> CallResult:
        if call.cost == 0:
            return self._to_be_looked_at_daily(await self.tools.client.read(call))
        if len(call.accounts) > 1:
            return await self._call_with_retries(call)
        refreshed = await self._with_fresh_token(call)
        if isinstance(refreshed, Reading):
            return CallResult(readings=(refreshed,))
        result = await self._call_with_retries(refreshed)
        if result.readings[0].is_token_refused and refreshed is call:
            return await self._call_with_other_token(call, result)
        return result

    async def _call_with_retries(self, call: Call) -> CallResult:
        latest = self.tools.clock() + timedelta(seconds=self.limits.account_deadline_seconds)
        deadline = min(latest, self.deadline)
        attempt = partial(self._attempt, deadline=deadline)
        return await call_with_retries(call, attempt=attempt, deadline=deadline, clock=self.tools.clock)

    async def _attempt(self, call: Call, *, deadline: datetime) -> CallResult:
        """Make one try, unless the platform is to be left alone."""
        if self.tools.circuit.is_open:
            self.report.without_call += len(call.accounts)
            words = f"{self.tools.platform.label} did not answer several times in a row; it was not asked again"
            return _for_all(call, Outcome.UNAVAILABLE, words)
        if call.quota in self.misconfigured:
            self.report.without_call += len(call.accounts)
            return _for_all(call, Outcome.MISCONFIGURED, self.misconfigured[call.quota])
        blocked = await self.tools.gate.admit(call, deadline=deadline)
        if blocked is not None:
            self.report.without_call += len(call.accounts)
            return _for_all(call, Outcome.RATE_LIMITED, _words_for(blocked), retry_at=blocked.until)
        result = await self.tools.client.read(call)
        self.tools.circuit.record(_outcome_of_call(result))
        if all(reading.outcome is Outcome.MISCONFIGURED for reading in result.readings):
            self.misconfigured[call.quota] = result.readings[0].message
        await self.tools.gate.record_answer(call, result)
        return result

    # Tokens

    async def _with_fresh_token(self, call: Call) -> Call | Reading:
        """Return the call with a token that lives, or the reading that the account has instead."""
        (account,) = call.accounts
        ledger = self.claimed[account.account_id].ledger
        refreshed_at = ledger.token_refreshed_at if ledger else None
        if not self.tools.client.needs_token_refresh(account, now=self.tools.clock(), refreshed_at=refreshed_at):
            return call
        if self.tools.circuit.is_open or self.tools.gate.block_of(call) is not None:
            return call
        return await self._refresh_token(call)

    async def _refresh_token(self, call: Call) -> Call | Reading:
        (account,) = call.accounts
        record = self.claimed[account.account_id]
        if _RENEWALS in self.misconfigured:
            refreshed = RefreshReport(failure=misconfigured(self.misconfigured[_RENEWALS]))
        else:
            with self._timed("tokens"):
                refreshed = await self.tools.tokens.refresh(record)
        self.report.api_calls += refreshed.calls
        if refreshed.calls:
            self.tools.circuit.record(refreshed.failure.outcome if refreshed.failure else Outcome.UNCHANGED)
        if refreshed.failure is not None:
            await self._learn_from_refresh(call, refreshed.failure)
            is_passing = refreshed.failure.outcome is not Outcome.NEEDS_RECONNECT
            may_go_on = is_readable_without_refresh(record.token_expires_at, self.tools.clock())
            return call if is_passing and may_go_on else refreshed.failure
        self.report.token_refreshes += bool(refreshed.calls)
        current = await transactions.read_in_thread(
            self.tools.engine, account_queries.load_accounts, [account.account_id]
        )
        if not current:
            return Reading(outcome=Outcome.UNAVAILABLE, message="the account was removed while it was read")
        # What was read is written only if the account is still in the state that it has now.
        self.claimed[account.account_id] = replace(current[0], ledger=current[0].ledger or record.ledger)
        return replace(call, accounts=(self._as_the_client_knows_it(self.claimed[account.account_id]),))

    async def _learn_from_refresh(self, call: Call, failure: Reading) -> None:
        """Ask for no more tokens with our own wrong credentials, nor for anything where the platform said stop."""
        if failure.outcome is Outcome.MISCONFIGURED:
            self.misconfigured[_RENEWALS] = failure.message
        await self.tools.gate.record_answer(call, CallResult(readings=(failure,)))

    async def _call_with_other_token(self, call: Call, refused: CallResult) -> CallResult:
        """Refresh a token that was refused although it should live, once, and try again."""
        (account,) = call.accounts
        if account.refresh_token is None:
            return refused
        refreshed = await self._refresh_token(call)
        if isinstance(refreshed, Reading):
            return CallResult(readings=(refreshed,))
        if _same_token(refreshed.accounts[0].access_token, account.access_token):
            return refused
        return await self._call_with_retries(refreshed)

    def _to_be_looked_at_daily(self, result: CallResult) -> CallResult:
        """Let readings that cost no call be repeated every day: our settings may change where the account does not."""
        tomorrow = self.tools.clock() + NEXT_DAY
        return replace(result, readings=tuple(replace(reading, retry_at=tomorrow) for reading in result.readings))

    # Owning pictures

    async def _own_all(self, pictures: MemoryObjectReceiveStream[_Read], done: MemoryObjectSendStream[_Read]) -> None:
        async with pictures, done:
            async for read in pictures:
                try:
                    with self._timed("pictures"):
                        owned = await self._own(read)
                except Exception as error:  # noqa: BLE001 - a bug with one picture must not take the batch with it
                    self._note_internal_error(error)
                    words = f"an error of this pipeline: {type(error).__name__}"
                    owned = IngestResult(reading=replace(read.reading, outcome=Outcome.UNAVAILABLE, message=words))
                await done.send(replace(read, reading=owned.reading, picture=owned.picture, record=owned.record))

    async def _own(self, read: _Read) -> IngestResult:
        try:
            return await self._own_once(read, read.reading)
        except PictureExpired:
            pass
        again = await self._read_again(read)
        if again.outcome not in {Outcome.PICTURE, Outcome.UNCHANGED}:
            return IngestResult(reading=again)
        try:
            return await self._own_once(read, replace(again, outcome=Outcome.PICTURE))
        except PictureExpired as expired:
            words = f"the picture could not be downloaded: {expired}"
            return IngestResult(reading=replace(again, outcome=Outcome.UNAVAILABLE, message=words))

    async def _own_once(self, read: _Read, reading: Reading) -> IngestResult:
        if not self.force and is_known_to_be_no_picture(read.account, reading):
            words = (read.account.ledger and read.account.ledger.failure) or "the picture was drawn by the network"
            return IngestResult(reading=replace(reading, outcome=Outcome.NO_PICTURE, message=words))
        ledger = read.account.ledger if is_same_account(read.account.ledger, read.account) else None
        current = self.pictures.get(ledger.picture_hash) if ledger and ledger.picture_hash else None
        return await self.tools.owner.ingest(
            reading,
            hosts=self.tools.platform.picture_hosts,
            current=current,
            current_etag=ledger.picture_etag if ledger else None,
        )

    async def _read_again(self, read: _Read) -> Reading:
        """Ask the platform anew for one account, because the address that it gave is dead already."""
        account = self._as_the_client_knows_it(read.account)
        if read.reading.upstream_id is not None:
            account = replace(account, upstream_id=read.reading.upstream_id)
        (call,) = self.tools.client.plan_calls([account])
        return (await self._call_with_retries(call)).readings[0]

    # Writing

    async def _write_all(self, done: MemoryObjectReceiveStream[_Read]) -> None:
        """Write whatever has come, in one transaction, while the next readings come in."""
        async with done:
            try:
                async for first in done:
                    await self._gather()
                    await self._write([first, *_what_waits(done, at_most=self.limits.rows_per_write - 1)])
            finally:
                await self._write(_what_waits(done, at_most=self.limits.rows_per_write))

    async def _gather(self) -> None:
        """Let more readings come before a transaction begins, unless the one that came is the last on its way."""
        if len(self.claimed) > 1:
            # Shielded: the reading that came is in nobody's hands but the caller's.
            with anyio.CancelScope(shield=True):
                await anyio.sleep(_SECONDS_TO_GATHER)

    async def _write(self, reads: Sequence[_Read]) -> None:
        """Write readings even when the run is being stopped: they are done."""
        if reads:
            with anyio.CancelScope(shield=True), self._timed("writing"):
                await self._write_now(reads)

    async def _write_now(self, reads: Sequence[_Read]) -> None:
        now = self.tools.clock()
        rows = [
            ledger_after(read.account, read.reading, picture=read.picture, now=now, rng=self.tools.rng)
            for read in reads
        ]
        written = await transactions.write_in_thread(
            self.tools.engine,
            ledger_queries.write_readings,
            rows,
            new_pictures=[read.record for read in reads if read.record is not None],
            run_id=self.run_id,
            now=now,
        )
        for read, row in zip(reads, rows, strict=True):
            self.claimed.pop(read.account.account_id, None)
            if read.account.account_id in written:
                before = read.account.ledger.picture_hash if read.account.ledger else None
                self._count(read, has_changed=row.picture_hash != before)
            else:
                self.report.superseded += 1

    def _count(self, read: _Read, *, has_changed: bool) -> None:
        outcome = read.reading.outcome
        self.report.outcomes[outcome] += 1
        self.report.pictures_changed += has_changed
        consequence = CONSEQUENCES[outcome]
        if consequence.is_failure or consequence.picture is PictureAction.DROPPED:
            self.report.add_failure(
                AccountFailure(
                    talent_id=read.account.talent_id,
                    handle=read.account.handle,
                    outcome=outcome,
                    message=read.reading.message,
                )
            )

    # Around the stages

    def _is_too_late(self) -> bool:
        return self.tools.clock() >= self.deadline

    def _note_internal_error(self, error: Exception) -> None:
        """Log where it happened and of what kind it is; its text may hold anything, secrets too."""
        self.report.internal_errors += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_qualname} line {trace.tb_lineno}" if trace else "nowhere"
        _logger.error("[TALENT_IMAGE] internal error %s in %s", type(error).__name__, place)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.report.seconds_by_stage[stage] += time.perf_counter() - started


def _expected_pictures(accounts: Sequence[AccountRecord]) -> int:
    """Count the accounts whose next reading is likely a picture: those without one that were not found to have none."""
    ledgers = [account.ledger for account in accounts]
    return sum(
        ledger is None or (ledger.picture_hash is None and ledger.outcome not in _OUTCOMES_WITHOUT_PICTURE)
        for ledger in ledgers
    )


def _what_waits(done: MemoryObjectReceiveStream[_Read], *, at_most: int) -> list[_Read]:
    waiting: list[_Read] = []
    while len(waiting) < at_most:
        try:
            waiting.append(done.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            break
    return waiting


def _outcome_of_call(result: CallResult) -> Outcome:
    """Return what a call tells about the platform: it is up as soon as one account was answered."""
    is_silent = all(reading.outcome is Outcome.UNAVAILABLE for reading in result.readings)
    return Outcome.UNAVAILABLE if is_silent else Outcome.UNCHANGED


def _for_all(call: Call, outcome: Outcome, message: str, *, retry_at: datetime | None = None) -> CallResult:
    reading = Reading(outcome=outcome, message=message, retry_at=retry_at)
    return CallResult(readings=(reading,) * len(call.accounts))


def _words_for(blocked: Blocked) -> str:
    return f"{blocked.because}; left alone until {blocked.until:%Y-%m-%d %H:%M} UTC"


def _same_token(first: SecretStr | None, second: SecretStr | None) -> bool:
    return (first and first.get_secret_value()) == (second and second.get_secret_value())
