"""Writing readings under the guard against mass losses: one transaction, one run at a time per platform and loss.

What belongs here: loading what the guard decides on and carrying out what it says.
What does not: the decision (``mass_guard.py``), single statements (``database/``) and when readings are written
(``writer.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database import ledger_queries, loss_queries
from talent_image_pipeline.database.records import LedgerRecord, PictureRecord
from talent_image_pipeline.sync.reading.mass_guard import (
    HELD_OUTCOMES,
    WINDOW,
    Loss,
    PlatformLosses,
    WrittenReading,
    held_back,
    is_held_back,
    loss_of,
)


@dataclass(frozen=True, kw_only=True)
class WrittenRows:
    """What was written.

    Attributes:
        rows: The rows as they were written, by account; a reading that came too late has none.
        restored: Accounts of earlier writes that got back what they had lost.
    """

    rows: dict[str, LedgerRecord]
    restored: int


def write_readings(
    connection: sa.Connection,
    readings: Sequence[WrittenReading],
    *,
    platform: str,
    new_pictures: Sequence[PictureRecord],
    run_id: str,
    now: datetime,
) -> WrittenRows:
    """Write what was read of one platform; losses of too many accounts within a day are held back.

    Losses of the last day that were written before it became too many are taken back in the same transaction.
    """
    rows = [one.after for one in readings]
    restored = 0
    losing = {one.after.account_id: loss_of(one.after, now=now) for one in readings}
    if any(losing.values()):
        loss_queries.lock_losses(connection, platform=platform)
        loss_queries.lock_rows(connection, set(losing), platform=platform, lost_after=now - WINDOW)
        for loss in Loss:
            of_batch = {account_id for account_id, lost in losing.items() if lost is loss}
            others = _losses_of_others(connection, loss, platform=platform, without=set(losing), now=now)
            if is_held_back(len(of_batch), others, loss=loss):
                rows = _hold(rows, readings, of_batch, loss=loss, now=now)
                loss_queries.update_ledger(
                    connection, [held_back(row, loss=loss, before=None, now=now) for row in others.lost]
                )
                restored += len(others.lost)
    written = ledger_queries.write_readings(connection, rows, new_pictures=new_pictures, run_id=run_id, now=now)
    return WrittenRows(rows={row.account_id: row for row in rows if row.account_id in written}, restored=restored)


def _hold(
    rows: Sequence[LedgerRecord], readings: Sequence[WrittenReading], losing: set[str], *, loss: Loss, now: datetime
) -> list[LedgerRecord]:
    before = {one.after.account_id: one.before for one in readings}
    return [
        held_back(row, loss=loss, before=before[row.account_id], now=now) if row.account_id in losing else row
        for row in rows
    ]


def _losses_of_others(
    connection: sa.Connection, loss: Loss, *, platform: str, without: set[str], now: datetime
) -> PlatformLosses:
    after = now - WINDOW
    held = loss_queries.held_accounts(connection, platform=platform, suggested=HELD_OUTCOMES[loss], without=without)
    if loss is Loss.PICTURE:
        lost = loss_queries.pictures_lost(connection, platform=platform, after=after, without=without)
        total = loss_queries.count_pictures(connection, platform=platform) + len(lost)
    else:
        lost = loss_queries.connections_lost(connection, platform=platform, after=after, without=without)
        total = loss_queries.count_connections(connection, platform=platform)
    return PlatformLosses(total=total, lost=lost, held=len(held))
