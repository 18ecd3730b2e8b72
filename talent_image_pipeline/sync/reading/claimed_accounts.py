"""What the stages of reading hand to each other: claimed accounts, planned calls, and readings on their way.

What belongs here: those values, and what of an account a platform's client is told.
What does not: the stages (``claims.py``, ``caller.py``, ``picture_stage.py``, ``writer.py``).
"""

from dataclasses import dataclass

from talent_image_pipeline.database.records import AccountRecord, PictureRecord
from talent_image_pipeline.platforms.contract import Account, Call, Reading
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.reading.outcome_rules import StoredReference


@dataclass(frozen=True, kw_only=True)
class ClaimedAccount:
    """An account that this run alone reads now.

    Attributes:
        record: The account and its ledger row, as they were when it was claimed or its token was last refreshed.
        owned: The picture that we own of this very account.
    """

    record: AccountRecord
    owned: PictureRecord | None = None

    @property
    def account_id(self) -> str:
        """The app's id of the account."""
        return self.record.account_id

    def as_client_account(self) -> Account:
        """Return what the platform's client is told. A damaged picture counts as none, so that it is read again."""
        ledger = self.record.ledger if is_same_account(self.record.ledger, self.record) else None
        has_intact_picture = self.owned is not None and not self.owned.is_damaged
        return Account(
            account_id=self.record.account_id,
            handle=self.record.handle,
            profile_url=self.record.profile_url,
            access_token=self.record.access_token,
            refresh_token=self.record.refresh_token,
            token_expires_at=self.record.token_expires_at,
            upstream_id=ledger.upstream_id if ledger else None,
            content_id=ledger.content_id if ledger and has_intact_picture else None,
        )


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A call that a client planned, with the claimed accounts that it reads, in the call's order."""

    call: Call
    accounts: tuple[ClaimedAccount, ...]


@dataclass(frozen=True, kw_only=True)
class AccountReading:
    """A reading on its way to the ledger.

    Attributes:
        account: The account as it was read.
        reading: How the read ended so far.
        picture: What the ledger is to remember of a picture that was stored.
        record: The stored picture's row; none when the picture that we own already stays.
        has_refused_bytes: Whether the picture's bytes broke a rule.
    """

    account: ClaimedAccount
    reading: Reading
    picture: StoredReference | None = None
    record: PictureRecord | None = None
    has_refused_bytes: bool = False
