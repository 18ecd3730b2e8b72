"""Instagram: a talent's own token where there is one, else a look-up by handle with the agency's token.

What belongs here: Instagram's paths, fields, tokens and identities, as its API 26.0 has them.
What does not: the error numbers and usage headers that all of Meta shares (``meta_graph.py``), and what an outcome
means for the picture that we own (``sync/``).

Sources: developers.facebook.com/docs/instagram-platform, pages "get started" and "refresh access token" for own
tokens, "business discovery" and "making multiple requests" for the look-up.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.platforms.answer_fields import (
    identifier_in,
    list_in,
    mapping_in,
    number_in,
    page_path,
    text_in,
    time_after,
    usable_token,
    whole_number_in,
)
from talent_image_pipeline.platforms.contract import (
    Account,
    Call,
    CallResult,
    Outcome,
    Platform,
    PlatformSettings,
    Quota,
    QuotaUsage,
    Reading,
    RefreshedToken,
    TokenRefresh,
    WebAddress,
)
from talent_image_pipeline.platforms.meta_graph import (
    GraphRequest,
    graph_error_in,
    picture_reference,
    reading_of,
    usage_in,
)
from talent_image_pipeline.platforms.readings import (
    contradictory,
    invalid_picture_address,
    needs_reconnect,
    no_picture,
    not_answered,
    picture_seen,
    unavailable,
    unconfirmed,
    unexplained,
)
from talent_image_pipeline.platforms.transport import ApiAnswer, ApiTransport, Unreachable

API_VERSION = "v26.0"
OWN_FIELDS = "user_id,username,name,account_type,profile_picture_url,has_profile_pic"
DISCOVERY_FIELDS = "username,name,profile_picture_url,has_profile_pic,id"
LOOKUPS_PER_POST = 50

OWN_QUOTA = Quota(
    name="instagram",
    # No limit over all talents is documented, only one per token that a call a day cannot reach; this is a courtesy.
    calls=12_000,
    per_seconds=60,
)
# 200 calls an hour for each daily user of the app, and a back office has one.
DISCOVERY_QUOTA = Quota(name="facebook", calls=200, per_seconds=3_600)

REFRESH_WHEN_LEFT = timedelta(days=15)
REFRESH_AT_MOST_EVERY = timedelta(hours=24)

DEFAULT_CONTENT_IDS = frozenset(
    {
        "44884218_345707102882519_2446069589734326272_n.jpg",
        "464760996_1254146839119862_3605321457742435801_n.jpg",
    }
)
# Base64 of "anonymous_profile_pic", which older addresses carry as a parameter.
ANONYMOUS_CACHE_KEY = "YW5vbnltb3VzX3Byb2ZpbGVfcGlj"

_TOKEN_SETTING = "INSTAGRAM_BUSINESS_TOKEN"  # noqa: S105 - the name of a setting
_NETWORK = "Instagram"
_USER_NAME = re.compile(r"[A-Za-z0-9._]{1,30}")
_PAGE_HOSTS = ("instagram.com", "business.instagram.com", "instagr.am")
# What stands first in the address of a page that is no account's.
_NO_USER_NAMES = frozenset(
    {
        "p",
        "reel",
        "reels",
        "tv",
        "stories",
        "explore",
        "accounts",
        "share",
        "s",
        "about",
        "direct",
        "directory",
        "legal",
        "popular",
        "privacy",
        "web",
    }
)
_DEFAULT_STEMS = frozenset(content_id.partition(".")[0] for content_id in DEFAULT_CONTENT_IDS)

NO_WAY_TO_READ = needs_reconnect(
    "The account is known only by its handle and no agency account is set up to look it up; the talent must connect "
    "Instagram, or INSTAGRAM_BUSINESS_ACCOUNT_ID and INSTAGRAM_BUSINESS_TOKEN must be set."
)
TOKEN_UNUSABLE = needs_reconnect("The stored token is damaged; the talent must connect Instagram again.")
NO_USER_NAME = needs_reconnect("The handle is not an Instagram user name; correct it, or connect the account.")


class InstagramSettings(PlatformSettings):
    """Where Instagram is, and the agency's own account there, by which others are looked up.

    Attributes:
        instagram_api_url: Instagram's host, for reading with a talent's own token.
        facebook_api_url: Facebook's host, for look-ups by handle.
        instagram_business_account_id: The agency's own Instagram account.
        instagram_business_token: The token of that account.
    """

    instagram_api_url: WebAddress = "https://graph.instagram.com"
    facebook_api_url: WebAddress = "https://graph.facebook.com"
    instagram_business_account_id: str | None = None
    instagram_business_token: SecretStr | None = None


class InstagramClient:
    """Speaks Instagram's contract; an account's token decides which of the two ways is taken."""

    def __init__(self, settings: InstagramSettings, transport: ApiTransport, clock: Clock) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock

    def plan_calls(self, accounts: Sequence[Account]) -> list[Call]:
        """One call for each account with its own token, one for each 50 user names looked up, none for the rest."""
        settled: list[Account] = []
        looked_up: list[Account] = []
        calls: list[Call] = []
        for account in accounts:
            if self._reading_without_call(account) is not None:
                settled.append(account)
            elif _has_token(account):
                calls.append(Call(accounts=(account,), quota=OWN_QUOTA.name))
            else:
                looked_up.append(account)
        if settled:
            calls.append(Call(accounts=tuple(settled), quota=OWN_QUOTA.name, cost=0))
        return [*calls, *_lookup_calls(looked_up)]

    async def read(self, call: Call) -> CallResult:
        """Read the accounts of one planned call."""
        settled = {account: self._reading_without_call(account) for account in call.accounts}
        asked = [account for account, reading in settled.items() if reading is None]
        own = next((account for account in asked if _has_token(account)), None)
        found: Mapping[Account, Reading] = {}
        usage = None
        if own is not None:
            found, usage = await self._read_own(own)
        elif asked:
            found, usage = await self._look_up(asked)
        not_covered = unavailable("The account was not part of a planned call.")
        return CallResult(
            readings=tuple(settled[account] or found.get(account, not_covered) for account in call.accounts),
            usage=usage,
        )

    def needs_token_refresh(self, account: Account, *, now: datetime, refreshed_at: datetime | None) -> bool:
        """Whether fewer than 15 of the token's 60 days are left or nobody knows how many, and it rested for 24 hours.

        The answer to a refresh says when the new token expires, so an unknown expiry does not stay unknown. A token
        with so little left is weeks old unless we renewed it ourselves, so the platform's rule that it be at least 24
        hours old mostly holds; where it does not, the refresh is refused and the token lives on.
        """
        is_rested = refreshed_at is None or now - refreshed_at >= REFRESH_AT_MOST_EVERY
        if not is_rested or usable_token(account.access_token) is None:
            return False
        return account.token_expires_at is None or timedelta(0) < account.token_expires_at - now < REFRESH_WHEN_LEFT

    async def refresh_token(self, account: Account) -> TokenRefresh:
        """Ask for a token of another 60 days. The old one stays valid, whatever comes back."""
        token = usable_token(account.access_token)
        if token is None:
            return TokenRefresh(failure=TOKEN_UNUSABLE)
        answer = await self._transport.send(
            "GET",
            f"{self._settings.instagram_api_url}/refresh_access_token",
            query={"grant_type": "ig_refresh_token", "access_token": token},
        )
        if isinstance(answer, Unreachable):
            return TokenRefresh(failure=not_answered(answer, network=_NETWORK))
        request = GraphRequest(now=self._clock())
        error = graph_error_in(answer.json)
        if error is not None:
            return TokenRefresh(failure=reading_of(error, answer, request=request))
        renewed = _renewed_token(answer.json, now=request.now) if answer.status < 400 else None
        failure = None if renewed else unexplained(answer, network=_NETWORK, now=request.now)
        return TokenRefresh(token=renewed, failure=failure)

    def _reading_without_call(self, account: Account) -> Reading | None:
        """The reading of an account that no call can help; none where a call is worth it."""
        if _has_token(account):
            return TOKEN_UNUSABLE if usable_token(account.access_token) is None else None
        if self._agency_token() is None or self._settings.instagram_business_account_id is None:
            return NO_WAY_TO_READ
        return NO_USER_NAME if _user_name(account) is None else None

    def _agency_token(self) -> str | None:
        return usable_token(self._settings.instagram_business_token)

    async def _read_own(self, account: Account) -> tuple[dict[Account, Reading], QuotaUsage | None]:
        answer = await self._transport.send(
            "GET",
            f"{self._settings.instagram_api_url}/{API_VERSION}/me",
            query={"fields": OWN_FIELDS},
            headers={"Authorization": f"Bearer {usable_token(account.access_token)}"},
        )
        if isinstance(answer, Unreachable):
            return {account: not_answered(answer, network=_NETWORK)}, None
        user = _user_in(answer.json)
        own_id = identifier_in(user, "user_id") if user else None
        known_ids = {account.upstream_id, own_id, identifier_in(user, "id") if user else None} - {None}
        request = GraphRequest(now=self._clock(), usage_ids=frozenset(filter(None, known_ids)))
        usage = usage_in(answer.headers, request)
        error = graph_error_in(answer.json)
        if error is not None:
            return {account: reading_of(error, answer, request=request)}, usage
        if user is None or answer.status >= 400:
            return {account: unexplained(answer, network=_NETWORK, now=request.now)}, usage
        # The plain ``id`` belongs to the talent and our app together: it is no id that other reads give.
        return {account: _reading_of_user(account, user, upstream_id=own_id)}, usage

    async def _look_up(self, accounts: Sequence[Account]) -> tuple[dict[Account, Reading], QuotaUsage | None]:
        by_name = _by_user_name(accounts)
        answer = await self._transport.send(
            "POST",
            f"{self._settings.facebook_api_url}/{API_VERSION}/",
            form={
                "access_token": self._agency_token() or "",
                "include_headers": "false",
                "batch": json.dumps([self._lookup(name) for name in by_name]),
            },
        )
        if isinstance(answer, Unreachable):
            return dict.fromkeys(accounts, not_answered(answer, network=_NETWORK)), None
        request = self._request_of_agency()
        usage = usage_in(answer.headers, request)
        if not isinstance(answer.json, list) or answer.status >= 400:
            return dict.fromkeys(accounts, _batch_refused(answer, request)), usage
        items = _items_by_name([_item_of(item, answer) for item in answer.json], list(by_name))
        about_one = replace(request, is_about_one=True)
        return {
            account: _lookup_reading(items.get(name), account, name=name, request=about_one)
            for name, sharers in by_name.items()
            for account in sharers
        }, usage

    def _request_of_agency(self) -> GraphRequest:
        return GraphRequest(
            now=self._clock(),
            token_setting=_TOKEN_SETTING,
            is_about_one=False,
            usage_ids=frozenset(filter(None, [self._settings.instagram_business_account_id])),
        )

    def _lookup(self, user_name: str) -> dict[str, str]:
        agency = quote(self._settings.instagram_business_account_id or "", safe="")
        fields = f"business_discovery.username({user_name}){{{DISCOVERY_FIELDS}}}"
        return {"method": "GET", "relative_url": f"{API_VERSION}/{agency}?fields={fields}"}


def _has_token(account: Account) -> bool:
    return account.access_token is not None and bool(account.access_token.get_secret_value().strip())


def _user_name(account: Account) -> str | None:
    """The user name of a handle (or of the page's address); nothing else may get into a look-up's expression."""
    handle = account.handle.strip().strip("/").lstrip("@").strip()
    written = _name_in_page(handle) if "/" in handle else handle
    candidates = (written, _name_in_page(account.profile_url))
    return next((found.lower() for found in candidates if found and _is_user_name(found)), None)


def _name_in_page(address: str | None) -> str | None:
    """The user name in the address of an account's page, of its messages (``ig.me/m/NAME``) or of the app's link."""
    path = page_path(address, hosts=_PAGE_HOSTS)
    message_path = page_path(address, hosts=("ig.me",))
    if path[:1] == ["_u"] or message_path[:1] == ["m"]:
        path = (path or message_path)[1:]
    return path[0].lstrip("@") if path else None


def _is_user_name(name: str) -> bool:
    is_host = name.lower().removeprefix("www.") in _PAGE_HOSTS
    return bool(_USER_NAME.fullmatch(name)) and name.lower() not in _NO_USER_NAMES and not is_host


def _by_user_name(accounts: Iterable[Account]) -> dict[str, list[Account]]:
    """Group accounts that share a user name, in the order of the names' first appearance."""
    by_name: dict[str, list[Account]] = {}
    for account in accounts:
        by_name.setdefault(_user_name(account) or "", []).append(account)
    return by_name


def _lookup_calls(accounts: Sequence[Account]) -> list[Call]:
    """Group look-ups by 50 user names; each name counts as one call against the quota, whatever the batching."""
    groups = list(_by_user_name(accounts).values())
    chunks = [groups[start : start + LOOKUPS_PER_POST] for start in range(0, len(groups), LOOKUPS_PER_POST)]
    return [
        Call(accounts=tuple(chain.from_iterable(chunk)), quota=DISCOVERY_QUOTA.name, cost=len(chunk))
        for chunk in chunks
    ]


def _batch_refused(answer: ApiAnswer, request: GraphRequest) -> Reading:
    error = graph_error_in(answer.json)
    if error is None:
        return unexplained(answer, network=_NETWORK, now=request.now)
    return reading_of(error, answer, request=request)


def _item_of(item: Any, answer: ApiAnswer) -> ApiAnswer | None:
    """One item of a batch as an answer of its own, whose body is JSON spelled as a text; none where time ran out."""
    if not isinstance(item, dict):
        return None
    status, body = whole_number_in(item, "code"), item.get("body")
    written = body if isinstance(body, str) else json.dumps(body)
    return replace(answer, status=status or answer.status, body=written.encode("utf-8", errors="replace"))


def _name_found(item: ApiAnswer | None) -> str | None:
    user = mapping_in(item.json, "business_discovery") if item else None
    name = text_in(user, "username") if user else None
    return name.lower() if name else None


def _items_by_name(items: Sequence[ApiAnswer | None], names: Sequence[str]) -> dict[str, ApiAnswer | None]:
    """Match a batch's items with the names that were asked for, in whatever order they come.

    An item that names nobody (an error) belongs to the name at its place, unless the order turns out to be another
    one: then nobody knows whose it is.
    """
    found = [_name_found(item) for item in items]
    is_in_order = all(
        name is None or name == asked or name not in names for name, asked in zip(found, names, strict=False)
    )
    if is_in_order:
        return dict(zip(names, items, strict=False))
    return {name: item for name, item in zip(found, items, strict=True) if name is not None}


def _lookup_reading(item: ApiAnswer | None, account: Account, *, name: str, request: GraphRequest) -> Reading:
    if item is None:
        return unavailable("Meta's answer leaves this look-up out.", is_retryable=True)
    error = graph_error_in(item.json)
    if error is not None:
        return reading_of(error, item, request=request)
    user = mapping_in(item.json, "business_discovery")
    if user is None or item.status >= 400 or (text_in(user, "username") or name).lower() != name:
        return unexplained(item, network=_NETWORK, now=request.now)
    return _reading_of_user(account, user, upstream_id=identifier_in(user, "id"))


def _user_in(body: Any) -> Mapping[str, Any] | None:
    """The user of a ``/me`` answer: flat as recorded, or wrapped in ``data`` as the documentation prints it.

    Without the user name, which every account has, it is no such answer, and a missing picture in it means nothing.
    """
    wrapped = list_in(body, "data")
    user = wrapped[0] if wrapped else body
    return user if isinstance(user, dict) and text_in(user, "username") else None


def _reading_of_user(account: Account, user: Mapping[str, Any], *, upstream_id: str | None) -> Reading:
    url = text_in(user, "profile_picture_url")
    if user.get("has_profile_pic") is False:
        return no_picture("Instagram says that the account has no profile picture.", upstream_id=upstream_id)
    if url is None and user.get("profile_picture_url"):
        return invalid_picture_address(_NETWORK)
    if url is None and user.get("has_profile_pic") is True:
        return contradictory("Instagram says that the account has a profile picture and does not give it.")
    if url is None:
        message = "Instagram's answer leaves the profile picture out and does not say that there is none."
        return unconfirmed(message, suggests=Outcome.NO_PICTURE, upstream_id=upstream_id)
    picture = picture_reference(url)
    if picture is None:
        return invalid_picture_address(_NETWORK)
    stem = (picture.content_id or "").partition(".")[0]
    if stem in _DEFAULT_STEMS or ANONYMOUS_CACHE_KEY in url:
        return no_picture("The account shows Instagram's default picture.", upstream_id=upstream_id)
    return picture_seen(account, picture, upstream_id=upstream_id)


def _renewed_token(body: Any, *, now: datetime) -> RefreshedToken | None:
    """The new token of a refresh, flat or wrapped; none where the answer does not say how long it lives."""
    wrapped = list_in(body, "data")
    found = wrapped[0] if wrapped else body
    if not isinstance(found, dict):
        return None
    token, seconds = text_in(found, "access_token"), number_in(found, "expires_in")
    expires_at = time_after(now, seconds=seconds) if seconds else None
    if token is None or expires_at is None:
        return None
    return RefreshedToken(access_token=SecretStr(token), expires_at=expires_at)


INSTAGRAM = Platform(
    name="instagram",
    label=_NETWORK,
    kind="instagram",
    settings=InstagramSettings,
    probe="instagram",
    picture_hosts=(".cdninstagram.com", ".fbcdn.net"),
    quotas=(OWN_QUOTA, DISCOVERY_QUOTA),
    concurrency=100,
    build_client=InstagramClient,
)
