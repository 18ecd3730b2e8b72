"""Giving a call a token that lives: refreshing it before the read, or once after it was refused.

What belongs here: when a refresh is asked for within a read, and what its failure means for the read.
What does not: the course of a refresh (``sync/tokens/``) and how a platform refreshes (``platforms/``).
"""

import logging
from dataclasses import dataclass, replace

from talent_image_pipeline.database import account_queries, transactions
from talent_image_pipeline.platforms.contract import CallResult, Outcome, Reading
from talent_image_pipeline.platforms.readings import misconfigured
from talent_image_pipeline.sync.reading.claimed_accounts import ClaimedAccount, PlannedCall
from talent_image_pipeline.sync.reading.claims import Claims
from talent_image_pipeline.sync.reading.refusals import RENEWALS, Refusals
from talent_image_pipeline.sync.reading.tools import PlatformTools
from talent_image_pipeline.sync.reporting.reports import PlatformReport
from talent_image_pipeline.sync.tokens.refresh import RefreshReport, is_readable_without_refresh

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TokenState:
    """The call of one account with the token that it has now.

    Attributes:
        planned: The call to be made.
        failure: Why there is no new token, where one was asked for in vain.
        was_refreshed: Whether the token is a new one.
    """

    planned: PlannedCall
    failure: Reading | None = None
    was_refreshed: bool = False

    @property
    def account(self) -> ClaimedAccount:
        """The one account that the call reads."""
        return self.planned.accounts[0]


@dataclass(frozen=True, kw_only=True)
class FreshTokens:
    """Refreshes tokens for the reads of a run."""

    tools: PlatformTools
    claims: Claims
    refusals: Refusals
    report: PlatformReport

    async def before_read(self, planned: PlannedCall) -> TokenState:
        """Refresh the token of a call's one account where that is due."""
        (account,) = planned.call.accounts
        ledger = planned.accounts[0].record.ledger
        refreshed_at = ledger.token_refreshed_at if ledger else None
        if not self.tools.client.needs_token_refresh(account, now=self.tools.clock(), refreshed_at=refreshed_at):
            return TokenState(planned=planned)
        if self.tools.circuit.is_open or self.tools.gate.block_of(planned.call) is not None:
            return TokenState(planned=planned)
        return await self.refresh(planned)

    async def refresh(self, planned: PlannedCall) -> TokenState:
        """Refresh the token of a call's one account."""
        (account,) = planned.accounts
        refreshed = await self._ask(account)
        self.report.api_calls += refreshed.calls
        if refreshed.calls:
            failure = refreshed.failure
            self.tools.circuit.record(answered=failure is None or failure.outcome is not Outcome.UNAVAILABLE)
        if refreshed.failure is not None:
            await self._record_failure(planned, refreshed.failure)
            return TokenState(planned=planned, failure=refreshed.failure)
        self.report.token_refreshes += bool(refreshed.calls)
        self.refusals.record_accepted(RENEWALS)
        return await self._with_present_token(planned)

    def is_readable_anyway(self, state: TokenState) -> bool:
        """Whether a read is worth its call although no new token came.

        A token that lives is read with. One that is past its date is tried once before it is called dead: the date may
        be wrong. While the refresh merely did not get through, there is nothing to be called.
        """
        if state.failure is None or state.account.record.access_token is None:
            return state.failure is None
        if is_readable_without_refresh(state.account.record.token_expires_at, self.tools.clock()):
            return True
        return state.failure.outcome is Outcome.NEEDS_RECONNECT

    async def _ask(self, account: ClaimedAccount) -> RefreshReport:
        if message := self.refusals.message(RENEWALS):
            return RefreshReport(failure=misconfigured(message))
        with self.report.timed("tokens"):
            return await self.tools.tokens.refresh(account.record)

    async def _record_failure(self, planned: PlannedCall, failure: Reading) -> None:
        """Ask for no more tokens with our own wrong credentials, nor for anything where the platform said stop."""
        account = planned.accounts[0].record
        self.refusals.record(RENEWALS, account.account_id, failure)
        await self.tools.gate.record_answer(planned.call, CallResult(readings=(failure,)))
        if is_readable_without_refresh(account.token_expires_at, self.tools.clock()):
            self.report.token_refreshes_failed += 1
            _logger.warning(
                "[TALENT_IMAGE] the token of account %s lives on, but was not refreshed: %s",
                account.account_id,
                failure.message,
            )

    async def _with_present_token(self, planned: PlannedCall) -> TokenState:
        account = planned.accounts[0]
        current = await transactions.read_in_thread(
            self.tools.engine, account_queries.load_accounts, [account.account_id]
        )
        if not current:
            removed = Reading(outcome=Outcome.UNAVAILABLE, message="the account was removed while it was read")
            return TokenState(planned=planned, failure=removed)
        # What was read is written only if the account is still in the state that it has now.
        record = replace(current[0], ledger=current[0].ledger or account.record.ledger)
        (fresh,) = await self.claims.with_pictures([record])
        call = replace(planned.call, accounts=(fresh.as_client_account(),))
        return TokenState(planned=PlannedCall(call=call, accounts=(fresh,)), was_refreshed=True)
