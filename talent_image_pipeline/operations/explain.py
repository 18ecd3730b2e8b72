"""Everything that there is to know of one talent's picture, for a person who asks why it is what it is.

What belongs here: gathering it as plain values, and the words for the decision.
What does not: laying it out (``store.py``) and the decision itself (``resolution.py``). No token is ever loaded
into a description.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database import history_queries, ledger_queries, maintenance_queries
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.maintenance_queries import ConnectionRow
from talent_image_pipeline.database.records import (
    INITIALS,
    MANUAL,
    AccountRecord,
    LedgerRecord,
    PinRecord,
    TalentRecord,
    VersionRecord,
)
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError, require_talent
from talent_image_pipeline.sync.publishing.pins import refusal_of
from talent_image_pipeline.sync.publishing.publish import PublishingRules, load_states
from talent_image_pipeline.sync.publishing.resolution import (
    Resolution,
    TalentState,
    is_eligible,
    owned_hash,
    resolve,
)


@dataclass(frozen=True, kw_only=True)
class LedgerDescription:
    """What was last seen of an account.

    Attributes:
        outcome: How the last read ended; none before the first.
        failure: In words, with what to do about it.
        doubt: What the platform suggests and is not believed yet, in words; none where it is believed.
        next_read: When the account is read next, in words.
        claim: Which run reads it right now, in words; none when none does.
        is_of_this_handle: Whether it was read under the account's present handle.
    """

    outcome: str | None
    read_at: datetime | None
    changed_at: datetime | None
    next_read: str
    consecutive_failures: int
    failure: str | None
    doubt: str | None
    picture_hash: str | None
    claim: str | None
    consent_ends_at: datetime | None
    is_of_this_handle: bool


@dataclass(frozen=True, kw_only=True)
class AccountDescription:
    """One social account of the talent.

    Attributes:
        how: How it is connected, in words.
        is_known: Whether it is on a platform that we read.
        ledger: What was last seen of it; none before the first read.
    """

    account_id: str
    platform: str
    handle: str
    connected: bool
    how: str
    token_expires_at: datetime | None
    is_known: bool
    ledger: LedgerDescription | None


@dataclass(frozen=True, kw_only=True)
class DecisionDescription:
    """What the talent would be given if it were decided now, and why.

    Attributes:
        source: A platform, ``initials`` or ``manual``; none where a picture from before us stays.
        picture_hash: The content hash; none for initials and for what is not ours.
        reasons: One sentence for each step, the most preferred platform first.
        is_shown: Whether the talent's columns say the same; else the next sync will write it.
    """

    source: str | None
    picture_hash: str | None
    reasons: tuple[str, ...]
    is_shown: bool


@dataclass(frozen=True, kw_only=True)
class TalentDescription:
    """A talent's columns, accounts, ledger, decision, pin and history (the newest version first).

    Attributes:
        not_restorable: Why a version cannot be pinned, by its number, for those that cannot.
    """

    talent: TalentRecord
    accounts: tuple[AccountDescription, ...]
    decision: DecisionDescription
    pin: PinRecord | None
    history: tuple[VersionRecord, ...]
    not_restorable: Mapping[int, str]


def describe_talent(engine: sa.Engine, talent_id: str, *, settings: Settings, now: datetime) -> TalentDescription:
    """Gather everything about one talent's picture, in one reading transaction.

    Args:
        engine: The app's database.
        talent_id: The talent's id.
        settings: The public address and which accounts count.
        now: The present time.

    Raises:
        UnknownTalentError: naming the nearest ids or names.
    """
    rules = PublishingRules(
        public_url=settings.talent_image_public_url, verified_only=settings.talent_image_verified_only
    )
    with read_only(engine).begin() as connection:
        states = load_states(connection, [talent_id], platforms=rules.priority, lock=False)
        connections = maintenance_queries.load_connections(connection, talent_id)
        history = history_queries.load_history(connection, talent_id)
        hashes = {version.picture_hash for version in history if version.picture_hash is not None}
        pictures = ledger_queries.load_pictures(connection, hashes)
    if not states:
        require_talent(engine, talent_id)
        raise UnknownTalentError(f"There is no talent with the id {talent_id!r}.")
    (state,) = states
    refusals = {
        version.version_id: refusal_of(version, pictures.get(version.picture_hash or "")) for version in history
    }
    records = {account.account_id: account for account in state.accounts}
    return TalentDescription(
        talent=state.talent,
        accounts=tuple(_account(row, records.get(row.account_id), now=now) for row in connections),
        decision=describe_decision(state, rules=rules),
        pin=state.pin,
        history=tuple(history),
        not_restorable={number: refusal for number, refusal in refusals.items() if refusal is not None},
    )


def describe_decision(state: TalentState, *, rules: PublishingRules) -> DecisionDescription:
    """Say what the talent would be given now, and why each platform wins or does not."""
    resolution = resolve(state, priority=rules.priority, verified_only=rules.verified_only)
    talent = state.talent
    if resolution is None and (talent.image_source, talent.image_url) == (INITIALS, None):
        # Nothing was read yet, and nothing is written before: the initials are what the app begins with.
        resolution = Resolution(source=INITIALS, picture_hash=None, why="nothing was read yet")
    if resolution is None:
        is_manual = talent.image_source == MANUAL
        words = (
            "The picture was set by hand in the app and is never touched."
            if is_manual
            else "The picture was there before this pipeline; it stays until its network was read."
        )
        source = MANUAL if is_manual else None
        return DecisionDescription(source=source, picture_hash=None, reasons=(words,), is_shown=True)
    shown = (talent.image_source, talent.image_url)
    return DecisionDescription(
        source=resolution.source,
        picture_hash=resolution.picture_hash,
        reasons=tuple(_reasons(state, resolution, rules=rules)),
        is_shown=shown == (resolution.source, rules.image_url(resolution.picture_hash)),
    )


def _reasons(state: TalentState, resolution: Resolution, *, rules: PublishingRules) -> list[str]:
    if state.pin is not None:
        return [f"A person pinned version {state.pin.version_id}; it is shown until it is unpinned."]
    reasons: list[str] = []
    for platform in rules.priority:
        if platform == resolution.source:
            return [*reasons, f"{_label(platform)}: its picture wins."]
        accounts = [account for account in state.accounts if account.platform == platform]
        reasons.append(f"{_label(platform)}: {_why_not(accounts, verified_only=rules.verified_only)}.")
    return [*reasons, "No network is left: the initials are shown."] if resolution.source == INITIALS else reasons


def _why_not(accounts: Sequence[AccountRecord], *, verified_only: bool) -> str:
    """Say why none of a talent's accounts on one platform gives the picture."""
    if not accounts:
        return "no account"
    usable = [account for account in accounts if is_eligible(account, verified_only=verified_only)]
    if not usable:
        is_connected = any(account.connected for account in accounts)
        return "connected by its handle alone, which does not count here" if is_connected else "not connected"
    ledgers = [account.ledger for account in usable if account.ledger is not None and owned_hash(account) is None]
    if not ledgers or all(ledger.outcome is None for ledger in ledgers):
        return "not read yet"
    if not any(is_same_account(account.ledger, account) for account in usable):
        return "not read under its present handle yet"
    return f"no picture of ours, the last read ended {next(x.outcome for x in ledgers if x.outcome)}"


def _account(row: ConnectionRow, record: AccountRecord | None, *, now: datetime) -> AccountDescription:
    ledger = record.ledger if record is not None else None
    return AccountDescription(
        account_id=row.account_id,
        platform=row.platform,
        handle=row.handle,
        connected=row.connected,
        how=_how_connected(row),
        token_expires_at=row.token_expires_at if row.has_token else None,
        is_known=record is not None,
        ledger=_ledger(ledger, record, now=now) if ledger is not None and record is not None else None,
    )


def _how_connected(row: ConnectionRow) -> str:
    if not row.has_token:
        return f"{row.connection_type}, by its handle alone"
    return f"{row.connection_type}, own token{', renewable' if row.has_refresh_token else ''}"


def _ledger(ledger: LedgerRecord, account: AccountRecord, *, now: datetime) -> LedgerDescription:
    is_claimed = ledger.claimed_until is not None and ledger.claimed_until > now
    return LedgerDescription(
        outcome=ledger.outcome,
        read_at=ledger.read_at,
        changed_at=ledger.changed_at,
        next_read=_next_read(ledger, account, now=now),
        consecutive_failures=ledger.consecutive_failures,
        failure=ledger.failure,
        doubt=_doubt(ledger),
        picture_hash=ledger.picture_hash,
        claim=f"run {ledger.claimed_by} until {ledger.claimed_until:%H:%M:%S} UTC" if is_claimed else None,
        consent_ends_at=ledger.consent_ends_at,
        is_of_this_handle=is_same_account(ledger, account),
    )


def _doubt(ledger: LedgerRecord) -> str | None:
    if ledger.suggested_outcome is None or ledger.suggested_outcome is ledger.outcome:
        return None
    if ledger.held_since is not None:
        return (
            f"{ledger.suggested_outcome} is held back since {ledger.held_since:%Y-%m-%d %H:%M} UTC, as with too many "
            f"accounts at once; to believe it: talent-images release {ledger.platform}"
        )
    return f"{ledger.suggested_outcome} is believed when a read on a later day says the same"


def _next_read(ledger: LedgerRecord, account: AccountRecord, *, now: datetime) -> str:
    if not account.connected:
        return "not read: disconnected"
    if ledger.fingerprint is None:
        return "with the next run"
    if ledger.fingerprint != account.fingerprint:
        return "with the next run: the account changed"
    if ledger.next_read_at is None or ledger.next_read_at <= now:
        return "with the next run"
    return f"from {ledger.next_read_at:%Y-%m-%d %H:%M} UTC on"


def _label(platform: str) -> str:
    known = platform_named(platform)
    return known.label if known is not None else platform
