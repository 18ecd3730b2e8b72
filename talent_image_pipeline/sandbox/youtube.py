"""YouTube's Data API v3: channels by id or handle, with an API key that has so many units a day.

What belongs here: ``channels.list`` with its filters, parts, partial answers, units and errors.
What does not: the image host (``image_hosts.py``).

Sources: developers.google.com/youtube/v3, "channels: list", "errors" and "determine quota cost".
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from talent_image_pipeline.sandbox.answers import api_misbehaviour, origin_of
from talent_image_pipeline.sandbox.image_hosts import youtube_address
from talent_image_pipeline.sandbox.partial_answers import FieldsError, select_fields
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import YOUTUBE_API_KEY, Account, Trouble, World

MOST_IDS = 50
DEFAULT_RESULTS = 5
MOST_RESULTS = 50

_FILTERS = ("id", "forHandle", "forUsername", "mine", "managedByMe")
_PARTS = frozenset(
    {
        "auditDetails",
        "brandingSettings",
        "contentDetails",
        "contentOwnerDetails",
        "id",
        "localizations",
        "snippet",
        "statistics",
        "status",
        "topicDetails",
    }
)
_OF_ONE_CHANNEL = frozenset(
    situation
    for situation in Situation
    if situation
    in (Situation.OK, Situation.DELETED, Situation.NO_PICTURE, Situation.SILHOUETTE, Situation.WRONG_HANDLE)
    or situation.startswith("picture_")
)
_NAMED_ERROR = re.compile(r"(?P<status>[45][0-9]{2}) (?P<reason>[A-Za-z_]+)")
_SUSPENDED = "403 channelSuspended"
_THUMBNAILS = {"default": 88, "medium": 240, "high": 800}
_OVER_QUOTA = (
    'The request cannot be completed because you have exceeded your <a href="/youtube/v3/getting-started#quota">'
    "quota</a>."
)


class YouTubeRefusedError(Exception):
    """YouTube refuses; carries its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def api_error(
    status: int,
    reason: str,
    message: str,
    *,
    domain: str = "youtube.api",
    canonical: str | None = None,
    location: str | None = None,
) -> Response:
    """Return an error in Google's form."""
    entry = {"message": message, "domain": domain, "reason": reason}
    if location is not None:
        entry |= {"location": location, "locationType": "parameter"}
    error: dict[str, Any] = {"code": status, "message": message, "errors": [entry]}
    if canonical is not None:
        error["status"] = canonical
    return JSONResponse({"error": error}, status_code=status)


async def youtube_api(world: World, request: Request) -> Response:
    """Answer a request to YouTube's API; every one costs a unit, also a refused one."""
    if request.path_params["path"] != "youtube/v3/channels" or request.method != "GET":
        return api_error(404, "notFound", "Not Found", domain="global")
    accounts = _accounts_asked_for(world, request)
    for handle in [account.handle for account in accounts] or [""]:
        world.calls.record("youtube.channel", handle)
    world.calls.record("youtube.channels")
    trouble = _trouble(world, accounts)
    misbehaviour = await api_misbehaviour(trouble)
    if misbehaviour is not None:
        return misbehaviour
    is_within_quota = world.spend_youtube_unit()
    try:
        _refuse_key(world, request, trouble)
        if not is_within_quota or trouble.situation is Situation.RATE_LIMITED:
            raise YouTubeRefusedError(api_error(403, "quotaExceeded", _OVER_QUOTA, domain="youtube.quota"))
        _refuse_in_trouble(trouble)
        most = _most_results(request)
        parts = _parts(request)
        _refuse_filter(request)
        return _channels(world, request, accounts, most=most, parts=parts)
    except YouTubeRefusedError as refusal:
        return refusal.response


def _trouble(world: World, accounts: list[Account]) -> Trouble:
    """Return what is the matter with the platform, or with the first channel whose trouble fails a whole request."""
    of_platform = world.trouble_of(Platform.YOUTUBE, None)
    if of_platform.situation is not Situation.OK:
        return of_platform
    return next((one.trouble for one in accounts if one.trouble.situation not in _OF_ONE_CHANNEL), of_platform)


def _ids(request: Request) -> list[str]:
    given = request.query_params.getlist("id")
    return [one.strip() for text in given for one in text.split(",") if one.strip()]


def _accounts_asked_for(world: World, request: Request) -> list[Account]:
    ids = dict.fromkeys(_ids(request))
    found = [world.find_by_id(Network.YOUTUBE, one) for one in ids]
    names = [request.query_params.get(name) for name in ("forHandle", "forUsername")]
    found += [world.find(Network.YOUTUBE, name) for name in names if name is not None]
    return [account for account in found if account is not None]


def _refuse_key(world: World, request: Request, trouble: Trouble) -> None:
    key = request.query_params.get("key") or request.headers.get("x-goog-api-key")
    if key is None:
        message = "Method doesn't allow unregistered callers (callers without established identity)."
        raise YouTubeRefusedError(api_error(403, "forbidden", message, domain="global", canonical="PERMISSION_DENIED"))
    if key == YOUTUBE_API_KEY and trouble.situation is not Situation.KEY_INVALID:
        return
    if world.rules.youtube_has_old_key_error:
        raise YouTubeRefusedError(api_error(400, "keyInvalid", "Bad Request", domain="usageLimits"))
    raise YouTubeRefusedError(_key_not_valid())


def _key_not_valid() -> Response:
    message = "API key not valid. Please pass a valid API key."
    error = {
        "code": 400,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": "badRequest"}],
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "youtube.googleapis.com"},
            }
        ],
    }
    return JSONResponse({"error": error}, status_code=400)


def _refuse_in_trouble(trouble: Trouble) -> None:
    limit, busy = "Rate Limit Exceeded", "Backend Error"
    answers = {
        Situation.USER_LIMIT: api_error(403, "userRateLimitExceeded", limit, domain="usageLimits"),
        Situation.CUSTOM_LIMIT: api_error(
            429, "rateLimitExceeded", limit, domain="global", canonical="RESOURCE_EXHAUSTED"
        ),
        Situation.API_NOT_ENABLED: api_error(
            403,
            "accessNotConfigured",
            "YouTube Data API v3 has not been used in project 1234567890 before or it is disabled.",
            domain="usageLimits",
            canonical="PERMISSION_DENIED",
        ),
        Situation.FIELD_REMOVED: _invalid_field("snippet"),
        Situation.SERVER_ERROR: api_error(500, "backendError", busy, domain="global"),
        Situation.TRANSIENT: api_error(503, "backendError", busy, domain="global", canonical="UNAVAILABLE"),
        Situation.API_ERROR: _named_error(trouble.error),
        Situation.CHANNEL_REFUSED: _named_error(trouble.error or _SUSPENDED),
    }
    answer = answers.get(trouble.situation)
    if trouble.situation is Situation.ERROR_IN_200:
        answer = api_error(500, "internalError", busy, domain="global")
        answer.status_code = 200
    if answer is not None:
        raise YouTubeRefusedError(answer)


def _named_error(text: str) -> Response:
    """Return an error by its HTTP status and reason, as in ``403 forbidden``."""
    named = _NAMED_ERROR.fullmatch(text)
    if named is None:
        return api_error(503, "backendError", "Backend Error", domain="global")
    return api_error(int(named["status"]), named["reason"], named["reason"], domain="global")


def _refuse_filter(request: Request) -> None:
    given = [name for name in _FILTERS if name in request.query_params]
    if not given:
        message = f"No filter selected. Expected one of: {', '.join(_FILTERS)}"
        raise YouTubeRefusedError(api_error(400, "missingRequiredParameter", message, domain="youtube.parameter"))
    if len(given) > 1:
        message = f"Incompatible parameters specified in the request: {', '.join(given)}"
        raise YouTubeRefusedError(api_error(400, "incompatibleParameters", message, domain="youtube.parameter"))
    if given[0] in ("mine", "managedByMe"):
        raise YouTubeRefusedError(api_error(401, "authError", "Invalid Credentials", domain="global"))
    if len(_ids(request)) > MOST_IDS:
        message = "The request specifies an invalid filter parameter."
        raise YouTubeRefusedError(
            api_error(400, "invalidFilters", message, domain="youtube.parameter", location="parameters.id")
        )


def _parts(request: Request) -> frozenset[str]:
    parts = {part.strip() for text in request.query_params.getlist("part") for part in text.split(",") if part.strip()}
    if not parts:
        raise YouTubeRefusedError(
            api_error(400, "missingRequiredParameter", "Required parameter: part", domain="youtube.parameter")
        )
    unknown = sorted(parts - _PARTS)
    if unknown:
        raise YouTubeRefusedError(
            api_error(400, "unknownPart", ", ".join(unknown), domain="youtube.part", location="part")
        )
    return frozenset(parts)


def _most_results(request: Request) -> int:
    text = request.query_params.get("maxResults", str(DEFAULT_RESULTS))
    if text.isascii() and text.isdecimal() and int(text) <= MOST_RESULTS:
        return int(text)
    message = f"Invalid value '{text}'. Values must be within the range: [0, {MOST_RESULTS}]"
    raise YouTubeRefusedError(api_error(400, "invalidParameter", message, domain="global", location="maxResults"))


def _channels(world: World, request: Request, accounts: list[Account], *, most: int, parts: frozenset[str]) -> Response:
    """Return what was found, in an order of YouTube's own; what was not found is left out without a word."""
    origin = origin_of(request)
    known = sorted(
        (one for one in accounts if world.trouble_of(Platform.YOUTUBE, one).situation is not Situation.DELETED),
        key=lambda one: one.account_id,
    )
    items = [_channel(world, account, parts, origin=origin) for account in known[:most]]
    body: dict[str, Any] = {
        "kind": "youtube#channelListResponse",
        "etag": _etag(items),
        "pageInfo": {"totalResults": len(known), "resultsPerPage": most},
    }
    if items or world.rules.youtube_sends_empty_items:
        body["items"] = items
    mask = request.query_params.get("fields")
    if not mask:
        return JSONResponse(body)
    try:
        return JSONResponse(select_fields(body, mask))
    except FieldsError as error:
        return _invalid_field(str(error))


def _invalid_field(name: str) -> Response:
    return api_error(400, "invalidParameter", f"Invalid field selection {name}", domain="global", location="fields")


def _channel(world: World, account: Account, parts: frozenset[str], *, origin: str) -> dict[str, Any]:
    situation = world.trouble_of(Platform.YOUTUBE, account).situation
    channel: dict[str, Any] = {"kind": "youtube#channel", "etag": _etag(account.account_id), "id": account.account_id}
    if "snippet" in parts:
        channel["snippet"] = {
            "title": account.name,
            "description": "",
            "customUrl": "@of.another" if situation is Situation.WRONG_HANDLE else f"@{account.handle}",
            "publishedAt": "2019-05-04T12:00:00Z",
            "thumbnails": _thumbnails(world, account, origin=origin),
            "localized": {"title": account.name, "description": ""},
        }
    if "statistics" in parts:
        channel["statistics"] = {"viewCount": "1000", "subscriberCount": "10", "hiddenSubscriberCount": False}
    return channel


def _thumbnails(world: World, account: Account, *, origin: str) -> Mapping[str, Mapping[str, Any]]:
    if world.trouble_of(Platform.YOUTUBE, account).situation is Situation.PICTURE_LEFT_OUT:
        return {}
    return {
        name: {"url": youtube_address(world, account, origin=origin, side=side), "width": side, "height": side}
        for name, side in _THUMBNAILS.items()
    }


def _etag(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:27]
