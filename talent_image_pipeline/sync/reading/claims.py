"""Which accounts this run alone reads: taking claims, keeping them alive, waiting for those of others.

What belongs here: a run's claims on one platform. What does not: what a claim is in the database
(``database/ledger_queries.py``) and what is done with a claimed account (``caller.py``).
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import sqlalchemy as sa

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.database import account_queries, ledger_queries, transactions
from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.reading.claimed_accounts import ClaimedAccount

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True, kw_only=True)
class Claims:
    """One run's claims on one platform's accounts.

    Attributes:
        engine: Where the ledger is.
        clock: The time.
        run_id: Whose claims they are.
        platform: The platform's name.
        lasts_seconds: How long a claim holds without being renewed.
    """

    engine: sa.Engine
    clock: Clock
    run_id: str
    platform: str
    lasts_seconds: float

    async def take(self, accounts: Sequence[AccountRecord]) -> list[ClaimedAccount]:
        """Claim accounts; those that another run reads, or has read since they were loaded, are left out."""
        now = self.clock()
        mine = await transactions.write_in_thread(
            self.engine,
            ledger_queries.claim_accounts,
            accounts,
            run_id=self.run_id,
            until=self._end(now),
            now=now,
        )
        return await self.with_pictures([account for account in accounts if account.account_id in mine])

    async def with_pictures(self, accounts: Sequence[AccountRecord]) -> list[ClaimedAccount]:
        """Return claimed accounts together with the pictures that we own of them."""
        hashes = {hash_ for account in accounts if (hash_ := _owned_hash(account)) is not None}
        owned = await transactions.read_in_thread(self.engine, ledger_queries.load_pictures, hashes)
        return [ClaimedAccount(record=account, owned=owned.get(_owned_hash(account) or "")) for account in accounts]

    async def wait_for_others(self, accounts: Sequence[AccountRecord], *, seconds: float) -> list[AccountRecord]:
        """Wait until no other run reads these accounts; returns those that still have not been read."""
        account_ids = [account.account_id for account in accounts]
        with anyio.move_on_after(seconds):
            # The claims are other processes': only the database tells when they end.
            while await self._is_any_claimed(account_ids):  # noqa: ASYNC110
                await anyio.sleep(_SECONDS_BETWEEN_LOOKS)
        read_before = {account.account_id: account.ledger and account.ledger.read_at for account in accounts}
        current = await transactions.read_in_thread(self.engine, account_queries.load_accounts, account_ids)
        return [
            account
            for account in current
            if account.connected and (account.ledger and account.ledger.read_at) == read_before[account.account_id]
        ]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the claims alive inside, and give back at the end what was not read."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._renew)
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await transactions.write_in_thread(
                    self.engine, ledger_queries.release_claims, run_id=self.run_id, platform=self.platform
                )

    async def _is_any_claimed(self, account_ids: Sequence[str]) -> bool:
        return await transactions.read_in_thread(
            self.engine, ledger_queries.is_any_claimed, account_ids, now=self.clock()
        )

    async def _renew(self) -> None:
        while True:
            await anyio.sleep(self.lasts_seconds / 3)
            until = self._end(self.clock())
            try:
                await transactions.write_in_thread(
                    self.engine, ledger_queries.renew_claims, run_id=self.run_id, until=until
                )
            except sa.exc.SQLAlchemyError as error:
                # The claims hold for two more tries; if they lapse, what was read is at worst not written.
                _logger.warning("[TALENT_IMAGE] claims could not be renewed: %s", type(error).__name__)

    def _end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.lasts_seconds)


def _owned_hash(account: AccountRecord) -> str | None:
    ledger = account.ledger
    return ledger.picture_hash if ledger is not None and is_same_account(ledger, account) else None
