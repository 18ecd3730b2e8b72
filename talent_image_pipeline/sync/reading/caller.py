"""Asking the platform: one planned call in, a reading for each of its accounts out, whatever happens.

What belongs here: whether a call is made at all, its retries, splitting a refused one, and whose matter a refusal is.
What does not: the wire (``platforms/``), limits (``sync/limits/``) and tokens (``fresh_tokens.py``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from talent_image_pipeline.database.records import OWN_ERROR
from talent_image_pipeline.platforms.contract import Call, CallResult, Outcome, Reading, Scope
from talent_image_pipeline.platforms.readings import hidden
from talent_image_pipeline.sync.limits.quota_rules import Blocked
from talent_image_pipeline.sync.limits.retries import call_with_retries
from talent_image_pipeline.sync.reading.claimed_accounts import AccountReading, ClaimedAccount, PlannedCall
from talent_image_pipeline.sync.reading.fresh_tokens import FreshTokens
from talent_image_pipeline.sync.reading.outcome_rules import NEXT_DAY
from talent_image_pipeline.sync.reading.refusals import Refusals
from talent_image_pipeline.sync.reading.tools import PlatformTools
from talent_image_pipeline.sync.reporting.reports import PlatformReport


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Makes the calls of one run.

    Attributes:
        tools: The platform and what reading it needs.
        tokens: Refreshes tokens.
        refusals: What the run was refused so far.
        report: Where calls and seconds are counted.
        deadline: When the run ends.
        seconds_per_call: For all tries of one call.
    """

    tools: PlatformTools
    tokens: FreshTokens
    refusals: Refusals
    report: PlatformReport
    deadline: datetime
    seconds_per_call: float
    _undecided: list[AccountReading] = field(default_factory=list)

    def plan(self, accounts: Sequence[ClaimedAccount]) -> Iterator[PlannedCall]:
        """Group accounts into the fewest calls."""
        by_id = {account.account_id: account for account in accounts}
        for call in self.tools.client.plan_calls([account.as_client_account() for account in accounts]):
            yield PlannedCall(call=call, accounts=tuple(by_id[account.account_id] for account in call.accounts))

    async def read(self, planned: PlannedCall) -> list[AccountReading]:
        """Make a call; raises nothing that a platform or a bug can cause.

        Readings of which only the end of the run tells whose matter they are come from :meth:`decided` instead.
        """
        try:
            with self.report.timed("api"):
                found = await self._read(planned)
        except Exception as error:  # noqa: BLE001 - a bug with one account must not take the batch with it
            self.report.add_internal_error(error)
            message = f"{OWN_ERROR}: {type(error).__name__}"
            found = _pairs(planned.accounts, _for_all(planned.call, Outcome.UNAVAILABLE, message))
        self._undecided.extend(one for one in found if _is_undecided(one.reading))
        return [one for one in found if not _is_undecided(one.reading)]

    def decided(self) -> Iterator[AccountReading]:
        """Hand out, once all calls are made, the readings that had to wait for the others."""
        for one in self._undecided:
            if self.refusals.is_about_account_alone(one.account.account_id, one.reading):
                message = f"{self.tools.platform.label} refuses this account alone: {one.reading.message}"
                yield replace(one, reading=hidden(message))
            else:
                yield one
        self._undecided.clear()

    async def read_again(self, found: AccountReading) -> Reading:
        """Ask the platform once more for one account, because the address that it gave is dead already."""
        account = found.account.as_client_account()
        if found.reading.upstream_id is not None:
            account = replace(account, upstream_id=found.reading.upstream_id)
        (call,) = self.tools.client.plan_calls([account])
        return (await self._call(call)).readings[0]

    async def _read(self, planned: PlannedCall) -> list[AccountReading]:
        if planned.call.cost == 0:
            return _pairs(planned.accounts, self._to_be_looked_at_daily(await self.tools.client.read(planned.call)))
        if len(planned.accounts) == 1:
            return [await self._read_one(planned)]
        return await self._read_several(planned)

    async def _read_several(self, planned: PlannedCall) -> list[AccountReading]:
        """Read a call's accounts; where one of them makes the platform refuse all, by halves until it is alone."""
        result = await self._call(planned.call)
        if not result.must_split or len(planned.accounts) == 1:
            return _pairs(planned.accounts, result)
        middle = len(planned.accounts) // 2
        found: list[AccountReading] = []
        for part in (planned.accounts[:middle], planned.accounts[middle:]):
            for half in self.plan(part):
                found += await self._read_several(half)
        return found

    async def _read_one(self, planned: PlannedCall) -> AccountReading:
        state = await self.tokens.before_read(planned)
        if state.failure is not None and not self.tokens.is_readable_anyway(state):
            return AccountReading(account=state.account, reading=state.failure)
        reading = (await self._call(state.planned.call)).readings[0]
        if not reading.is_token_refused:
            return AccountReading(account=state.account, reading=reading)
        if state.failure is not None:
            return AccountReading(account=state.account, reading=state.failure)
        if state.was_refreshed or state.account.record.refresh_token is None:
            return AccountReading(account=state.account, reading=reading)
        return await self._read_with_other_token(planned, reading)

    async def _read_with_other_token(self, planned: PlannedCall, refused: Reading) -> AccountReading:
        """Refresh a token that was refused although it should live, once, and try again."""
        state = await self.tokens.refresh(planned)
        if state.failure is not None:
            return AccountReading(account=state.account, reading=state.failure)
        if state.account.record.access_token == planned.accounts[0].record.access_token:
            return AccountReading(account=state.account, reading=refused)
        return AccountReading(account=state.account, reading=(await self._call(state.planned.call)).readings[0])

    async def _call(self, call: Call) -> CallResult:
        latest = self.tools.clock() + timedelta(seconds=self.seconds_per_call)
        deadline = min(latest, self.deadline)
        attempt = partial(self._attempt, deadline=deadline)
        return await call_with_retries(
            call, attempt=attempt, deadline=deadline, clock=self.tools.clock, rng=self.tools.rng
        )

    async def _attempt(self, call: Call, *, deadline: datetime) -> CallResult:
        """Make one try, unless the platform is to be left alone."""
        left_alone = self._why_not_to_call(call)
        if left_alone is not None:
            self.report.without_call += len(call.accounts)
            return left_alone
        blocked = await self.tools.gate.admit(call, deadline=deadline)
        if blocked is not None:
            return await self._make_what_fits(call, blocked, deadline=deadline)
        result = await self.tools.client.read(call)
        self.tools.circuit.record(answered=any(map(_is_answer, result.readings)))
        for account, reading in zip(call.accounts, result.readings, strict=True):
            if not result.must_split:
                self.refusals.record(call.quota, account.account_id, reading)
        await self.tools.gate.record_answer(call, result)
        return result

    def _why_not_to_call(self, call: Call) -> CallResult | None:
        if self.tools.circuit.is_open:
            message = f"{self.tools.platform.label} did not answer several times in a row; it was not asked again"
            return _for_all(call, Outcome.UNAVAILABLE, message)
        refusal = self.refusals.message(call.quota)
        return None if refusal is None else _for_all(call, Outcome.MISCONFIGURED, refusal)

    async def _make_what_fits(self, call: Call, blocked: Blocked, *, deadline: datetime) -> CallResult:
        """Make the call for as many of its accounts as the limit has room for; the others wait until it ends."""
        fitting = blocked.room if 0 < blocked.room < call.cost == len(call.accounts) else 0
        rest = replace(call, accounts=call.accounts[fitting:])
        left_for_later = _for_all(rest, Outcome.RATE_LIMITED, _message_of(blocked), retry_at=blocked.until)
        self.report.without_call += len(rest.accounts)
        if not fitting:
            return left_for_later
        part = replace(call, accounts=call.accounts[:fitting], cost=fitting)
        made = await self._attempt(part, deadline=deadline)
        return replace(made, readings=made.readings + left_for_later.readings)

    def _to_be_looked_at_daily(self, result: CallResult) -> CallResult:
        """Let readings that cost no call be repeated every day: our settings may change where the account does not."""
        tomorrow = self.tools.clock() + NEXT_DAY
        return replace(result, readings=tuple(replace(reading, retry_at=tomorrow) for reading in result.readings))


def _pairs(accounts: Sequence[ClaimedAccount], result: CallResult) -> list[AccountReading]:
    return [
        AccountReading(account=account, reading=reading)
        for account, reading in zip(accounts, result.readings, strict=True)
    ]


def _is_undecided(reading: Reading) -> bool:
    return reading.outcome is Outcome.MISCONFIGURED and reading.scope is Scope.ACCOUNT


def _is_answer(reading: Reading) -> bool:
    """Whether a reading shows that the platform is up."""
    return reading.outcome is not Outcome.UNAVAILABLE or reading.scope is Scope.ACCOUNT


def _for_all(call: Call, outcome: Outcome, message: str, *, retry_at: datetime | None = None) -> CallResult:
    reading = Reading(outcome=outcome, message=message, retry_at=retry_at)
    return CallResult(readings=(reading,) * len(call.accounts))


def _message_of(blocked: Blocked) -> str:
    return f"{blocked.because}; left alone until {blocked.until:%Y-%m-%d %H:%M} UTC"
