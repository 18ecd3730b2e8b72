"""When tokens are renewed, how it is asked for, and how each answer to that ends."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Outcome, Platform, Scope
from talent_image_pipeline.platforms.instagram import INSTAGRAM
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline.platforms.youtube import YOUTUBE
from talent_image_pipeline_tests.platforms.scripted_server import (
    NOW,
    Reply,
    refresh,
    reply_json,
    values_for,
)

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def account(*, expires_in: timedelta | None = None, **changes: Any) -> Account:
    parts: dict[str, Any] = {
        "account_id": "a",
        "handle": "ada",
        "access_token": SecretStr("old-token"),
        "refresh_token": SecretStr("old-refresh-token"),
        "token_expires_at": None if expires_in is None else NOW + expires_in,
    }
    return Account(**{**parts, **changes})


def is_due(platform: Platform, known: Account, *, refreshed_at: datetime | None = None) -> bool:
    # Deciding needs no transport: nothing is sent.
    client = platform.open_client(values_for("http://127.0.0.1:9"), None, lambda: NOW)  # type: ignore[arg-type]
    return client.needs_token_refresh(known, now=NOW, refreshed_at=refreshed_at)


@pytest.mark.parametrize(
    ("expires_in", "refreshed_ago", "due"),
    [
        (14 * DAY, None, True),
        (15 * DAY, None, False),
        (40 * DAY, None, False),
        (MINUTE, None, True),
        (timedelta(0), None, False),
        (-DAY, None, False),
        (None, None, True),
        (14 * DAY, DAY, True),
        (14 * DAY, DAY - MINUTE, False),
    ],
)
def test_an_instagram_token_is_renewed_in_its_last_fifteen_days_at_most_once_a_day(
    *, expires_in: timedelta | None, refreshed_ago: timedelta | None, due: bool
) -> None:
    refreshed_at = None if refreshed_ago is None else NOW - refreshed_ago
    assert is_due(INSTAGRAM, account(expires_in=expires_in), refreshed_at=refreshed_at) is due


def test_an_instagram_account_without_a_token_has_nothing_to_renew() -> None:
    assert not is_due(INSTAGRAM, account(expires_in=DAY, access_token=None))


@pytest.mark.parametrize(
    ("expires_in", "due"), [(6 * MINUTE, False), (5 * MINUTE, True), (MINUTE, True), (-DAY, True), (None, True)]
)
def test_a_tiktok_token_is_renewed_when_it_dies_within_minutes_or_at_an_unknown_time(
    *, expires_in: timedelta | None, due: bool
) -> None:
    assert is_due(TIKTOK, account(expires_in=expires_in), refreshed_at=NOW) is due


def test_a_tiktok_token_that_cannot_be_renewed_is_not_due() -> None:
    assert not is_due(TIKTOK, account(expires_in=-DAY, refresh_token=None))


def test_a_youtube_channel_never_needs_a_token() -> None:
    assert not is_due(YOUTUBE, account(expires_in=-DAY))
    ended, received = refresh(YOUTUBE, account(), lambda _: Reply())
    assert ended.token is None
    assert received == []


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_instagram_gives_a_token_with_the_lifetime_that_it_states(*, is_wrapped: bool) -> None:
    body = {"access_token": "new-token", "token_type": "bearer", "expires_in": 5_183_944}
    ended, (request,) = refresh(INSTAGRAM, account(), lambda _: reply_json({"data": [body]} if is_wrapped else body))
    assert ended.failure is None
    assert ended.token is not None
    assert ended.token.access_token.get_secret_value() == "new-token"
    assert ended.token.expires_at == NOW + timedelta(seconds=5_183_944)
    assert ended.token.refresh_token is None
    assert (request.method, request.path) == ("GET", "/graph.instagram.com/refresh_access_token")
    assert request.query == {"grant_type": "ig_refresh_token", "access_token": "old-token"}


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_json({"error": {"code": 190, "error_subcode": 463}}, status=400), Outcome.NEEDS_RECONNECT),
        (reply_json({"error": {"code": 10}}, status=403), Outcome.NEEDS_RECONNECT),
        (reply_json({"error": {"code": 4}}, status=403), Outcome.RATE_LIMITED),
        (reply_json({"error": {"code": 2, "is_transient": True}}, status=400), Outcome.UNAVAILABLE),
        (Reply(status=502, body=b"<html>"), Outcome.UNAVAILABLE),
        (reply_json({"access_token": "new-token"}), Outcome.UNAVAILABLE),
        (reply_json({"access_token": "new-token", "expires_in": "soon"}), Outcome.UNAVAILABLE),
        (reply_json({"access_token": 7, "expires_in": 5}), Outcome.UNAVAILABLE),
    ],
)
def test_an_instagram_token_that_is_not_renewed_ends_in_an_outcome(reply: Reply, outcome: Outcome) -> None:
    ended, _ = refresh(INSTAGRAM, account(), lambda _: reply)
    assert ended.token is None
    assert ended.failure is not None
    assert ended.failure.outcome is outcome


TIKTOK_PAIR = {
    "access_token": "act.new",
    "expires_in": 7_200,
    "open_id": "o",
    "refresh_expires_in": 15_552_000,
    "refresh_token": "rft.new",
    "scope": "user.info.basic",
    "token_type": "Bearer",
}


@pytest.mark.parametrize(
    "body",
    [
        TIKTOK_PAIR,
        {"code": 0, "message": "OK", "data": {**TIKTOK_PAIR, "refresh_token_expires_in": 15_552_000}},
        {"data": {**TIKTOK_PAIR, "error_code": 0}, "message": "success"},
        {"data": TIKTOK_PAIR, "error": {"code": "ok", "message": ""}},
    ],
    ids=["flat", "wrapped", "wrapped in the oldest way", "in the API's envelope"],
)
def test_tiktok_gives_a_new_pair_with_the_lifetimes_that_it_states(body: dict[str, Any]) -> None:
    ended, (request,) = refresh(TIKTOK, account(), lambda _: reply_json(body))
    assert ended.failure is None
    assert ended.token is not None
    assert ended.token.access_token.get_secret_value() == "act.new"
    assert ended.token.refresh_token is not None
    assert ended.token.refresh_token.get_secret_value() == "rft.new"
    assert ended.token.expires_at == NOW + timedelta(hours=2)
    assert ended.token.consent_ends_at == NOW + timedelta(days=180)
    assert (request.method, request.path) == ("POST", "/open.tiktokapis.com/v2/oauth/token/")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == {
        "client_key": "client-key-SECRET",
        "client_secret": "client-secret-SECRET",
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh-token",
    }


def test_a_new_pair_without_a_lifetime_is_kept_because_the_old_one_is_dead() -> None:
    ended, _ = refresh(TIKTOK, account(), lambda _: reply_json({"access_token": "act.new", "refresh_token": "rft.new"}))
    assert ended.token is not None
    assert ended.token.expires_at == NOW
    assert ended.token.consent_ends_at is None


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("invalid_grant", Outcome.NEEDS_RECONNECT),
        ("access_denied", Outcome.NEEDS_RECONNECT),
        ("invalid_client", Outcome.MISCONFIGURED),
        ("unauthorized_client", Outcome.MISCONFIGURED),
        ("invalid_request", Outcome.MISCONFIGURED),
        ("invalid_scope", Outcome.MISCONFIGURED),
        ("unsupported_grant_type", Outcome.MISCONFIGURED),
        ("unsupported_response_type", Outcome.MISCONFIGURED),
        ("server_error", Outcome.UNAVAILABLE),
        ("rate_limit_exceeded", Outcome.RATE_LIMITED),
        ("never_heard_of", Outcome.UNAVAILABLE),
    ],
)
def test_a_refusal_of_tiktoks_token_endpoint_is_told_by_its_body_whatever_the_status(
    *, error: str, outcome: Outcome, status: int
) -> None:
    body = {"error": error, "error_description": "words", "log_id": "2024"}
    ended, received = refresh(TIKTOK, account(), lambda _: reply_json(body, status=status))
    assert ended.token is None
    assert ended.failure is not None
    assert ended.failure.outcome is outcome
    is_ours = error in {"invalid_client", "unauthorized_client"}
    assert outcome is not Outcome.MISCONFIGURED or (ended.failure.scope is Scope.PLATFORM) is is_ours
    assert len(received) == 1


@pytest.mark.parametrize("missing", ["tiktok_client_key", "tiktok_client_secret"])
def test_without_the_apps_own_key_no_renewal_is_asked_for(missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    ended, received = refresh(TIKTOK, account(), lambda _: reply_json(TIKTOK_PAIR), **without)
    assert ended.failure is not None
    assert ended.failure.outcome is Outcome.MISCONFIGURED
    assert received == []


def test_without_a_refresh_token_the_talent_must_reconnect() -> None:
    ended, received = refresh(TIKTOK, account(refresh_token=None), lambda _: reply_json(TIKTOK_PAIR))
    assert ended.failure is not None
    assert ended.failure.outcome is Outcome.NEEDS_RECONNECT
    assert received == []
