"""TikTok: one call for each talent with the talent's own token, and tokens that live for hours.

What belongs here: the paths, fields, tokens and identities of the Display API v2.
What does not: storing a new token pair before it is used, and one refresh at a time (``sync/``).

Sources: developers.tiktok.com, pages "get user info", "user access token management", "error handling" and "rate
limits" of API v2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.platforms.answer_fields import (
    LONGEST_IDENTIFIER,
    address_parts,
    expiry_in,
    identifier_in,
    mapping_in,
    number_in,
    retry_after,
    text_in,
    time_after,
    usable_token,
)
from talent_image_pipeline.platforms.contract import (
    Account,
    Call,
    CallResult,
    PictureReference,
    Platform,
    PlatformSettings,
    Quota,
    Reading,
    RefreshedToken,
    Scope,
    TokenRefresh,
    WebAddress,
)
from talent_image_pipeline.platforms.readings import (
    contradictory,
    invalid_picture_address,
    misconfigured,
    needs_reconnect,
    no_picture,
    not_answered,
    picture_seen,
    rate_limited,
    temporarily_down,
    unexplained,
)
from talent_image_pipeline.platforms.transport import ApiAnswer, ApiTransport, Unreachable

_NETWORK = "TikTok"
FIELDS = "open_id,union_id,avatar_url,avatar_url_100,avatar_large_url,display_name"
LARGEST_FIRST = ("avatar_large_url", "avatar_url", "avatar_url_100")

READ_QUOTA = Quota(name="tiktok", calls=600, per_seconds=60)
RATE_LIMIT_WAIT = timedelta(seconds=60)
REFRESH_WHEN_LEFT = timedelta(minutes=5)

# The object id of the default picture, whichever bucket it is served from.
DEFAULT_OBJECT_ID = "1594805258216454"

NO_TOKEN = needs_reconnect("TikTok shows an account only to its owner; the talent must connect TikTok.")
TOKEN_UNUSABLE = needs_reconnect("The stored token is damaged; the talent must connect TikTok again.")
EXPIRED = needs_reconnect("The connection expired and cannot be renewed; the talent must connect TikTok again.")
TOKEN_REFUSED = needs_reconnect(
    "TikTok refused the token; the talent must connect TikTok again.", is_token_refused=True
)
SCOPE_MISSING = needs_reconnect(
    "The connection does not cover the profile; the talent must connect TikTok again and allow the basic profile."
)
CONSENT_OVER = needs_reconnect(
    "TikTok no longer renews the connection (revoked, expired or used before); the talent must connect TikTok again."
)
REQUEST_REFUSED = misconfigured(
    "TikTok refused the request as invalid: a field, parameter or token that it does not accept.", scope=Scope.ACCOUNT
)
CLIENT_MISSING = misconfigured("TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET must be set to renew TikTok connections.")
CLIENT_REFUSED = misconfigured("TikTok refused TIKTOK_CLIENT_KEY or TIKTOK_CLIENT_SECRET; check them.")

_OF_CODE: Mapping[str, Reading] = {
    "access_token_invalid": TOKEN_REFUSED,
    "scope_not_authorized": SCOPE_MISSING,
    "scope_permission_missed": SCOPE_MISSING,
    "invalid_params": REQUEST_REFUSED,
    "invalid_file_upload": REQUEST_REFUSED,
    "invalid_grant": CONSENT_OVER,
    "access_denied": CONSENT_OVER,
    "invalid_client": CLIENT_REFUSED,
    "unauthorized_client": CLIENT_REFUSED,
    "invalid_request": REQUEST_REFUSED,
    "invalid_scope": REQUEST_REFUSED,
    "unsupported_grant_type": REQUEST_REFUSED,
    "unsupported_response_type": REQUEST_REFUSED,
}
_TEMPORARY_CODES = frozenset({"internal_error", "server_error", "temporarily_unavailable"})
_LIMIT_CODES = frozenset({"rate_limit_exceeded"})


class TikTokSettings(PlatformSettings):
    """Where TikTok is, and what our app is known by there: for renewing the talents' tokens."""

    tiktok_api_url: WebAddress = "https://open.tiktokapis.com"
    tiktok_client_key: SecretStr | None = None
    tiktok_client_secret: SecretStr | None = None


class TikTokClient:
    """Speaks TikTok's contract; there is no reading by handle and no batch."""

    def __init__(self, settings: TikTokSettings, transport: ApiTransport, clock: Clock) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock

    def plan_calls(self, accounts: Sequence[Account]) -> list[Call]:
        """One call for each account that has a token, none for the rest."""
        calls = [
            Call(accounts=(account,), quota=READ_QUOTA.name)
            for account in accounts
            if self._reading_without_call(account) is None
        ]
        settled = tuple(account for account in accounts if self._reading_without_call(account) is not None)
        return [*calls, Call(accounts=settled, quota=READ_QUOTA.name, cost=0)] if settled else calls

    async def read(self, call: Call) -> CallResult:
        """Read the account of one planned call."""
        readings = [self._reading_without_call(account) or await self._read_one(account) for account in call.accounts]
        return CallResult(readings=tuple(readings))

    def needs_token_refresh(self, account: Account, *, now: datetime, refreshed_at: datetime | None) -> bool:
        """Whether the token is gone, dead, about to die, or of unknown age, and can be renewed at all."""
        if usable_token(account.refresh_token) is None:
            return False
        if usable_token(account.access_token) is None or account.token_expires_at is None:
            return True
        return account.token_expires_at - now <= REFRESH_WHEN_LEFT

    async def refresh_token(self, account: Account) -> TokenRefresh:
        """Ask for a new pair. The old refresh token dies with the answer, so the pair must be stored before its use."""
        key = usable_token(self._settings.tiktok_client_key)
        secret = usable_token(self._settings.tiktok_client_secret)
        refresh_token = usable_token(account.refresh_token)
        if key is None or secret is None:
            return TokenRefresh(failure=CLIENT_MISSING)
        if refresh_token is None:
            return TokenRefresh(failure=EXPIRED)
        answer = await self._transport.send(
            "POST",
            f"{self._settings.tiktok_api_url}/v2/oauth/token/",
            form={
                "client_key": key,
                "client_secret": secret,
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
            },
        )
        if isinstance(answer, Unreachable):
            return TokenRefresh(failure=not_answered(answer, network=_NETWORK))
        return _renewal_in(answer, now=self._clock())

    def _reading_without_call(self, account: Account) -> Reading | None:
        """The reading of an account that no call can help; none where a call is worth it."""
        if account.access_token is None or not account.access_token.get_secret_value().strip():
            return NO_TOKEN
        return TOKEN_UNUSABLE if usable_token(account.access_token) is None else None

    async def _read_one(self, account: Account) -> Reading:
        answer = await self._transport.send(
            "GET",
            f"{self._settings.tiktok_api_url}/v2/user/info/",
            query={"fields": FIELDS},
            headers={"Authorization": f"Bearer {usable_token(account.access_token)}"},
        )
        if isinstance(answer, Unreachable):
            return not_answered(answer, network=_NETWORK)
        now = self._clock()
        code = _error_code(answer.json)
        if code != "ok":
            return _reading_of_code(code, answer, now=now)
        user = mapping_in(answer.json, "data", "user")
        if user is None or answer.status >= 500:
            return unexplained(answer, network=_NETWORK, now=now)
        return _reading_of_user(account, user, answer, now=now)


def _error_code(body: Any) -> str | None:
    """The code of an answer: in an ``error`` object from the API, as a bare text from the token endpoint."""
    error = mapping_in(body, "error")
    if error is not None:
        return text_in(error, "code")
    return text_in(body, "error") if isinstance(body, dict) else None


def _reading_of_code(code: str | None, answer: ApiAnswer, *, now: datetime) -> Reading:
    """Turn an error into an outcome by its code; the status counts only where there is no code that we know."""
    if code in _LIMIT_CODES or (code not in _OF_CODE and answer.status == 429):
        retry_at = retry_after(answer.headers, now=now) or now + RATE_LIMIT_WAIT
        return rate_limited("The app made too many calls to TikTok within a minute.", retry_at=retry_at)
    if code in _TEMPORARY_CODES:
        return temporarily_down(answer, network=_NETWORK, now=now)
    return _OF_CODE.get(code or "") or unexplained(answer, network=_NETWORK, now=now)


def _reading_of_user(account: Account, user: Mapping[str, Any], answer: ApiAnswer, *, now: datetime) -> Reading:
    """Read the user; its ids tell whether it is still the account that the talent connected first."""
    open_id, union_id = identifier_in(user, "open_id"), identifier_in(user, "union_id")
    # A person's ``open_id`` is another one for each client key; the ``union_id`` is the developer's, and stays.
    upstream_id = f"union:{union_id}" if union_id else open_id
    url = next((found for field in LARGEST_FIRST if (found := text_in(user, field))), None)
    if url is None and upstream_id is None:
        return unexplained(answer, network=_NETWORK, now=now)
    if url is None:
        return contradictory("TikTok gave the account without any of its picture fields.")
    picture = picture_reference(url)
    if picture is None:
        return invalid_picture_address(_NETWORK)
    if (picture.content_id or "").rpartition("/")[2] == DEFAULT_OBJECT_ID:
        reading = no_picture("The account shows TikTok's default picture.", upstream_id=upstream_id)
    else:
        reading = picture_seen(account, picture, upstream_id=upstream_id)
    return replace(reading, also_known_as=(open_id,)) if union_id and open_id else reading


def picture_reference(url: str) -> PictureReference | None:
    """Read a picture's address: bucket and object are the picture's identity, ``x-expires`` its expiry.

    Host, size and signature differ with every answer. None where it is no address.
    """
    parts = address_parts(url)
    if parts is None:
        return None
    bucket, _, file_name = parts.path.strip("/").rpartition("/")
    object_id = file_name.partition("~")[0].partition(".")[0]
    content_id = f"{bucket.rpartition('/')[2]}/{object_id}".strip("/")
    return PictureReference(
        url=SecretStr(url),
        content_id=content_id if object_id and len(content_id) <= LONGEST_IDENTIFIER else None,
        expires_at=expiry_in(parts, "x-expires", base=10),
    )


def _renewal_in(answer: ApiAnswer, *, now: datetime) -> TokenRefresh:
    """Read the token endpoint's answer, whose status says nothing: flat as documented, or wrapped in ``data``."""
    body = answer.json
    code = _error_code(body)
    if code not in (None, "ok"):
        return TokenRefresh(failure=_reading_of_code(code, answer, now=now))
    found = mapping_in(body, "data") or mapping_in(body) or {}
    access_token = text_in(found, "access_token")
    if access_token is None:
        return TokenRefresh(failure=unexplained(answer, network=_NETWORK, now=now))
    refresh_token = text_in(found, "refresh_token")
    return TokenRefresh(
        token=RefreshedToken(
            access_token=SecretStr(access_token),
            # The old pair is dead already, so a new one without a lifetime is kept, and renewed before its next use.
            expires_at=_time_in(found, "expires_in", now=now) or now,
            refresh_token=SecretStr(refresh_token) if refresh_token else None,
            consent_ends_at=_time_in(found, "refresh_expires_in", now=now)
            or _time_in(found, "refresh_token_expires_in", now=now),
        )
    )


def _time_in(found: Mapping[str, Any], key: str, *, now: datetime) -> datetime | None:
    seconds = number_in(found, key)
    return time_after(now, seconds=seconds) if seconds else None


TIKTOK = Platform(
    name="tiktok",
    label=_NETWORK,
    kind="tiktok",
    settings=TikTokSettings,
    probe="tiktok",
    picture_hosts=(".tiktokcdn.com", ".tiktokcdn-us.com", ".tiktokcdn-eu.com", ".muscdn.com", ".ibyteimg.com"),
    quotas=(READ_QUOTA,),
    concurrency=64,
    build_client=TikTokClient,
)
