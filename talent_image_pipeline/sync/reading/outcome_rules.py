"""What each outcome of a read means for the picture that we own and for the next read: one table.

What belongs here: the table, the second look, and the pure function that turns a reading into the next ledger row.
What does not: how an outcome comes about (``platforms/``), what too many losses at once mean (``mass_guard.py``) and
which picture a talent shows (``resolution.py``).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from talent_image_pipeline.database.fingerprint import token_digest
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome, Reading, is_known_account, is_other_account
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.limits.quota_rules import DEFAULT_BLOCK
from talent_image_pipeline.sync.limits.retries import unavailable_backoff
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS

#: "Next day" as the daily run means it: a read that ended at 02:03 must be owed again at 02:00 tomorrow.
NEXT_DAY = timedelta(hours=DAILY_MINIMUM_HOURS)
NEXT_WEEK = NEXT_DAY + timedelta(days=6)
NEXT_TRY_WITH_OUR_OWN_CREDENTIALS = timedelta(hours=1)
#: A platform that limits us "until now" would otherwise be asked again every few seconds.
SHORTEST_WAIT_FOR_A_LIMIT = timedelta(minutes=1)
#: Two looks on either side of midnight are one look: an outage lasts for hours.
BETWEEN_TWO_LOOKS = timedelta(hours=6)
#: After that long a picture whose bytes were refused is downloaded again: our rules may have changed.
REFUSED_BYTES_ARE_REMEMBERED_FOR = timedelta(days=7)

#: Answers after which what the platform suggested before does not stand any more.
_CONTRADICTIONS = frozenset({Outcome.PICTURE, Outcome.UNCHANGED, Outcome.NO_PICTURE, Outcome.HIDDEN, Outcome.REFUSED})

_DAYS_WHILE_HIDDEN = (1, 2, 4, 7)
_DAYS_WITHOUT_TOKEN = (1, 3, 7)


class PictureAction(StrEnum):
    """What happens to the picture that we own of an account."""

    REPLACED = "replaced"
    KEPT = "kept"
    DROPPED = "dropped"


class NextRead(StrEnum):
    """When an account is read next, unless it changes or a person asks before."""

    NEXT_DAY = "next day"
    NEXT_DAY_GROWING_TO_WEEKLY = "next day, growing to weekly"
    AFTER_1_3_AND_7_DAYS = "after 1, 3 and 7 days, then weekly"
    WEEKLY = "weekly"
    WHEN_LIMIT_ENDS = "when the limit ends"
    AFTER_BACKOFF = "after a backoff"
    AFTER_AN_HOUR = "after an hour"


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """What one outcome means.

    Attributes:
        picture: What happens to the picture that we own.
        next_read: When the account is read next.
        is_failure: Whether it counts among the failed reads in a row.
    """

    picture: PictureAction
    next_read: NextRead
    is_failure: bool


def _kept(next_read: NextRead, *, is_failure: bool = True) -> Consequence:
    return Consequence(picture=PictureAction.KEPT, next_read=next_read, is_failure=is_failure)


def _dropped(next_read: NextRead) -> Consequence:
    return Consequence(picture=PictureAction.DROPPED, next_read=next_read, is_failure=False)


CONSEQUENCES: Mapping[Outcome, Consequence] = MappingProxyType(
    {
        Outcome.PICTURE: Consequence(picture=PictureAction.REPLACED, next_read=NextRead.NEXT_DAY, is_failure=False),
        Outcome.UNCHANGED: _kept(NextRead.NEXT_DAY, is_failure=False),
        Outcome.NO_PICTURE: _dropped(NextRead.NEXT_DAY),
        Outcome.UNCONFIRMED: _kept(NextRead.NEXT_DAY, is_failure=False),
        Outcome.GONE: _dropped(NextRead.WEEKLY),
        Outcome.NEEDS_RECONNECT: _kept(NextRead.AFTER_1_3_AND_7_DAYS),
        Outcome.RATE_LIMITED: _kept(NextRead.WHEN_LIMIT_ENDS),
        Outcome.UNAVAILABLE: _kept(NextRead.AFTER_BACKOFF),
        Outcome.HIDDEN: _kept(NextRead.NEXT_DAY_GROWING_TO_WEEKLY),
        Outcome.REFUSED: _kept(NextRead.NEXT_DAY),
        Outcome.MISCONFIGURED: _kept(NextRead.AFTER_AN_HOUR),
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


def is_known_to_be_refused(account: AccountRecord, reading: Reading, *, now: datetime) -> bool:
    """Whether the bytes of the picture that a reading names were refused within the last week."""
    ledger = account.ledger
    if ledger is None or reading.picture is None or ledger.refused_at is None or not is_same_account(ledger, account):
        return False
    is_same_picture = ledger.refused_content_id is not None and ledger.refused_content_id == reading.picture.content_id
    return is_same_picture and ledger.refused_at > now - REFUSED_BYTES_ARE_REMEMBERED_FOR


def after_second_look(ledger: LedgerRecord, reading: Reading, *, now: datetime) -> Reading:
    """Return the reading as it is to be believed: what is not explicit waits until a later day says the same.

    Args:
        ledger: The account's row before, without what was another account's.
        reading: What the platform's answer amounts to.
        now: When the read ended.
    """
    suggests = _suggested_by(reading)
    if suggests is None:
        return reading
    is_confirmed = ledger.suggested_outcome == suggests and _is_later_day(ledger.suggested_since, now)
    return replace(reading, outcome=suggests if is_confirmed else Outcome.UNCONFIRMED, suggests=suggests)


def ledger_after(
    account: AccountRecord,
    reading: Reading,
    *,
    picture: StoredReference | None,
    now: datetime,
    rng: random.Random,
    has_refused_bytes: bool = False,
) -> LedgerRecord:
    """Return the account's ledger row after a reading.

    Args:
        account: The account as it was read, with its ledger row of before.
        reading: How the read ended, download and decoding included.
        picture: The picture that was stored, with the outcome ``picture``; with ``unchanged`` the same picture under
            a new content id.
        now: When the read ended.
        rng: Where jitter comes from.
        has_refused_bytes: With ``refused``: whether it was the bytes that broke a rule.
    """
    before = _carry_over(account, reading)
    reading = after_second_look(before, reading, now=now)
    consequence = CONSEQUENCES[reading.outcome]
    failures = before.consecutive_failures + 1 if consequence.is_failure else 0
    in_a_row = before.same_outcome_reads + 1 if before.outcome == reading.outcome else 1
    after = replace(
        before,
        fingerprint=account.fingerprint,
        outcome=reading.outcome,
        upstream_id=reading.upstream_id or before.upstream_id,
        token_digest=token_digest(account.access_token),
        read_at=now,
        next_read_at=_next_read_at(reading, failures=failures, in_a_row=in_a_row, now=now, rng=rng),
        consecutive_failures=failures,
        same_outcome_reads=in_a_row,
        failure=reading.message if _needs_explaining(reading.outcome) else None,
        awaits_resolution=True,
    )
    after = _with_suggestion(after, reading, now=now)
    after = _with_lost_connection(after, before, account, reading, now=now)
    after = _with_refusal(after, reading, has_refused_bytes=has_refused_bytes, now=now)
    named = reading.picture.content_id if reading.picture is not None else None
    return _with_picture(after, consequence.picture, picture=picture, named=named, now=now)


def _carry_over(account: AccountRecord, reading: Reading) -> LedgerRecord:
    """Return the row of before, without the picture if it was another account's."""
    ledger = account.ledger
    blank = LedgerRecord(
        account_id=account.account_id, talent_id=account.talent_id, platform=account.platform, handle=account.handle
    )
    if ledger is None or (ledger.talent_id, ledger.platform) != (account.talent_id, account.platform):
        return blank
    if is_other_account(ledger.upstream_id, reading) and reading.outcome is not Outcome.UNCHANGED:
        return replace(blank, token_refreshed_at=ledger.token_refreshed_at, consent_ends_at=ledger.consent_ends_at)
    if is_same_account(ledger, account) or is_known_account(ledger.upstream_id, reading):
        return replace(ledger, handle=account.handle)
    return blank


def _suggested_by(reading: Reading) -> Outcome | None:
    """Return what a reading amounts to without saying it explicitly. No platform says explicitly that one is gone."""
    if reading.outcome is Outcome.GONE:
        return Outcome.GONE
    return reading.suggests or Outcome.NO_PICTURE if reading.outcome is Outcome.UNCONFIRMED else None


def _is_later_day(since: datetime | None, now: datetime) -> bool:
    return since is not None and now.date() > since.date() and now - since >= BETWEEN_TWO_LOOKS


def _with_suggestion(ledger: LedgerRecord, reading: Reading, *, now: datetime) -> LedgerRecord:
    """Remember what the platform suggests, for as long as no answer contradicts it."""
    if reading.suggests is not None:
        since = ledger.suggested_since if ledger.suggested_outcome == reading.suggests else now
        return replace(ledger, suggested_outcome=reading.suggests, suggested_since=since, held_since=None)
    is_contradicted = reading.picture is not None or reading.outcome in _CONTRADICTIONS
    if is_contradicted or ledger.suggested_outcome == reading.outcome:
        return replace(ledger, suggested_outcome=None, suggested_since=None, held_since=None)
    return ledger


def _with_lost_connection(
    ledger: LedgerRecord, before: LedgerRecord, account: AccountRecord, reading: Reading, *, now: datetime
) -> LedgerRecord:
    """Date the loss of a token that a call was made with: where no call was needed to know, no platform spoke."""
    if reading.outcome is not Outcome.NEEDS_RECONNECT or account.access_token is None or reading.retry_at is not None:
        return replace(ledger, connection_lost_at=None)
    if before.outcome == Outcome.NEEDS_RECONNECT:
        return ledger
    return replace(ledger, connection_lost_at=now)


def _with_refusal(ledger: LedgerRecord, reading: Reading, *, has_refused_bytes: bool, now: datetime) -> LedgerRecord:
    if reading.picture is None or reading.outcome is Outcome.UNAVAILABLE:
        return ledger
    if reading.outcome is not Outcome.REFUSED:
        return replace(ledger, refused_host=None, refused_content_id=None, refused_at=None)
    host = urlsplit(reading.picture.url.get_secret_value()).hostname
    if not has_refused_bytes:
        # The address was refused, or bytes that are known were not downloaded again.
        return replace(ledger, refused_host=host)
    return replace(ledger, refused_host=host, refused_content_id=reading.picture.content_id, refused_at=now)


def _needs_explaining(outcome: Outcome) -> bool:
    consequence = CONSEQUENCES[outcome]
    is_dropped = consequence.picture is PictureAction.DROPPED
    return consequence.is_failure or is_dropped or outcome is Outcome.UNCONFIRMED


def _with_picture(
    ledger: LedgerRecord, action: PictureAction, *, picture: StoredReference | None, named: str | None, now: datetime
) -> LedgerRecord:
    if action is PictureAction.DROPPED:
        # A picture that turned out to be none is remembered by its id, so that it is not downloaded again every day.
        dropped = replace(ledger, content_id=named, picture_etag=None, picture_hash=None)
        if ledger.picture_hash is None:
            return dropped
        return replace(dropped, changed_at=now, picture_lost_at=now, lost_picture_hash=ledger.picture_hash)
    if picture is None:
        return ledger
    return replace(
        ledger,
        content_id=picture.content_id,
        picture_etag=picture.etag,
        picture_hash=picture.content_hash,
        changed_at=now if picture.content_hash != ledger.picture_hash else ledger.changed_at,
        picture_lost_at=None,
        lost_picture_hash=None,
    )


def _next_read_at(reading: Reading, *, failures: int, in_a_row: int, now: datetime, rng: random.Random) -> datetime:
    match CONSEQUENCES[reading.outcome].next_read:
        case NextRead.NEXT_DAY:
            return now + NEXT_DAY
        case NextRead.NEXT_DAY_GROWING_TO_WEEKLY:
            return _after_days(_DAYS_WHILE_HIDDEN, in_a_row, now)
        case NextRead.AFTER_1_3_AND_7_DAYS:
            # A time is named only where no call was needed to know: no token, neither the account's nor ours.
            is_daily = reading.is_read_daily or reading.retry_at is not None
            return _after_days((1,) if is_daily else _DAYS_WITHOUT_TOKEN, in_a_row, now)
        case NextRead.WEEKLY:
            return now + NEXT_WEEK
        case NextRead.AFTER_AN_HOUR:
            return now + NEXT_TRY_WITH_OUR_OWN_CREDENTIALS
        case NextRead.WHEN_LIMIT_ENDS:
            return max(reading.retry_at or now + DEFAULT_BLOCK, now + SHORTEST_WAIT_FOR_A_LIMIT)
        case NextRead.AFTER_BACKOFF:
            return max(reading.retry_at or now, now + unavailable_backoff(failures, rng=rng))


def _after_days(days: Sequence[int], in_a_row: int, now: datetime) -> datetime:
    """Return the time of the daily run so many days ahead; the last number of days stands for all reads after."""
    ahead = days[min(in_a_row, len(days)) - 1]
    return now + NEXT_DAY + timedelta(days=ahead - 1)
