"""What each outcome of a read means for the picture that we own and for the next read: one table.

What belongs here: the table, and the pure function that turns a reading into the account's next ledger row.
What does not: how an outcome comes about (``platforms/``) and which picture a talent shows (``resolution.py``).
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from talent_image_pipeline.database.records import AccountRecord, LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome, Reading, is_other_account
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.limits.quota_rules import DEFAULT_BLOCK
from talent_image_pipeline.sync.limits.retries import unavailable_backoff
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS

#: "Next day" as the daily run means it: a read that ended at 02:03 must be owed again at 02:00 tomorrow.
NEXT_DAY = timedelta(hours=DAILY_MINIMUM_HOURS)
NEXT_TRY_OF_A_DELETED_ACCOUNT = timedelta(days=30)
NEXT_TRY_WITH_OUR_OWN_CREDENTIALS = timedelta(hours=1)
#: A platform that limits us "until now" would otherwise be asked again every few seconds.
SHORTEST_WAIT_FOR_A_LIMIT = timedelta(minutes=1)


class PictureAction(StrEnum):
    """What happens to the picture that we own of an account."""

    REPLACED = "replaced"
    KEPT = "kept"
    DROPPED = "dropped"


class NextRead(StrEnum):
    """When an account is read next."""

    NEXT_DAY = "next day"
    NEXT_DAY_GROWING_TO_WEEKLY = "next day, growing to weekly"
    AFTER_30_DAYS = "after 30 days"
    WHEN_ACCOUNT_CHANGES = "when the account changes"
    WHEN_LIMIT_ENDS = "when the limit ends"
    AFTER_BACKOFF = "after a backoff"
    AFTER_AN_HOUR = "after an hour"


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """What one outcome means."""

    picture: PictureAction
    next_read: NextRead
    is_failure: bool


CONSEQUENCES: Mapping[Outcome, Consequence] = MappingProxyType(
    {
        Outcome.PICTURE: Consequence(picture=PictureAction.REPLACED, next_read=NextRead.NEXT_DAY, is_failure=False),
        Outcome.UNCHANGED: Consequence(picture=PictureAction.KEPT, next_read=NextRead.NEXT_DAY, is_failure=False),
        Outcome.NO_PICTURE: Consequence(picture=PictureAction.DROPPED, next_read=NextRead.NEXT_DAY, is_failure=False),
        Outcome.UNCONFIRMED: Consequence(picture=PictureAction.KEPT, next_read=NextRead.NEXT_DAY, is_failure=False),
        Outcome.GONE: Consequence(picture=PictureAction.DROPPED, next_read=NextRead.AFTER_30_DAYS, is_failure=False),
        Outcome.NEEDS_RECONNECT: Consequence(
            picture=PictureAction.KEPT, next_read=NextRead.WHEN_ACCOUNT_CHANGES, is_failure=True
        ),
        Outcome.RATE_LIMITED: Consequence(
            picture=PictureAction.KEPT, next_read=NextRead.WHEN_LIMIT_ENDS, is_failure=True
        ),
        Outcome.UNAVAILABLE: Consequence(picture=PictureAction.KEPT, next_read=NextRead.AFTER_BACKOFF, is_failure=True),
        Outcome.HIDDEN: Consequence(
            picture=PictureAction.KEPT, next_read=NextRead.NEXT_DAY_GROWING_TO_WEEKLY, is_failure=True
        ),
        Outcome.REFUSED: Consequence(picture=PictureAction.KEPT, next_read=NextRead.NEXT_DAY, is_failure=True),
        Outcome.MISCONFIGURED: Consequence(
            picture=PictureAction.KEPT, next_read=NextRead.AFTER_AN_HOUR, is_failure=True
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class StoredReference:
    """A picture that was just stored: under which hash, and by what a later read knows it again."""

    content_hash: str
    content_id: str | None
    etag: str | None = None


def is_known_to_be_no_picture(account: AccountRecord, reading: Reading) -> bool:
    """Whether the picture that a reading names was downloaded before and turned out to be drawn by the network."""
    ledger = account.ledger
    if ledger is None or reading.picture is None or not is_same_account(ledger, account):
        return False
    is_remembered = ledger.picture_hash is None and ledger.content_id is not None
    return is_remembered and ledger.content_id == reading.picture.content_id


def ledger_after(
    account: AccountRecord, reading: Reading, *, picture: StoredReference | None, now: datetime, rng: random.Random
) -> LedgerRecord:
    """Return the account's ledger row after a reading.

    Args:
        account: The account as it was read, with its ledger row of before.
        reading: How the read ended, download and decoding included.
        picture: The picture that was stored, with the outcome ``picture``; with ``unchanged`` the same picture under
            a new content id.
        now: When the read ended.
        rng: Where jitter comes from.
    """
    kept = _carry_over(account, reading)
    consequence = CONSEQUENCES[reading.outcome]
    failures = kept.consecutive_failures + 1 if consequence.is_failure else 0
    after = replace(
        kept,
        fingerprint=account.fingerprint,
        outcome=reading.outcome,
        upstream_id=reading.upstream_id or kept.upstream_id,
        read_at=now,
        next_read_at=_next_read_at(reading, failures=failures, now=now, rng=rng),
        consecutive_failures=failures,
        failure=reading.message if _needs_explaining(reading.outcome) else None,
        awaits_resolution=True,
    )
    named = reading.picture.content_id if reading.picture is not None else None
    return _with_picture(after, consequence.picture, picture=picture, named=named, now=now)


def _carry_over(account: AccountRecord, reading: Reading) -> LedgerRecord:
    """Return the row of before, without the picture if it was another account's: other handle or other network id."""
    ledger = account.ledger
    blank = LedgerRecord(
        account_id=account.account_id, talent_id=account.talent_id, platform=account.platform, handle=account.handle
    )
    if ledger is None or not is_same_account(ledger, account):
        return blank
    if is_other_account(ledger.upstream_id, reading) and reading.outcome is not Outcome.UNCHANGED:
        return replace(blank, token_refreshed_at=ledger.token_refreshed_at, consent_ends_at=ledger.consent_ends_at)
    return replace(ledger, talent_id=account.talent_id, handle=account.handle)


def _needs_explaining(outcome: Outcome) -> bool:
    consequence = CONSEQUENCES[outcome]
    is_dropped = consequence.picture is PictureAction.DROPPED
    return consequence.is_failure or is_dropped or outcome is Outcome.UNCONFIRMED


def _with_picture(
    ledger: LedgerRecord, fate: PictureAction, *, picture: StoredReference | None, named: str | None, now: datetime
) -> LedgerRecord:
    if fate is PictureAction.DROPPED:
        changed_at = now if ledger.picture_hash else ledger.changed_at
        # A picture that turned out to be none is remembered by its id, so that it is not downloaded again every day.
        return replace(ledger, content_id=named, picture_etag=None, picture_hash=None, changed_at=changed_at)
    if picture is None:
        return ledger
    return replace(
        ledger,
        content_id=picture.content_id,
        picture_etag=picture.etag,
        picture_hash=picture.content_hash,
        changed_at=now if picture.content_hash != ledger.picture_hash else ledger.changed_at,
    )


def _next_read_at(reading: Reading, *, failures: int, now: datetime, rng: random.Random) -> datetime | None:
    match CONSEQUENCES[reading.outcome].next_read:
        case NextRead.NEXT_DAY:
            return now + NEXT_DAY
        case NextRead.NEXT_DAY_GROWING_TO_WEEKLY:
            return now + NEXT_DAY + timedelta(days=min(2 ** min(failures - 1, 3), 7) - 1)
        case NextRead.AFTER_30_DAYS:
            return now + NEXT_TRY_OF_A_DELETED_ACCOUNT
        case NextRead.AFTER_AN_HOUR:
            return now + NEXT_TRY_WITH_OUR_OWN_CREDENTIALS
        case NextRead.WHEN_LIMIT_ENDS:
            return max(reading.retry_at or now + DEFAULT_BLOCK, now + SHORTEST_WAIT_FOR_A_LIMIT)
        case NextRead.AFTER_BACKOFF:
            return max(reading.retry_at or now, now + unavailable_backoff(failures, rng=rng))
        case NextRead.WHEN_ACCOUNT_CHANGES:
            # Named only where no call was needed to know: an account without a token, while ours is not set.
            return reading.retry_at
