"""Accounts, ledger rows and talents as hypothesis draws them, and by hand with defaults.

What belongs here: building the plain values that the decisions take.
What does not: rows in a database (``talent_image_pipeline_tests/rows.py``).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.database.records import AccountRecord, LedgerRecord, PinRecord, TalentRecord, VersionRecord
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.registry import PLATFORMS

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
PRIORITY = tuple(platform.name for platform in PLATFORMS)


def make_ledger(**changes: Any) -> LedgerRecord:
    """Return the ledger row of an account that was read well yesterday."""
    values: dict[str, Any] = {
        "account_id": "account",
        "talent_id": "talent",
        "platform": "instagram",
        "handle": "ada",
        "fingerprint": "state-1",
        "outcome": "picture",
        "content_id": "content-1",
        "picture_hash": "a" * 64,
        "read_at": NOW - timedelta(hours=24),
        "next_read_at": NOW - timedelta(hours=4),
    }
    return LedgerRecord(**values | changes)


def make_account(**changes: Any) -> AccountRecord:
    """Return a connected account that was never read."""
    values: dict[str, Any] = {
        "account_id": "account",
        "talent_id": "talent",
        "platform": "instagram",
        "handle": "ada",
        "profile_url": None,
        "connected": True,
        "fingerprint": "state-1",
        "access_token": SecretStr("token"),
        "refresh_token": None,
        "token_expires_at": None,
    }
    return AccountRecord(**values | changes)


def make_talent(**changes: Any) -> TalentRecord:
    """Return a talent that shows initials and was never synced."""
    values: dict[str, Any] = {
        "talent_id": "talent",
        "name": "Ada Lovelace",
        "image_url": None,
        "image_source": "initials",
        "last_sync_at": None,
    }
    return TalentRecord(**values | changes)


def make_version(**changes: Any) -> VersionRecord:
    """Return the version that a talent shows now: initials."""
    values: dict[str, Any] = {
        "version_id": 1,
        "talent_id": "talent",
        "source": "initials",
        "picture_hash": None,
        "valid_from": NOW - timedelta(days=2),
        "valid_to": None,
        "run_id": "run",
        "why": "no account has a picture",
    }
    return VersionRecord(**values | changes)


hashes = st.integers(min_value=0, max_value=9).map(lambda number: f"{number}" * 64)
moments = st.integers(min_value=-60 * 24 * 40, max_value=60 * 24).map(lambda minutes: NOW + timedelta(minutes=minutes))
fingerprints = st.sampled_from(["state-1", "state-2"])
handles = st.sampled_from(["ada", "@Ada", "grace"])


@st.composite
def ledgers(draw: st.DrawFn, *, platform: str, account_id: str) -> LedgerRecord:
    """Draw the ledger row of an account, in any state."""
    outcome = draw(st.none() | st.sampled_from(list(Outcome)))
    return LedgerRecord(
        account_id=account_id,
        talent_id="talent",
        platform=platform,
        handle=draw(handles),
        fingerprint=draw(st.none() | fingerprints),
        outcome=outcome,
        picture_hash=draw(st.none() | hashes),
        content_id=draw(st.none() | st.text(max_size=3)),
        upstream_id=draw(st.none() | st.sampled_from(["id-1", "id-2"])),
        read_at=draw(st.none() | moments),
        next_read_at=draw(st.none() | moments),
        consecutive_failures=draw(st.integers(min_value=0, max_value=30)),
        awaits_resolution=draw(st.booleans()),
    )


@st.composite
def accounts(draw: st.DrawFn, *, number: int = 0) -> AccountRecord:
    """Draw an account in any state, with or without a ledger row."""
    platform = draw(st.sampled_from(PRIORITY))
    account_id = f"account-{number}"
    return make_account(
        account_id=account_id,
        platform=platform,
        handle=draw(handles),
        connected=draw(st.booleans()),
        fingerprint=draw(fingerprints),
        access_token=draw(st.none() | st.just(SecretStr("token"))),
        ledger=draw(st.none() | ledgers(platform=platform, account_id=account_id)),
    )


@st.composite
def account_lists(draw: st.DrawFn) -> tuple[AccountRecord, ...]:
    """Draw the accounts of one talent."""
    return tuple(draw(accounts(number=number)) for number in range(draw(st.integers(min_value=0, max_value=4))))


pins = st.builds(
    PinRecord,
    talent_id=st.just("talent"),
    version_id=st.integers(min_value=1, max_value=9),
    source=st.sampled_from(PRIORITY),
    picture_hash=st.none() | hashes,
    pinned_at=moments,
)
