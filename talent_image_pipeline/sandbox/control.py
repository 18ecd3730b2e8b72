"""The control interface: look into the sandbox and change it while it runs, over HTTP with JSON.

What belongs here: these paths, and refusing bad input with a sentence that says what is wrong.
What does not: what a change means (``world.py``).

=======  ========================================  ==========================================================
Method   Path                                      Meaning
=======  ========================================  ==========================================================
GET      ``/control``                              everything: situations, platforms, accounts, calls
GET      ``/control/accounts/{network}/{handle}``  one account
PUT      ``/control/accounts/{network}/{handle}``  ``{"situation": "silhouette"}``, with ``seconds``,
                                                   ``redirect_to`` or ``error`` where it needs them;
                                                   ``{"picture": "new"}`` uploads another picture;
                                                   ``{"handle": "given away"}`` deletes the account and gives its
                                                   handle to another one, with which it answers;
                                                   ``{"reconnect": true}`` answers with new tokens
POST     ``/control/accounts``                     ``{"network": ..., "handle": ...}`` adds one and answers with
                                                   its tokens; ``{"network": ..., "count": 20000}`` adds many
PUT      ``/control/platforms/{platform}``         ``{"situation": ..., "api_latency_ms": 200,
                                                   "image_latency_ms": 50, "limit": 600,
                                                   "usage_percent": 95}``; ``limit`` null lifts the limit,
                                                   ``usage_percent`` null reports the real usage
PUT      ``/control/rules``                        which of several observed behaviours is taken
GET      ``/control/calls``                        the requests that came, by endpoint and handle
DELETE   ``/control/calls``                        forget them
PUT      ``/control/clock``                        ``{"offset_seconds": 3600}`` moves the sandbox's time
=======  ========================================  ==========================================================

Networks are instagram, tiktok and youtube; platforms are those and facebook.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from talent_image_pipeline.sandbox.image_hosts import content_id
from talent_image_pipeline.sandbox.situations import EXPLANATIONS, Network, Platform, Situation
from talent_image_pipeline.sandbox.world import NO_TROUBLE, Account, Rules, Trouble, UnknownAccountError, World

SANDBOX_NAME = "talent-image-pipeline sandbox"
MOST_LISTED = 1_000
MOST_IN_BULK = 100_000

Endpoint = Callable[[Request], Awaitable[Response]]
_Choice = TypeVar("_Choice", bound=StrEnum)
_OF_TROUBLE = {"situation", "seconds", "redirect_to", "error"}


def control_routes(world: World) -> list[Route]:
    """Return the routes of the control interface."""
    control = _Control(world)
    account = "/control/accounts/{network}/{handle}"
    return [
        _route("/control", "GET", control.overview),
        _route(account, "GET", control.show_account),
        _route(account, "PUT", control.change_account),
        _route("/control/accounts", "POST", control.add_accounts),
        _route("/control/platforms/{platform}", "PUT", control.change_platform),
        _route("/control/rules", "PUT", control.change_rules),
        _route("/control/calls", "GET", control.show_calls),
        _route("/control/calls", "DELETE", control.forget_calls),
        _route("/control/clock", "PUT", control.move_clock),
    ]


class _Control:
    """The endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def overview(self, request: Request) -> Response:
        world = self._world
        accounts = list(world.accounts())
        return JSONResponse(
            {
                "sandbox": SANDBOX_NAME,
                "now": world.now().isoformat(),
                "situations": {str(situation): words for situation, words in EXPLANATIONS.items()},
                "platforms": {str(platform): _platform(world, platform) for platform in Platform},
                "rules": asdict(world.rules),
                "account_count": len(accounts),
                "accounts": [_account(one) for one in accounts[:MOST_LISTED]],
                "calls": {endpoint: sum(counts.values()) for endpoint, counts in world.calls.counts().items()},
            }
        )

    async def show_account(self, request: Request) -> Response:
        return JSONResponse(_account(self._named_account(request)))

    async def change_account(self, request: Request) -> Response:
        body = await _body(request, {*_OF_TROUBLE, "picture", "reconnect", "handle"})
        account = self._named_account(request)
        trouble = _trouble(body, account.trouble)
        if body.get("picture", "new") != "new":
            raise ValueError('picture can only be "new"')
        if "handle" in body:
            return JSONResponse(_account(self._given_away(body, account)))
        account.trouble = trouble
        if "picture" in body:
            self._world.upload_new_picture(account.network, account.handle)
        tokens = self._tokens(account) if body.get("reconnect") else {}
        return JSONResponse(_account(account) | tokens)

    def _given_away(self, body: Mapping[str, Any], account: Account) -> Account:
        if body != {"handle": "given away"}:
            raise ValueError('handle can only be "given away", and nothing else changes with it')
        return self._world.give_handle_away(account.network, account.handle)

    async def add_accounts(self, request: Request) -> Response:
        body = await _body(request, {*_OF_TROUBLE, "network", "handle", "name", "count"})
        network = _choice(Network, body.get("network"), "network")
        if "count" in body:
            count = _whole_number(body["count"], "count", most=MOST_IN_BULK)
            prefix = _text(body.get("handle", "talent"), "handle")
            added = self._world.add_bulk(network, count, prefix=prefix)
            return JSONResponse({"added": len(added)}, status_code=201)
        trouble = _trouble(body, NO_TROUBLE)
        handle = _text(body.get("handle"), "handle")
        account = self._world.add_account(network, handle, name=_text(body.get("name", handle), "name"))
        account.trouble = trouble
        return JSONResponse(_account(account) | self._tokens(account), status_code=201)

    async def change_platform(self, request: Request) -> Response:
        latencies = {"api_latency_ms", "image_latency_ms"}
        body = await _body(request, {*_OF_TROUBLE, "limit", "usage_percent", *latencies})
        platform = _choice(Platform, request.path_params["platform"], "platform")
        state = self._world.platforms[platform]
        trouble = _trouble(body, state.trouble)
        limit = None if body.get("limit") is None else _whole_number(body["limit"], "limit", most=10**9)
        percent = body.get("usage_percent")
        percent = None if percent is None else _whole_number(percent, "usage_percent", most=1_000)
        seconds = {name: _number(body[name], name) / 1_000 for name in latencies & body.keys()}
        state.trouble = trouble
        state.limit = limit if "limit" in body else state.limit
        state.usage_percent = percent if "usage_percent" in body else state.usage_percent
        state.api_latency = seconds.get("api_latency_ms", state.api_latency)
        state.image_latency = seconds.get("image_latency_ms", state.image_latency)
        return JSONResponse(_platform(self._world, platform))

    async def change_rules(self, request: Request) -> Response:
        rules = self._world.rules
        body = await _body(request, {rule.name for rule in fields(Rules)})
        for name, value in body.items():
            wanted = type(getattr(rules, name))
            if type(value) is not wanted:
                raise ValueError(f"{name} must be {'true or false' if wanted is bool else 'a whole number'}")
        for name, value in body.items():
            setattr(rules, name, value)
        return JSONResponse(asdict(rules))

    async def show_calls(self, request: Request) -> Response:
        return JSONResponse(self._world.calls.counts())

    async def forget_calls(self, request: Request) -> Response:
        self._world.calls.clear()
        return Response(status_code=204)

    async def move_clock(self, request: Request) -> Response:
        body = await _body(request, {"offset_seconds"})
        seconds = body.get("offset_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or abs(seconds) > 10**9:
            raise ValueError("offset_seconds must be a number of seconds")
        self._world.clock_offset = timedelta(seconds=seconds)
        return JSONResponse({"now": self._world.now().isoformat()})

    def _named_account(self, request: Request) -> Account:
        network = _choice(Network, request.path_params["network"], "network")
        return self._world.account(network, request.path_params["handle"])

    def _tokens(self, account: Account) -> dict[str, Any]:
        if account.network is Network.YOUTUBE:
            return {}
        tokens = self._world.connect(account.network, account.handle)
        return {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "expires_at": tokens.expires_at.isoformat(),
        }


def _route(path: str, method: str, endpoint: Endpoint) -> Route:
    """Return a route that answers bad input with 400 and a sentence, and an unknown account with 404."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except UnknownAccountError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return Route(path, guarded, methods=[method])


async def _body(request: Request, known: set[str]) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise ValueError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise ValueError('the body must be a JSON object, like {"situation": "ok"}')
    unknown = sorted(body.keys() - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown here; known are {', '.join(sorted(known))}")
    return body


def _choice(kind: type[_Choice], value: object, name: str) -> _Choice:
    if isinstance(value, str) and value in list(kind):
        return kind(value)
    raise ValueError(f"{name} {value!r} is none of {', '.join(kind)}")


def _trouble(body: Mapping[str, Any], now: Trouble) -> Trouble:
    """Return the trouble that a body asks for; without a situation it stays what it is."""
    if "situation" not in body:
        if body.keys() & _OF_TROUBLE:
            raise ValueError("seconds, redirect_to and error go together with a situation")
        return now
    return Trouble(
        situation=_choice(Situation, body["situation"], "situation"),
        seconds=_number(body.get("seconds", NO_TROUBLE.seconds), "seconds"),
        redirect_to=_text(body.get("redirect_to", NO_TROUBLE.redirect_to), "redirect_to"),
        error=_text(body["error"], "error") if "error" in body else NO_TROUBLE.error,
    )


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 10**9:
        raise ValueError(f"{name} must be a number that is not negative")
    return float(value)


def _whole_number(value: object, name: str, *, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number between 1 and {most}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text that is not empty")
    return value


def _account(account: Account) -> dict[str, Any]:
    return {
        "network": str(account.network),
        "handle": account.handle,
        "id": account.account_id,
        "name": account.name,
        "situation": str(account.trouble.situation),
        "meaning": EXPLANATIONS[account.trouble.situation],
        "content_id": content_id(account),
    }


def _platform(world: World, platform: Platform) -> dict[str, Any]:
    state = world.platforms[platform]
    return {
        "situation": str(state.trouble.situation),
        "api_latency_ms": state.api_latency * 1_000,
        "image_latency_ms": state.image_latency * 1_000,
        "limit": state.limit,
        "usage_percent": state.usage_percent,
    }
