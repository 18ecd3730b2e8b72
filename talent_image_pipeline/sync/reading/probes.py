"""Who is asked first while a whole platform seems to refuse every token.

What belongs here: the pure choice of the probes. What does not: when tokens are held to be refused for all
(``mass_guard.py``) and reading them (``platform_reader.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome

#: Enough that a dead token or two among them do not hide that the others work again.
PROBES = 3


@dataclass(frozen=True, kw_only=True)
class OwedAccounts:
    """The accounts of a run, by when they are read.

    Attributes:
        now: To be read at once: everybody who is not put off, and the probes.
        probes: The ids of the probes.
        suspended: To be read once a probe was answered.
    """

    now: tuple[AccountRecord, ...]
    probes: frozenset[str]
    suspended: tuple[AccountRecord, ...]


def split_off_probes(owed: Sequence[AccountRecord], *, force: bool) -> OwedAccounts:
    """Put off the accounts whose dead token is not believed, but for the few of them that were asked longest ago.

    Args:
        owed: The accounts that are owed a read.
        force: Whether a person asks for these very accounts: then none is put off.
    """
    suspended = [] if force else sorted((one for one in owed if _is_suspended(one)), key=_last_read)
    probes = frozenset(account.account_id for account in suspended[:PROBES])
    put_off = {account.account_id for account in suspended[PROBES:]}
    return OwedAccounts(
        now=tuple(account for account in owed if account.account_id not in put_off),
        probes=probes,
        suspended=tuple(account for account in owed if account.account_id in put_off),
    )


def _is_suspended(account: AccountRecord) -> bool:
    ledger = account.ledger
    if ledger is None or ledger.held_since is None or ledger.fingerprint != account.fingerprint:
        return False
    return ledger.suggested_outcome == Outcome.NEEDS_RECONNECT


def _last_read(account: AccountRecord) -> tuple[float, str]:
    read_at = account.ledger.read_at if account.ledger else None
    return (read_at.timestamp() if read_at else 0.0, account.account_id)
