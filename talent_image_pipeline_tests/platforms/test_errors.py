"""Every documented error of the three platforms, each with the one outcome that it must become."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Outcome, Scope
from talent_image_pipeline.platforms.instagram import INSTAGRAM
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.youtube import YOUTUBE
from talent_image_pipeline_tests.platforms.scripted_server import NOW, Reply, converse, reply_json

AGENCY_ID = "17841406338772941"
OWN = Account(account_id="own", handle="ada", access_token=SecretStr("talent-token"))
BY_HANDLE = Account(account_id="handle", handle="ada")
CHANNEL = Account(account_id="channel", handle="UC_x5XG1OV2P6uZZ5FSM9Ttw")
MIDNIGHT_IN_LOS_ANGELES = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One error: what is answered, and what the reading must say."""

    status: int
    body: Any
    outcome: Outcome
    headers: Mapping[str, str] = field(default_factory=dict)
    is_retryable: bool = False
    retry_at: datetime | None = None
    is_token_refused: bool = False
    is_read_daily: bool = False
    scope: Scope = Scope.PLATFORM
    says: str = ""

    def reply(self) -> Reply:
        if isinstance(self.body, bytes):
            return Reply(status=self.status, body=self.body, headers=self.headers)
        return reply_json(self.body, status=self.status, headers=self.headers)


def graph(code: int, subcode: int | None = None, message: str = "", **more: Any) -> dict[str, Any]:
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1b2", **more}
    return {"error": error if subcode is None else {**error, "error_subcode": subcode}}


RECONNECT = Outcome.NEEDS_RECONNECT
LIMITED = Outcome.RATE_LIMITED
DOWN = Outcome.UNAVAILABLE
WRONG = Outcome.MISCONFIGURED
BUSY_TOKEN = {
    "x-business-use-case-usage": json.dumps(
        {
            AGENCY_ID: [
                {"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 30},
                {"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 600},
            ]
        }
    )
}

GRAPH_TOKEN_ERRORS = {
    "expired": Row(status=400, body=graph(190, 463), outcome=RECONNECT, says="expired"),
    "expired, as 401": Row(status=401, body=graph(190, 463), outcome=RECONNECT, says="expired"),
    "password changed": Row(status=400, body=graph(190, 460), outcome=RECONNECT, says="password"),
    "app removed": Row(status=400, body=graph(190, 458), outcome=RECONNECT, says="removed the app"),
    "checkpoint": Row(status=400, body=graph(190, 459), outcome=RECONNECT, is_read_daily=True, says="security check"),
    "unconfirmed": Row(status=400, body=graph(190, 464), outcome=RECONNECT, is_read_daily=True, says="confirm"),
    "invalid token": Row(status=401, body=graph(190), outcome=RECONNECT, says="no longer valid"),
    "invalid token, with its subcode": Row(status=400, body=graph(190, 467), outcome=RECONNECT, says="no longer valid"),
    "session of older APIs": Row(status=400, body=graph(102), outcome=RECONNECT, says="no longer valid"),
    "permission denied": Row(status=403, body=graph(10), outcome=RECONNECT, says="permission"),
    "a token of another kind": Row(
        status=400,
        body=graph(100, message="Unsupported request - method type: get") | {"type": "IGApiException"},
        outcome=RECONNECT,
        says="accepted the invitation",
    ),
    "first permission code": Row(status=400, body=graph(200), outcome=RECONNECT, says="permission"),
    "last permission code": Row(status=403, body=graph(299), outcome=RECONNECT, says="permission"),
    "missing permissions under 100": Row(
        status=400, body=graph(100, message="(#100) Missing permissions"), outcome=RECONNECT, says="permission"
    ),
}
GRAPH_APP_ERRORS = {
    "access of the app blocked": Row(
        status=400, body=graph(200, message="API access blocked."), outcome=WRONG, says="app's dashboard"
    ),
    "app not active": Row(
        status=400,
        body=graph(200, message="(#200) Access to this data is temporarily disabled for non-active apps or apps that"),
        outcome=WRONG,
        says="app's dashboard",
    ),
    "no such app": Row(status=400, body=graph(101), outcome=WRONG, says="app's dashboard"),
    "wrong signature of the app": Row(status=400, body=graph(104), outcome=WRONG, says="app's dashboard"),
}
GRAPH_OTHER_ERRORS = {
    "object gone or hidden": Row(
        status=400,
        body=graph(100, 33, "Unsupported get request. It cannot be loaded due to missing permissions."),
        outcome=Outcome.HIDDEN,
    ),
    "target unknown": Row(status=400, body=graph(110, 2207013, "Invalid user id"), outcome=Outcome.HIDDEN),
    "invalid field": Row(
        status=400,
        body=graph(100, message="(#100) Tried accessing nonexisting field (x)"),
        outcome=WRONG,
        scope=Scope.ACCOUNT,
    ),
    "app limit": Row(status=403, body=graph(4, is_transient=True), outcome=LIMITED),
    "app limit with Retry-After": Row(
        status=400,
        body=graph(4),
        headers={"retry-after": "120"},
        outcome=LIMITED,
        retry_at=NOW + timedelta(minutes=2),
    ),
    "unknown, as 500": Row(status=500, body=graph(1, 99), outcome=DOWN, is_retryable=True),
    "temporary, as 400": Row(status=400, body=graph(2, is_transient=True), outcome=DOWN, is_retryable=True),
    "limit of the moment": Row(status=503, body=graph(341), outcome=DOWN, is_retryable=True),
    "transient with an unknown code": Row(
        status=400, body=graph(987, is_transient=True), outcome=DOWN, is_retryable=True
    ),
    "unknown code": Row(status=400, body=graph(987), outcome=DOWN),
    "too many requests without a code": Row(status=429, body={}, outcome=LIMITED),
    "a page for an answer": Row(status=200, body=b"Service Unavailable", outcome=DOWN, is_retryable=True),
    "a gateway's page": Row(status=502, body=b"<html>Bad Gateway</html>", outcome=DOWN, is_retryable=True),
    "down until a named time": Row(
        status=503, body=b"", headers={"retry-after": "600"}, outcome=DOWN, retry_at=NOW + timedelta(minutes=10)
    ),
    "an error of the authorisation host": Row(
        status=400, body={"error_type": "OAuthException", "code": 400, "error_message": "used"}, outcome=DOWN
    ),
}
GRAPH_LIMITS_OF_ONE_TOKEN = {
    "user limit": Row(status=400, body=graph(17), outcome=LIMITED),
    "page limit": Row(status=400, body=graph(32), outcome=LIMITED),
    "custom limit with a date": Row(
        status=403,
        body=graph(613),
        headers={"retry-after": "Sat, 21 Nov 2026 13:00:00 GMT"},
        outcome=LIMITED,
        retry_at=NOW + timedelta(hours=1),
    ),
    "business limit of Instagram": Row(
        status=400, body=graph(80002), headers=BUSY_TOKEN, outcome=LIMITED, retry_at=NOW + timedelta(minutes=30)
    ),
    "business limit of a page": Row(
        status=400, body=graph(80001), headers=BUSY_TOKEN, outcome=LIMITED, retry_at=NOW + timedelta(minutes=30)
    ),
    "policy block": Row(status=400, body=graph(368), outcome=LIMITED, retry_at=NOW + timedelta(hours=24)),
}


def tiktok(code: str) -> dict[str, Any]:
    return {"data": {}, "error": {"code": code, "message": "words", "log_id": "2024"}}


IN_A_MINUTE = NOW + timedelta(minutes=1)
TIKTOK_ERRORS = {
    "token refused": Row(status=401, body=tiktok("access_token_invalid"), outcome=RECONNECT, is_token_refused=True),
    "token refused, as 200": Row(
        status=200, body=tiktok("access_token_invalid"), outcome=RECONNECT, is_token_refused=True
    ),
    "scope not granted": Row(status=401, body=tiktok("scope_not_authorized"), outcome=RECONNECT, says="allow"),
    "scope missed": Row(status=401, body=tiktok("scope_permission_missed"), outcome=RECONNECT, says="allow"),
    "scope without data": Row(
        status=401, body={"error": {"code": "scope_not_authorized"}}, outcome=RECONNECT, says="allow"
    ),
    "invalid parameters": Row(status=400, body=tiktok("invalid_params"), outcome=WRONG, scope=Scope.ACCOUNT),
    "invalid upload": Row(status=400, body=tiktok("invalid_file_upload"), outcome=WRONG, scope=Scope.ACCOUNT),
    "rate limit": Row(status=429, body=tiktok("rate_limit_exceeded"), outcome=LIMITED, retry_at=IN_A_MINUTE),
    "rate limit, as 200": Row(status=200, body=tiktok("rate_limit_exceeded"), outcome=LIMITED, retry_at=IN_A_MINUTE),
    "rate limit without a body": Row(status=429, body=b"", outcome=LIMITED, retry_at=IN_A_MINUTE),
    "internal error": Row(status=500, body=tiktok("internal_error"), outcome=DOWN, is_retryable=True),
    "internal error, as 200": Row(status=200, body=tiktok("internal_error"), outcome=DOWN, is_retryable=True),
    "unknown code": Row(status=400, body=tiktok("never_heard_of"), outcome=DOWN),
    "success by status, not by code": Row(
        status=200, body={"data": {"user": {"open_id": "o"}}, "error": {"code": 0}}, outcome=DOWN
    ),
    "ok without a user": Row(status=200, body=tiktok("ok"), outcome=DOWN),
    "a gateway's page": Row(status=503, body=b"<html></html>", outcome=DOWN, is_retryable=True),
}


def google(status: int, reason: str | None = None, *, detail: str | None = None, name: str = "") -> dict[str, Any]:
    error: dict[str, Any] = {"code": status, "message": "words"}
    if reason:
        error["errors"] = [{"message": "words", "domain": "youtube", "reason": reason}]
    if detail:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}]
    return {"error": {**error, "status": name} if name else error}


YOUTUBE_ERRORS = {
    "key invalid, old form": Row(status=400, body=google(400, "keyInvalid"), outcome=WRONG, says="check the key"),
    "key invalid, new form": Row(
        status=400,
        body=google(400, "badRequest", detail="API_KEY_INVALID", name="INVALID_ARGUMENT"),
        outcome=WRONG,
        says="check the key",
    ),
    "no filter": Row(status=400, body=google(400, "missingRequiredParameter"), outcome=WRONG, says="parameter"),
    "bad filter": Row(status=400, body=google(400, "invalidFilters"), outcome=WRONG, says="parameter"),
    "bad request": Row(status=400, body=google(400, "badRequest"), outcome=WRONG, says="parameter"),
    "credentials invalid": Row(
        status=401, body=google(401, "authError", name="UNAUTHENTICATED"), outcome=WRONG, says="check the key"
    ),
    "no channel behind the token": Row(status=401, body=google(401, "youtubeSignupRequired"), outcome=WRONG),
    "day's units used up": Row(
        status=403, body=google(403, "quotaExceeded"), outcome=LIMITED, retry_at=MIDNIGHT_IN_LOS_ANGELES
    ),
    "day's limit": Row(
        status=403, body=google(403, "dailyLimitExceeded"), outcome=LIMITED, retry_at=MIDNIGHT_IN_LOS_ANGELES
    ),
    "too fast": Row(status=403, body=google(403, "rateLimitExceeded"), outcome=LIMITED, retry_at=IN_A_MINUTE),
    "user too fast": Row(status=403, body=google(403, "userRateLimitExceeded"), outcome=LIMITED, retry_at=IN_A_MINUTE),
    "resource exhausted": Row(
        status=429, body=google(429, name="RESOURCE_EXHAUSTED"), outcome=LIMITED, retry_at=IN_A_MINUTE
    ),
    "too many requests without a body": Row(status=429, body=b"", outcome=LIMITED, retry_at=IN_A_MINUTE),
    "API not enabled": Row(status=403, body=google(403, "accessNotConfigured"), outcome=WRONG, says="enable"),
    "referrer blocked": Row(status=403, body=google(403, "ipRefererBlocked"), outcome=WRONG, says="restrictions"),
    "key blocked": Row(
        status=403, body=google(403, detail="API_KEY_SERVICE_BLOCKED"), outcome=WRONG, says="restrictions"
    ),
    "permissions": Row(status=403, body=google(403, "insufficientPermissions"), outcome=WRONG),
    "scope": Row(status=403, body=google(403, detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), outcome=WRONG),
    "forbidden": Row(status=403, body=google(403, "forbidden"), outcome=WRONG),
    "permission denied though it says unavailable": Row(
        status=403, body=google(403, "SERVICE_UNAVAILABLE", name="PERMISSION_DENIED"), outcome=WRONG
    ),
    "channel not found": Row(status=404, body=google(404, "channelNotFound"), outcome=Outcome.UNCONFIRMED),
    "channel not found, as 403": Row(status=403, body=google(403, "channelNotFound"), outcome=Outcome.UNCONFIRMED),
    "channel suspended": Row(status=403, body=google(403, "channelSuspended"), outcome=Outcome.HIDDEN),
    "channel closed": Row(status=403, body=google(403, "channelClosed"), outcome=Outcome.HIDDEN),
    "channel forbidden": Row(status=403, body=google(403, "channelForbidden"), outcome=Outcome.HIDDEN),
    "wrong address": Row(status=404, body=b"<html>404</html>", outcome=DOWN),
    "backend": Row(status=500, body=google(500, "backendError"), outcome=DOWN, is_retryable=True),
    "internal": Row(status=500, body=google(500, "internalError"), outcome=DOWN, is_retryable=True),
    "unavailable": Row(status=503, body=google(503, "SERVICE_UNAVAILABLE"), outcome=DOWN, is_retryable=True),
    "an error that is a text": Row(status=400, body={"error": "invalid_grant"}, outcome=DOWN),
    "an object that is not an answer": Row(status=200, body={}, outcome=DOWN),
}


def of(rows: Mapping[str, Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", list(rows.values()), ids=list(rows))


def assert_reads_as(row: Row, reading: Any) -> None:
    assert reading.outcome is row.outcome
    assert reading.is_retryable is row.is_retryable
    assert reading.retry_at == row.retry_at
    assert reading.is_token_refused is row.is_token_refused
    assert reading.is_read_daily is row.is_read_daily
    assert row.says in reading.message
    assert "127.0.0.1" not in reading.message
    assert reading.picture is None


@of(GRAPH_TOKEN_ERRORS | GRAPH_OTHER_ERRORS)
def test_an_error_of_instagram_becomes_its_outcome_in_one_call(row: Row) -> None:
    conversation = converse(INSTAGRAM, [OWN], lambda _: row.reply())
    assert_reads_as(row, conversation.reading)
    assert conversation.reading.scope is row.scope
    assert len(conversation.received) == 1


@of(GRAPH_APP_ERRORS)
def test_what_meta_says_of_our_app_is_no_reason_to_reconnect_and_until_repeated_one_accounts_matter(row: Row) -> None:
    reading = converse(INSTAGRAM, [OWN], lambda _: row.reply()).reading
    assert_reads_as(row, reading)
    assert reading.scope is Scope.ACCOUNT


@of(GRAPH_APP_ERRORS)
def test_what_meta_says_of_our_app_to_the_agencys_token_holds_for_every_look_up(row: Row) -> None:
    reading = converse(INSTAGRAM, [BY_HANDLE], lambda _: row.reply()).reading
    assert_reads_as(row, reading)
    assert reading.scope is Scope.PLATFORM


@of(GRAPH_LIMITS_OF_ONE_TOKEN)
def test_a_limit_of_one_talents_instagram_token_leaves_the_platform_alone(row: Row) -> None:
    conversation = converse(INSTAGRAM, [OWN], lambda _: row.reply())
    assert_reads_as(row, conversation.reading)
    assert conversation.reading.scope is Scope.ACCOUNT
    assert len(conversation.received) == 1


@of(GRAPH_OTHER_ERRORS | GRAPH_LIMITS_OF_ONE_TOKEN)
def test_an_error_of_a_whole_batch_becomes_the_outcome_of_all_its_accounts(row: Row) -> None:
    other = Account(account_id="other", handle="grace")
    conversation = converse(INSTAGRAM, [BY_HANDLE, other], lambda _: row.reply())
    for reading in conversation.readings.values():
        assert_reads_as(row, reading)
        assert reading.scope is Scope.PLATFORM
    assert len(conversation.received) == 1


@of({name: row for name, row in GRAPH_OTHER_ERRORS.items() if not row.headers and not isinstance(row.body, bytes)})
def test_an_error_of_one_look_up_becomes_the_outcome_of_its_account_alone(row: Row) -> None:
    found = {"business_discovery": {"username": "grace", "id": "2", "profile_picture_url": "https://x.fbcdn.net/a.jpg"}}
    items = [{"code": row.status, "body": json.dumps(row.body)}, {"code": 200, "body": json.dumps(found)}]
    other = Account(account_id="other", handle="grace")
    conversation = converse(INSTAGRAM, [BY_HANDLE, other], lambda _: reply_json(items))
    assert_reads_as(row, conversation.readings["handle"])
    assert conversation.readings["handle"].scope is row.scope
    assert conversation.readings["other"].outcome is Outcome.PICTURE
    assert len(conversation.received) == 1


@of({name: row for name, row in GRAPH_TOKEN_ERRORS.items() if name != "a token of another kind"})
@pytest.mark.parametrize("is_whole_batch", [True, False])
def test_a_refusal_of_the_agencys_own_token_is_the_operators_to_solve(row: Row, *, is_whole_batch: bool) -> None:
    item = {"code": row.status, "body": json.dumps(row.body)}
    reply = row.reply() if is_whole_batch else reply_json([item])
    reading = converse(INSTAGRAM, [BY_HANDLE], lambda _: reply).reading
    assert reading.outcome is Outcome.MISCONFIGURED
    assert "INSTAGRAM_BUSINESS_TOKEN" in reading.message
    assert "talent must" not in reading.message


@of(TIKTOK_ERRORS)
def test_an_error_of_tiktok_becomes_its_outcome_in_one_call(row: Row) -> None:
    conversation = converse(TIKTOK, [OWN], lambda _: row.reply())
    assert_reads_as(row, conversation.reading)
    assert conversation.reading.scope is row.scope
    assert len(conversation.received) == 1


@of(YOUTUBE_ERRORS)
def test_an_error_of_youtube_becomes_its_outcome_in_one_call(row: Row) -> None:
    conversation = converse(YOUTUBE, [CHANNEL], lambda _: row.reply())
    assert_reads_as(row, conversation.reading)
    assert conversation.reading.scope is row.scope
    assert len(conversation.received) == 1


ABOUT_ONE_CHANNEL = {
    name: row for name, row in YOUTUBE_ERRORS.items() if row.outcome in {Outcome.UNCONFIRMED, Outcome.HIDDEN}
}


@of({name: row for name, row in YOUTUBE_ERRORS.items() if name not in ABOUT_ONE_CHANNEL})
def test_an_error_of_youtube_applies_to_every_channel_of_the_call(row: Row) -> None:
    other = Account(account_id="other", handle="UCK8sQmJBp8GCxrOtXWBpyEA")
    conversation = converse(YOUTUBE, [CHANNEL, other], lambda _: row.reply())
    for reading in conversation.readings.values():
        assert_reads_as(row, reading)
    assert len(conversation.received) == 1


@of(ABOUT_ONE_CHANNEL)
def test_a_call_refused_because_of_one_channel_says_nothing_of_the_others_and_is_to_be_split(row: Row) -> None:
    other = Account(account_id="other", handle="UCK8sQmJBp8GCxrOtXWBpyEA")
    conversation = converse(YOUTUBE, [CHANNEL, other], lambda _: row.reply())
    assert [result.must_split for result in conversation.results] == [True]
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.UNAVAILABLE}
    assert {reading.scope for reading in conversation.readings.values()} == {Scope.ACCOUNT}


@of(ABOUT_ONE_CHANNEL)
def test_a_channel_that_is_refused_alone_is_the_offender_also_where_talents_share_it(row: Row) -> None:
    sharing = Account(account_id="other", handle=f"youtube.com/channel/{CHANNEL.handle}")
    conversation = converse(YOUTUBE, [CHANNEL, sharing], lambda _: row.reply())
    assert [result.must_split for result in conversation.results] == [False]
    for reading in conversation.readings.values():
        assert_reads_as(row, reading)
