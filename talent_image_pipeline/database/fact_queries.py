"""What the ledger and the app's columns say of everybody: the facts behind the checks.

What belongs here: counting over all accounts of a platform and all talents, in a statement or two.
What does not: whether that is good or bad (``sync/reporting/check_rules.py``).
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import account, is_account_of_ledger, ledger
from talent_image_pipeline.database.records import OWN_ERROR
from talent_image_pipeline.database.tables import pictures, profile_image_versions, talent
from talent_image_pipeline.platforms.contract import Outcome

_MOST_MESSAGES = 20
_MOST_TALENTS = 1000


@dataclass(frozen=True, kw_only=True)
class PlatformFacts:
    """How the last reads of a platform's connected accounts ended.

    Attributes:
        outcomes: Accounts by outcome, those held back left out.
        last_read_at: When the newest read of each outcome ended.
        messages: What was said, by outcome, the most frequent first.
        refused_hosts: Accounts whose picture was refused, by the host where it was.
        held: Accounts whose loss is held back, by what the platform suggests; of whatever age.
        held_messages: What the platform said of them, the most frequent first.
        held_since: Since when the longest held one is held.
        own_errors: Accounts whose read ended in an error of our own; they count among the unavailable ones too.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    last_read_at: dict[Outcome, datetime] = field(default_factory=dict)
    messages: dict[Outcome, list[str]] = field(default_factory=dict)
    refused_hosts: Counter[str] = field(default_factory=Counter)
    held: Counter[Outcome] = field(default_factory=Counter)
    held_messages: list[str] = field(default_factory=list)
    held_since: datetime | None = None
    own_errors: int = 0

    @property
    def reads(self) -> int:
        """How many accounts were read, those held back left out."""
        return self.outcomes.total()


def platform_facts(connection: sa.Connection, *, platform: str, since: datetime) -> PlatformFacts:
    """Return how the last reads of a platform's connected accounts ended, of all that ended after a time."""
    facts = PlatformFacts()
    _count_outcomes(connection, facts, platform=platform, since=since)
    _collect_messages(connection, facts, platform=platform, since=since)
    held = _held(connection, platform=platform)
    return PlatformFacts(
        outcomes=facts.outcomes,
        last_read_at=facts.last_read_at,
        messages=facts.messages,
        refused_hosts=facts.refused_hosts,
        held=Counter({Outcome(suggested): count for suggested, count in held.counts.items()}),
        held_messages=held.messages,
        held_since=held.since,
        own_errors=_count_own_errors(connection, platform=platform, since=since),
    )


def talents_out_of_sync(connection: sa.Connection, *, picture_url: tuple[str, str]) -> list[str]:
    """Return talents whose columns show something else than their current version, or a picture that we do not own.

    Args:
        connection: A transaction.
        picture_url: What stands before and after a picture's hash in its address.
    """
    current, shown = profile_image_versions, talent.c.profileImageUrl
    before, after = picture_url
    expected = sa.case((current.c.picture_hash.is_(None), None), else_=before + current.c.picture_hash + after)
    is_otherwise = sa.or_(
        talent.c.profileImageSource != current.c.source,
        shown.is_distinct_from(expected),
        sa.and_(current.c.picture_hash.is_not(None), pictures.c.hash.is_(None)),
    )
    statement = (
        sa.select(talent.c.id)
        .join(current, sa.and_(current.c.talent_id == talent.c.id, current.c.valid_to.is_(None)))
        .outerjoin(pictures, pictures.c.hash == current.c.picture_hash)
        .where(talent.c.profileImageSource != "manual", is_otherwise)
        .order_by(talent.c.id)
        .limit(_MOST_TALENTS)
    )
    return list(connection.scalars(statement))


def count_synced_talents(connection: sa.Connection) -> int:
    """Return how many talents have a current version."""
    statement = sa.select(sa.func.count()).where(profile_image_versions.c.valid_to.is_(None))
    return int(connection.execute(statement).scalar_one())


@dataclass(frozen=True, kw_only=True)
class _Held:
    counts: dict[str, int]
    messages: list[str]
    since: datetime | None


def _count_outcomes(connection: sa.Connection, facts: PlatformFacts, *, platform: str, since: datetime) -> None:
    statement = (
        _of_connected(platform, ledger.c.outcome, ledger.c.refused_host, sa.func.count(), sa.func.max(ledger.c.read_at))
        .where(_was_read_after(since))
        .group_by(ledger.c.outcome, ledger.c.refused_host)
    )
    for outcome_text, host, count, last in connection.execute(statement):
        outcome = Outcome(outcome_text)
        facts.outcomes[outcome] += count
        facts.last_read_at[outcome] = max(last, facts.last_read_at.get(outcome, last))
        if outcome is Outcome.REFUSED:
            facts.refused_hosts[host or "an unnamed host"] += count


def _collect_messages(connection: sa.Connection, facts: PlatformFacts, *, platform: str, since: datetime) -> None:
    statement = (
        _of_connected(platform, ledger.c.outcome, ledger.c.failure, sa.func.count())
        .where(_was_read_after(since), ledger.c.failure.is_not(None))
        .group_by(ledger.c.outcome, ledger.c.failure)
        .order_by(sa.func.count().desc(), ledger.c.failure)
        .limit(_MOST_MESSAGES)
    )
    for outcome_text, message, _ in connection.execute(statement):
        facts.messages.setdefault(Outcome(outcome_text), []).append(message)


def _count_own_errors(connection: sa.Connection, *, platform: str, since: datetime) -> int:
    ended_in_one = ledger.c.failure.startswith(OWN_ERROR, autoescape=True)
    statement = _of_connected(platform, sa.func.count()).where(_was_read_after(since), ended_in_one)
    return int(connection.execute(statement).scalar_one())


def _held(connection: sa.Connection, *, platform: str) -> _Held:
    statement = (
        _of_connected(
            platform,
            ledger.c.suggested_outcome,
            ledger.c.failure,
            sa.func.count(),
            sa.func.min(ledger.c.held_since),
        )
        .where(ledger.c.held_since.is_not(None))
        .group_by(ledger.c.suggested_outcome, ledger.c.failure)
        .order_by(sa.func.count().desc(), ledger.c.failure)
    )
    counts: Counter[str] = Counter()
    messages: list[str] = []
    times: list[datetime] = []
    for suggested, message, count, since in connection.execute(statement):
        counts[suggested] += count
        times.append(since)
        if message is not None and message not in messages:
            messages.append(message)
    return _Held(counts=dict(counts), messages=messages[:_MOST_MESSAGES], since=min(times, default=None))


def _of_connected(platform: str, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .select_from(ledger.join(account, is_account_of_ledger([platform])))
        .where(ledger.c.platform == platform, account.c.connected.is_(sa.true()))
    )


def _was_read_after(since: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(ledger.c.outcome.is_not(None), ledger.c.read_at > since, ledger.c.held_since.is_(None))
