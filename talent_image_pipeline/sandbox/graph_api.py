"""Meta's Graph API: Instagram with a talent's own token, and Facebook's host for reading by id and by handle.

What belongs here: paths, fields, batches, limits, usage headers, token refresh and error bodies of both hosts.
What does not: the image host (``image_hosts.py``).

Sources: developers.facebook.com/docs/instagram-platform, "get started", "refresh access token" and "business
discovery"; docs/graph-api, "making multiple requests", "error handling" and "rate limiting".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from talent_image_pipeline.sandbox.answers import ResetAnswer, api_misbehaviour, error_page, origin_of
from talent_image_pipeline.sandbox.image_hosts import instagram_address
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.tokens import INSTAGRAM_PREFIX, Claims, digest_number, moment_of, read_token
from talent_image_pipeline.sandbox.world import (
    AGENCY_ACCOUNT_ID,
    AGENCY_TOKEN,
    NO_TROUBLE,
    Account,
    Trouble,
    World,
    connected_credentials,
)

MOST_IN_A_BATCH = 50
YOUNGEST_REFRESHABLE = timedelta(hours=24)

_USER_FIELDS = frozenset(
    {
        "id",
        "user_id",
        "username",
        "name",
        "account_type",
        "profile_picture_url",
        "has_profile_pic",
        "followers_count",
        "follows_count",
        "media_count",
        "biography",
        "website",
        "is_published",
        "legacy_instagram_user_id",
    }
)
_DISCOVERABLE_FIELDS = _USER_FIELDS - {"user_id", "account_type", "is_published", "legacy_instagram_user_id"}
_VERSION = re.compile(r"v[0-9]+\.[0-9]+/?")
_DISCOVERY = re.compile(r"business_discovery\.username\((?P<name>[^(){}]*)\)\{(?P<fields>[^{}]*)\}")
_NAMED_ERROR = re.compile(r"(?P<code>[0-9]+)(/(?P<subcode>[0-9]+))?( (?P<message>.+))?")
_DEFAULT_FIELDS = "id,username"
_TRACE = "AsandboxTraceOfTheCall"


@dataclass(frozen=True, kw_only=True)
class GraphAnswer:
    """One answer of the Graph API, alone or as an item of a batch."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        """Return it as an answer of its own."""
        return JSONResponse(self.body, status_code=self.status, headers=dict(self.headers or {}))


class GraphRefusedError(Exception):
    """The Graph API refuses; carries its answer."""

    def __init__(self, answer: GraphAnswer) -> None:
        super().__init__()
        self.answer = answer


def graph_error(
    message: str,
    *,
    code: int,
    subcode: int | None = None,
    status: int = 400,
    error_type: str = "OAuthException",
    is_transient: bool | None = None,
    headers: Mapping[str, str] | None = None,
) -> GraphAnswer:
    """Return an error in Meta's form; only its numbers mean anything to a client."""
    error: dict[str, Any] = {"message": message, "type": error_type, "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    if is_transient is not None:
        error["is_transient"] = is_transient
    return GraphAnswer(status=status, body={"error": {**error, "fbtrace_id": _TRACE}}, headers=headers)


_TOKEN_ERROR = "Error validating access token: "  # noqa: S105 - the beginning of a message
_INVALID_TOKEN = graph_error("Invalid OAuth access token - Cannot parse access token", code=190)
_EXPIRED_TOKEN = graph_error(
    f"{_TOKEN_ERROR}Session has expired on Thursday, 01-Oct-26 04:00:00 PDT.", code=190, subcode=463
)
_NO_TOKEN = graph_error("An active access token must be used to query information about the current user.", code=2500)
_WRONG_KIND_OF_TOKEN = graph_error("Unsupported request - method type: get", code=100, error_type="IGApiException")
_UNKNOWN_USER_NAME = graph_error("Invalid user id", code=110, subcode=2207013, is_transient=False)

_ERRORS: Mapping[Situation, GraphAnswer] = {
    Situation.TOKEN_EXPIRED: _EXPIRED_TOKEN,
    Situation.TOKEN_INVALID: _INVALID_TOKEN,
    Situation.PASSWORD_CHANGED: graph_error(
        f"{_TOKEN_ERROR}The session has been invalidated because the user changed their password or Facebook has "
        "changed the session for security reasons.",
        code=190,
        subcode=460,
    ),
    Situation.APP_REMOVED: graph_error(
        f"{_TOKEN_ERROR}The user has not authorized application 1234567890.", code=190, subcode=458
    ),
    Situation.CHECKPOINT: graph_error(
        f"{_TOKEN_ERROR}The user must log in at www.instagram.com to continue.", code=190, subcode=459
    ),
    Situation.UNCONFIRMED: graph_error(f"{_TOKEN_ERROR}The user is not confirmed.", code=190, subcode=464),
    Situation.SCOPE_MISSING: graph_error(
        "(#10) Application does not have permission for this action", code=10, status=403
    ),
    Situation.WRONG_KIND_OF_TOKEN: _WRONG_KIND_OF_TOKEN,
    Situation.APP_BLOCKED: graph_error("API access blocked.", code=200),
    Situation.USER_LIMIT: graph_error("(#17) User request limit reached", code=17),
    Situation.PAGE_LIMIT: graph_error("(#32) Page request limit reached", code=32),
    Situation.CUSTOM_LIMIT: graph_error("(#613) Calls to this api have exceeded the rate limit.", code=613),
    Situation.POLICY_BLOCK: graph_error(
        "The action attempted has been deemed abusive or is otherwise disallowed", code=368
    ),
    Situation.FIELD_REMOVED: graph_error(
        "(#100) Tried accessing nonexisting field (profile_picture_url) on node type (IGUser)", code=100
    ),
    Situation.SERVER_ERROR: graph_error("An unknown error occurred", code=1, subcode=99, status=500),
    Situation.TRANSIENT: graph_error("(#2) Service temporarily unavailable", code=2, is_transient=True),
    Situation.ERROR_IN_200: graph_error("(#2) Service temporarily unavailable", code=2, is_transient=True, status=200),
}


def _error_in(trouble: Trouble) -> GraphAnswer | None:
    """Return the error that a trouble is; none where it is none of the API's own."""
    if trouble.situation is Situation.API_ERROR:
        return _named_error(trouble.error)
    return _ERRORS.get(trouble.situation)


def _named_error(text: str) -> GraphAnswer:
    """Return an error by its numbers, as in ``190/467``, with whatever follows them as its message."""
    named = _NAMED_ERROR.fullmatch(text)
    if named is None:
        return _ERRORS[Situation.TRANSIENT]
    subcode = int(named["subcode"]) if named["subcode"] else None
    return graph_error(named["message"] or f"(#{named['code']}) Error", code=int(named["code"]), subcode=subcode)


async def instagram_api(world: World, request: Request) -> Response:
    """Answer a request to Instagram's own host: ``/me``, a user by id, and the refresh of a long-lived token."""
    path = _without_version(request.path_params["path"])
    if request.method != "GET":
        return graph_error("Unsupported post request.", code=100, subcode=33).response()
    query = dict(request.query_params)
    if path == "refresh_access_token":
        return await _refresh(world, query)
    token = _token_of(request, query)
    account = _token_owner(world, token)
    world.calls.record("instagram.me" if path == "me" else "instagram.user", account.handle if account else "")
    trouble = world.trouble_of(Platform.INSTAGRAM, account)
    misbehaviour = await api_misbehaviour(trouble)
    if misbehaviour is not None:
        return misbehaviour
    try:
        owner = _owner_of_living_token(world, token, trouble)
        if path not in ("me", owner.account_id):
            raise GraphRefusedError(_unsupported_get(path))
        _refuse_in_trouble(owner, trouble)
        fields = _fields(query.get("fields", _DEFAULT_FIELDS), known=_USER_FIELDS)
        user = _user(world, owner, fields, trouble=trouble, origin=origin_of(request))
        user["id"] = digest_number(f"for this app alone {owner.account_id}", 16)
    except GraphRefusedError as refusal:
        return refusal.answer.response()
    body: Any = {"data": [user]} if world.rules.instagram_wraps_in_data else user
    percent = world.platforms[Platform.INSTAGRAM].usage_percent
    usage = _business_usage(owner.account_id, percent=1 if percent is None else percent)
    return JSONResponse(
        body, headers=_with_limits_of_ads(usage) if trouble.situation is Situation.ADS_LIMITED else usage
    )


async def _refresh(world: World, query: Mapping[str, str]) -> Response:
    """Renew a long-lived token that is at least a day old and not expired; the old one lives on."""
    account = _token_owner(world, query.get("access_token"))
    world.calls.record("instagram.refresh", account.handle if account else "")
    trouble = world.trouble_of(Platform.INSTAGRAM, account)
    situation = trouble.situation
    if situation is Situation.REFRESH_OUTAGE:
        return error_page(503)
    if situation in (Situation.REFRESH_ANSWER_LOST, Situation.REFRESH_REQUEST_LOST) and account is not None:
        account.trouble = NO_TROUBLE
        return ResetAnswer()
    misbehaviour = await api_misbehaviour(trouble)
    if misbehaviour is not None:
        return misbehaviour
    try:
        return JSONResponse(_renewed_token(world, query, trouble))
    except GraphRefusedError as refusal:
        return refusal.answer.response()


def _renewed_token(world: World, query: Mapping[str, str], trouble: Trouble) -> dict[str, Any]:
    if query.get("grant_type") != "ig_refresh_token":
        raise GraphRefusedError(graph_error("Invalid grant_type", code=100))
    token = query.get("access_token")
    owner = _owner_of_living_token(world, token, trouble)
    if trouble.situation is Situation.REFRESH_REFUSED:
        raise GraphRefusedError(_INVALID_TOKEN)
    if trouble.situation is Situation.REFRESH_ERROR:
        raise GraphRefusedError(_named_error(trouble.error))
    _refuse_in_trouble(owner, trouble)
    claims = read_token(INSTAGRAM_PREFIX, token or "")
    now = world.now()
    if claims is None or now - moment_of(claims.issued_at) < YOUNGEST_REFRESHABLE:
        raise GraphRefusedError(
            graph_error("Session key invalid. The access token must be at least 24 hours old.", code=190)
        )
    renewed = connected_credentials(Network.INSTAGRAM, owner.account_id, consented_at=now)
    seconds = int((renewed.expires_at - now).total_seconds())
    return {"access_token": renewed.access_token, "token_type": "bearer", "expires_in": seconds}


async def facebook_api(world: World, request: Request) -> Response:
    """Answer a request to Facebook's host: a node, several by ``ids``, Business Discovery, or a batch of those."""
    path = _without_version(request.path_params["path"])
    trouble = world.platforms[Platform.FACEBOOK].trouble
    misbehaviour = await api_misbehaviour(trouble)
    if request.method == "POST":
        return await _batch(world, request, path=path, trouble=trouble, misbehaviour=misbehaviour)
    if misbehaviour is not None:
        world.calls.record("facebook.get")
        return misbehaviour
    query = dict(request.query_params)
    token = _token_of(request, query)
    node = _NodeReader(world=world, origin=origin_of(request), endpoint="facebook.get")
    answer = node.several(query, token) if not path else node.one(path, query, token)
    missed = await _account_misbehaviour(node, trouble)
    return missed or answer.response()


async def _account_misbehaviour(node: "_NodeReader", trouble: Trouble) -> Response | None:
    if node.last_account is None or trouble.situation is not Situation.OK:
        return None
    return await api_misbehaviour(node.last_account.trouble)


async def _batch(
    world: World, request: Request, *, path: str, trouble: Trouble, misbehaviour: Response | None
) -> Response:
    """Answer a batch: an array in the order of the requests, each body JSON as a text."""
    world.calls.record("facebook.batch")
    if misbehaviour is not None:
        return misbehaviour
    form = {key: values[-1] for key, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    try:
        items = _batch_items(form, path)
    except GraphRefusedError as refusal:
        return refusal.answer.response()
    token = form.get("access_token") or _token_of(request, {})
    if token is None:
        return _NO_TOKEN.response()
    if token != AGENCY_TOKEN:
        return _INVALID_TOKEN.response()
    node = _NodeReader(world=world, origin=origin_of(request), endpoint="facebook.batch_item")
    includes_headers = form.get("include_headers", "true") != "false"
    answers = [node.batch_item(item, token) for item in items]
    if trouble.situation is Situation.REORDERED:
        answers = answers[1:] + answers[:1]
    return JSONResponse([_as_item(answer, includes_headers) for answer in answers], headers=node.usage_headers())


def _batch_items(form: Mapping[str, str], path: str) -> list[dict[str, Any]]:
    if path or "batch" not in form:
        raise GraphRefusedError(_unsupported_get(path))
    try:
        items = json.loads(form["batch"])
    except ValueError:
        items = None
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise GraphRefusedError(graph_error("(#100) Param batch must be a JSON array of requests", code=100))
    if len(items) > MOST_IN_A_BATCH:
        raise GraphRefusedError(
            graph_error(
                f"Too many requests in batch message. Maximum batch size is {MOST_IN_A_BATCH}",
                code=1,
                error_type="GraphBatchException",
            )
        )
    return items


def _as_item(answer: GraphAnswer | None, includes_headers: bool) -> dict[str, Any] | None:
    if answer is None:
        return None
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    item: dict[str, Any] = {"code": answer.status, "body": body}
    if includes_headers:
        item["headers"] = [{"name": "Content-Type", "value": "application/json; charset=UTF-8"}]
    return item


class _NodeReader:
    """Reads nodes of Facebook's graph and counts each as one call of the app's hour."""

    def __init__(self, *, world: World, origin: str, endpoint: str) -> None:
        self._world = world
        self._origin = origin
        self._endpoint = endpoint
        self._count = 0
        self.last_account: Account | None = None

    def usage_headers(self) -> dict[str, str]:
        """Return what the app has used of its hour, in per cent."""
        state = self._world.platforms[Platform.FACEBOOK]
        percent = 0 if state.limit is None else self._count * 100 // state.limit
        if state.usage_percent is not None:
            percent = state.usage_percent
        headers = {"x-app-usage": json.dumps({"call_count": percent, "total_time": 3, "total_cputime": 2})}
        if state.trouble.situation is Situation.ADS_LIMITED:
            return _with_limits_of_ads({**headers, **_business_usage(AGENCY_ACCOUNT_ID, percent=2)})
        return headers

    def batch_item(self, item: Mapping[str, Any], token: str) -> GraphAnswer | None:
        """Read one item of a batch; none when the batch ran out of time before it."""
        address = urlsplit(str(item.get("relative_url", "")))
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        path = _without_version(address.path.lstrip("/"))
        if item.get("method", "GET") != "GET":
            return _unsupported_get(path)
        self.last_account = None
        answer = self.one(path, query, str(item.get("access_token") or query.get("access_token") or token))
        trouble = self._world.trouble_of(Platform.FACEBOOK, self.last_account)
        if trouble.situation in (Situation.OUTAGE, Situation.BAD_GATEWAY):
            status = 503 if trouble.situation is Situation.OUTAGE else 502
            return GraphAnswer(status=status, body=bytes(error_page(status).body).decode())
        if trouble.situation in (Situation.RESET, Situation.TRUNCATED_BODY, Situation.SLOW):
            return None
        return GraphAnswer(body="this is no JSON") if trouble.situation is Situation.NONSENSE else answer

    def several(self, query: Mapping[str, str], token: str | None) -> GraphAnswer:
        """Read the nodes of ``ids``; one bad id fails them all."""
        ids = [one for one in query.get("ids", "").split(",") if one]
        if not ids:
            return _unsupported_get("")
        if len(ids) > MOST_IN_A_BATCH:
            return graph_error("(#100) Too many IDs. Maximum: 50. Provided: " + str(len(ids)), code=100)
        answers = {one: self.one(one, query, token) for one in ids}
        failed = next((answer for answer in answers.values() if answer.status != 200), None)
        return failed or GraphAnswer(
            body={one: answer.body for one, answer in answers.items()}, headers=self.usage_headers()
        )

    def one(self, node_id: str, query: Mapping[str, str], token: str | None) -> GraphAnswer:
        """Read one node."""
        try:
            body = self._one(node_id, query.get("fields", _DEFAULT_FIELDS), token)
        except GraphRefusedError as refusal:
            headers = {**self.usage_headers(), **(refusal.answer.headers or {})}
            return GraphAnswer(status=refusal.answer.status, body=refusal.answer.body, headers=headers)
        return GraphAnswer(body=body, headers=self.usage_headers())

    def _one(self, node_id: str, fields: str, token: str | None) -> dict[str, Any]:
        world = self._world
        found = _DISCOVERY.search(fields)
        account = (
            world.find(Network.INSTAGRAM, found["name"]) if found else world.find_by_id(Network.INSTAGRAM, node_id)
        )
        self.last_account = account
        handle = account.handle if account else found["name"] if found else ""
        world.calls.record("facebook.discovery" if found else self._endpoint, handle)
        if token is None:
            raise GraphRefusedError(_NO_TOKEN)
        if token != AGENCY_TOKEN:
            raise GraphRefusedError(_INVALID_TOKEN)
        self._count_call()
        trouble = world.trouble_of(Platform.FACEBOOK, account)
        _refuse_facebook_trouble(trouble)
        if found:
            return self._discover(node_id, account, found["fields"], rest=_DISCOVERY.sub("", fields), trouble=trouble)
        if node_id in ("me", AGENCY_ACCOUNT_ID):
            _fields(fields, known=_USER_FIELDS)
            return {"id": AGENCY_ACCOUNT_ID}
        if account is None or trouble.situation is Situation.DELETED:
            raise GraphRefusedError(_unsupported_get(node_id))
        wanted = _fields(fields, known=_USER_FIELDS)
        return _user(world, account, wanted, trouble=trouble, origin=self._origin)

    def _discover(
        self, node_id: str, account: Account | None, fields: str, *, rest: str, trouble: Trouble
    ) -> dict[str, Any]:
        if node_id != AGENCY_ACCOUNT_ID:
            raise GraphRefusedError(_unsupported_get(node_id))
        _fields(rest.strip(","), known=_USER_FIELDS)
        wanted = _fields(fields, known=_DISCOVERABLE_FIELDS)
        if account is None or trouble.situation in (Situation.DELETED, Situation.PRIVATE):
            raise GraphRefusedError(_UNKNOWN_USER_NAME)
        user = _user(self._world, account, wanted, trouble=trouble, origin=self._origin)
        return {"business_discovery": user, "id": AGENCY_ACCOUNT_ID}

    def _count_call(self) -> None:
        self._count = self._world.facebook_hour.add(self._world.now())
        limit = self._world.platforms[Platform.FACEBOOK].limit
        if limit is not None and self._count > limit:
            raise GraphRefusedError(_app_limit())


def _app_limit() -> GraphAnswer:
    usage = json.dumps({"call_count": 100, "total_time": 25, "total_cputime": 25})
    return graph_error(
        "(#4) Application request limit reached", code=4, is_transient=True, status=403, headers={"x-app-usage": usage}
    )


def _refuse_facebook_trouble(trouble: Trouble) -> None:
    """Refuse for the app's own reasons; a talent's token does not matter to a look-up with the agency's."""
    if trouble.situation is Situation.RATE_LIMITED:
        raise GraphRefusedError(_app_limit())
    of_own_token = {
        Situation.TOKEN_EXPIRED,
        Situation.TOKEN_INVALID,
        Situation.PASSWORD_CHANGED,
        Situation.APP_REMOVED,
        Situation.CHECKPOINT,
        Situation.UNCONFIRMED,
        Situation.WRONG_KIND_OF_TOKEN,
    }
    error = _error_in(trouble)
    if error is not None and trouble.situation not in of_own_token:
        raise GraphRefusedError(error)


def _refuse_in_trouble(account: Account, trouble: Trouble) -> None:
    if trouble.situation is Situation.RATE_LIMITED:
        raise GraphRefusedError(
            graph_error(
                "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.",
                code=80002,
                headers=_business_usage(account.account_id, percent=100, minutes=15),
            )
        )
    if trouble.situation is Situation.DELETED:
        raise GraphRefusedError(_unsupported_get(account.account_id))
    error = _error_in(trouble)
    if error is not None:
        raise GraphRefusedError(error)


def _business_usage(account_id: str, *, percent: int, minutes: int = 0) -> dict[str, str]:
    entry = {
        "type": "instagram",
        "call_count": percent,
        "total_cputime": 1,
        "total_time": 1,
        "estimated_time_to_regain_access": minutes,
    }
    return {"x-business-use-case-usage": json.dumps({account_id: [entry]})}


def _with_limits_of_ads(headers: Mapping[str, str]) -> dict[str, str]:
    """Add what another product and another account have used up, as apps that also buy ads are told."""
    usage = json.loads(headers.get("x-business-use-case-usage", "{}"))
    used_up = {"call_count": 100, "total_cputime": 100, "total_time": 100, "estimated_time_to_regain_access": 600}
    for entries in usage.values():
        entries.append({"type": "ads_insights", **used_up})
    usage["1000000000000001"] = [{"type": "instagram", **used_up}]
    return {**headers, "x-business-use-case-usage": json.dumps(usage)}


def _unsupported_get(node_id: str) -> GraphAnswer:
    return graph_error(
        f"Unsupported get request. Object with ID '{node_id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation.",
        code=100,
        subcode=33,
        error_type="GraphMethodException",
    )


def _without_version(path: str) -> str:
    return _VERSION.sub("", path, count=1) if _VERSION.match(path) else path


def _token_of(request: Request, query: Mapping[str, str]) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else query.get("access_token")


def _claims_of(token: str | None) -> Claims | None:
    return read_token(INSTAGRAM_PREFIX, token or "")


def _token_owner(world: World, token: str | None) -> Account | None:
    claims = _claims_of(token)
    return world.find_by_id(Network.INSTAGRAM, claims.account) if claims else None


def _owner_of_living_token(world: World, token: str | None, trouble: Trouble) -> Account:
    if not token:
        raise GraphRefusedError(_NO_TOKEN)
    claims, owner = _claims_of(token), _token_owner(world, token)
    if claims is None or owner is None or trouble.situation is Situation.TOKEN_INVALID:
        raise GraphRefusedError(_INVALID_TOKEN)
    if claims.expires_at <= world.now().timestamp():
        raise GraphRefusedError(_EXPIRED_TOKEN)
    return owner


def _fields(text: str, *, known: frozenset[str]) -> list[str]:
    """Split a list of fields; one unknown name fails the whole request."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        message = f"(#100) Tried accessing nonexisting field ({unknown}) on node type (IGUser)"
        raise GraphRefusedError(graph_error(message, code=100))
    return names


def _user(world: World, account: Account, fields: list[str], *, trouble: Trouble, origin: str) -> dict[str, Any]:
    """Return the named fields of a user."""
    account_id = account.account_id
    if trouble.situation is Situation.WRONG_ACCOUNT:
        account_id = account_id[:-3] + "999"
    situation = trouble.situation
    values: dict[str, Any] = {
        "id": account_id,
        "user_id": account_id,
        "username": account.handle,
        "name": account.name,
        "account_type": "BUSINESS",
        "has_profile_pic": situation not in (Situation.NO_PICTURE, Situation.NO_PICTURE_FLAG),
        "followers_count": 1200,
        "follows_count": 80,
        "media_count": 42,
    }
    without_address = (Situation.NO_PICTURE, Situation.PICTURE_LEFT_OUT, Situation.PICTURE_PROMISED)
    if "profile_picture_url" in fields and situation not in without_address:
        values["profile_picture_url"] = instagram_address(world, account, origin=origin)
    left_out = {Situation.PICTURE_LEFT_OUT: "has_profile_pic", Situation.ID_LEFT_OUT: "user_id"}.get(situation)
    values.pop(left_out or "", None)
    return {name: values[name] for name in dict.fromkeys(["id", *fields]) if name in values}
