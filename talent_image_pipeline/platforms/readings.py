"""The readings that every client makes in the same way.

What belongs here: turning what all networks have in common (a picture, no answer, an answer without a known error)
into one of the closed outcomes.
What does not: a network's own error codes (one file per network beside this one).
"""

from datetime import datetime, timedelta

from talent_image_pipeline.platforms.answer_fields import retry_after
from talent_image_pipeline.platforms.contract import Account, Outcome, PictureReference, Reading, Scope
from talent_image_pipeline.platforms.transport import ApiAnswer, Unreachable

# Up to here a wait named by the platform is shorter than our own backoff, and needs no attention.
SHORTEST_WAIT = timedelta(seconds=1)


def picture_seen(account: Account, picture: PictureReference, *, upstream_id: str | None) -> Reading:
    """The account has this picture: ``unchanged`` where it is the one that we own."""
    if picture.content_id is not None and picture.content_id == account.content_id:
        return Reading(
            outcome=Outcome.UNCHANGED,
            message="The picture is the one that we own.",
            picture=picture,
            upstream_id=upstream_id,
        )
    return Reading(
        outcome=Outcome.PICTURE, message="The account has a picture.", picture=picture, upstream_id=upstream_id
    )


def no_picture(message: str, *, upstream_id: str | None) -> Reading:
    """The platform says explicitly that the account shows no picture of its own."""
    return Reading(outcome=Outcome.NO_PICTURE, message=message, upstream_id=upstream_id)


def unconfirmed(message: str, *, suggests: Outcome, upstream_id: str | None = None) -> Reading:
    """The answer lacks the picture (``suggests`` no_picture) or the account (gone), without an explicit word of it."""
    return Reading(outcome=Outcome.UNCONFIRMED, message=message, suggests=suggests, upstream_id=upstream_id)


def hidden(message: str) -> Reading:
    """The platform answered, and does not show this account to us."""
    return Reading(outcome=Outcome.HIDDEN, message=message)


def needs_reconnect(message: str, *, is_token_refused: bool = False, is_read_daily: bool = False) -> Reading:
    """Only the talent can help, and the message says how."""
    return Reading(
        outcome=Outcome.NEEDS_RECONNECT,
        message=message,
        is_token_refused=is_token_refused,
        is_read_daily=is_read_daily,
    )


def misconfigured(message: str, *, scope: Scope = Scope.PLATFORM) -> Reading:
    """Only the operator can help, and the message says which setting it is."""
    return Reading(outcome=Outcome.MISCONFIGURED, message=message, scope=scope)


def unavailable(message: str, *, is_retryable: bool = False) -> Reading:
    """Nothing was learned of the account."""
    return Reading(outcome=Outcome.UNAVAILABLE, message=message, is_retryable=is_retryable)


def invalid_picture_address(network: str) -> Reading:
    """The platform names a picture by something that is no web address."""
    return contradictory(f"{network} returned an invalid picture URL.")


def contradictory(message: str) -> Reading:
    """The platform answered, and what it said of this account cannot be: nothing was learned of it."""
    return Reading(outcome=Outcome.UNAVAILABLE, message=message, scope=Scope.ACCOUNT)


def rate_limited(message: str, *, retry_at: datetime | None, scope: Scope = Scope.PLATFORM) -> Reading:
    """The platform said stop."""
    return Reading(outcome=Outcome.RATE_LIMITED, message=message, retry_at=retry_at, scope=scope)


def not_answered(failure: Unreachable, *, network: str) -> Reading:
    """No usable answer came back."""
    return unavailable(f"{network} could not be read: {failure.kind}.", is_retryable=failure.is_retryable)


def temporarily_down(answer: ApiAnswer, *, network: str, now: datetime) -> Reading:
    """The platform says that it has trouble. Where it also says until when, no try is made before."""
    retry_at = retry_after(answer.headers, now=now)
    message = f"{network} reported a server error (HTTP {answer.status})."
    if retry_at is None or retry_at - now <= SHORTEST_WAIT:
        return unavailable(message, is_retryable=True)
    return Reading(outcome=Outcome.UNAVAILABLE, message=message, retry_at=retry_at)


def unexplained(answer: ApiAnswer, *, network: str, now: datetime) -> Reading:
    """The answer carries no error that the contract knows: its status alone decides."""
    if answer.status == 429:
        retry_at = retry_after(answer.headers, now=now)
        return rate_limited(f"{network} says that there were too many requests.", retry_at=retry_at)
    if answer.status >= 500:
        return temporarily_down(answer, network=network, now=now)
    is_page = answer.json is None
    what = "is not JSON" if is_page else "is not what its contract says"
    # A page with a success status is a platform's way to say that it is being repaired.
    is_retryable = is_page and answer.status < 400
    return unavailable(f"{network}'s answer {what} (HTTP {answer.status}).", is_retryable=is_retryable)
