"""TikTok's Display API v2: one user for each token, and pairs of tokens that rotate.

What belongs here: the user's fields, the token endpoint, the sliding minute and TikTok's two kinds of error body.
What does not: the image host (``image_hosts.py``).

Sources: developers.tiktok.com, "get user info", "user access token management", "error handling" and "rate limits".
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from talent_image_pipeline.sandbox.answers import ResetAnswer, api_misbehaviour, error_page, origin_of
from talent_image_pipeline.sandbox.image_hosts import tiktok_address
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.tokens import (
    TIKTOK_ACCESS_PREFIX,
    TIKTOK_REFRESH_PREFIX,
    Claims,
    epoch_seconds,
    read_token,
)
from talent_image_pipeline.sandbox.world import (
    NO_TROUBLE,
    TIKTOK_CLIENT_KEY,
    TIKTOK_CLIENT_SECRET,
    Account,
    Trouble,
    World,
    tiktok_pair,
)

_SIDES = {"avatar_url": 168, "avatar_url_100": 100, "avatar_large_url": 1080}
_BASIC_FIELDS = frozenset({"open_id", "union_id", "display_name", *_SIDES})
_OTHER_SCOPES_FIELDS = frozenset(
    {
        "bio_description",
        "profile_deep_link",
        "is_verified",
        "username",
        "follower_count",
        "following_count",
        "likes_count",
        "video_count",
    }
)
_LOG_ID = "20261121070000A0B1C2D3E4F5A6B7C8D9"
_SCOPE = "user.info.basic"
_LOOK_AGAIN_SECONDS = 0.01

_MESSAGES = {
    "access_token_invalid": (401, "The access token is invalid or not found in the request."),
    "scope_not_authorized": (401, "The user did not authorize the scope required for completing this request."),
    "scope_permission_missed": (401, "Additional scopes are required to read one or more fields."),
    "invalid_params": (400, "One or more fields in request is invalid."),
    "invalid_file_upload": (400, "The uploaded file does not meet the API specifications."),
    "rate_limit_exceeded": (429, "The API rate limit was exceeded. Please try again later."),
    "internal_error": (500, "Something is wrong. Please try again later."),
}
_CODES: Mapping[Situation, str] = {
    Situation.TOKEN_EXPIRED: "access_token_invalid",
    Situation.TOKEN_INVALID: "access_token_invalid",
    Situation.PASSWORD_CHANGED: "access_token_invalid",
    Situation.APP_REMOVED: "access_token_invalid",
    Situation.DELETED: "access_token_invalid",
    Situation.SCOPE_MISSING: "scope_not_authorized",
    Situation.FIELD_REMOVED: "invalid_params",
    Situation.RATE_LIMITED: "rate_limit_exceeded",
    Situation.USER_LIMIT: "rate_limit_exceeded",
    Situation.CUSTOM_LIMIT: "rate_limit_exceeded",
    Situation.SERVER_ERROR: "internal_error",
    Situation.TRANSIENT: "internal_error",
}


def api_error(code: str, *, status: int | None = None) -> Response:
    """Return an error of the API: success and failure have the same envelope."""
    usual, message = _MESSAGES[code]
    body = {"data": {}, "error": {"code": code, "message": message, "log_id": _LOG_ID}}
    return JSONResponse(body, status_code=status or usual)


async def tiktok_api(world: World, request: Request) -> Response:
    """Answer a request to TikTok's API; its paths end in a slash, and without it there is nothing."""
    match request.method, request.path_params["path"]:
        case "GET", "v2/user/info/":
            return await _user_info(world, request)
        case "POST", "v2/oauth/token/":
            return await _token(world, request)
        case "POST", "v2/oauth/revoke/":
            return await _revoke(world, request)
    return PlainTextResponse("404 page not found", status_code=404)


async def _user_info(world: World, request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    claims = read_token(TIKTOK_ACCESS_PREFIX, token) if scheme.lower() == "bearer" else None
    account = world.find_by_id(Network.TIKTOK, claims.account) if claims else None
    world.calls.record("tiktok.user_info", account.handle if account else "")
    trouble = world.trouble_of(Platform.TIKTOK, account)
    misbehaviour = await api_misbehaviour(trouble)
    if misbehaviour is not None:
        return misbehaviour
    if trouble.situation is Situation.ERROR_IN_200:
        return api_error("internal_error", status=200)
    refusal = _refusal(world, request.query_params.get("fields", ""), claims, account, trouble)
    if refusal is not None or account is None:
        return api_error(refusal or "access_token_invalid")
    fields = _split(request.query_params["fields"])
    user = _user(world, account, fields, trouble=trouble, origin=origin_of(request))
    return JSONResponse({"data": {"user": user}, "error": {"code": "ok", "message": "", "log_id": _LOG_ID}})


def _refusal(world: World, fields: str, claims: Claims | None, account: Account | None, trouble: Trouble) -> str | None:
    """Return the code of the first thing that is wrong with a read; none when it is fine."""
    limit = world.platforms[Platform.TIKTOK].limit
    if world.tiktok_minute.add(world.now()) > (limit or float("inf")):
        return "rate_limit_exceeded"
    if claims is None or account is None or not _is_living(world, claims, account):
        return "access_token_invalid"
    if trouble.situation in _CODES:
        return _CODES[trouble.situation]
    if trouble.situation is Situation.API_ERROR:
        return trouble.error if trouble.error in _MESSAGES else "internal_error"
    names = _split(fields)
    if not names or not _BASIC_FIELDS.union(_OTHER_SCOPES_FIELDS).issuperset(names):
        return "invalid_params"
    return None if _BASIC_FIELDS.issuperset(names) else "scope_not_authorized"


def _split(fields: str) -> list[str]:
    return [name.strip() for name in fields.split(",") if name.strip()]


def _is_living(world: World, claims: Claims, account: Account) -> bool:
    """Whether a token has neither expired nor been revoked together with its consent."""
    return claims.expires_at > world.now().timestamp() and claims.consent_ends_at > account.revoked_until


def _user(world: World, account: Account, fields: list[str], *, trouble: Trouble, origin: str) -> dict[str, Any]:
    """Return the named fields of a user."""
    open_id, union_id = account.account_id, "union" + account.account_id
    if trouble.situation in (Situation.WRONG_ACCOUNT, Situation.NEW_OPEN_ID):
        open_id = open_id[:-3] + "999"
    if trouble.situation is Situation.WRONG_ACCOUNT:
        union_id = union_id[:-3] + "999"
    values: dict[str, Any] = {"open_id": open_id, "union_id": union_id, "display_name": account.name}
    if trouble.situation is Situation.ID_LEFT_OUT:
        del values["union_id"]
    if trouble.situation is not Situation.PICTURE_LEFT_OUT:
        for name in _SIDES.keys() & set(fields):
            values[name] = tiktok_address(world, account, origin=origin, side=_SIDES[name])
    return {name: values[name] for name in fields if name in values}


def _oauth_error(world: World, error: str, description: str) -> Response:
    """Return a flat error of the token endpoint, whose HTTP status TikTok does not document."""
    body = {"error": error, "error_description": description, "log_id": _LOG_ID}
    return JSONResponse(body, status_code=world.rules.tiktok_oauth_error_status)


async def _form(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type != "application/x-www-form-urlencoded":
        return {}
    return {key: values[-1] for key, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}


def _client_error(world: World, form: Mapping[str, str]) -> Response | None:
    is_known = form.get("client_key") == TIKTOK_CLIENT_KEY and form.get("client_secret") == TIKTOK_CLIENT_SECRET
    if is_known and world.platforms[Platform.TIKTOK].trouble.situation is not Situation.KEY_INVALID:
        return None
    return _oauth_error(world, "invalid_client", "Client key or secret is incorrect.")


async def _token(world: World, request: Request) -> Response:
    form = await _form(request)
    claims = read_token(TIKTOK_REFRESH_PREFIX, form.get("refresh_token", ""))
    account = world.find_by_id(Network.TIKTOK, claims.account) if claims else None
    world.calls.record("tiktok.refresh", account.handle if account else "")
    trouble = world.trouble_of(Platform.TIKTOK, account)
    lost_request = trouble.situation is Situation.REFRESH_REQUEST_LOST and account is not None
    if lost_request and account is not None:
        account.trouble = NO_TROUBLE
        return ResetAnswer()
    if trouble.situation is Situation.REFRESH_OUTAGE:
        return error_page(503)
    misbehaviour = await api_misbehaviour(trouble)
    if misbehaviour is not None:
        return misbehaviour
    refusal = _token_request_error(world, form)
    if refusal is not None:
        return refusal
    if trouble.situation is Situation.REFRESH_ERROR:
        return _oauth_error(world, trouble.error or "temporarily_unavailable", "As it was asked for.")
    return await _rotated(world, claims, account, trouble)


def _token_request_error(world: World, form: Mapping[str, str]) -> Response | None:
    if not form:
        return _oauth_error(world, "invalid_request", "The request parameters are malformed.")
    wrong_client = _client_error(world, form)
    if wrong_client is not None:
        return wrong_client
    if form.get("grant_type") == "authorization_code":
        return _oauth_error(world, "invalid_grant", "Authorization code is expired or invalid.")
    if form.get("grant_type") != "refresh_token":
        return _oauth_error(world, "unsupported_grant_type", "The grant type is not supported.")
    if "refresh_token" not in form:
        return _oauth_error(world, "invalid_request", "The refresh token is missing.")
    return None


async def _rotated(world: World, claims: Claims | None, account: Account | None, trouble: Trouble) -> Response:
    """Kill the refresh token that was given and answer the next pair; what is left of the consent is not extended."""
    dead = {Situation.REFRESH_REFUSED, Situation.APP_REMOVED, Situation.APP_BLOCKED, Situation.DELETED}
    is_good = claims is not None and account is not None and _may_refresh(world, claims, account)
    if claims is None or account is None or not is_good or trouble.situation in dead:
        return _oauth_error(world, "invalid_grant", "Refresh token is invalid or expired.")
    account.consent_ends_at, account.generation = claims.consent_ends_at, claims.generation
    world.rotate(account)
    if trouble.situation is Situation.REFRESH_ANSWER_LOST:
        account.trouble = NO_TROUBLE
        return ResetAnswer()
    if trouble.situation is Situation.REFRESH_ANSWER_SLOW:
        await _hold_back(world, account, trouble)
    now = epoch_seconds(world.now())
    pair = tiktok_pair(
        account.account_id,
        issued_at=now,
        access_seconds=world.rules.tiktok_access_seconds,
        consent_ends_at=claims.consent_ends_at,
        generation=account.generation,
    )
    return JSONResponse(
        {
            "access_token": pair.access_token,
            "expires_in": epoch_seconds(pair.expires_at) - now,
            "open_id": account.account_id,
            "refresh_expires_in": claims.consent_ends_at - now,
            "refresh_token": pair.refresh_token,
            "scope": _SCOPE,
            "token_type": "Bearer",
        }
    )


async def _hold_back(world: World, account: Account, trouble: Trouble) -> None:
    """Wait for the trouble's seconds, or until it is over: a test lets the answer go by ending it."""
    for _ in range(round(trouble.seconds / _LOOK_AGAIN_SECONDS)):
        if world.trouble_of(Platform.TIKTOK, account) is not trouble:
            return
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _may_refresh(world: World, claims: Claims, account: Account) -> bool:
    """Whether this is the newest refresh token of the newest consent.

    A token that is newer than what the sandbox remembers was written by an earlier one that kept no state: it counts.
    """
    newest_known = (account.consent_ends_at, account.generation)
    return _is_living(world, claims, account) and (claims.consent_ends_at, claims.generation) >= newest_known


async def _revoke(world: World, request: Request) -> Response:
    form = await _form(request)
    claims = read_token(TIKTOK_ACCESS_PREFIX, form.get("token", ""))
    account = world.find_by_id(Network.TIKTOK, claims.account) if claims else None
    world.calls.record("tiktok.revoke", account.handle if account else "")
    wrong_client = _client_error(world, form)
    if wrong_client is not None:
        return wrong_client
    if claims is not None and account is not None:
        account.consent_ends_at = max(account.consent_ends_at, claims.consent_ends_at)
        world.revoke(account)
    return Response(status_code=200)
