"""Believing a platform after all: releasing what the guard against mass losses holds back.

What belongs here: what the command and the UI do when a person releases a platform.
What does not: when something is held back (``sync/reading/mass_guard.py``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import loss_queries, transactions
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reading.mass_guard import HELD_OUTCOMES, Loss, released


@dataclass(frozen=True, kw_only=True)
class Release:
    """What was released.

    Attributes:
        pictures: Accounts whose picture is dropped now.
        connections: Accounts that wait for their talents to reconnect them now.
    """

    pictures: int
    connections: int


def release_held(engine: sa.Engine, platform: str, *, now: datetime) -> Release:
    """Believe what a platform said of every account that is held back.

    The talents' columns follow with the next look for changes, or the next run about them.

    Args:
        engine: The app's database.
        platform: The name of the platform whose accounts to release.
        now: The time of the decision.
    """
    return transactions.write(engine, _release, platform=platform, now=now)


def _release(connection: sa.Connection, *, platform: str, now: datetime) -> Release:
    loss_queries.lock_losses(connection, platform=platform)
    loss_queries.lock_rows(connection, (), platform=platform, lost_after=now + timedelta(days=1))
    every = HELD_OUTCOMES[Loss.PICTURE] | HELD_OUTCOMES[Loss.CONNECTION]
    rows = loss_queries.held_accounts(connection, platform=platform, suggested=every)
    loss_queries.update_ledger(connection, [released(row, now=now) for row in rows])
    connections = sum(row.suggested_outcome == Outcome.NEEDS_RECONNECT for row in rows)
    return Release(pictures=len(rows) - connections, connections=connections)
