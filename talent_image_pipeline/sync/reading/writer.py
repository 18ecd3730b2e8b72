"""The one writer of a run: readings into the ledger, many in a transaction, and into the run's report.

What belongs here: when readings are written and what is counted of them.
What does not: what a reading makes of a ledger row (``outcome_rules.py``) and the statements (``database/``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from talent_image_pipeline.database import ledger_queries, transactions
from talent_image_pipeline.sync.reading.claimed_accounts import AccountReading
from talent_image_pipeline.sync.reading.outcome_rules import CONSEQUENCES, PictureAction, ledger_after
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
        rows = [
            ledger_after(one.account.record, one.reading, picture=one.picture, now=now, rng=self.tools.rng)
            for one in readings
        ]
        written = await transactions.write_in_thread(
            self.tools.engine,
            ledger_queries.write_readings,
            rows,
            new_pictures=[one.record for one in readings if one.record is not None],
            run_id=self.run_id,
            now=now,
        )
        for one, row in zip(readings, rows, strict=True):
            if one.account.account_id in written:
                before = one.account.record.ledger.picture_hash if one.account.record.ledger else None
                self._count(one, has_changed=row.picture_hash != before)
            else:
                self.report.superseded += 1

    def _count(self, one: AccountReading, *, has_changed: bool) -> None:
        outcome = one.reading.outcome
        self.report.outcomes[outcome] += 1
        self.report.pictures_changed += has_changed
        consequence = CONSEQUENCES[outcome]
        if consequence.is_failure or consequence.picture is PictureAction.DROPPED:
            self.report.add_failure(
                AccountFailure(
                    talent_id=one.account.record.talent_id,
                    handle=one.account.record.handle,
                    outcome=outcome,
                    message=one.reading.message,
                )
            )


def _waiting(done: MemoryObjectReceiveStream[AccountReading], *, at_most: int) -> list[AccountReading]:
    waiting: list[AccountReading] = []
    while len(waiting) < at_most:
        try:
            waiting.append(done.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            break
    return waiting
