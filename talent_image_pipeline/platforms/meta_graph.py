"""What Meta's Graph API says in the same way everywhere: its errors, its usage headers, its picture addresses.

What belongs here: the parts of the contract that Instagram shares with Meta's other networks.
What does not: paths, fields and tokens of one network (``instagram.py``).

Numbers of errors: developers.facebook.com/docs/graph-api/guides/error-handling; of limits:
developers.facebook.com/docs/graph-api/overview/rate-limiting.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from talent_image_pipeline.platforms.answer_fields import (
    LONGEST_IDENTIFIER,
    LONGEST_WAIT,
    address_parts,
    expiry_in,
    list_in,
    mapping_in,
    number_in,
    retry_after,
    text_in,
    whole_number_in,
)
from talent_image_pipeline.platforms.contract import PictureReference, QuotaUsage, Reading, Scope
from talent_image_pipeline.platforms.readings import (
    hidden,
    misconfigured,
    needs_reconnect,
    rate_limited,
    temporarily_down,
    unexplained,
)
from talent_image_pipeline.platforms.transport import ApiAnswer

POLICY_BLOCK_WAIT = timedelta(hours=24)
# Past this share of the app's quota, what the whole app may do matters more than what one token may do.
PRESSING_PERCENT = 75.0

_TOKEN_CODES = frozenset({102, 190})
_TEMPORARY_CODES = frozenset({1, 2, 341})
_APP_LIMIT_CODES = frozenset({4})
_TOKEN_LIMIT_CODES = frozenset({17, 32, 613, 80001, 80002})
_POLICY_BLOCK_CODE = 368
_APP_REFUSED_CODES = frozenset({101, 104})
_USAGE_TYPES = frozenset({"instagram", "pages"})

_WHY_TOKEN_DIED = {
    458: "the talent removed the app from the account; the talent must connect it again and allow the app",
    460: "the password changed or the session was ended for safety; the talent must connect the account again",
    463: "the connection expired; the talent must connect the account again",
    467: "the token is no longer valid; the talent must connect the account again",
}
# These tokens live on: they work again as soon as the talent has done what Meta asks for.
_WHY_TOKEN_PAUSES = {
    459: "the account waits at a security check; the talent must log in to Instagram or Facebook and follow the steps "
    "shown there",
    464: "the account is not confirmed; the talent must log in to Instagram or Facebook and confirm it",
}
# Code 200 says these of the whole app, where it otherwise says what one talent did not allow.
_APP_BLOCKED_TEXTS = ("api access blocked", "temporarily disabled for non-active apps")
_WRONG_KIND_OF_TOKEN_TEXT = "unsupported request - method type"  # noqa: S105 - part of an error message


@dataclass(frozen=True, kw_only=True)
class GraphError:
    """An error of the Graph API by its numbers; its texts may be translated, so they only refine a number.

    Attributes:
        lacks_permission: A code 100 that is about a missing permission.
        blocks_app: A code 200 that is about our app.
        is_wrong_kind_of_token: A code 100 that one token of another product, or of a tester who has not accepted the
            invitation, gets for any request.
    """

    code: int | None
    subcode: int | None = None
    is_transient: bool = False
    lacks_permission: bool = False
    blocks_app: bool = False
    is_wrong_kind_of_token: bool = False


@dataclass(frozen=True, kw_only=True)
class GraphRequest:
    """Whose token was refused or limited by an answer, and when the answer came.

    Attributes:
        network: As people write it.
        token_setting: The setting that holds the token, where it is the agency's own; none for a talent's token.
        is_about_one: Whether the answer is to a question about one account alone, also as one item of a batch.
        usage_ids: The ids under which the use of the token is reported; none known: any.
    """

    now: datetime
    network: str = "Instagram"
    token_setting: str | None = None
    is_about_one: bool = True
    usage_ids: frozenset[str] = frozenset()

    @property
    def scope(self) -> Scope:
        """Whom a refusal of the request speaks of."""
        return Scope.ACCOUNT if self.is_about_one else Scope.PLATFORM

    @property
    def token_scope(self) -> Scope:
        """Whom a refusal or limit of the token speaks of: the agency's token serves every look-up."""
        return Scope.ACCOUNT if self.token_setting is None else Scope.PLATFORM


def graph_error_in(body: Any) -> GraphError | None:
    """Find the error in a body, in whichever shape; none where the body holds no error."""
    if not isinstance(body, dict) or not ({"error", "error_type", "error_message"} & body.keys()):
        return None
    error = mapping_in(body, "error")
    if error is None:
        return GraphError(code=None)
    message = (text_in(error, "message") or "").lower()
    return GraphError(
        code=whole_number_in(error, "code"),
        subcode=whole_number_in(error, "error_subcode"),
        is_transient=error.get("is_transient") is True,
        lacks_permission="missing permission" in message,
        blocks_app=any(text in message for text in _APP_BLOCKED_TEXTS),
        is_wrong_kind_of_token=_WRONG_KIND_OF_TOKEN_TEXT in message,
    )


def reading_of(error: GraphError, answer: ApiAnswer, *, request: GraphRequest) -> Reading:
    """Turn an error into an outcome: its code decides, then its subcode, then the HTTP status."""
    code = error.code
    if code is None:
        return unexplained(answer, network=request.network, now=request.now)
    if code in _TOKEN_CODES:
        return _token_refused(error, request)
    if code in _APP_REFUSED_CODES or (code == 200 and error.blocks_app):
        return _app_refused(error, request)
    if code == 10 or 200 <= code <= 299:
        return _permission_missing(error, request)
    if code in (100, 110):
        return _request_refused(error, request)
    if code in _APP_LIMIT_CODES | _TOKEN_LIMIT_CODES or code == _POLICY_BLOCK_CODE:
        return _limited(code, answer, request)
    if code in _TEMPORARY_CODES or error.is_transient:
        return temporarily_down(answer, network=request.network, now=request.now)
    return unexplained(answer, network=request.network, now=request.now)


def _token_refused(error: GraphError, request: GraphRequest) -> Reading:
    subcode = error.subcode or 0
    is_pausing = subcode in _WHY_TOKEN_PAUSES
    why = _WHY_TOKEN_PAUSES[subcode] if is_pausing else _WHY_TOKEN_DIED.get(subcode, _WHY_TOKEN_DIED[467])
    if request.token_setting is None:
        return needs_reconnect(f"{request.network} refused the token: {why}.", is_read_daily=is_pausing)
    reason = why.partition(";")[0]
    remedy = "Log in to the account and follow the steps shown there" if is_pausing else "Put a new token there"
    return misconfigured(f"{request.token_setting} was refused: {reason}. {remedy}.")


def _app_refused(error: GraphError, request: GraphRequest) -> Reading:
    """What Meta says of our app; said to one account alone, it may still be that account's."""
    return misconfigured(
        f"Meta refuses our app (code {error.code}); look into the app's dashboard for a block, a missing review or a "
        "wrong secret.",
        scope=request.token_scope,
    )


def _permission_missing(error: GraphError, request: GraphRequest) -> Reading:
    if request.token_setting:
        message = f"{request.token_setting} lacks a permission (code {error.code}). Grant it to the app."
        return misconfigured(message, scope=request.scope)
    return needs_reconnect(
        f"A permission is missing (code {error.code}); the talent must connect the account again and allow "
        "everything that the app asks for."
    )


def _request_refused(error: GraphError, request: GraphRequest) -> Reading:
    if error.code == 110 or error.subcode == 33:
        return hidden(
            "The account cannot be seen: it is unknown, personal, hidden or restricted by age, and Meta does not say "
            "which. Its last picture is kept."
        )
    if error.lacks_permission:
        return _permission_missing(error, request)
    if error.is_wrong_kind_of_token and request.token_setting is None:
        return needs_reconnect(
            f"{request.network} cannot be read with this token: it is of another kind, or of a tester who has not "
            "accepted the invitation; the talent must connect the account again."
        )
    return misconfigured(
        "Meta refused the request as invalid (code 100): a field or parameter that it does not know.",
        scope=request.scope,
    )


def _limited(code: int, answer: ApiAnswer, request: GraphRequest) -> Reading:
    retry_at = retry_after(answer.headers, now=request.now)
    if code == _POLICY_BLOCK_CODE:
        return rate_limited(
            "Meta blocks this for reasons of policy (code 368); look into the app's dashboard.",
            retry_at=retry_at or request.now + POLICY_BLOCK_WAIT,
            scope=request.token_scope,
        )
    if code in _APP_LIMIT_CODES:
        return rate_limited(f"The app made too many calls (code {code}).", retry_at=retry_at)
    business = business_usage(answer.headers, request)
    return rate_limited(
        f"There were too many calls with this token (code {code}).",
        retry_at=retry_at or (business.regain_at if business else None),
        scope=request.token_scope,
    )


def usage_in(headers: Mapping[str, str], request: GraphRequest) -> QuotaUsage | None:
    """Return the usage that matters most for what is called next; none where none is reported.

    The app's own figure wins once it is pressing, and whenever it is the higher one.
    """
    app = _app_usage(headers)
    business = business_usage(headers, request)
    if app is None or business is None:
        return app or business
    return app if app.percent >= min(PRESSING_PERCENT, business.percent) else business


def _app_usage(headers: Mapping[str, str]) -> QuotaUsage | None:
    """``X-App-Usage``: three percentages of a rolling hour; the highest one throttles."""
    figures = _header_json(headers, "x-app-usage")
    percent = _highest_percent(figures)
    return None if percent is None else QuotaUsage(percent=percent)


def business_usage(headers: Mapping[str, str], request: GraphRequest) -> QuotaUsage | None:
    """``X-Business-Use-Case-Usage``: entries per business or user; the highest one throttles, minutes say how long.

    Entries of other products (``ads_insights`` and the like) and of other ids are limits that we do not run into.
    """
    by_id = _header_json(headers, "x-business-use-case-usage")
    ids = [key for key in by_id if not request.usage_ids or key in request.usage_ids]
    found = [entry for key in ids for entry in list_in(by_id, key) if isinstance(entry, dict)]
    entries = [entry for entry in found if text_in(entry, "type") in _USAGE_TYPES]
    percents = [percent for percent in map(_highest_percent, entries) if percent is not None]
    if not percents:
        return None
    minutes = max(number_in(entry, "estimated_time_to_regain_access") or 0.0 for entry in entries)
    wait = timedelta(minutes=min(minutes, LONGEST_WAIT / timedelta(minutes=1)))
    return QuotaUsage(
        percent=max(percents),
        regain_at=request.now + wait if wait else None,
        is_platform_wide=request.token_scope is Scope.PLATFORM,
    )


def _header_json(headers: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(headers.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _highest_percent(figures: Mapping[str, Any]) -> float | None:
    percents = (number_in(figures, key) for key in ("call_count", "total_time", "total_cputime"))
    return max((percent for percent in percents if percent is not None), default=None)


def picture_reference(url: str | None) -> PictureReference | None:
    """Read a picture's address: its file name is the picture's identity, ``oe`` its expiry in hexadecimal.

    Host and signature differ with every answer, the file name only with the picture. None where it is no address.
    """
    parts = address_parts(url)
    if parts is None or url is None:
        return None
    file_name = parts.path.rpartition("/")[2]
    return PictureReference(
        url=SecretStr(url),
        content_id=file_name if 0 < len(file_name) <= LONGEST_IDENTIFIER else None,
        expires_at=expiry_in(parts, "oe", base=16),
    )
