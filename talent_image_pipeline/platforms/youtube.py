"""YouTube: public channels by the agency's API key, fifty to a call.

What belongs here: the paths, fields, identities and error reasons of the Data API v3.
What does not: counting the daily units over runs, and remembering a handle's channel id (``sync/``).

Sources: developers.google.com/youtube/v3, pages "channels.list", "errors" and "determine quota cost".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from talent_image_pipeline.clock import Clock, next_midnight
from talent_image_pipeline.platforms.answer_fields import (
    LONGEST_IDENTIFIER,
    address_parts,
    list_in,
    mapping_in,
    number_in,
    page_path,
    retry_after,
    text_in,
    usable_token,
)
from talent_image_pipeline.platforms.contract import (
    Account,
    Call,
    CallResult,
    Outcome,
    PictureReference,
    Platform,
    Quota,
    Reading,
    TokenRefresh,
)
from talent_image_pipeline.platforms.credentials import PlatformCredentials
from talent_image_pipeline.platforms.readings import (
    misconfigured,
    needs_reconnect,
    no_picture,
    not_answered,
    picture_seen,
    rate_limited,
    temporarily_down,
    unavailable,
    unexplained,
)
from talent_image_pipeline.platforms.transport import ApiAnswer, ApiTransport, Unreachable

CHANNELS_PER_CALL = 50
# ``kind`` tells "none of these channels exists" (no ``items`` at all) from an answer that is not YouTube's.
FIELDS = "kind,items(id,snippet(title,customUrl,thumbnails))"
LIST_KIND = "youtube#channelListResponse"

READ_QUOTA = Quota(
    name="youtube",
    # No limit by the minute is documented beside the daily one; this is a courtesy.
    calls=600,
    per_seconds=60,
    units_per_day=10_000,
    day_timezone="America/Los_Angeles",
)
RATE_LIMIT_WAIT = timedelta(seconds=60)

# Nominal widths of the named sizes, for answers that leave the width out. The one cut for Shorts is no square.
NOMINAL_WIDTHS = {
    "default": 88,
    "medium": 240,
    "standard": 640,
    "high": 800,
    "maxres": 1_280,
    "fhd": 1_920,
    "qhd": 2_560,
    "uhd": 3_840,
}
DEFAULT_USER = "default-user"
DEFAULT_CONTENT_IDS = frozenset({f"a/{DEFAULT_USER}", f"ytc/{DEFAULT_USER}"})

_CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{22}")
# Handles may be written in any script, but never with what separates parts of an address.
_HANDLE = re.compile(r"[^\s/?#&=@,:]{1,60}")
_SIZE_SEGMENT = re.compile(r"s[0-9]+(-.*)?")

_DAY_IS_OVER = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
_TEMPORARY = frozenset({"backendError", "internalError"})
_CHANNEL_MISSING = "channelNotFound"
_KEY_REFUSED = frozenset({"keyInvalid", "API_KEY_INVALID", "keyExpired", "authError", "UNAUTHENTICATED"})
_KEY_BLOCKED = frozenset({"accessNotConfigured", "SERVICE_DISABLED", "ipRefererBlocked"})

KEY_MISSING = misconfigured("YOUTUBE_API_KEY must be set to read YouTube channels.")
KEY_REFUSED = misconfigured("YouTube refused YOUTUBE_API_KEY; check the key.")
KEY_BLOCKED = misconfigured(
    "YouTube does not let YOUTUBE_API_KEY read channels from here; enable the YouTube Data API v3 for its project and "
    "check the key's restrictions."
)
REQUEST_REFUSED = misconfigured("YouTube refused the request as invalid: a parameter that it does not accept.")
ACCESS_REFUSED = misconfigured("YouTube refused access; check the project and the key behind YOUTUBE_API_KEY.")
GONE = Reading(outcome=Outcome.GONE, message="The channel is deleted, terminated or hidden.")
NO_HANDLE = needs_reconnect("The account has neither a channel id nor a handle; correct it.")
NEEDS_NO_TOKEN = unavailable("YouTube channels are read with an API key; there is no token to renew.")


class YouTubeClient:
    """Speaks YouTube's contract; channels are public, so the talents' tokens are not used."""

    def __init__(self, credentials: PlatformCredentials, transport: ApiTransport, clock: Clock) -> None:
        self._credentials = credentials
        self._transport = transport
        self._clock = clock

    def plan_calls(self, accounts: Sequence[Account]) -> list[Call]:
        """One call for 50 channels known by id, one for each handle not resolved yet, none for the rest."""
        settled = tuple(account for account in accounts if self._reading_without_call(account) is not None)
        asked = [account for account in accounts if self._reading_without_call(account) is None]
        by_id = _grouped(account for account in asked if _channel_id(account))
        by_handle = _grouped(account for account in asked if not _channel_id(account))
        groups = list(by_id.values())
        calls = [
            _call_of(groups[start : start + CHANNELS_PER_CALL]) for start in range(0, len(groups), CHANNELS_PER_CALL)
        ]
        calls += [_call_of([sharers]) for sharers in by_handle.values()]
        return [*calls, Call(accounts=settled, quota=READ_QUOTA.name, cost=0)] if settled else calls

    async def read(self, call: Call) -> CallResult:
        """Read the accounts of one planned call."""
        settled = {account: self._reading_without_call(account) for account in call.accounts}
        asked = [account for account, reading in settled.items() if reading is None]
        found = await self._read_channels(asked) if asked else {}
        return CallResult(readings=tuple(settled[account] or found[account] for account in call.accounts))

    def needs_token_refresh(self, account: Account, *, now: datetime, refreshed_at: datetime | None) -> bool:
        """Never: channels are read with the API key."""
        return False

    async def refresh_token(self, account: Account) -> TokenRefresh:
        """There is nothing to renew."""
        return TokenRefresh(failure=NEEDS_NO_TOKEN)

    def _reading_without_call(self, account: Account) -> Reading | None:
        """The reading of an account that no call can help; none where a call is worth it."""
        if usable_token(self._credentials.youtube_api_key) is None:
            return KEY_MISSING
        return NO_HANDLE if _channel_id(account) is None and _handle(account) is None else None

    async def _read_channels(self, accounts: Sequence[Account]) -> dict[Account, Reading]:
        channel_ids = list(dict.fromkeys(filter(None, map(_channel_id, accounts))))
        which = {"id": ",".join(channel_ids)} if channel_ids else {"forHandle": _handle(accounts[0]) or ""}
        answer = await self._transport.send(
            "GET",
            f"{self._credentials.youtube_api_url}/youtube/v3/channels",
            query={
                "part": "snippet",
                **which,
                "maxResults": str(CHANNELS_PER_CALL),
                "fields": FIELDS,
                "key": usable_token(self._credentials.youtube_api_key) or "",
            },
        )
        if isinstance(answer, Unreachable):
            return dict.fromkeys(accounts, not_answered(answer))
        now = self._clock()
        channels = _channels_in(answer)
        if channels is None:
            return {account: _refusal_of(account, answer, asked=len(channel_ids), now=now) for account in accounts}
        if channel_ids:
            return {account: _reading_of_id(account, channels) for account in accounts}
        return {account: _reading_of_handle(account, channels) for account in accounts}


def _channel_id(account: Account) -> str | None:
    """The channel's id as the app knows it, or as an earlier read under the same handle found it."""
    page = account.handle if "/" in account.handle else account.profile_url
    candidates = (account.handle.strip(), *page_path(page, hosts=("youtube.com",)), account.upstream_id or "")
    return next((candidate for candidate in candidates if _CHANNEL_ID.fullmatch(candidate)), None)


def _handle(account: Account) -> str | None:
    """The handle without its ``@``, from the handle itself or from the page's address."""
    handle = account.handle.strip()
    segments = page_path(handle if "/" in handle else account.profile_url, hosts=("youtube.com",))
    candidates = (handle, *(segment for segment in segments if segment.startswith("@")))
    names = (candidate.removeprefix("@") for candidate in candidates)
    return next((name for name in names if _HANDLE.fullmatch(name)), None)


def _grouped(accounts: Iterable[Account]) -> dict[str, list[Account]]:
    """Group accounts of one channel, which is asked for once, in the order of first appearance."""
    groups: dict[str, list[Account]] = {}
    for account in accounts:
        name = _channel_id(account) or (_handle(account) or "").casefold()
        groups.setdefault(name, []).append(account)
    return groups


def _call_of(groups: Sequence[Sequence[Account]]) -> Call:
    return Call(accounts=tuple(account for group in groups for account in group), quota=READ_QUOTA.name)


def _channels_in(answer: ApiAnswer) -> list[Mapping[str, Any]] | None:
    """The channels of a successful answer, in no order to rely on; none where it is no such answer.

    A channel that is left out counts as gone, so nothing else may pass for such an answer.
    """
    body = answer.json()
    if answer.status >= 300 or not isinstance(body, dict) or "error" in body:
        return None
    has_items = isinstance(body.get("items"), list)
    if body.get("kind", LIST_KIND if has_items else None) != LIST_KIND:
        return None
    items = list_in(body, "items")
    is_whole = all(isinstance(item, dict) and text_in(item, "id") for item in items)
    return items if is_whole else None


def _reading_of_id(account: Account, channels: Sequence[Mapping[str, Any]]) -> Reading:
    """Ids that are unknown, terminated or hidden are left out of the answer without a word."""
    channel_id = _channel_id(account)
    if channel_id is None:
        return unavailable("The account was not part of a planned call.")
    channel = next((item for item in channels if text_in(item, "id") == channel_id), None)
    return GONE if channel is None else _reading_of_channel(account, channel, upstream_id=channel_id)


def _reading_of_handle(account: Account, channels: Sequence[Mapping[str, Any]]) -> Reading:
    """A handle that YouTube does not know may be misspelled or renamed: that is no proof that the channel is gone."""
    found = text_in(channels[0], "id") if channels else None
    if found is None or not _CHANNEL_ID.fullmatch(found):
        return _handle_not_found(account)
    return _reading_of_channel(account, channels[0], upstream_id=found)


def _handle_not_found(account: Account) -> Reading:
    return needs_reconnect(f"YouTube knows no handle {_handle(account)!r}; correct it, or store the channel's id.")


def _reading_of_channel(account: Account, channel: Mapping[str, Any], *, upstream_id: str) -> Reading:
    thumbnails = mapping_in(channel, "snippet", "thumbnails")
    if mapping_in(channel, "snippet") is None:
        return unavailable("What YouTube answered for the channel is not what its contract says.")
    url = _largest(thumbnails or {})
    if url is None:
        return no_picture("The channel has no picture yet; a new one may take a day.", upstream_id=upstream_id)
    picture = picture_reference(url)
    if picture is None:
        return unavailable("What YouTube gave as the picture's address is none.")
    if (picture.content_id or "").rpartition("/")[2] == DEFAULT_USER:
        return no_picture("The channel shows YouTube's default picture.", upstream_id=upstream_id)
    return picture_seen(account, picture, upstream_id=upstream_id)


def _largest(thumbnails: Mapping[str, Any]) -> str | None:
    """The address of the widest thumbnail, exactly as given: the platform asks that it be used so."""
    sized: list[tuple[float, str]] = []
    for name, nominal in NOMINAL_WIDTHS.items():
        thumbnail = mapping_in(thumbnails, name) or {}
        url = text_in(thumbnail, "url")
        if url is not None:
            sized.append((number_in(thumbnail, "width") or nominal, url))
    return max(sized)[1] if sized else None


def picture_reference(url: str) -> PictureReference | None:
    """Read a picture's address: what stands before the size directive is the picture's identity. It never expires.

    Addresses from before 2019 carry the size as a path segment of its own. None where it is no address.
    """
    parts = address_parts(url)
    if parts is None:
        return None
    path = parts.path.strip("/").partition("=")[0]
    content_id = "/".join(segment for segment in path.split("/") if not _SIZE_SEGMENT.fullmatch(segment))
    return PictureReference(
        url=SecretStr(url), content_id=content_id if 0 < len(content_id) <= LONGEST_IDENTIFIER else None
    )


def _reasons_in(answer: ApiAnswer) -> frozenset[str]:
    """Every reason that an error gives: the old list, the new details, and the canonical status."""
    error = mapping_in(answer.json(), "error") or {}
    entries = [*list_in(error, "errors"), *list_in(error, "details")]
    reasons = [text_in(entry, "reason") for entry in entries if isinstance(entry, dict)]
    return frozenset(reason for reason in [*reasons, text_in(error, "status")] if reason)


def _refusal_of(account: Account, answer: ApiAnswer, *, asked: int, now: datetime) -> Reading:
    """Turn an error into an outcome: its reasons decide, then the HTTP status."""
    reasons = _reasons_in(answer)
    if reasons & _DAY_IS_OVER:
        message = "The daily units of the YouTube API are used up; they come back at midnight in Los Angeles."
        return rate_limited(message, retry_at=next_midnight(now, READ_QUOTA.day_timezone))
    if reasons & _TOO_FAST or answer.status == 429:
        retry_at = retry_after(answer.headers, now=now) or now + RATE_LIMIT_WAIT
        return rate_limited("YouTube says that there were too many requests.", retry_at=retry_at)
    if answer.status >= 500 or reasons & _TEMPORARY:
        return temporarily_down(answer, now=now)
    if _CHANNEL_MISSING in reasons:
        return _missing(account, asked=asked)
    if mapping_in(answer.json(), "error") is None or answer.status not in (400, 401, 403):
        return unexplained(answer, now=now)
    return _our_fault(reasons, status=answer.status)


def _missing(account: Account, *, asked: int) -> Reading:
    """A whole call answered "not found": certain for a single channel only."""
    if asked == 0:
        return _handle_not_found(account)
    if asked == 1:
        return GONE
    return unavailable("YouTube did not find one of several channels, and does not say which.")


def _our_fault(reasons: frozenset[str], *, status: int) -> Reading:
    if reasons & _KEY_REFUSED:
        return KEY_REFUSED
    if reasons & _KEY_BLOCKED or any(reason.startswith("API_KEY_") for reason in reasons):
        return KEY_BLOCKED
    return REQUEST_REFUSED if status == 400 else ACCESS_REFUSED


YOUTUBE = Platform(
    name="youtube",
    label="YouTube",
    picture_hosts=("yt3.ggpht.com", "yt3.googleusercontent.com", "lh3.googleusercontent.com"),
    default_content_ids=DEFAULT_CONTENT_IDS,
    quotas=(READ_QUOTA,),
    concurrency=8,
    build_client=YouTubeClient,
)
