"""Who is due, and which of their accounts are to be read.

What belongs here: pure decisions about candidates, batches and which accounts a run reads.
What does not: the queries that carry them out over 100,000 talents (``database/candidate_queries.py``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome

_Item = TypeVar("_Item")

#: Outcomes after which an account waits out a backoff, whoever is due.
WAITING_OUTCOMES = frozenset({Outcome.UNAVAILABLE, Outcome.RATE_LIMITED})

#: Outcomes after which an account is read again as soon as its wait is over, however lately its talent was synced.
REPEATED_OUTCOMES = WAITING_OUTCOMES | {Outcome.MISCONFIGURED}

#: Outcomes after which a read is simply repeated with the talent's next sync.
DAILY_OUTCOMES = frozenset(
    {Outcome.PICTURE, Outcome.UNCHANGED, Outcome.NO_PICTURE, Outcome.UNCONFIRMED, Outcome.REFUSED}
)


class Reason(StrEnum):
    """Why a talent is in a run."""

    NEVER_SYNCED = "never_synced"
    STALE = "stale"
    ACCOUNT_CHANGED = "account_changed"
    WAIT_IS_OVER = "wait_is_over"
    ASKED_FOR = "asked_for"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A talent chosen for a run, and why."""

    talent_id: str
    reason: Reason


def reason_for(
    *,
    last_sync_at: datetime | None,
    is_readable: bool,
    is_changed: bool,
    is_due_again: bool = False,
    force: bool,
    now: datetime,
    minimum_age: timedelta,
) -> Reason | None:
    """Say why a talent is due now, or that it is not.

    Args:
        last_sync_at: The talent's stamp.
        is_readable: Whether an account is connected that does not wait out a backoff.
        is_changed: Whether an account changed since it was last seen.
        is_due_again: Whether the wait after an account's failed read is over.
        force: Whether the run reads its talents whether or not they are due.
        now: The time of the decision.
        minimum_age: How old the stamp must be.
    """
    if force:
        return Reason.ASKED_FOR
    if is_readable and last_sync_at is None:
        return Reason.NEVER_SYNCED
    if is_readable and last_sync_at is not None and last_sync_at <= now - minimum_age:
        return Reason.STALE
    if is_changed:
        return Reason.ACCOUNT_CHANGED
    return Reason.WAIT_IS_OVER if is_due_again else None


def is_changed(account: AccountRecord) -> bool:
    """Whether the account is in another state than the ledger last saw, or what was read never reached the talent."""
    if account.ledger is None:
        return account.connected
    return account.ledger.awaits_resolution or account.ledger.fingerprint != account.fingerprint


def is_owed_a_read(account: AccountRecord, *, now: datetime, minimum_age: timedelta, force: bool) -> bool:
    """Whether a run that has the account's talent among its candidates is to read the account.

    A dead token is not tried again until the account changes, not even by a forced run.
    """
    if not account.connected:
        return False
    ledger = account.ledger
    if ledger is None or ledger.outcome is None or ledger.fingerprint != account.fingerprint:
        return True
    outcome = Outcome(ledger.outcome)
    if outcome is Outcome.NEEDS_RECONNECT and ledger.next_read_at is None:
        return False
    if force or ledger.next_read_at is None or ledger.next_read_at <= now:
        return True
    return outcome in DAILY_OUTCOMES and ledger.read_at is not None and ledger.read_at <= now - minimum_age


def batches(items: Sequence[_Item], *, size: int) -> Iterator[tuple[_Item, ...]]:
    """Cut into batches of at most ``size``, keeping the order."""
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
