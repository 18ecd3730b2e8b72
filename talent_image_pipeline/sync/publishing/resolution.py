"""Which picture a talent shows: a pure function of what is connected and what we own.

What belongs here: the choice, the words for it, and when the talent's stamp moves.
What does not: reading the networks (``platform_reader.py``) and writing the choice down (``publish.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from talent_image_pipeline.database.records import (
    INITIALS,
    MANUAL,
    AccountRecord,
    PinRecord,
    Reason,
    TalentRecord,
    VersionRecord,
)
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.planning.due import DAILY_OUTCOMES, WAITING_OUTCOMES

_ABOUT_SINGLE_ACCOUNTS = frozenset({Reason.ACCOUNT_CHANGED, Reason.WAIT_IS_OVER})
#: An account may become due while a run is on its way; that run need not have read it.
_LONGEST_RUN = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What a talent is to show from now on.

    Attributes:
        source: A platform's name or ``initials``.
        picture_hash: The content hash; none for initials.
        why: The reason in words, for the history.
    """

    source: str
    picture_hash: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class TalentState:
    """Everything that the choice depends on, as it is at the moment of writing."""

    talent: TalentRecord
    accounts: tuple[AccountRecord, ...]
    pin: PinRecord | None = None
    current: VersionRecord | None = None


def resolve(state: TalentState, *, priority: Sequence[str], verified_only: bool = False) -> Resolution | None:
    """Choose the picture that a talent shows, or none to leave everything as it is.

    Args:
        state: The talent, its accounts with their ledger rows, its pin and its current version.
        priority: The platforms' names, the preferred one first.
        verified_only: Whether only accounts connected with their own token count.

    Returns:
        The choice; none for a manual picture, where a picture that was there before us would be lost only because the
        network could not be read yet, and before the first read of any of the accounts has come to an end.
    """
    if state.talent.image_source == MANUAL:
        return None
    if state.pin is not None:
        return Resolution(
            source=state.pin.source,
            picture_hash=state.pin.picture_hash,
            why=f"pinned to version {state.pin.version_id}",
        )
    usable = [account for account in state.accounts if is_eligible(account, verified_only=verified_only)]
    for platform in priority:
        owned = [account for account in usable if account.platform == platform and owned_hash(account)]
        if owned:
            chosen = max(owned, key=lambda account: (account.access_token is not None, account.account_id))
            picture_hash = owned_hash(chosen)
            return Resolution(source=platform, picture_hash=picture_hash, why=_why(state, platform, picture_hash))
    if _shows_a_picture_from_before_us(state, usable) or _nothing_was_read_yet(state, usable):
        return None
    return Resolution(source=INITIALS, picture_hash=None, why=_why(state, INITIALS, None))


def is_eligible(account: AccountRecord, *, verified_only: bool) -> bool:
    """Whether an account may give the talent a picture at all."""
    return account.connected and (account.access_token is not None or not verified_only)


def owned_hash(account: AccountRecord) -> str | None:
    """Return the hash of the picture that we own of this very account, under its present handle."""
    if account.ledger is None or not is_same_account(account.ledger, account):
        return None
    return account.ledger.picture_hash


def stamp_after(state: TalentState, *, reason: Reason, now: datetime, verified_only: bool = False) -> datetime | None:
    """Return the talent's new ``lastProfileImageSyncAt``, or none when it stays.

    It stays while every account's read ended ``unavailable`` or ``rate_limited``, while another run reads one of them,
    and when the run did not get to one; and it never moves back. A run about a single account stamps the time of the
    oldest read: the talent's other accounts are due as before.
    """
    usable = [account for account in state.accounts if is_eligible(account, verified_only=verified_only)]
    ended = [account.ledger for account in usable if account.ledger is not None and _has_ended(account)]
    if state.talent.image_source == MANUAL or (usable and not ended):
        return None
    if reason not in _ABOUT_SINGLE_ACCOUNTS:
        return None if any(_is_still_owed(account, now=now) for account in usable) else now
    repeated = [ledger for ledger in ended if ledger.outcome in DAILY_OUTCOMES]
    oldest = min((ledger.read_at for ledger in repeated or ended if ledger.read_at is not None), default=None)
    last = state.talent.last_sync_at
    return oldest if oldest is not None and (last is None or oldest > last) else None


def _is_still_owed(account: AccountRecord, *, now: datetime) -> bool:
    """Whether a run about the whole talent ends without the account's read: another one has it, or it came too late."""
    ledger = account.ledger
    if ledger is None:
        return False
    if ledger.claimed_until is not None and ledger.claimed_until > now:
        return True
    is_overdue = ledger.next_read_at is not None and ledger.next_read_at <= now - _LONGEST_RUN
    return is_overdue and _has_ended(account) and ledger.outcome in DAILY_OUTCOMES


def _has_ended(account: AccountRecord) -> bool:
    ledger = account.ledger
    if ledger is None or ledger.outcome is None or ledger.fingerprint != account.fingerprint:
        return False
    return ledger.outcome not in WAITING_OUTCOMES


def _shows_a_picture_from_before_us(state: TalentState, usable: Sequence[AccountRecord]) -> bool:
    """Whether the talent shows a picture that we never published and whose network did not say that it is gone."""
    if state.talent.image_url is None or state.current is not None:
        return False
    return any(account.platform == state.talent.image_source and not _says_there_is_none(account) for account in usable)


def _nothing_was_read_yet(state: TalentState, usable: Sequence[AccountRecord]) -> bool:
    """Whether there is nothing to say of a new talent: none of the reads of its accounts came to an end."""
    return state.current is None and bool(usable) and not any(_has_ended(account) for account in usable)


def _says_there_is_none(account: AccountRecord) -> bool:
    return account.ledger is not None and account.ledger.outcome in {Outcome.NO_PICTURE, Outcome.GONE}


def _why(state: TalentState, source: str, picture_hash: str | None) -> str:
    current = state.current
    if current is None:
        return "the first picture" if picture_hash else "no account has a picture"
    if current.source == source:
        return f"{source} has a new picture"
    before = _why_not_any_more(state, current.source)
    return before if source == INITIALS else f"{before}; {source} is next" if before else f"{source} has a picture"


def _why_not_any_more(state: TalentState, source: str) -> str:
    """Say why the network shown until now is not shown any more; nothing where it was merely outranked."""
    accounts = [account for account in state.accounts if account.platform == source]
    connected = [account for account in accounts if account.connected]
    if source == INITIALS:
        return ""
    if not accounts:
        return f"the {source} account was removed"
    if not connected:
        return f"the {source} account was disconnected"
    ledgers = [account.ledger for account in connected if account.ledger is not None]
    if any(ledger.outcome == Outcome.GONE for ledger in ledgers):
        return f"the {source} account is gone"
    if any(ledger.outcome == Outcome.NO_PICTURE for ledger in ledgers):
        return f"the {source} account has no picture"
    if not any(owned_hash(account) for account in connected):
        return f"the {source} account is another one now"
    return ""
