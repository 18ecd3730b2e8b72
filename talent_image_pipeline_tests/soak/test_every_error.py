"""Every error of the three platforms' contracts, one row each, through the whole reader.

A talent has a picture; then something is the matter. Each row says how the read ends and which requests the sandbox
gets; what that means for the picture and for the next read is one table.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sandbox.situations import Platform, Situation
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS
from talent_image_pipeline_tests.soak.simulation import Simulation

TRIES = 3
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Endpoints whose counts are items within another request.
_ITEMS = {"facebook.discovery", "facebook.batch_item", "youtube.channel"}
_numbers = count()


class Fate(StrEnum):
    """What becomes of the picture that we own."""

    REPLACED = "replaced"
    KEPT = "kept"
    DROPPED = "dropped"


class Until(StrEnum):
    """An end that is no length of time."""

    MIDNIGHT_PACIFIC = "midnight in Los Angeles"


#: Outcome, what becomes of the picture, not read again before, read again after.
RULES: dict[Outcome, tuple[Fate, timedelta, timedelta]] = {
    Outcome.PICTURE: (Fate.REPLACED, 12 * HOUR, DAY),
    Outcome.UNCHANGED: (Fate.KEPT, 12 * HOUR, DAY),
    Outcome.NO_PICTURE: (Fate.DROPPED, 12 * HOUR, DAY),
    Outcome.NEEDS_RECONNECT: (Fate.KEPT, 12 * HOUR, DAY),
    Outcome.UNAVAILABLE: (Fate.KEPT, 2 * MINUTE, 5 * MINUTE),
    Outcome.UNCONFIRMED: (Fate.KEPT, 12 * HOUR, DAY),
    Outcome.HIDDEN: (Fate.KEPT, 12 * HOUR, DAY),
    Outcome.REFUSED: (Fate.KEPT, 12 * HOUR, DAY),
    Outcome.MISCONFIGURED: (Fate.KEPT, 50 * MINUTE, 61 * MINUTE),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that can be the matter, and what must come of it.

    Attributes:
        api: Which API reads the account: ``facebook`` is Instagram by handle.
        error: Which one, where the situation is a named error.
        requests: What the sandbox gets, by endpoint.
        limit_ends_in: With ``rate_limited``: for how long the account is left alone.
        is_platform_wide: Whether it is the matter with the whole API rather than with the account.
        has_new_picture: Whether the talent uploaded another picture before the read.
        token_left: How long the app's row says that the access token lives.
    """

    api: Platform
    situation: Situation
    outcome: Outcome
    requests: dict[str, int] = field(default_factory=dict)
    error: str = ""
    limit_ends_in: timedelta | Until | None = None
    is_platform_wide: bool = False
    has_new_picture: bool = False
    token_left: timedelta | None = None

    def __str__(self) -> str:
        parts = [self.api, self.situation, self.error.replace(" ", "_").replace("/", "_")]
        parts += ["everywhere"] * self.is_platform_wide + ["new_picture"] * (
            self.situation is Situation.OK and self.has_new_picture
        )
        if self.token_left is not None:
            parts.append("token_dying" if self.token_left > timedelta() else "token_dead")
        return "-".join(part for part in parts if part)

    @property
    def network(self) -> str:
        return "instagram" if self.api is Platform.FACEBOOK else str(self.api)


_DOWN = (Situation.OUTAGE, Situation.BAD_GATEWAY, Situation.SERVER_ERROR, Situation.RESET)
_GARBLED = (Situation.NONSENSE, Situation.TRUNCATED_BODY)
_HOSTILE = (Situation.HUGE_BODY, Situation.API_REDIRECT, Situation.COMPRESSED)


def _rows(
    api: Platform,
    outcome: Outcome,
    requests: dict[str, int],
    *matters: Situation | str,
    limit_ends_in: timedelta | Until | None = None,
    is_platform_wide: bool = False,
    has_new_picture: bool = False,
    token_left: timedelta | None = None,
) -> list[Row]:
    """Return a row for each thing that ends so; a text is an error of the API, or of the refresh where one is due."""
    named = Situation.API_ERROR if token_left is None else Situation.REFRESH_ERROR
    return [
        Row(
            api=api,
            situation=matter if isinstance(matter, Situation) else named,
            error="" if isinstance(matter, Situation) else matter,
            outcome=outcome,
            requests=requests,
            limit_ends_in=limit_ends_in,
            is_platform_wide=is_platform_wide,
            has_new_picture=has_new_picture,
            token_left=token_left,
        )
        for matter in matters
    ]


_instagram = partial(_rows, Platform.INSTAGRAM)
_ME, _ME_THRICE = {"instagram.me": 1}, {"instagram.me": TRIES}
_ME_RENEWED, _ME_RENEWED_TWICE = _ME | {"instagram.refresh": 1}, _ME | {"instagram.refresh": 2}
INSTAGRAM_WITH_OWN_TOKEN = [
    *_instagram(Outcome.UNCHANGED, _ME, Situation.OK),
    *_instagram(Outcome.PICTURE, _ME | {"instagram.picture": 1}, Situation.OK, has_new_picture=True),
    *_instagram(Outcome.NO_PICTURE, _ME, Situation.NO_PICTURE, Situation.NO_PICTURE_FLAG, Situation.SILHOUETTE),
    *_instagram(Outcome.UNCONFIRMED, _ME, Situation.PICTURE_LEFT_OUT),
    *_instagram(Outcome.UNAVAILABLE, _ME, Situation.PICTURE_PROMISED),
    *_instagram(Outcome.UNCHANGED, _ME, Situation.ID_LEFT_OUT, Situation.ADS_LIMITED),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, Situation.TOKEN_EXPIRED, Situation.TOKEN_INVALID, "190/467", "102"),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, Situation.PASSWORD_CHANGED, Situation.APP_REMOVED),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, Situation.CHECKPOINT, Situation.UNCONFIRMED),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, Situation.SCOPE_MISSING, "10", "200", "230", "299"),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, "100 (#100) Missing permissions"),
    *_instagram(Outcome.NEEDS_RECONNECT, _ME, Situation.WRONG_KIND_OF_TOKEN),
    *_instagram(Outcome.UNCHANGED, _ME, Situation.OK, token_left=-HOUR),
    *_instagram(Outcome.HIDDEN, _ME, Situation.DELETED, "110/2207013"),
    *_instagram(Outcome.UNAVAILABLE, _ME, "99999"),
    *_instagram(Outcome.HIDDEN, _ME, Situation.FIELD_REMOVED, Situation.APP_BLOCKED, "101", "104"),
    *_instagram(Outcome.RATE_LIMITED, _ME, Situation.RATE_LIMITED, limit_ends_in=15 * MINUTE),
    *_instagram(Outcome.RATE_LIMITED, _ME, Situation.USER_LIMIT, Situation.PAGE_LIMIT, limit_ends_in=HOUR),
    *_instagram(Outcome.RATE_LIMITED, _ME, Situation.CUSTOM_LIMIT, "4", "80001", limit_ends_in=HOUR),
    *_instagram(Outcome.RATE_LIMITED, _ME, Situation.POLICY_BLOCK, limit_ends_in=DAY),
    *_instagram(Outcome.UNAVAILABLE, _ME_THRICE, Situation.TRANSIENT, Situation.ERROR_IN_200, "1", "341"),
    *_instagram(Outcome.UNAVAILABLE, _ME_THRICE, *_DOWN, *_GARBLED),
    *_instagram(Outcome.UNAVAILABLE, _ME, *_HOSTILE),
    *_instagram(Outcome.UNCHANGED, _ME_RENEWED, Situation.OK, token_left=10 * DAY),
    *_instagram(Outcome.RATE_LIMITED, {"instagram.refresh": 1}, "80002", token_left=10 * DAY, limit_ends_in=HOUR),
    *_instagram(Outcome.UNCHANGED, _ME_RENEWED_TWICE, Situation.REFRESH_OUTAGE, token_left=10 * DAY),
    *_instagram(Outcome.UNCHANGED, _ME_RENEWED_TWICE, Situation.REFRESH_REQUEST_LOST, token_left=10 * DAY),
    *_instagram(Outcome.UNCHANGED, _ME_RENEWED_TWICE, Situation.REFRESH_ANSWER_LOST, token_left=10 * DAY),
    *_instagram(Outcome.UNCHANGED, _ME_RENEWED, Situation.REFRESH_REFUSED, token_left=10 * DAY),
]

_facebook = partial(_rows, Platform.FACEBOOK)
_facebook_down = partial(_rows, Platform.FACEBOOK, is_platform_wide=True)
_POST, _POST_THRICE = {"facebook.batch": 1}, {"facebook.batch": TRIES}
INSTAGRAM_BY_HANDLE = [
    *_facebook(Outcome.UNCHANGED, _POST, Situation.OK),
    *_facebook(Outcome.PICTURE, _POST | {"instagram.picture": 1}, Situation.OK, has_new_picture=True),
    *_facebook(Outcome.NO_PICTURE, _POST, Situation.NO_PICTURE, Situation.SILHOUETTE),
    *_facebook(Outcome.UNCONFIRMED, _POST, Situation.PICTURE_LEFT_OUT),
    *_facebook(Outcome.UNAVAILABLE, _POST, Situation.PICTURE_PROMISED),
    *_facebook_down(Outcome.UNCHANGED, _POST, Situation.ADS_LIMITED, Situation.REORDERED),
    *_facebook(Outcome.HIDDEN, _POST, Situation.DELETED, Situation.PRIVATE),
    *_facebook(Outcome.UNAVAILABLE, _POST_THRICE, Situation.TRANSIENT, *_DOWN, Situation.NONSENSE),
    *_facebook_down(Outcome.MISCONFIGURED, _POST, "190", "190/463", "102"),
    # Said of one look-up, these may be that account's matter: only a second account's makes them the platform's.
    *_facebook_down(Outcome.HIDDEN, _POST, "10", "200", "100", Situation.FIELD_REMOVED, Situation.SCOPE_MISSING),
    *_facebook_down(Outcome.MISCONFIGURED, _POST, Situation.APP_BLOCKED),
    *_facebook_down(Outcome.RATE_LIMITED, _POST, Situation.RATE_LIMITED, Situation.USER_LIMIT, limit_ends_in=HOUR),
    *_facebook_down(Outcome.RATE_LIMITED, _POST, Situation.PAGE_LIMIT, Situation.CUSTOM_LIMIT, limit_ends_in=HOUR),
    *_facebook_down(Outcome.RATE_LIMITED, _POST, Situation.POLICY_BLOCK, limit_ends_in=DAY),
    *_facebook_down(Outcome.UNAVAILABLE, _POST_THRICE, Situation.TRANSIENT, Situation.ERROR_IN_200, "1", "341"),
    *_facebook_down(Outcome.UNAVAILABLE, _POST_THRICE, *_DOWN, *_GARBLED),
    *_facebook_down(Outcome.UNAVAILABLE, _POST, *_HOSTILE),
]

_tiktok = partial(_rows, Platform.TIKTOK)
_INFO, _INFO_THRICE = {"tiktok.user_info": 1}, {"tiktok.user_info": TRIES}
_RENEWAL, _RENEWAL_TWICE = {"tiktok.refresh": 1}, {"tiktok.refresh": 2}
TIKTOK = [
    *_tiktok(Outcome.UNCHANGED, _INFO, Situation.OK),
    *_tiktok(Outcome.PICTURE, _INFO | {"tiktok.picture": 1}, Situation.OK, has_new_picture=True),
    *_tiktok(Outcome.NO_PICTURE, _INFO, Situation.NO_PICTURE, Situation.SILHOUETTE),
    *_tiktok(Outcome.UNAVAILABLE, _INFO, Situation.PICTURE_LEFT_OUT),
    *_tiktok(Outcome.UNCHANGED, _INFO, Situation.NEW_OPEN_ID, Situation.ID_LEFT_OUT),
    *_tiktok(Outcome.NEEDS_RECONNECT, {"tiktok.user_info": 2} | _RENEWAL, Situation.TOKEN_EXPIRED),
    *_tiktok(Outcome.NEEDS_RECONNECT, {"tiktok.user_info": 2} | _RENEWAL, Situation.TOKEN_INVALID),
    *_tiktok(Outcome.NEEDS_RECONNECT, {"tiktok.user_info": 2} | _RENEWAL, Situation.PASSWORD_CHANGED),
    *_tiktok(Outcome.NEEDS_RECONNECT, _INFO | _RENEWAL, Situation.APP_REMOVED, Situation.DELETED),
    *_tiktok(Outcome.NEEDS_RECONNECT, _INFO, Situation.SCOPE_MISSING, "scope_permission_missed"),
    *_tiktok(Outcome.HIDDEN, _INFO, Situation.FIELD_REMOVED, "invalid_file_upload"),
    *_tiktok(Outcome.RATE_LIMITED, _INFO, Situation.RATE_LIMITED, limit_ends_in=MINUTE),
    *_tiktok(Outcome.UNAVAILABLE, _INFO_THRICE, Situation.ERROR_IN_200, *_DOWN, *_GARBLED),
    *_tiktok(Outcome.UNAVAILABLE, _INFO, *_HOSTILE),
]

#: The access token is about to die, or dead, so that the pair is renewed before the read.
_tiktok_dying = partial(_rows, Platform.TIKTOK, token_left=MINUTE)
_tiktok_dead = partial(_rows, Platform.TIKTOK, token_left=-HOUR)
_REFRESH_FAILS = (Situation.REFRESH_REFUSED, "invalid_grant", "access_denied")
TIKTOK_REFRESHES = [
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL | _INFO, Situation.OK),
    *_tiktok_dead(Outcome.UNCHANGED, _RENEWAL | _INFO, Situation.OK),
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL_TWICE | _INFO, Situation.REFRESH_REQUEST_LOST),
    *_tiktok_dead(Outcome.UNCHANGED, _RENEWAL_TWICE | _INFO, Situation.REFRESH_REQUEST_LOST),
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL_TWICE | _INFO, Situation.REFRESH_ANSWER_LOST),
    *_tiktok_dead(Outcome.UNCHANGED, _RENEWAL_TWICE | _INFO, Situation.REFRESH_ANSWER_LOST),
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL | _INFO, *_REFRESH_FAILS),
    *_tiktok_dead(Outcome.UNCHANGED, _RENEWAL | _INFO, *_REFRESH_FAILS),
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL_TWICE | _INFO, Situation.REFRESH_OUTAGE),
    *_tiktok_dead(Outcome.UNAVAILABLE, _RENEWAL_TWICE, Situation.REFRESH_OUTAGE),
    *_tiktok_dead(Outcome.UNAVAILABLE, _RENEWAL_TWICE, "server_error", "temporarily_unavailable"),
    *_tiktok_dying(Outcome.UNCHANGED, _RENEWAL | _INFO, Situation.KEY_INVALID, is_platform_wide=True),
    *_tiktok_dead(Outcome.MISCONFIGURED, _RENEWAL, Situation.KEY_INVALID, is_platform_wide=True),
    *_tiktok_dying(Outcome.RATE_LIMITED, _RENEWAL, "rate_limit_exceeded", limit_ends_in=MINUTE),
    *_tiktok_dead(Outcome.RATE_LIMITED, _RENEWAL, "rate_limit_exceeded", limit_ends_in=MINUTE),
    *_tiktok_dead(Outcome.MISCONFIGURED, _RENEWAL, "invalid_client", "unauthorized_client"),
    *_tiktok_dead(Outcome.HIDDEN, _RENEWAL, "invalid_request", "invalid_scope", "unsupported_grant_type"),
    *_tiktok_dead(Outcome.HIDDEN, _RENEWAL, "unsupported_response_type"),
]

_youtube = partial(_rows, Platform.YOUTUBE)
_youtube_down = partial(_rows, Platform.YOUTUBE, is_platform_wide=True)
_LIST, _LIST_THRICE = {"youtube.channels": 1}, {"youtube.channels": TRIES}
_MIDNIGHT = Until.MIDNIGHT_PACIFIC
YOUTUBE = [
    *_youtube(Outcome.UNCHANGED, _LIST, Situation.OK),
    *_youtube(Outcome.PICTURE, _LIST | {"youtube.picture": 1}, Situation.OK, has_new_picture=True),
    *_youtube(Outcome.NO_PICTURE, _LIST, Situation.NO_PICTURE, Situation.SILHOUETTE),
    *_youtube(Outcome.UNAVAILABLE, _LIST, Situation.PICTURE_LEFT_OUT),
    *_youtube(Outcome.UNCONFIRMED, _LIST, Situation.DELETED, "404 channelNotFound", "403 channelNotFound"),
    *_youtube(Outcome.HIDDEN, _LIST, Situation.CHANNEL_REFUSED, "403 channelClosed", "403 channelForbidden"),
    *_youtube(Outcome.RATE_LIMITED, _LIST, Situation.RATE_LIMITED, limit_ends_in=_MIDNIGHT),
    *_youtube(Outcome.RATE_LIMITED, _LIST, "403 quotaExceeded", "403 dailyLimitExceeded", limit_ends_in=_MIDNIGHT),
    *_youtube(Outcome.RATE_LIMITED, _LIST, Situation.USER_LIMIT, Situation.CUSTOM_LIMIT, limit_ends_in=MINUTE),
    *_youtube(Outcome.RATE_LIMITED, _LIST, "403 rateLimitExceeded", "429 RESOURCE_EXHAUSTED", limit_ends_in=MINUTE),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, Situation.KEY_INVALID, "400 keyInvalid", "400 keyExpired"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, Situation.API_NOT_ENABLED, "403 accessNotConfigured"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, "403 ipRefererBlocked", "403 API_KEY_SERVICE_BLOCKED"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, "401 authError", "401 UNAUTHENTICATED", "401 youtubeSignupRequired"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, "403 insufficientPermissions", "403 ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, "403 forbidden", "403 PERMISSION_DENIED"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, Situation.FIELD_REMOVED, "400 missingRequiredParameter"),
    *_youtube_down(Outcome.MISCONFIGURED, _LIST, "400 invalidFilters", "400 badRequest"),
    *_youtube(Outcome.UNAVAILABLE, _LIST_THRICE, Situation.TRANSIENT, Situation.ERROR_IN_200, *_DOWN, *_GARBLED),
    *_youtube(Outcome.UNAVAILABLE, _LIST_THRICE, "500 internalError", "503 SERVICE_UNAVAILABLE"),
    *_youtube(Outcome.UNAVAILABLE, _LIST, *_HOSTILE),
]

_READS = {
    Platform.INSTAGRAM: "instagram.me",
    Platform.FACEBOOK: "facebook.batch",
    Platform.TIKTOK: "tiktok.user_info",
    Platform.YOUTUBE: "youtube.channels",
}
#: With a picture that is new upstream: how the read ends, how often the API is asked, and how often the image host.
_PICTURES: dict[Situation, tuple[Outcome, int, int]] = {
    Situation.PICTURE_TRUNCATED: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_IS_HTML: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_IS_SVG: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_OVERSIZED: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_OVERSIZED_UNDECLARED: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_REDIRECT: (Outcome.REFUSED, 1, 1),
    Situation.PICTURE_WRONG_TYPE: (Outcome.PICTURE, 1, 1),
    Situation.PICTURE_EXPIRED: (Outcome.UNAVAILABLE, 2, 2),
    Situation.PICTURE_MISMATCH: (Outcome.UNAVAILABLE, 2, 2),
    Situation.PICTURE_NOT_FOUND: (Outcome.UNAVAILABLE, 1, 1),
    Situation.PICTURE_RESET: (Outcome.UNAVAILABLE, 1, 2),
    Situation.PICTURE_OUTAGE: (Outcome.UNAVAILABLE, 1, 2),
    Situation.PICTURE_EMPTY: (Outcome.UNAVAILABLE, 1, 2),
}


PICTURES = [
    row
    for api, endpoint in _READS.items()
    for situation, (outcome, reads, downloads) in _PICTURES.items()
    for row in _rows(
        api,
        outcome,
        {endpoint: reads, f"{'instagram' if api is Platform.FACEBOOK else api}.picture": downloads},
        situation,
        has_new_picture=True,
    )
]

EVERYTHING = [*INSTAGRAM_WITH_OWN_TOKEN, *INSTAGRAM_BY_HANDLE, *TIKTOK, *TIKTOK_REFRESHES, *YOUTUBE, *PICTURES]


@pytest.mark.parametrize("row", EVERYTHING, ids=str)
def test_an_error_ends_in_its_outcome_and_touches_the_picture_and_the_next_read_as_the_outcome_says(
    simulation: Simulation, row: Row
) -> None:
    talent_id, account_id, handle = _talent_with_a_picture(simulation, row)
    before = simulation.shown(talent_id)
    owned_before = simulation.ledger(account_id)["picture_hash"]
    assert before[0] == row.network
    _let_it_happen(simulation, row, account_id=account_id, handle=handle)
    try:
        assert _sync(simulation, talent_id) == row.requests
        ledger = simulation.ledger(account_id)
        assert ledger["outcome"] == row.outcome, ledger["failure"]
        owned = ledger["picture_hash"]
        fate, not_before, at_last = _rule(simulation, row)
        assert _fate(owned_before, owned) == fate
        assert simulation.shown(talent_id) == _expected_to_be_shown(before, fate, owned)
        simulation.clock.advance(not_before)
        assert _sync(simulation, talent_id) == {}, "it was read again too early"
    finally:
        _let_it_be_over(simulation, row, handle=handle)
    simulation.clock.advance(at_last - not_before)
    if row.outcome is Outcome.NEEDS_RECONNECT:
        simulation.reconnect(account_id, row.network, handle)
    # Refused bytes are not downloaded again under the same content id before a week is over or a person asks.
    is_asked_for = row.outcome is Outcome.REFUSED
    calls = _sync(simulation, talent_id, force=is_asked_for)
    assert calls[_READS[row.api]] == 1, "it was not read again when it was due"
    assert simulation.ledger(account_id)["outcome"] in {Outcome.PICTURE, Outcome.UNCHANGED}
    assert simulation.shown(talent_id)[0] == row.network
    simulation.delete_talent(talent_id)


def _talent_with_a_picture(simulation: Simulation, row: Row) -> tuple[str, str, str]:
    """Connect an account that was read two days ago; what other rows taught of limits is over by now."""
    simulation.clock.advance(4 * DAY)
    simulation.world.rules.tiktok_access_seconds = int(timedelta(days=90).total_seconds())
    number = next(_numbers)
    talent_id, handle = f"talent-{number}", f"handle.{number}"
    simulation.add_upstream(row.network, handle)
    simulation.add_talent(talent_id)
    account_id = simulation.connect(talent_id, row.network, handle, with_token=row.api is not Platform.FACEBOOK)
    _sync(simulation, talent_id)
    simulation.clock.advance(2 * DAY)
    return talent_id, account_id, handle


def _sync(simulation: Simulation, talent_id: str, *, force: bool = False) -> dict[str, int]:
    """Run as for the daily batch; returns what the sandbox was asked."""
    simulation.forget_calls()
    simulation.sync(talent_id, minimum_hours=DAILY_MINIMUM_HOURS, force=force)
    return {endpoint: calls for endpoint, calls in simulation.calls().items() if endpoint not in _ITEMS}


def _let_it_happen(simulation: Simulation, row: Row, *, account_id: str, handle: str) -> None:
    world = simulation.world
    if row.has_new_picture:
        world.upload_new_picture(row.network, handle)
    if row.token_left is not None:
        simulation.change_account(account_id, expiresAt=simulation.clock() + row.token_left)
    if row.is_platform_wide:
        world.set_platform_situation(row.api, row.situation, error=row.error)
    else:
        world.set_situation(row.network, handle, row.situation, error=row.error)


def _let_it_be_over(simulation: Simulation, row: Row, *, handle: str) -> None:
    simulation.world.set_platform_situation(row.api, Situation.OK)
    simulation.world.set_situation(row.network, handle, Situation.OK)


def _rule(simulation: Simulation, row: Row) -> tuple[Fate, timedelta, timedelta]:
    if row.limit_ends_in is None:
        return RULES[row.outcome]
    if row.limit_ends_in is Until.MIDNIGHT_PACIFIC:
        length = _until_midnight_in_los_angeles(simulation.clock())
    else:
        assert isinstance(row.limit_ends_in, timedelta)
        length = row.limit_ends_in
    return Fate.KEPT, length - timedelta(seconds=20), length + timedelta(seconds=20)


def _until_midnight_in_los_angeles(now: datetime) -> timedelta:
    local = now.astimezone(ZoneInfo("America/Los_Angeles"))
    tomorrow = (local + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return tomorrow.astimezone(now.tzinfo) - now


def _fate(before: str, after: str | None) -> Fate:
    if after is None:
        return Fate.DROPPED
    return Fate.KEPT if after == before else Fate.REPLACED


def _expected_to_be_shown(
    before: tuple[str, str | None], fate: Fate, picture_hash: str | None
) -> tuple[str, str | None]:
    if fate is Fate.DROPPED:
        return "initials", None
    if fate is Fate.KEPT:
        return before
    return before[0], f"http://pictures.example/images/{picture_hash}/256.webp"
