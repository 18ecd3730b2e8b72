"""Which of a chosen talent's accounts a run reads, and what each way for a read to end means for that.

What belongs here: the decision about one account, and cutting into batches. What does not: who is due, which the
database decides over 100,000 talents at once (``database/candidate_queries.py``).
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome

_Item = TypeVar("_Item")

#: One account that changes all the time must not use up what all share.
MOST_READS_BY_CHANGE = 4
CHANGES_COUNT_FOR = timedelta(hours=1)

#: Outcomes after which an account waits out a backoff, whoever is due.
WAITING_OUTCOMES = frozenset({Outcome.UNAVAILABLE, Outcome.RATE_LIMITED})

#: Outcomes after which an account is read again as soon as its wait is over, however lately its talent was synced.
REPEATED_OUTCOMES = WAITING_OUTCOMES | {Outcome.MISCONFIGURED}

#: Outcomes after which a read is simply repeated with the talent's next sync.
DAILY_OUTCOMES = frozenset(
    {Outcome.PICTURE, Outcome.UNCHANGED, Outcome.NO_PICTURE, Outcome.UNCONFIRMED, Outcome.REFUSED}
)


def is_restless(*, reads: int, since: datetime | None, now: datetime) -> bool:
    """Whether an account was read so often within the hour because it changed that its next change has to wait."""
    return reads >= MOST_READS_BY_CHANGE and since is not None and since > now - CHANGES_COUNT_FOR


def is_owed_a_read(account: AccountRecord, *, now: datetime, minimum_age: timedelta, force: bool) -> bool:
    """Whether a run that has the account's talent among its candidates is to read the account.

    Args:
        account: The account with its ledger row.
        now: The time of the decision.
        minimum_age: How old a healthy read must be to be repeated before its time has come.
        force: Whether a person asked: then every connected account is read, whatever its last read said.
    """
    ledger = account.ledger
    if not account.connected or force:
        return account.connected
    if ledger is None or ledger.outcome is None:
        return True
    if ledger.fingerprint != account.fingerprint:
        return not is_restless(reads=ledger.reads_by_change, since=ledger.reads_by_change_since, now=now)
    if ledger.next_read_at is None or ledger.next_read_at <= now:
        return True
    return ledger.outcome in DAILY_OUTCOMES and ledger.read_at is not None and ledger.read_at <= now - minimum_age


def batch_size_for(due: int, *, least: int, most_batches: int) -> int:
    """Return how many talents a batch has, so that there are not too many batches: ``least`` unless many are due."""
    return max(least, math.ceil(due / most_batches))


def batches(items: Sequence[_Item], *, size: int) -> Iterator[tuple[_Item, ...]]:
    """Cut into batches of at most ``size``, keeping the order."""
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
