"""Social accounts as the pipeline sees them: on platforms that we know, with their ledger rows.

What belongs here: the shared expressions (which account counts, which one changed) and loading accounts.
What does not: choosing talents (``candidate_queries.py``) and writing the ledger (``ledger_queries.py``).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.database.fingerprint import BLANKS, account_fingerprint, platform_word
from talent_image_pipeline.database.records import MANUAL, AccountRecord, LedgerRecord
from talent_image_pipeline.database.tables import (
    candidate_talents,
    platform_images,
    social_account_connection,
    talent,
)

account = social_account_connection
ledger = platform_images
account_platform = platform_word(account.c.platform)
fingerprint_now = account_fingerprint(account)
accounts_with_ledger = account.outerjoin(ledger, ledger.c.account_id == account.c.id)

LEDGER_FIELDS = tuple(LedgerRecord.__dataclass_fields__)
_LEDGER_PREFIX = "ledger_"


def is_on(platforms: Collection[str]) -> sa.ColumnElement[bool]:
    """Accounts of these platforms, whatever case and blanks the app stored them with.

    PostgreSQL knows how frequent a column's values are, and nothing of what a function makes of them: from the usual
    spellings it sees that this holds for nearly every account, and joins by hash instead of row by row.
    """
    spellings = {spelling for name in platforms for spelling in (name, name.upper(), name.capitalize())}
    return sa.or_(account.c.platform.in_(sorted(spellings)), account_platform.in_(sorted(platforms)))


def is_account_of_ledger(platforms: Collection[str]) -> sa.ColumnElement[bool]:
    """How a ledger row finds its account.

    One that the app deleted, gave to another talent or moved to a network that we do not know is its account no longer.
    """
    return sa.and_(account.c.id == ledger.c.account_id, is_of_same_talent(), is_on(platforms))


def is_of_same_talent() -> sa.ColumnElement[bool]:
    """Accounts whose ledger row, if there is one, was written for the talent that they belong to now."""
    return sa.or_(ledger.c.account_id.is_(None), ledger.c.talent_id == account.c.creatorId)


def is_eligible(*, verified_only: bool) -> sa.ColumnElement[bool]:
    """Accounts that may give their talent a picture: connected, and with their own token where only those count."""
    connected = account.c.connected.is_(sa.true())
    return sa.and_(connected, is_given(account.c.accessToken)) if verified_only else connected


def is_given(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Rows whose column holds more than blanks; a blank token, which :func:`_secret` does not see either, is none."""
    return sa.func.coalesce(sa.func.trim(column, BLANKS), "") != ""


def is_changed(*, verified_only: bool) -> sa.ColumnElement[bool]:
    """Accounts in another state than the ledger last saw, or whose read never reached the talent's columns.

    With ``verified_only`` an account that was read before the setting was turned on counts as changed until it is
    forgotten.
    """
    seen = sa.or_(
        ledger.c.awaits_resolution.is_(sa.true()),
        ledger.c.fingerprint.is_distinct_from(fingerprint_now),
    )
    if verified_only:
        seen = sa.or_(seen, account.c.connected.is_(sa.true()) & ~is_given(account.c.accessToken))
    return sa.case((ledger.c.account_id.is_(None), is_eligible(verified_only=verified_only)), else_=seen)


def is_readable(*, verified_only: bool, waiting_outcomes: Collection[str], now: datetime) -> sa.ColumnElement[bool]:
    """Accounts that count and do not wait out a backoff."""
    return sa.and_(
        is_eligible(verified_only=verified_only),
        sa.or_(
            ledger.c.outcome.is_(None),
            ledger.c.outcome.not_in(sorted(waiting_outcomes)),
            ledger.c.next_read_at.is_(None),
            ledger.c.next_read_at <= now,
            ledger.c.fingerprint.is_distinct_from(fingerprint_now),
        ),
    )


def is_due_again(*, verified_only: bool, repeated_outcomes: Collection[str], now: datetime) -> sa.ColumnElement[bool]:
    """Accounts that count, whose last read failed in a way that passes, and whose wait after it is over."""
    return sa.and_(
        is_eligible(verified_only=verified_only),
        ledger.c.outcome.in_(sorted(repeated_outcomes)),
        ledger.c.next_read_at <= now,
    )


def load_batch_accounts(
    connection: sa.Connection, *, run_id: str, platform: str, verified_only: bool
) -> list[AccountRecord]:
    """Return the accounts of one platform that count, of the talents chosen in a run, in the order of the batch."""
    statement = (
        _select_accounts()
        .join(candidate_talents, candidate_talents.c.talent_id == account.c.creatorId)
        .join(talent, talent.c.id == account.c.creatorId)
        .where(
            candidate_talents.c.run_id == run_id,
            is_on([platform]),
            is_eligible(verified_only=verified_only),
            is_of_same_talent(),
            talent.c.profileImageSource != MANUAL,
        )
        .order_by(talent.c.lastProfileImageSyncAt.asc().nulls_first(), account.c.id)
    )
    return [_account_record(row) for row in connection.execute(statement).mappings()]


def load_accounts_waiting_for_their_talent(
    connection: sa.Connection, *, platform: str, dead_outcome: str, consent_ends_before: datetime
) -> list[AccountRecord]:
    """Return connected accounts of a platform whose token was found dead, or whose consent ends before a time."""
    is_dead = sa.and_(ledger.c.outcome == dead_outcome, ledger.c.fingerprint == fingerprint_now)
    statement = (
        _select_accounts()
        .where(
            is_on([platform]),
            account.c.connected.is_(sa.true()),
            sa.or_(is_dead, ledger.c.consent_ends_at < consent_ends_before),
        )
        .order_by(account.c.creatorId, account.c.id)
    )
    return [_account_record(row) for row in connection.execute(statement).mappings()]


def load_accounts_of(
    connection: sa.Connection, talent_ids: Sequence[str], *, platforms: Collection[str], lock: bool = False
) -> list[AccountRecord]:
    """Return every account of these talents on platforms that we know, connected or not.

    With ``lock``, on PostgreSQL, nobody else changes them until the transaction ends; where somebody is changing one
    right now, the transaction fails and is to be begun anew (``transactions.py``).
    """
    statement = (
        _select_accounts()
        .where(account.c.creatorId.in_(list(talent_ids)), is_on(platforms))
        .order_by(account.c.creatorId, account.c.id)
    )
    if lock:
        statement = statement.with_for_update(read=True, nowait=True, of=account)
    return [_account_record(row) for row in connection.execute(statement).mappings()]


def load_accounts(connection: sa.Connection, account_ids: Sequence[str], *, lock: bool = False) -> list[AccountRecord]:
    """Return these accounts as they are now; those that the app has deleted are left out.

    With ``lock``, as :func:`load_accounts_of`.
    """
    statement = _select_accounts().where(account.c.id.in_(list(account_ids))).order_by(account.c.id)
    if lock:
        statement = statement.with_for_update(read=True, nowait=True, of=account)
    return [_account_record(row) for row in connection.execute(statement).mappings()]


def _select_accounts() -> sa.Select[Any]:
    ledger_columns = [ledger.c[name].label(f"{_LEDGER_PREFIX}{name}") for name in LEDGER_FIELDS]
    return sa.select(
        account.c.id,
        account.c.creatorId,
        account_platform.label("platform"),
        account.c.handle,
        account.c.profileUrl,
        account.c.connected,
        account.c.accessToken,
        account.c.refreshToken,
        account.c.expiresAt,
        fingerprint_now.label("fingerprint"),
        *ledger_columns,
    ).select_from(accounts_with_ledger)


def _account_record(row: sa.RowMapping) -> AccountRecord:
    return AccountRecord(
        account_id=row["id"],
        talent_id=row["creatorId"],
        platform=row["platform"],
        handle=row["handle"],
        profile_url=row["profileUrl"],
        connected=row["connected"],
        fingerprint=row["fingerprint"],
        access_token=_secret(row["accessToken"]),
        refresh_token=_secret(row["refreshToken"]),
        token_expires_at=row["expiresAt"],
        ledger=_ledger_record(row),
    )


def _ledger_record(row: sa.RowMapping) -> LedgerRecord | None:
    if row[f"{_LEDGER_PREFIX}account_id"] is None:
        return None
    return LedgerRecord(**{name: row[f"{_LEDGER_PREFIX}{name}"] for name in LEDGER_FIELDS})


def _secret(value: str | None) -> SecretStr | None:
    return SecretStr(value) if value and value.strip(BLANKS) else None
