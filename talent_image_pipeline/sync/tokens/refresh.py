"""Refreshing an account's token without ever losing the account.

What belongs here: the course of one refresh (claim, ask, store), what its failures mean, and when a consent that ends
is reported.
What does not: the statements (``database/token_queries.py``), the wire (``platforms/``), and the process in which a
refresh runs (``refresh_process.py``).

TikTok's refresh token dies the moment its successor is handed out. Between that answer and the committed row the pair
exists in memory alone, so a refresh runs in a process of its own that outlives the run.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import anyio
import sqlalchemy as sa
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
    wait_random_exponential,
)

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.database import transactions
from talent_image_pipeline.database.token_queries import (
    ClaimState,
    NewTokens,
    RefreshClaim,
    SeenTokens,
    claim_refresh,
    end_failed_refresh,
    store_new_tokens,
)
from talent_image_pipeline.platforms.contract import (
    Account,
    Outcome,
    PlatformClient,
    Reading,
    RefreshedToken,
    TokenRefresh,
)

#: Two requests of at most ten seconds each and the pause between them fit in several times.
REFRESH_LEASE = timedelta(seconds=90)
#: How long a run waits for another run's refresh of the same account: two requests and the pause.
LONGEST_WAIT_FOR_ANOTHER_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.1
PAUSE_BEFORE_SECOND_REQUEST_SECONDS = 0.5
#: A pair that cannot be stored is held on to for as long as a database is likely to take to come back.
STORE_FOR_SECONDS = 600.0

CONSENT_IS_REPORTED_BEFORE = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """How the refresh of one account ended.

    Attributes:
        failure: What the account has instead of a working token; none when the app's row holds one now, be it ours
            or one that the app or another run stored meanwhile. The account is then to be loaded anew.
        calls: How many requests were made.
    """

    failure: Reading | None = None
    calls: int = 0


def consent_warning(consent_ends_at: datetime | None, now: datetime) -> str | None:
    """Say that a talent's consent ends within 14 days, or has ended; none where it lasts longer or has no known end."""
    if consent_ends_at is None or consent_ends_at - now > CONSENT_IS_REPORTED_BEFORE:
        return None
    day = consent_ends_at.date().isoformat()
    if consent_ends_at <= now:
        return f"The talent's consent ended on {day}; the talent must connect the account again in the app."
    days = (consent_ends_at - now).days
    left = {0: "today or tomorrow", 1: "in 1 day"}.get(days, f"in {days} days")
    return f"The talent's consent ends on {day}, {left}; the talent must connect the account again in the app by then."


def is_readable_without_refresh(token_expires_at: datetime | None, now: datetime) -> bool:
    """Whether an account whose refresh failed may still be read with the token that it has: it is not past its date."""
    return token_expires_at is None or token_expires_at > now


def answer_was_lost(label: str) -> Reading:
    """The old refresh token is spent and its successor never arrived."""
    return Reading(
        outcome=Outcome.NEEDS_RECONNECT,
        message=f"The answer to a token refresh was lost; reconnect {label} in the app.",
    )


async def refresh_account_token(
    *, account_id: str, seen: SeenTokens, label: str, engine: sa.Engine, client: PlatformClient, clock: Clock
) -> RefreshReport:
    """Refresh one account's token: one refresh at a time over all runs, and the new pair stored before any use.

    An answer that got lost is asked for once more with the old token. If the platform then says that this token is
    spent, the account needs to be reconnected; if it says nothing again, the account is ``unavailable`` and the next
    refresh knows what happened.

    Args:
        account_id: The app's id of the connection.
        seen: The tokens that the run saw; if the app's row has others by now, nothing is refreshed.
        label: The network as people write it.
        engine: The app's database.
        client: The network's client.
        clock: The time.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: when the database fails before anything was asked for.
    """
    claim = await _claim(account_id, seen, engine=engine, clock=clock)
    if claim.state is ClaimState.SUPERSEDED:
        return RefreshReport()
    if claim.state is not ClaimState.CLAIMED or claim.claimed_at is None:
        return RefreshReport(failure=_not_ours(claim.state))
    account = Account(
        account_id=account_id,
        handle=claim.handle,
        access_token=seen.access_token,
        refresh_token=seen.refresh_token,
        token_expires_at=claim.expires_at,
    )
    refresh, calls = await _ask(client, account)
    if refresh.token is not None:
        failure = await _store(account_id, seen, token=refresh.token, engine=engine, clock=clock)
        return RefreshReport(failure=failure, calls=calls)
    may_be_lost = seen.refresh_token is not None and (claim.follows_unfinished or calls > 1)
    failure = failure_of(refresh, label=label, may_be_lost=may_be_lost)
    is_final = failure.outcome is Outcome.NEEDS_RECONNECT or not (may_be_lost or _is_lost(refresh))
    is_current = await _give_up(account_id, seen, claimed_at=claim.claimed_at, is_final=is_final, engine=engine)
    return RefreshReport(failure=failure if is_current else None, calls=calls)


def failure_of(refresh: TokenRefresh, *, label: str, may_be_lost: bool) -> Reading:
    """Return what an account has when no new pair came: the client's word, unless an answer had been lost before."""
    failure = refresh.failure or Reading(outcome=Outcome.UNAVAILABLE, message=f"{label} gave no new token.")
    return answer_was_lost(label) if may_be_lost and failure.outcome is Outcome.NEEDS_RECONNECT else failure


def _is_lost(refresh: TokenRefresh) -> bool:
    """Whether the platform may have spent the token although no pair arrived."""
    return refresh.token is None and (refresh.failure is None or refresh.failure.outcome is Outcome.UNAVAILABLE)


async def _claim(account_id: str, seen: SeenTokens, *, engine: sa.Engine, clock: Clock) -> RefreshClaim:
    """Claim the refresh; where another run has it, wait until that one is done."""

    def claim(connection: sa.Connection) -> RefreshClaim:
        return claim_refresh(connection, account_id=account_id, seen=seen, lease=REFRESH_LEASE, now=clock())

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda found: found.state is ClaimState.BUSY),
        wait=wait_fixed(LOOK_AGAIN_SECONDS),
        stop=stop_after_delay(LONGEST_WAIT_FOR_ANOTHER_SECONDS),
        retry_error_callback=lambda _: RefreshClaim(state=ClaimState.BUSY),
    )
    found: RefreshClaim = await retrying(transactions.write_in_thread, engine, claim)
    return found


def _not_ours(state: ClaimState) -> Reading:
    message = {
        ClaimState.BUSY: "Another run is still refreshing the account's token.",
        ClaimState.GONE: "The account was removed before its token could be refreshed.",
    }
    return Reading(outcome=Outcome.UNAVAILABLE, message=message[state])


async def _ask(client: PlatformClient, account: Account) -> tuple[TokenRefresh, int]:
    """Ask for a new pair, and once more where the answer got lost."""
    refresh = await client.refresh_token(account)
    if not _is_lost(refresh):
        return refresh, 1
    await anyio.sleep(PAUSE_BEFORE_SECOND_REQUEST_SECONDS)
    return await client.refresh_token(account), 2


async def _store(
    account_id: str, seen: SeenTokens, *, token: RefreshedToken, engine: sa.Engine, clock: Clock
) -> Reading | None:
    """Store the pair, trying for as long as it takes: it exists nowhere else."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(sa.exc.SQLAlchemyError),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        stop=stop_after_delay(STORE_FOR_SECONDS),
        reraise=True,
    )
    new = NewTokens(
        access_token=token.access_token,
        expires_at=token.expires_at,
        refresh_token=token.refresh_token,
        consent_ends_at=token.consent_ends_at,
    )
    store = partial(store_new_tokens, account_id=account_id, seen=seen, new=new, now=clock())
    try:
        await retrying(transactions.write_in_thread, engine, store)
    except sa.exc.SQLAlchemyError as error:
        message = f"The new token could not be stored ({type(error).__name__})."
        return Reading(outcome=Outcome.UNAVAILABLE, message=message)
    return None


async def _give_up(
    account_id: str, seen: SeenTokens, *, claimed_at: datetime, is_final: bool, engine: sa.Engine
) -> bool:
    """End a refresh without a pair; returns whether the tokens that were used are still the account's."""
    unfinished_since = None if is_final else claimed_at - REFRESH_LEASE
    end = partial(
        end_failed_refresh, account_id=account_id, seen=seen, claimed_at=claimed_at, unfinished_since=unfinished_since
    )
    return await transactions.write_in_thread(engine, end)
