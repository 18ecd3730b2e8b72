"""When two rows are the same social account.

What belongs here: comparing an account of the app with what the ledger holds of it.
What does not: what follows for the picture (``reading/outcome_rules.py``, ``publishing/resolution.py``).
"""

from talent_image_pipeline.database.fingerprint import token_digest
from talent_image_pipeline.database.records import AccountRecord, LedgerRecord


def normalised_handle(handle: str) -> str:
    """Return a handle as it identifies an account: the last part of an address, without ``@``, in lower case."""
    address = handle.strip().partition("?")[0].partition("#")[0].rstrip("/")
    return address.rpartition("/")[2].lstrip("@").lower()


def is_same_account(ledger: LedgerRecord | None, account: AccountRecord) -> bool:
    """Whether what the ledger holds was read for the same talent from the same account of the same network.

    Known by the handle, however it is written, or by the token: whoever renames an account keeps it.
    """
    if ledger is None or ledger.talent_id != account.talent_id or ledger.platform != account.platform:
        return False
    is_same_handle = normalised_handle(ledger.handle) == normalised_handle(account.handle)
    return is_same_handle or _has_same_token(ledger, account)


def _has_same_token(ledger: LedgerRecord, account: AccountRecord) -> bool:
    return ledger.token_digest is not None and ledger.token_digest == token_digest(account.access_token)
