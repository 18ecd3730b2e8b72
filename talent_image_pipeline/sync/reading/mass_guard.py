"""What too many losses at once mean: that a platform, our app or our key is at fault, and not the talents.

What belongs here: the pure decision whether losses are believed, and what a row says while one is held back.
What does not: single readings (``outcome_rules.py``) and the transaction around it (``guarded_writes.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from talent_image_pipeline.database.records import LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.reading.outcome_rules import NEXT_DAY, NEXT_TRY_WITH_OUR_OWN_CREDENTIALS, NEXT_WEEK

#: So long ago a loss counts.
WINDOW = timedelta(hours=24)
#: So many losses within the window are always believed, however few accounts there are.
ALWAYS_BELIEVED = 5


class Loss(StrEnum):
    """What an account loses."""

    PICTURE = "picture"
    CONNECTION = "connection"


#: The share of a platform's pictures, or of its accounts, that may be lost within the window.
BELIEVED_SHARE: Mapping[Loss, float] = MappingProxyType({Loss.PICTURE: 0.05, Loss.CONNECTION: 0.10})

#: Outcomes that, while they are held back, keep a picture or an account from being lost.
HELD_OUTCOMES: Mapping[Loss, frozenset[Outcome]] = MappingProxyType(
    {
        Loss.PICTURE: frozenset({Outcome.NO_PICTURE, Outcome.GONE}),
        Loss.CONNECTION: frozenset({Outcome.NEEDS_RECONNECT}),
    }
)


@dataclass(frozen=True, kw_only=True)
class WrittenReading:
    """A reading about to be written: the account's row before it and after it."""

    before: LedgerRecord | None
    after: LedgerRecord


@dataclass(frozen=True, kw_only=True)
class PlatformLosses:
    """What a platform's other accounts lost, over all runs.

    Attributes:
        total: The platform's pictures that we own, or its accounts, those about to be lost and those lost lately
            included.
        lost: Accounts that lost theirs within the window.
        held: Accounts whose loss is held back.
    """

    total: int
    lost: Sequence[LedgerRecord]
    held: int


def loss_of(row: LedgerRecord, *, now: datetime) -> Loss | None:
    """Return what an account loses by a reading that ended now."""
    if row.picture_lost_at == now:
        return Loss.PICTURE
    return Loss.CONNECTION if row.connection_lost_at == now else None


def are_too_many(losses: int, *, total: int, loss: Loss) -> bool:
    """Whether so many losses are not the talents' doing."""
    return losses > ALWAYS_BELIEVED and losses > total * BELIEVED_SHARE[loss]


def is_held_back(losing: int, others: PlatformLosses, *, loss: Loss) -> bool:
    """Whether readings that would cost so many accounts their picture or connection are held back."""
    return losing > 0 and are_too_many(losing + len(others.lost) + others.held, total=others.total, loss=loss)


def held_back(row: LedgerRecord, *, loss: Loss, before: LedgerRecord | None, now: datetime) -> LedgerRecord:
    """Return the row of an account whose loss is not believed: with what it had, and with what the platform said.

    Args:
        row: The row with the loss.
        loss: What was lost.
        before: The row before the reading; none for a loss of an earlier run.
        now: The time of the decision.
    """
    held = replace(
        row,
        suggested_since=row.suggested_since or now,
        held_since=(before.held_since if before else None) or now,
        awaits_resolution=True,
    )
    return _with_connection(held, now=now) if loss is Loss.CONNECTION else _with_picture(held, before=before, now=now)


def _with_connection(held: LedgerRecord, *, now: datetime) -> LedgerRecord:
    return replace(
        held,
        suggested_outcome=held.outcome,
        outcome=Outcome.MISCONFIGURED,
        connection_lost_at=None,
        next_read_at=now + NEXT_TRY_WITH_OUR_OWN_CREDENTIALS,
    )


def _with_picture(held: LedgerRecord, *, before: LedgerRecord | None, now: datetime) -> LedgerRecord:
    with_picture = replace(
        held,
        picture_hash=held.lost_picture_hash,
        content_id=before.content_id if before else None,
        picture_etag=before.picture_etag if before else None,
        changed_at=before.changed_at if before else held.changed_at,
        picture_lost_at=None,
        lost_picture_hash=None,
    )
    if held.outcome in HELD_OUTCOMES[Loss.PICTURE]:
        return replace(
            with_picture,
            suggested_outcome=held.outcome,
            outcome=Outcome.UNCONFIRMED,
            next_read_at=now + NEXT_DAY,
        )
    # Another read has ended since, which did not bring the picture back.
    return replace(with_picture, suggested_outcome=held.suggested_outcome or Outcome.NO_PICTURE)


def released(row: LedgerRecord, *, now: datetime) -> LedgerRecord:
    """Return the row of a held account once a person has said that the platform is to be believed.

    A loss that a person released does not count among the losses any more.
    """
    believed = replace(
        row,
        outcome=row.suggested_outcome,
        held_since=None,
        awaits_resolution=True,
        connection_lost_at=None,
        next_read_at=now + (NEXT_WEEK if row.suggested_outcome is Outcome.GONE else NEXT_DAY),
    )
    if row.suggested_outcome is Outcome.NEEDS_RECONNECT:
        return replace(believed, suggested_outcome=None, suggested_since=None)
    return replace(believed, picture_hash=None, content_id=None, picture_etag=None, changed_at=now)
