"""When two rows are the same social account.

What belongs here: comparing an account of the app with what the ledger holds of it.
What does not: what follows for the picture (``reading/outcome_rules.py``, ``publishing/resolution.py``).
"""

from talent_image_pipeline.database.records import AccountRecord, LedgerRecord


def normalised_handle(handle: str) -> str:
    """Return a handle as it identifies an account: without ``@``, in lower case."""
    return handle.strip().removeprefix("@").lower()


def is_same_account(ledger: LedgerRecord | None, account: AccountRecord) -> bool:
    """Whether what the ledger holds was read for the same talent, under the present handle, on the same network."""
    return (
        ledger is not None
        and ledger.talent_id == account.talent_id
        and ledger.platform == account.platform
        and normalised_handle(ledger.handle) == normalised_handle(account.handle)
    )
