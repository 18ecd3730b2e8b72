"""The one writer of a run: readings into the ledger, many in a transaction, and into the run's report.

What belongs here: when readings are written and what is counted of them.
What does not: what a reading makes of a ledger row (``outcome_rules.py``) and the transaction
(``guarded_writes.py``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from talent_image_pipeline.database import transactions
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reading.claimed_accounts import AccountReading
from talent_image_pipeline.sync.reading.guarded_writes import write_readings
from talent_image_pipeline.sync.reading.mass_guard import WrittenReading
from talent_image_pipeline.sync.reading.outcome_rules import ledger_after
from talent_image_pipeline.sync.reading.refusals import ACCEPTED_OUTCOMES
from talent_image_pipeline.sync.reading.tools import PlatformTools
from talent_image_pipeline.sync.reporting.reports import AccountFailure, PlatformReport

_SECONDS_TO_GATHER = 0.05


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes readings.

    Attributes:
        tools: The platform and what reading it needs.
        run_id: Whose claims the readings stand on.
        report: Where they are counted.
        rows_per_write: How many are written in one transaction.
        is_alone: Whether the run reads a single account, so that no other reading is worth waiting for.
    """

    tools: PlatformTools
    run_id: str
    report: PlatformReport
    rows_per_write: int
    is_alone: bool
    _accepted: set[str] = field(default_factory=set)

    def has_accepted(self, account_ids: Collection[str]) -> bool:
        """Whether one of these accounts was answered and its reading written."""
        return not self._accepted.isdisjoint(account_ids)

    async def write_all(self, done: MemoryObjectReceiveStream[AccountReading]) -> None:
        """Write whatever has come, in one transaction, while the next readings come in."""
        async with done:
            try:
                async for first in done:
                    await self._gather()
                    await self._write([first, *_waiting(done, at_most=self.rows_per_write - 1)])
            finally:
                await self._write(_waiting(done, at_most=self.rows_per_write))

    async def _gather(self) -> None:
        """Let more readings come before a transaction begins."""
        if not self.is_alone:
            # Shielded: the reading that came is in nobody's hands but the caller's.
            with anyio.CancelScope(shield=True):
                await anyio.sleep(_SECONDS_TO_GATHER)

    async def _write(self, readings: Sequence[AccountReading]) -> None:
        """Write readings even when the run is being stopped: they are done."""
        if readings:
            with anyio.CancelScope(shield=True), self.report.timed("writing"):
                await self._write_now(readings)

    async def _write_now(self, readings: Sequence[AccountReading]) -> None:
        now = self.tools.clock()
        written = await transactions.write_in_thread(
            self.tools.engine,
            write_readings,
            [self._row_after(one, now=now) for one in readings],
            platform=self.tools.platform.name,
            new_pictures=[one.record for one in readings if one.record is not None],
            run_id=self.run_id,
            now=now,
        )
        self.report.restored += written.restored
        for one in readings:
            row = written.rows.get(one.account.account_id)
            if row is None:
                self.report.superseded += 1
            else:
                self._count(one.account.record, row)

    def _row_after(self, one: AccountReading, *, now: datetime) -> WrittenReading:
        after = ledger_after(
            one.account.record,
            one.reading,
            picture=one.picture,
            now=now,
            rng=self.tools.rng,
            has_refused_bytes=one.has_refused_bytes,
        )
        return WrittenReading(before=one.account.record.ledger, after=after)

    def _count(self, account: AccountRecord, row: LedgerRecord) -> None:
        """Count a reading as it was believed and written."""
        outcome = Outcome(row.outcome or Outcome.UNAVAILABLE)
        before = account.ledger.picture_hash if account.ledger else None
        self.report.outcomes[outcome] += 1
        if outcome in ACCEPTED_OUTCOMES:
            self._accepted.add(account.account_id)
        self.report.pictures_changed += row.picture_hash != before
        self.report.held += row.held_since is not None
        if row.failure is not None:
            self.report.add_failure(
                AccountFailure(talent_id=account.talent_id, handle=account.handle, outcome=outcome, message=row.failure)
            )


def _waiting(done: MemoryObjectReceiveStream[AccountReading], *, at_most: int) -> list[AccountReading]:
    waiting: list[AccountReading] = []
    while len(waiting) < at_most:
        try:
            waiting.append(done.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            break
    return waiting
