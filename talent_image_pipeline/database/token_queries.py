"""Token refreshes in the database: one at a time per account, and the new pair where the app finds it.

What belongs here: claiming a refresh in the ledger, and storing or giving up what came of it.
What does not: asking the platform, and what a failure means (``sync/refresh.py``).

The row of the app is written in one transaction with the account's fingerprint in the ledger: the change is our own
and must not look like one of the app's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from talent_image_pipeline.database.account_queries import account, fingerprint_now, ledger
from talent_image_pipeline.database.fingerprint import token_digest


class ClaimState(StrEnum):
    """What became of the wish to refresh a token."""

    CLAIMED = "claimed"
    BUSY = "busy"
    SUPERSEDED = "superseded"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class SeenTokens:
    """The tokens of an account as a run saw them; the app's row still has them, or newer ones that count instead."""

    access_token: SecretStr | None
    refresh_token: SecretStr | None


@dataclass(frozen=True, kw_only=True)
class NewTokens:
    """A new pair. A part that is none stays as it was."""

    access_token: SecretStr
    expires_at: datetime
    refresh_token: SecretStr | None = None
    consent_ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RefreshClaim:
    """How a claim ended.

    Attributes:
        state: ``claimed``: the refresh is ours; ``busy``: another one is under way; ``superseded``: the app's row has
            other tokens by now; ``gone``: the account, or its row in the ledger, is no more.
        claimed_at: With ``claimed``: by what the claim is known again.
        follows_unfinished: With ``claimed``: an earlier refresh of the same token never came to an end.
        handle: With ``claimed``: as the app stores it.
        expires_at: With ``claimed``: when the access token dies.
    """

    state: ClaimState
    claimed_at: datetime | None = None
    follows_unfinished: bool = False
    handle: str = ""
    expires_at: datetime | None = None


def claim_refresh(
    connection: sa.Connection, *, account_id: str, seen: SeenTokens, lease: timedelta, now: datetime
) -> RefreshClaim:
    """Claim the refresh of one account, if nobody else holds it and the tokens are still those that were seen.

    The ledger's row is locked before the app's row is read: a refresh that ended meanwhile is seen.
    """
    own_row = ledger.c.account_id == account_id
    found = connection.execute(sa.select(ledger.c.token_refresh_started_at).where(own_row).with_for_update()).first()
    if found is None:
        return RefreshClaim(state=ClaimState.GONE)
    started_at: datetime | None = found.token_refresh_started_at
    if started_at is not None and started_at > now - lease:
        return RefreshClaim(state=ClaimState.BUSY)
    row = connection.execute(_select_account(account_id)).first()
    is_as_seen = row is not None and _is_as_seen(row, seen)
    connection.execute(sa.update(ledger).where(own_row).values(token_refresh_started_at=now if is_as_seen else None))
    if row is None:
        return RefreshClaim(state=ClaimState.GONE)
    if not is_as_seen:
        return RefreshClaim(state=ClaimState.SUPERSEDED)
    return RefreshClaim(
        state=ClaimState.CLAIMED,
        claimed_at=now,
        follows_unfinished=started_at is not None,
        handle=row.handle,
        expires_at=row.expiresAt,
    )


def store_new_tokens(
    connection: sa.Connection, *, account_id: str, seen: SeenTokens, new: NewTokens, now: datetime
) -> bool:
    """Store a new pair in the app's row and end the refresh, unless the app's row has other tokens by now.

    The ledger's fingerprint follows where it stood for the row as it was; where the account has another change that
    nobody has read yet, it stays behind, so that the change is still found.

    Returns:
        Whether the pair was stored; if not, the app's newer tokens stand, or the account is no more.
    """
    own_row = ledger.c.account_id == account_id
    # The ledger before the account, as everywhere: two transactions in different orders would wait for each other.
    connection.execute(sa.select(ledger.c.account_id).where(own_row).with_for_update())
    row = connection.execute(_select_account(account_id).with_for_update(of=account)).first()
    if row is None or not _is_as_seen(row, seen):
        connection.execute(sa.update(ledger).where(own_row).values(token_refresh_started_at=None))
        return False
    connection.execute(sa.update(account).where(account.c.id == account_id).values(_app_columns(new)))
    after = sa.select(fingerprint_now).where(account.c.id == account_id).scalar_subquery()
    ledger_columns: dict[str, Any] = {
        "token_refresh_started_at": None,
        "token_refreshed_at": now,
        "token_digest": token_digest(new.access_token),
        "fingerprint": sa.case((ledger.c.fingerprint == row.fingerprint, after), else_=ledger.c.fingerprint),
    }
    if new.consent_ends_at is not None:
        ledger_columns["consent_ends_at"] = new.consent_ends_at
    connection.execute(sa.update(ledger).where(own_row).values(ledger_columns))
    return True


def end_failed_refresh(
    connection: sa.Connection,
    *,
    account_id: str,
    seen: SeenTokens,
    claimed_at: datetime,
    unfinished_since: datetime | None,
) -> bool:
    """End a refresh that brought no new pair.

    Args:
        connection: A transaction.
        account_id: The account.
        seen: The tokens that were used.
        claimed_at: The claim; one that another refresh has taken over is left alone.
        unfinished_since: When an answer may have been lost: the time, older than the lease, that marks it. The next
            refresh may start at once and knows.

    Returns:
        Whether the app's row still has the tokens that were used. If not, the failure says nothing of the newer ones.
    """
    mine = sa.and_(ledger.c.account_id == account_id, ledger.c.token_refresh_started_at == claimed_at)
    connection.execute(sa.update(ledger).where(mine).values(token_refresh_started_at=unfinished_since))
    row = connection.execute(_select_account(account_id)).first()
    return row is not None and _is_as_seen(row, seen)


def _select_account(account_id: str) -> sa.Select[Any]:
    return sa.select(
        account.c.accessToken,
        account.c.refreshToken,
        account.c.expiresAt,
        account.c.handle,
        fingerprint_now.label("fingerprint"),
    ).where(account.c.id == account_id)


def _is_as_seen(row: sa.Row[Any], seen: SeenTokens) -> bool:
    """Compare the token that is spent by a refresh: the refresh token, or the access token where there is no other."""
    if seen.refresh_token is not None:
        return bool(row.refreshToken == seen.refresh_token.get_secret_value())
    is_same_access = seen.access_token is None or row.accessToken == seen.access_token.get_secret_value()
    return not (row.refreshToken or "").strip() and is_same_access


def _app_columns(new: NewTokens) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "accessToken": new.access_token.get_secret_value(),
        "expiresAt": new.expires_at,
    }
    if new.refresh_token is not None:
        columns["refreshToken"] = new.refresh_token.get_secret_value()
    return columns
