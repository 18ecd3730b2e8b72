"""Finding the accounts that changed: in the change feed's queue where there is one, and by the walk over all accounts.

What belongs here: which accounts a tick looks at, and what it takes from the queue.
What does not: whether an account changed (``database/candidate_queries.py``), where the walk goes on
(``account_walk.py``) and what is asked for (``change_requests.py``).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from talent_image_pipeline.database import candidate_queries, change_feed, transactions
from talent_image_pipeline.database.candidate_queries import AccountFinding, AccountRange, ReadingRules
from talent_image_pipeline.sync.planning.account_walk import Walk, describe_walk, next_step

#: With the feed the walk is a safety net: for what changed before it was turned on, or while a trigger was missing.
WALK_RESTS_FOR: Final = timedelta(hours=1)
_SECONDS_BETWEEN_LOOKS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class FoundChanges:
    """What a tick found, where the walk is now, and in words what was looked at."""

    findings: tuple[AccountFinding, ...]
    walk: Walk
    message: str
    has_feed: bool


def find_changes(engine: sa.Engine, *, rules: ReadingRules, walk: Walk, now: datetime, limit: int) -> FoundChanges:
    """Look at what is queued, where there is a feed, and at the next slice of all accounts unless the walk rests.

    An account stays in the queue until it is found to be as the ledger last saw it: a tick that fails, or a run, loses
    nothing.
    """
    has_feed, entries = transactions.read(engine, _feed_and_queue, limit=limit)
    queued = _look_at_queued(engine, entries, rules=rules, now=now, limit=limit) if entries else []
    if has_feed and walk.is_resting(now, for_=WALK_RESTS_FOR):
        return FoundChanges(findings=tuple(queued), walk=walk, message="looked at the change feed", has_feed=True)
    walked, after = _look_at_slice(engine, rules=rules, walk=walk, now=now, limit=limit)
    known = {finding.account_id for finding in queued}
    findings = (*queued, *(finding for finding in walked if finding.account_id not in known))
    return FoundChanges(findings=findings, walk=after, message=describe_walk(walk, after), has_feed=has_feed)


def wait_for_feed(engine: sa.Engine, *, seconds: float, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until something is queued, and say whether something is.

    It asks the queue instead of listening: that also works through pgbouncer and on SQLite, and an empty queue answers
    in a fraction of a millisecond.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        if transactions.read(engine, change_feed.queued_accounts, limit=1):
            return True
        if time.monotonic() >= give_up_at:
            return False
        sleep(_SECONDS_BETWEEN_LOOKS)


def _feed_and_queue(connection: sa.Connection, *, limit: int) -> tuple[bool, Mapping[str, int]]:
    """Look whether there is a feed and what is queued, in one transaction: mostly it is all that a tick does."""
    has_feed = change_feed.has_change_feed(connection)
    return has_feed, change_feed.queued_accounts(connection, limit=limit) if has_feed else {}


def _look_at_queued(
    engine: sa.Engine, queued: Mapping[str, int], *, rules: ReadingRules, now: datetime, limit: int
) -> list[AccountFinding]:
    findings = transactions.read(
        engine, candidate_queries.find_changed_accounts, rules=rules, now=now, limit=limit, among=list(queued)
    )
    claimed = transactions.read(engine, candidate_queries.claimed_among, list(queued), now=now)
    kept = claimed | {finding.account_id for finding in findings}
    done = [(account_id, number) for account_id, number in queued.items() if account_id not in kept]
    if done:
        transactions.write(engine, change_feed.forget_queued, done)
    return findings


def _look_at_slice(
    engine: sa.Engine, *, rules: ReadingRules, walk: Walk, now: datetime, limit: int
) -> tuple[Sequence[AccountFinding], Walk]:
    began = time.monotonic()

    def look(connection: sa.Connection) -> tuple[str | None, list[AccountFinding]]:
        last_id = candidate_queries.end_of_slice(connection, after=walk.after, size=walk.size)
        among = AccountRange(after=walk.after, up_to=last_id)
        found = candidate_queries.find_changed_accounts(connection, rules=rules, now=now, limit=limit, among=among)
        return last_id, found

    last_id, found = transactions.read(engine, look)
    took = timedelta(seconds=time.monotonic() - began)
    return found, next_step(walk, last_id=last_id, took=took, began_at=now, is_crowded=len(found) >= limit)
