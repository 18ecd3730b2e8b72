"""Which accounts wait for their talents, and what each talent must do.

What belongs here: the list behind the check, the metadata and whatever else tells people of dead tokens.
What does not: how a token dies (``platforms/``) and how one is refreshed (``refresh.py``).
"""

from datetime import datetime

import sqlalchemy as sa

from talent_image_pipeline.database.account_queries import load_accounts_waiting_for_their_talent
from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome, Platform
from talent_image_pipeline.sync.reporting.reports import WaitingAccount
from talent_image_pipeline.sync.tokens.refresh import CONSENT_IS_REPORTED_BEFORE, consent_warning


def accounts_waiting_for_their_talent(
    connection: sa.Connection, *, platform: Platform, now: datetime
) -> list[WaitingAccount]:
    """Return every account of a platform whose token is dead or whose consent ends within 14 days.

    A dead token is tried again after days, then weekly, so the list comes from the ledger: the run that found it may
    be long ago.
    """
    found = load_accounts_waiting_for_their_talent(
        connection,
        platform=platform.name,
        dead_outcome=Outcome.NEEDS_RECONNECT,
        consent_ends_before=now + CONSENT_IS_REPORTED_BEFORE,
    )
    return [
        WaitingAccount(talent_id=account.talent_id, handle=account.handle, what_to_do=_what_to_do(account, now))
        for account in found
    ]


def _what_to_do(account: AccountRecord, now: datetime) -> str:
    ledger = account.ledger
    if ledger is None:
        return ""
    if ledger.outcome == Outcome.NEEDS_RECONNECT and ledger.failure is not None:
        return ledger.failure
    return consent_warning(ledger.consent_ends_at, now) or ""
