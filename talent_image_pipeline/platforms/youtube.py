"""YouTube: public channels by the agency's API key, fifty to a call.

What belongs here: the paths, fields, identities and error reasons of the Data API v3.
What does not: counting the daily units over runs, and remembering a handle's channel id (``sync/``).

Sources: developers.google.com/youtube/v3, pages "channels.list", "errors" and "determine quota cost".
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

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
    FOUND_VIA,
    Account,
    Call,
    CallResult,
    Outcome,
    PictureReference,
    Platform,
    PlatformSettings,
    Quota,
    Reading,
    TokenRefresh,
    WebAddress,
)
from talent_image_pipeline.platforms.readings import (
    contradictory,
    hidden,
    invalid_picture_address,
    misconfigured,
    needs_reconnect,
    no_picture,
    not_answered,
    picture_seen,
    rate_limited,
    temporarily_down,
    unavailable,
    unconfirmed,
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

_NETWORK = "YouTube"
_PAGE_HOSTS = ("youtube.com", "music.youtube.com", "gaming.youtube.com", "studio.youtube.com")
# What stands first in the address of a page that is no channel's.
_NO_CHANNEL_NAMES = frozenset(
    {
        "watch",
        "shorts",
        "playlist",
        "feed",
        "results",
        "live",
        "embed",
        "clip",
        "hashtag",
        "post",
        "redirect",
        "account",
        "premium",
        "about",
        "t",
    }
)
_CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{22}")
# Handles may be written in any script, but never with what separates parts of an address.
_HANDLE = re.compile(r"[^\s/?#&=@,:]{1,60}")
_SIZE_SEGMENT = re.compile(r"s[0-9]+(-.*)?")

_DAY_IS_OVER = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
_TEMPORARY = frozenset({"backendError", "internalError"})
_CHANNEL_MISSING = "channelNotFound"
_CHANNEL_WITHHELD = frozenset({"channelSuspended", "channelClosed", "channelForbidden"})
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
WITHHELD = hidden("YouTube withholds the channel: it is suspended, closed or forbidden. Its last picture is kept.")
ONE_OF_SEVERAL = contradictory("YouTube refused the call because of one of its channels, and does not say which.")
NO_HANDLE = needs_reconnect("The account has neither a channel id nor a handle; correct it.")
NOT_COVERED = unavailable("The account was not part of a planned call.")
NEEDS_NO_TOKEN = unavailable("YouTube channels are read with an API key; there is no token to renew.")


@dataclass(frozen=True, kw_only=True)
class _Name:
    """By what a channel is asked for: the filter of ``channels.list`` and its value, without a leading ``@``."""

    filter: str
    value: str

    @property
    def key(self) -> str:
        """The same for every spelling of one name. Only ASCII has no case here: ``ß`` and ``ss`` are two names."""
        return f"{self.filter} {self.value if self.filter == _BY_ID else _ascii_lower(self.value)}"

    def __str__(self) -> str:
        return f"user/{_ascii_lower(self.value)}" if self.filter == _BY_USER_NAME else f"@{_ascii_lower(self.value)}"


_BY_ID = "id"
_BY_HANDLE = "forHandle"
_BY_USER_NAME = "forUsername"


class YouTubeSettings(PlatformSettings):
    """Where YouTube is, and the key of our project there."""

    youtube_api_url: WebAddress = "https://youtube.googleapis.com"
    youtube_api_key: SecretStr | None = None


class YouTubeClient:
    """Speaks YouTube's contract; channels are public, so the talents' tokens are not used."""

    def __init__(self, settings: YouTubeSettings, transport: ApiTransport, clock: Clock) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock

    def plan_calls(self, accounts: Sequence[Account]) -> list[Call]:
        """One call for 50 channels known by id, one for each name not resolved yet, none for the rest."""
        settled = tuple(account for account in accounts if self._reading_without_call(account) is not None)
        groups = _grouped(account for account in accounts if self._reading_without_call(account) is None)
        by_id = [sharers for name, sharers in groups if name.filter == _BY_ID]
        calls = [
            _call_of(by_id[start : start + CHANNELS_PER_CALL]) for start in range(0, len(by_id), CHANNELS_PER_CALL)
        ]
        calls += [_call_of([sharers]) for name, sharers in groups if name.filter != _BY_ID]
        return [*calls, Call(accounts=settled, quota=READ_QUOTA.name, cost=0)] if settled else calls

    async def read(self, call: Call) -> CallResult:
        """Read the accounts of one planned call."""
        settled = {account: self._reading_without_call(account) for account in call.accounts}
        asked = {account: name for account in call.accounts if not settled[account] and (name := _name_of(account))}
        answer = await self._ask(list(asked.values())) if asked else None
        if answer is None:
            found: Mapping[Account, Reading] = {}
        elif isinstance(answer, Unreachable):
            found = dict.fromkeys(asked, not_answered(answer, network=_NETWORK))
        else:
            found = _readings_in(answer, asked, now=self._clock())
        return CallResult(
            readings=tuple(settled[account] or found.get(account, NOT_COVERED) for account in call.accounts),
            must_split=any(reading is ONE_OF_SEVERAL for reading in found.values()),
        )

    def needs_token_refresh(self, account: Account, *, now: datetime, refreshed_at: datetime | None) -> bool:
        """Never: channels are read with the API key."""
        return False

    async def refresh_token(self, account: Account) -> TokenRefresh:
        """There is nothing to renew."""
        return TokenRefresh(failure=NEEDS_NO_TOKEN)

    def _reading_without_call(self, account: Account) -> Reading | None:
        """The reading of an account that no call can help; none where a call is worth it."""
        if usable_token(self._settings.youtube_api_key) is None:
            return KEY_MISSING
        return NO_HANDLE if _name_of(account) is None else None

    async def _ask(self, names: Sequence[_Name]) -> ApiAnswer | Unreachable:
        values = dict.fromkeys(name.value for name in names)
        return await self._transport.send(
            "GET",
            f"{self._settings.youtube_api_url}/youtube/v3/channels",
            query={
                "part": "snippet",
                names[0].filter: ",".join(values) if names[0].filter == _BY_ID else names[0].value,
                "maxResults": str(CHANNELS_PER_CALL),
                "fields": FIELDS,
                "key": usable_token(self._settings.youtube_api_key) or "",
            },
        )


def _name_of(account: Account) -> _Name | None:
    """By what to ask for an account's channel; none where neither handle nor page names one.

    What the page's address says exactly comes before the handle, which some apps fill with a title; an old address
    (``/c/NAME``, ``/NAME``), which may stand for somebody else's handle by now, comes last. A name that an earlier read
    resolved to a channel id is asked for by that id, as long as it is the same name.
    """
    page = _names_in_page(account.profile_url)
    handle = account.handle.strip()
    written = _names_in_page(handle) if "/" in handle else _names_in_text(handle)
    exact, old = [found for found, is_exact in page if is_exact], [found for found, is_exact in page if not is_exact]
    name = next(iter([*exact, *(found for found, _ in written), *old]), None)
    channel_id, _, via = (account.upstream_id or "").partition(FOUND_VIA)
    if name is not None and name.filter != _BY_ID and via == str(name) and _CHANNEL_ID.fullmatch(channel_id):
        return _Name(filter=_BY_ID, value=channel_id)
    return name


def _names_in_text(text: str) -> list[tuple[_Name, bool]]:
    """What a bare text names: a channel id or a handle."""
    if _CHANNEL_ID.fullmatch(text):
        return [(_Name(filter=_BY_ID, value=text), True)]
    handle = unquote(text).lstrip("@")
    return [(_Name(filter=_BY_HANDLE, value=handle), True)] if _HANDLE.fullmatch(handle) else []


def _names_in_page(address: str | None) -> list[tuple[_Name, bool]]:
    """What the address of a channel's page names, and whether it names it exactly."""
    path = page_path(address, hosts=_PAGE_HOSTS)
    first, second = [*path, "", ""][:2]
    if first == "channel":
        return _names_in_text(second) if _CHANNEL_ID.fullmatch(second) else []
    if first == "user" and _HANDLE.fullmatch(second):
        return [(_Name(filter=_BY_USER_NAME, value=second), True)]
    name = second if first == "c" else first
    if not _HANDLE.fullmatch(name.lstrip("@")) or name.lower() in _NO_CHANNEL_NAMES:
        return []
    return [(_Name(filter=_BY_HANDLE, value=name.lstrip("@")), name.startswith("@"))]


def _ascii_lower(text: str) -> str:
    return text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})


def _grouped(accounts: Iterable[Account]) -> list[tuple[_Name, list[Account]]]:
    """Group accounts of one channel, which is asked for once, in the order of first appearance."""
    groups: dict[str, tuple[_Name, list[Account]]] = {}
    for account in accounts:
        name = _name_of(account)
        if name is not None:
            groups.setdefault(name.key, (name, []))[1].append(account)
    return list(groups.values())


def _call_of(groups: Sequence[Sequence[Account]]) -> Call:
    return Call(accounts=tuple(account for group in groups for account in group), quota=READ_QUOTA.name)


def _readings_in(answer: ApiAnswer, asked: Mapping[Account, _Name], *, now: datetime) -> dict[Account, Reading]:
    channels = _channels_in(answer)
    if channels is None:
        refusal = _refusal_of(answer, asked={name.key: name for name in asked.values()}, now=now)
        return {account: refusal or _name_not_found(account, name) for account, name in asked.items()}
    return {
        account: _reading_of_id(account, name, channels)
        if name.filter == _BY_ID
        else _reading_of_name(account, name, channels)
        for account, name in asked.items()
    }


def _channels_in(answer: ApiAnswer) -> dict[str, Mapping[str, Any]] | None:
    """The channels of a successful answer by id, in no order to rely on; none where it is no such answer.

    A channel that is left out may be gone, so nothing else may pass for such an answer.
    """
    body = answer.json
    if answer.status >= 300 or not isinstance(body, dict) or "error" in body:
        return None
    has_items = isinstance(body.get("items"), list)
    if body.get("kind", LIST_KIND if has_items else None) != LIST_KIND:
        return None
    channels: dict[str, Mapping[str, Any]] = {}
    for item in list_in(body, "items"):
        channel_id = text_in(item, "id") if isinstance(item, dict) else None
        if channel_id is None:
            return None
        channels[channel_id] = item
    return channels


def _reading_of_id(account: Account, name: _Name, channels: Mapping[str, Mapping[str, Any]]) -> Reading:
    """Ids that are unknown, terminated or hidden are left out of the answer without a word."""
    channel = channels.get(name.value)
    if channel is None:
        return _left_out(name.value)
    is_remembered = (account.upstream_id or "").startswith(f"{name.value}{FOUND_VIA}")
    return _reading_of_channel(account, channel, upstream_id=account.upstream_id if is_remembered else name.value)


def _left_out(channel_id: str) -> Reading:
    """A name that nobody has may be misspelled; only where its channel was known, it suggests that this one is gone."""
    message = "YouTube's answer leaves the channel out: it is deleted, terminated or hidden."
    return unconfirmed(message, suggests=Outcome.GONE, upstream_id=channel_id)


def _reading_of_name(account: Account, name: _Name, channels: Mapping[str, Mapping[str, Any]]) -> Reading:
    channel_id, channel = next(iter(channels.items()), (None, None))
    if channel_id is None or channel is None or not _CHANNEL_ID.fullmatch(channel_id):
        return _name_not_found(account, name)
    if name.filter == _BY_HANDLE and not _is_handle_of(name.value, channel):
        return contradictory(f"YouTube answered for the handle @{name.value} with a channel of another handle.")
    return _reading_of_channel(account, channel, upstream_id=f"{channel_id}{FOUND_VIA}{name}")


def _is_handle_of(handle: str, channel: Mapping[str, Any]) -> bool:
    written = text_in(mapping_in(channel, "snippet") or {}, "customUrl")
    return written is not None and _comparable(unquote(written).lstrip("@")) == _comparable(handle)


def _comparable(handle: str) -> str:
    return unicodedata.normalize("NFC", handle).lower()


def _name_not_found(account: Account, name: _Name) -> Reading:
    """A name that nobody has may be misspelled or new; only where its channel was known, it may be gone."""
    known, _, _ = (account.upstream_id or "").partition(FOUND_VIA)
    if _CHANNEL_ID.fullmatch(known):
        return _left_out(known)
    return needs_reconnect(
        f"YouTube knows no channel {name}; correct the handle, or store the channel's id.", is_read_daily=True
    )


def _reading_of_channel(account: Account, channel: Mapping[str, Any], *, upstream_id: str | None) -> Reading:
    thumbnails = mapping_in(channel, "snippet", "thumbnails")
    if mapping_in(channel, "snippet") is None:
        return contradictory("What YouTube answered for the channel is not what its contract says.")
    url = _largest(thumbnails or {})
    if url is None:
        return contradictory("YouTube gave the channel without thumbnails; those of a new channel may take a day.")
    picture = picture_reference(url)
    if picture is None:
        return invalid_picture_address(_NETWORK)
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
        url=SecretStr(url),
        content_id=content_id if 0 < len(content_id) <= LONGEST_IDENTIFIER else None,
        may_be_letter_avatar=True,
    )


def _reasons_in(answer: ApiAnswer) -> frozenset[str]:
    """Every reason that an error gives: the old list, the new details, and the canonical status."""
    error = mapping_in(answer.json, "error") or {}
    entries = [*list_in(error, "errors"), *list_in(error, "details")]
    reasons = [text_in(entry, "reason") for entry in entries if isinstance(entry, dict)]
    return frozenset(reason for reason in [*reasons, text_in(error, "status")] if reason)


def _refusal_of(answer: ApiAnswer, *, asked: Mapping[str, _Name], now: datetime) -> Reading | None:
    """Turn an error into an outcome: its reasons decide, then the HTTP status. None: the one name is not found."""
    reasons = _reasons_in(answer)
    if reasons & _DAY_IS_OVER:
        message = "The daily units of the YouTube API are used up; they come back at midnight in Los Angeles."
        return rate_limited(message, retry_at=next_midnight(now, READ_QUOTA.day_timezone))
    if reasons & _TOO_FAST or answer.status == 429:
        retry_at = retry_after(answer.headers, now=now) or now + RATE_LIMIT_WAIT
        return rate_limited("YouTube says that there were too many requests.", retry_at=retry_at)
    if answer.status >= 500 or reasons & _TEMPORARY:
        return temporarily_down(answer, network=_NETWORK, now=now)
    if _CHANNEL_MISSING in reasons or reasons & _CHANNEL_WITHHELD:
        return _one_refused(reasons, asked=asked)
    if mapping_in(answer.json, "error") is None or answer.status not in (400, 401, 403):
        return unexplained(answer, network=_NETWORK, now=now)
    return _our_fault(reasons, status=answer.status)


def _one_refused(reasons: frozenset[str], *, asked: Mapping[str, _Name]) -> Reading | None:
    """A whole call refused because of one channel: which one is known only where it was alone."""
    if len(asked) > 1:
        return ONE_OF_SEVERAL
    if reasons & _CHANNEL_WITHHELD:
        return WITHHELD
    (name,) = asked.values()
    return _left_out(name.value) if name.filter == _BY_ID else None


def _our_fault(reasons: frozenset[str], *, status: int) -> Reading:
    if reasons & _KEY_REFUSED:
        return KEY_REFUSED
    if reasons & _KEY_BLOCKED or any(reason.startswith("API_KEY_") for reason in reasons):
        return KEY_BLOCKED
    return REQUEST_REFUSED if status == 400 else ACCESS_REFUSED


YOUTUBE = Platform(
    name="youtube",
    label=_NETWORK,
    kind="youtube",
    settings=YouTubeSettings,
    probe="@YouTube",
    picture_hosts=("yt3.ggpht.com", "yt3.googleusercontent.com", "lh3.googleusercontent.com"),
    quotas=(READ_QUOTA,),
    concurrency=8,
    build_client=YouTubeClient,
)
