"""The rows of the database as plain values, for decisions that know nothing of SQL.

What belongs here: one frozen dataclass per kind of row that leaves this package, and the closed sets that their columns
draw from. What does not: queries (beside this file) and decisions (``sync/``).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Outcome

#: What ``profileImageSource`` says besides a platform's name: a person uploaded a picture, or there is none.
MANUAL: Final = "manual"

#: How the message of a read begins that ended in an error of our own.
OWN_ERROR: Final = "an error of this pipeline"
INITIALS: Final = "initials"


class Reason(StrEnum):
    """Why a talent is in a run; where several hold, the first of them."""

    ASKED_FOR = "asked_for"
    NEVER_SYNCED = "never_synced"
    STALE = "stale"
    ACCOUNT_CHANGED = "account_changed"
    WAIT_IS_OVER = "wait_is_over"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A talent in a run, and why: a row of the hand-off between a run's steps."""

    talent_id: str
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class TalentRecord:
    """A talent, as far as its profile picture goes."""

    talent_id: str
    name: str
    image_url: str | None
    image_source: str
    last_sync_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LedgerRecord:
    """One row of the ledger: what was last seen of a social account, and the picture that we own of it."""

    account_id: str
    talent_id: str
    platform: str
    handle: str
    fingerprint: str | None = None
    outcome: Outcome | None = None
    content_id: str | None = None
    picture_etag: str | None = None
    picture_hash: str | None = None
    upstream_id: str | None = None
    read_at: datetime | None = None
    changed_at: datetime | None = None
    next_read_at: datetime | None = None
    consecutive_failures: int = 0
    failure: str | None = None
    awaits_resolution: bool = False
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    token_refreshed_at: datetime | None = None
    consent_ends_at: datetime | None = None
    token_digest: str | None = None
    same_outcome_reads: int = 0
    suggested_outcome: Outcome | None = None
    suggested_since: datetime | None = None
    held_since: datetime | None = None
    picture_lost_at: datetime | None = None
    lost_picture_hash: str | None = None
    connection_lost_at: datetime | None = None
    refused_host: str | None = None
    refused_content_id: str | None = None
    refused_at: datetime | None = None
    reads_by_change: int = 0
    reads_by_change_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AccountRecord:
    """One social account of the app on a platform that we know, with its ledger row where there is one."""

    account_id: str
    talent_id: str
    platform: str
    handle: str
    profile_url: str | None
    connected: bool
    fingerprint: str
    access_token: SecretStr | None
    refresh_token: SecretStr | None
    token_expires_at: datetime | None
    ledger: LedgerRecord | None = None


@dataclass(frozen=True, kw_only=True)
class PictureRecord:
    """A picture that we own."""

    content_hash: str
    width: int
    height: int
    bytes: int
    focus_x: float
    focus_y: float
    perceptual_hash: str
    is_damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """One version in the history of a talent's picture; ``picture_hash`` is none for initials."""

    version_id: int
    talent_id: str
    source: str
    picture_hash: str | None
    valid_from: datetime
    valid_to: datetime | None
    run_id: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class PinRecord:
    """A picture that a person pinned; ``picture_hash`` is none where the initials are pinned."""

    talent_id: str
    version_id: int
    source: str
    picture_hash: str | None
    pinned_at: datetime
