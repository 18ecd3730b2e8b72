"""Who may be due and what changed, found by the database over all talents at once.

What belongs here: the rule by which a talent is due, as one query behind the daily plan, the sensor's tick and a run's
own choice, and the hand-off table. What does not: which of a chosen talent's accounts are read (``sync/planning``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import (
    account,
    account_platform,
    accounts_with_ledger,
    fingerprint_now,
    is_account_of_ledger,
    is_changed,
    is_due_again,
    is_eligible,
    is_of_same_talent,
    is_on,
    is_readable,
    ledger,
)
from talent_image_pipeline.database.records import MANUAL, Candidate, Reason
from talent_image_pipeline.database.tables import candidate_talents, talent
from talent_image_pipeline.platforms.contract import Outcome

_NAMES_WORTH_REPEATING: Final = 1000


@dataclass(frozen=True, kw_only=True)
class ReadingRules:
    """What decides whether an account may be read.

    Attributes:
        platforms: Those that we know.
        waiting_outcomes: After these, an account is not read before its wait is over, whoever is due.
        repeated_outcomes: After these, it is read again as soon as its wait is over.
        verified_only: Whether only accounts connected with their own token count.
        is_narrowed: Whether ``platforms`` are only some of those that we know: accounts on the others are not lost.
    """

    platforms: tuple[str, ...]
    waiting_outcomes: tuple[str, ...]
    repeated_outcomes: tuple[str, ...]
    verified_only: bool
    is_narrowed: bool = False

    def narrowed_to(self, platforms: Sequence[str]) -> "ReadingRules":
        """Return the same rules about these platforms alone; about all of them where none is named."""
        return replace(self, platforms=tuple(platforms), is_narrowed=True) if platforms else self


@dataclass(frozen=True, kw_only=True)
class AccountFinding:
    """An account that changed.

    Attributes:
        fingerprint: Its state now; none for an account that the app deleted.
        awaits_read: Whether the change is to be read at its network: a disconnect or a deletion is not.
        reads_by_change: How often it was read lately because it changed.
        reads_by_change_since: Since when that is counted.
    """

    account_id: str
    talent_id: str
    fingerprint: str | None
    awaits_read: bool = False
    reads_by_change: int = 0
    reads_by_change_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FailedRead:
    """An account whose last read failed in a way that passes, and whose wait after it is over."""

    account_id: str
    talent_id: str
    platform: str


def find_candidates(
    connection: sa.Connection,
    *,
    rules: ReadingRules,
    now: datetime,
    synced_before: datetime,
    talent_ids: Sequence[str] = (),
    force: bool = False,
    limit: int | None = None,
) -> list[Candidate]:
    """Find the talents that are due, and why: never synced ones first, then the longest waiting.

    Args:
        connection: An open connection.
        rules: What may be read.
        now: The time of the decision. A stamp that lies after it was written by a wrong clock and counts as none.
        synced_before: A stamp older than this is stale.
        talent_ids: Only these; empty means all.
        force: Find all of ``talent_ids``, due or not.
        limit: At most so many.
    """
    statement = _select_due(rules, now=now, synced_before=synced_before, talent_ids=talent_ids, force=force)
    return [Candidate(talent_id=row[0], reason=row[1]) for row in connection.execute(statement.limit(limit))]


def find_due_talent_ids(
    connection: sa.Connection, *, rules: ReadingRules, now: datetime, synced_before: datetime
) -> list[str]:
    """Find everyone whom :func:`find_candidates` finds, without saying why: for 100,000 talents in half of the time."""
    statement = _select_due(rules, now=now, synced_before=synced_before, talent_ids=(), force=False)
    return list(connection.scalars(statement.with_only_columns(talent.c.id)))


def _select_due(
    rules: ReadingRules, *, now: datetime, synced_before: datetime, talent_ids: Sequence[str], force: bool
) -> sa.Select[Any]:
    # Inside, the names only save work; a long list of them would be three times as many parameters as SQLite takes.
    narrowed_to = talent_ids if len(talent_ids) <= _NAMES_WORTH_REPEATING else ()
    accounts = _accounts_by_talent(rules, now=now, talent_ids=narrowed_to)
    stamp = talent.c.lastProfileImageSyncAt
    is_never_synced = sa.or_(stamp.is_(None), stamp > now)
    is_stale = stamp <= synced_before
    is_readable = sa.func.coalesce(accounts.c.is_readable, 0) == 1
    is_changed = sa.or_(
        sa.func.coalesce(accounts.c.is_changed, 0) == 1,
        talent.c.id.in_(_talents_with_lost_accounts(rules, narrowed_to)),
    )
    is_due_again = sa.func.coalesce(accounts.c.is_due_again, 0) == 1
    reason = sa.case(
        (sa.literal(force), Reason.ASKED_FOR.value),
        (is_readable & is_never_synced, Reason.NEVER_SYNCED.value),
        (is_readable & is_stale, Reason.STALE.value),
        (is_changed, Reason.ACCOUNT_CHANGED.value),
        else_=Reason.WAIT_IS_OVER.value,
    )
    statement: sa.Select[Any] = (
        sa.select(talent.c.id, sa.type_coerce(reason, candidate_talents.c.reason.type))
        .select_from(talent.outerjoin(accounts, accounts.c.talent_id == talent.c.id))
        .where(talent.c.profileImageSource != MANUAL)
        .order_by(sa.case((is_never_synced, None), else_=stamp).asc().nulls_first(), talent.c.id)
    )
    if talent_ids:
        statement = statement.where(talent.c.id.in_(list(talent_ids)))
    if not force:
        statement = statement.where(sa.or_(is_readable & (is_never_synced | is_stale), is_changed, is_due_again))
    return statement


@dataclass(frozen=True, kw_only=True)
class AccountRange:
    """Accounts by their ids: after one, up to and with another; none is no bound."""

    after: str | None
    up_to: str | None


def end_of_slice(connection: sa.Connection, *, after: str | None, size: int) -> str | None:
    """Return the id of the last of so many accounts after one; none where there are not that many left."""
    statement = sa.select(account.c.id).order_by(account.c.id).offset(size - 1).limit(1)
    return connection.scalar(statement if after is None else statement.where(account.c.id > after))


def find_changed_accounts(
    connection: sa.Connection,
    *,
    rules: ReadingRules,
    now: datetime,
    limit: int,
    among: AccountRange | Collection[str] | None = None,
) -> list[AccountFinding]:
    """Find accounts that changed or were deleted, the longest unread first; all, or among some.

    Accounts that a run holds a claim on are left out until the claim ends, and so are those of talents with a manual
    picture.
    """
    is_seen = ledger.c.fingerprint.is_not_distinct_from(fingerprint_now)
    standing = (
        sa.select(
            account.c.id,
            account.c.creatorId,
            fingerprint_now,
            is_eligible(verified_only=rules.verified_only) & ~is_seen,
            sa.func.coalesce(ledger.c.reads_by_change, 0),
            ledger.c.reads_by_change_since,
        )
        .select_from(accounts_with_ledger.join(talent, talent.c.id == account.c.creatorId))
        .where(
            is_on(rules.platforms),
            is_of_same_talent(),
            talent.c.profileImageSource != MANUAL,
            is_changed(verified_only=rules.verified_only),
            _is_unclaimed(now),
            _is_among(account.c.id, among),
        )
        .order_by(ledger.c.read_at.asc().nulls_first(), account.c.id)
        .limit(limit)
    )
    deleted = (
        sa.select(ledger.c.account_id, ledger.c.talent_id)
        .select_from(
            ledger.outerjoin(account, is_account_of_ledger(rules.platforms)).outerjoin(
                talent, talent.c.id == ledger.c.talent_id
            )
        )
        .where(
            account.c.id.is_(None),
            _is_unclaimed(now),
            talent.c.profileImageSource.is_distinct_from(MANUAL),
            _is_among(ledger.c.account_id, among),
        )
        .limit(limit)
    )
    return [
        *(AccountFinding(account_id=row[0], talent_id=row[1], fingerprint=None) for row in connection.execute(deleted)),
        *(
            AccountFinding(
                account_id=row[0],
                talent_id=row[1],
                fingerprint=row[2],
                awaits_read=bool(row[3]),
                reads_by_change=row[4],
                reads_by_change_since=row[5],
            )
            for row in connection.execute(standing)
        ),
    ]


def find_failed_reads(connection: sa.Connection, *, rules: ReadingRules, now: datetime, limit: int) -> list[FailedRead]:
    """Find accounts whose wait after a failed read is over, the longest waiting first; claimed ones are left out."""
    statement = (
        sa.select(account.c.id, account.c.creatorId, account_platform)
        .select_from(accounts_with_ledger.join(talent, talent.c.id == account.c.creatorId))
        .where(
            is_on(rules.platforms),
            is_of_same_talent(),
            talent.c.profileImageSource != MANUAL,
            is_due_again(verified_only=rules.verified_only, repeated_outcomes=rules.repeated_outcomes, now=now),
            _is_unclaimed(now),
        )
        .order_by(ledger.c.read_at.asc().nulls_first(), account.c.id)
        .limit(limit)
    )
    return [FailedRead(account_id=row[0], talent_id=row[1], platform=row[2]) for row in connection.execute(statement)]


def newest_outcomes(connection: sa.Connection, platform: str, *, reads: int) -> list[Outcome]:
    """Return how the newest reads on a platform ended, the newest first."""
    statement = (
        sa.select(ledger.c.outcome)
        .where(ledger.c.platform == platform, ledger.c.outcome.is_not(None), ledger.c.read_at.is_not(None))
        .order_by(ledger.c.read_at.desc())
        .limit(reads)
    )
    return list(connection.scalars(statement))


def _is_among(column: sa.ColumnElement[str], among: AccountRange | Collection[str] | None) -> sa.ColumnElement[bool]:
    if among is None:
        return sa.true()
    if not isinstance(among, AccountRange):
        return column.in_(sorted(among))
    lower = sa.true() if among.after is None else column > among.after
    upper = sa.true() if among.up_to is None else column <= among.up_to
    return sa.and_(lower, upper)


def claimed_among(connection: sa.Connection, account_ids: Collection[str], *, now: datetime) -> set[str]:
    """Return which of these accounts a run holds a claim on."""
    statement = sa.select(ledger.c.account_id).where(
        ledger.c.account_id.in_(sorted(account_ids)), ledger.c.claimed_until > now
    )
    return set(connection.scalars(statement))


def _is_unclaimed(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(ledger.c.claimed_until.is_(None), ledger.c.claimed_until <= now)


def find_deleted_talents(connection: sa.Connection, talent_ids: Collection[str] = ()) -> list[str]:
    """Return talents that the ledger still knows and the app has deleted."""
    statement = (
        sa.select(ledger.c.talent_id)
        .distinct()
        .select_from(ledger.outerjoin(talent, talent.c.id == ledger.c.talent_id))
        .where(talent.c.id.is_(None))
        .order_by(ledger.c.talent_id)
    )
    if talent_ids:
        statement = statement.where(ledger.c.talent_id.in_(list(talent_ids)))
    return list(connection.scalars(statement))


def save_candidates(
    connection: sa.Connection, *, run_id: str, candidates: Sequence[Candidate], chosen_at: datetime
) -> None:
    """Hand a run's candidates to the assets after it; a run that chooses again starts anew."""
    connection.execute(sa.delete(candidate_talents).where(candidate_talents.c.run_id == run_id))
    if candidates:
        connection.execute(
            sa.insert(candidate_talents),
            [
                {"run_id": run_id, "talent_id": row.talent_id, "reason": row.reason, "chosen_at": chosen_at}
                for row in candidates
            ],
        )


def load_candidates(connection: sa.Connection, run_id: str) -> list[Candidate]:
    """Return the candidates of a run."""
    statement = (
        sa.select(candidate_talents.c.talent_id, candidate_talents.c.reason)
        .where(candidate_talents.c.run_id == run_id)
        .order_by(candidate_talents.c.talent_id)
    )
    return [Candidate(talent_id=row[0], reason=row[1]) for row in connection.execute(statement)]


def candidates_of_runs(connection: sa.Connection, run_ids: Collection[str]) -> set[str]:
    """Return the talents that any of these runs chose."""
    if not run_ids:
        return set()
    statement = sa.select(candidate_talents.c.talent_id).where(candidate_talents.c.run_id.in_(list(run_ids)))
    return set(connection.scalars(statement))


def newest_batch(connection: sa.Connection) -> str | None:
    """Return the run that chose candidates last."""
    statement = sa.select(candidate_talents.c.run_id).order_by(candidate_talents.c.chosen_at.desc()).limit(1)
    return connection.scalar(statement)


def forget_batches_before(connection: sa.Connection, moment: datetime) -> int:
    """Remove hand-off rows that nobody works on any more; returns how many."""
    result = connection.execute(sa.delete(candidate_talents).where(candidate_talents.c.chosen_at < moment))
    return result.rowcount


def _accounts_by_talent(rules: ReadingRules, *, now: datetime, talent_ids: Sequence[str]) -> sa.Subquery:
    """For each talent with accounts: whether one is readable, changed, and due again after a failure, as 1 or 0."""
    changed = is_changed(verified_only=rules.verified_only)
    readable = is_readable(verified_only=rules.verified_only, waiting_outcomes=rules.waiting_outcomes, now=now)
    due_again = is_due_again(verified_only=rules.verified_only, repeated_outcomes=rules.repeated_outcomes, now=now)
    statement = (
        sa.select(
            account.c.creatorId.label("talent_id"),
            sa.func.max(sa.case((readable, 1), else_=0)).label("is_readable"),
            sa.func.max(sa.case((changed, 1), else_=0)).label("is_changed"),
            sa.func.max(sa.case((due_again, 1), else_=0)).label("is_due_again"),
        )
        .select_from(accounts_with_ledger)
        .where(is_on(rules.platforms))
        .group_by(account.c.creatorId)
    )
    if talent_ids:
        statement = statement.where(account.c.creatorId.in_(list(talent_ids)))
    return statement.subquery()


def _talents_with_lost_accounts(rules: ReadingRules, talent_ids: Sequence[str]) -> sa.Select[tuple[str]]:
    """Talents of accounts that the ledger still knows and that are theirs no longer."""
    statement = (
        sa.select(ledger.c.talent_id)
        .select_from(ledger.outerjoin(account, is_account_of_ledger(rules.platforms)))
        .where(account.c.id.is_(None))
    )
    if rules.is_narrowed:
        statement = statement.where(ledger.c.platform.in_(rules.platforms))
    return statement.where(ledger.c.talent_id.in_(list(talent_ids))) if talent_ids else statement
