"""One talent's picture as the app asks for it: what is shown, where it can come from, and what could not be read.

What belongs here: gathering it for the HTTP API, without any token.
What does not: the whole story of a talent (``explain.py``).
"""

from dataclasses import dataclass

import sqlalchemy as sa

from talent_image_pipeline.database import account_queries, history_queries
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.records import MANUAL, AccountRecord, TalentRecord
from talent_image_pipeline.database.tables import social_account_connection
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.publishing.publish import PublishingRules
from talent_image_pipeline.sync.publishing.resolution import is_eligible, owned_hash
from talent_image_pipeline.sync.reading.outcome_rules import CONSEQUENCES


@dataclass(frozen=True, kw_only=True)
class ConnectedAccount:
    """A connected account, on any network; ``platform`` as the app stores it."""

    platform: str
    handle: str
    has_picture: bool


@dataclass(frozen=True, kw_only=True)
class FailedAccount:
    """An account whose last read failed; ``message`` says why and what to do."""

    platform: str
    handle: str
    outcome: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ProfileImageDescription:
    """What a talent shows and where it can come from.

    Attributes:
        can_sync: Whether an account is connected whose picture may be shown.
        failed: Accounts that count and whose last read failed.
        was_any_read: Whether the last read of any account that counts came to an end.
    """

    talent: TalentRecord
    connected: tuple[ConnectedAccount, ...]
    can_sync: bool
    failed: tuple[FailedAccount, ...]
    was_any_read: bool


def describe_profile_image(
    engine: sa.Engine, talent_id: str, *, rules: PublishingRules
) -> ProfileImageDescription | None:
    """Gather what a talent shows, in one reading transaction; none for an id that nobody has."""
    # PostgreSQL has no text with a zero character, and refuses to compare with one.
    if "\0" in talent_id:
        return None
    with read_only(engine).begin() as connection:
        talents = history_queries.load_talents(connection, [talent_id])
        if not talents:
            return None
        accounts = account_queries.load_accounts_of(connection, [talent_id], platforms=rules.priority)
        connected = _load_connected(connection, talent_id)
    counting = [account for account in accounts if is_eligible(account, verified_only=rules.verified_only)]
    with_picture = {account.account_id for account in accounts if owned_hash(account) is not None}
    return ProfileImageDescription(
        talent=talents[0],
        connected=tuple(
            ConnectedAccount(platform=platform, handle=handle, has_picture=account_id in with_picture)
            for account_id, platform, handle in connected
        ),
        can_sync=bool(counting) and talents[0].image_source != MANUAL,
        failed=tuple(_failed(account) for account in counting if _has_failed(account)),
        was_any_read=any(_was_read(account) for account in counting),
    )


def _load_connected(connection: sa.Connection, talent_id: str) -> list[tuple[str, str, str]]:
    accounts = social_account_connection
    statement = (
        sa.select(accounts.c.id, accounts.c.platform, accounts.c.handle)
        .where(accounts.c.creatorId == talent_id, accounts.c.connected.is_(sa.true()))
        .order_by(accounts.c.platform, accounts.c.id)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def _has_failed(account: AccountRecord) -> bool:
    return account.ledger is not None and bool(account.ledger.outcome) and not _was_read(account)


def _was_read(account: AccountRecord) -> bool:
    ledger = account.ledger
    if ledger is None or ledger.outcome is None:
        return False
    return not CONSEQUENCES[Outcome(ledger.outcome)].is_failure


def _failed(account: AccountRecord) -> FailedAccount:
    ledger = account.ledger
    outcome = ledger.outcome if ledger is not None else None
    message = ledger.failure if ledger is not None else None
    return FailedAccount(
        platform=account.platform, handle=account.handle, outcome=outcome or "", message=message or "The read failed."
    )
