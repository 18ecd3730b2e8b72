"""Tokens, keys and signed addresses planted everywhere: none may come out in words, logs or representations."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Platform
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline_tests.platforms.scripted_server import (
    NOW,
    Received,
    Reply,
    converse,
    refresh,
    reply_json,
    values_for,
)
from talent_image_pipeline_tests.platforms.test_transport import endless, reset, reset_within_the_body, writing

ACCOUNTS = (
    Account(
        account_id="own",
        handle="ada",
        access_token=SecretStr("access-SECRET"),
        refresh_token=SecretStr("refresh-SECRET"),
        token_expires_at=NOW + timedelta(days=1),
    ),
    Account(account_id="damaged", handle="ada", access_token=SecretStr("dämaged-SECRET")),
    Account(account_id="handle", handle="grace"),
    Account(account_id="channel", handle="UC_x5XG1OV2P6uZZ5FSM9Ttw"),
)
ECHOED = "access-SECRET refresh-SECRET api-key-SECRET agency-token-SECRET"
PICTURE = "https://x.fbcdn.net/v/1_n.jpg?oh=signed-SECRET"
REPLIES = {
    "an error that echoes": reply_json({"error": {"code": 190, "message": ECHOED}}, status=400),
    "a code that echoes": reply_json({"error": {"code": ECHOED, "message": ECHOED}}, status=401),
    "a reason that echoes": reply_json({"error": {"code": 400, "errors": [{"reason": ECHOED}]}}, status=400),
    "an error text that echoes": reply_json({"error": ECHOED, "error_description": ECHOED}, status=400),
    "a page that echoes": Reply(status=500, body=ECHOED.encode()),
    "a picture": reply_json({"username": "ada", "user_id": "1", "profile_picture_url": PICTURE}),
    "an avatar": reply_json({"data": {"user": {"open_id": "1", "avatar_url": PICTURE}}, "error": {"code": "ok"}}),
    "new tokens": reply_json({"access_token": "new-SECRET", "refresh_token": "new-SECRET", "expires_in": 7}),
    "a redirect": Reply(status=302, headers={"location": "http://127.0.0.1:1/?token=SECRET"}),
    "a reset": Reply(write=reset),
    "a reset within the body": Reply(write=reset_within_the_body),
    "no HTTP": Reply(write=writing(b"access-SECRET\r\n\r\n")),
    "a body without end": Reply(write=endless),
    "silence": Reply(write=writing(b"", pause=60)),
}


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
@pytest.mark.parametrize("reply", list(REPLIES.values()), ids=list(REPLIES))
def test_no_secret_shows_in_words_logs_or_representations(
    platform: Platform, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    conversation = converse(platform, ACCOUNTS, lambda _: reply, deadline_seconds=0.5)
    ended, _ = refresh(platform, ACCOUNTS[0], lambda _: Reply(write=reset) if reply.write else reply)
    shown = f"{conversation.readings!r} {conversation.results!r} {ended!r} {ACCOUNTS!r} {caplog.text}"
    assert "SECRET" not in shown


def test_the_credentials_show_none_of_their_keys() -> None:
    assert "SECRET" not in repr(values_for("http://127.0.0.1:1"))


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_a_talents_token_travels_in_no_address_of_a_read(platform: Platform) -> None:
    def addresses(received: Received) -> Any:
        return received.path, dict(received.query)

    conversation = converse(platform, ACCOUNTS, lambda _: reply_json({}))
    assert conversation.received
    assert "access-SECRET" not in str([addresses(received) for received in conversation.received])
