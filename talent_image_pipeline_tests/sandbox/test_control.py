"""The control interface: looking in, changing, and being told what is wrong.

What belongs here: ``/control``. What does not: what a situation does.
"""

from typing import Any

import httpx
import pytest

from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.sandbox.calling import read_instagram, read_tiktok


@pytest.fixture(autouse=True)
def _ana(world: World) -> None:
    world.add_account(Network.INSTAGRAM, "ana")


def put(sandbox: RunningSandbox, client: httpx.Client, path: str, body: Any) -> httpx.Response:
    return client.put(f"{sandbox.origin}/control/{path}", json=body)


def test_the_overview_names_situations_platforms_and_accounts(sandbox: RunningSandbox, client: httpx.Client) -> None:
    overview = client.get(f"{sandbox.origin}/control").json()
    assert set(overview["situations"]) == set(Situation)
    assert set(overview["platforms"]) == set(Platform)
    assert [account["handle"] for account in overview["accounts"]] == ["ana"]


def test_a_situation_takes_effect_at_once_and_goes_again(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = put(sandbox, client, "accounts/instagram/ana", {"situation": "outage"})
    assert answer.json()["situation"] == "outage"
    assert read_instagram(sandbox, client, "ana").status_code == 503
    put(sandbox, client, "accounts/instagram/ana", {"situation": "ok"})
    assert read_instagram(sandbox, client, "ana").status_code == 200


def test_a_new_picture_has_another_content_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    before = client.get(f"{sandbox.origin}/control/accounts/instagram/ana").json()["content_id"]
    after = put(sandbox, client, "accounts/instagram/ana", {"picture": "new"}).json()["content_id"]
    assert after != before
    assert after in read_instagram(sandbox, client, "ana").json()["profile_picture_url"]


def test_a_handle_that_is_given_away_is_another_accounts_from_then_on(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    before = client.get(f"{sandbox.origin}/control/accounts/instagram/ana").json()
    after = put(sandbox, client, "accounts/instagram/ana", {"handle": "given away"}).json()
    assert after["handle"] == before["handle"]
    assert (after["id"] != before["id"], after["content_id"] != before["content_id"]) == (True, True)
    refused = put(sandbox, client, "accounts/instagram/ana", {"handle": "ben"})
    assert (refused.status_code, "given away" in refused.json()["error"]) == (400, True)


def test_an_added_account_comes_with_tokens_that_work(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = client.post(f"{sandbox.origin}/control/accounts", json={"network": "tiktok", "handle": "ben"})
    assert answer.status_code == 201
    assert read_tiktok(sandbox, client, "ben", token=answer.json()["access_token"]).status_code == 200


def test_a_reconnected_account_gets_new_tokens(sandbox: RunningSandbox, client: httpx.Client) -> None:
    tokens = put(sandbox, client, "accounts/instagram/ana", {"reconnect": True}).json()
    url = f"{sandbox.environment['INSTAGRAM_API_URL']}/me"
    assert client.get(url, params={"access_token": tokens["access_token"]}).status_code == 200


def test_many_accounts_are_added_at_once(sandbox: RunningSandbox, client: httpx.Client) -> None:
    body = {"network": "youtube", "count": 500, "handle": "many"}
    assert client.post(f"{sandbox.origin}/control/accounts", json=body).json() == {"added": 500}
    assert client.get(f"{sandbox.origin}/control/accounts/youtube/many_00499").status_code == 200


def test_a_platforms_situation_latency_and_limit_are_set(sandbox: RunningSandbox, client: httpx.Client) -> None:
    body = {"situation": "outage", "api_latency_ms": 200, "image_latency_ms": 50, "limit": 9, "usage_percent": 95}
    put(sandbox, client, "platforms/instagram", body)
    state = sandbox.world.platforms[Platform.INSTAGRAM]
    assert state.trouble.situation is Situation.OUTAGE
    assert (state.api_latency, state.image_latency, state.limit, state.usage_percent) == (0.2, 0.05, 9, 95)
    put(sandbox, client, "platforms/instagram", {"limit": None})
    assert (state.limit, state.api_latency, state.trouble.situation) == (None, 0.2, Situation.OUTAGE)


def test_calls_are_shown_and_forgotten(sandbox: RunningSandbox, client: httpx.Client) -> None:
    read_instagram(sandbox, client, "ana")
    assert client.get(f"{sandbox.origin}/control/calls").json() == {"instagram.me": {"ana": 1}}
    assert client.delete(f"{sandbox.origin}/control/calls").status_code == 204
    assert client.get(f"{sandbox.origin}/control/calls").json() == {}


def test_moving_the_clock_makes_tokens_expire(sandbox: RunningSandbox, client: httpx.Client) -> None:
    token = sandbox.world.connect(Network.INSTAGRAM, "ana").access_token
    put(sandbox, client, "clock", {"offset_seconds": 61 * 86_400})
    url = f"{sandbox.environment['INSTAGRAM_API_URL']}/me"
    assert client.get(url, params={"access_token": token}).json()["error"]["error_subcode"] == 463


def test_rules_are_changed_and_shown(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert put(sandbox, client, "rules", {"tiktok_access_seconds": 86_400}).json()["tiktok_access_seconds"] == 86_400
    assert sandbox.world.rules.tiktok_access_seconds == 86_400


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("accounts/instagram/ana", {"situation": "sleepy"}, "sleepy"),
        ("accounts/instagram/ana", {"situation": 5}, "5"),
        ("accounts/instagram/ana", {"picture": "old"}, "picture"),
        ("accounts/instagram/ana", {"mood": "good"}, "mood"),
        ("accounts/instagram/ana", {"seconds": 3}, "situation"),
        ("accounts/instagram/ana", {"situation": "slow", "seconds": -1}, "seconds"),
        ("accounts/instagram/ana", ["outage"], "object"),
        ("accounts/myspace/ana", {}, "myspace"),
        ("platforms/myspace", {}, "myspace"),
        ("platforms/tiktok", {"limit": 0}, "limit"),
        ("platforms/tiktok", {"api_latency_ms": "fast"}, "api_latency_ms"),
        ("rules", {"tiktok_access_seconds": True}, "tiktok_access_seconds"),
        ("rules", {"gravity": 1}, "gravity"),
        ("clock", {"offset_seconds": "later"}, "offset_seconds"),
        ("clock", {}, "offset_seconds"),
    ],
)
def test_bad_input_is_refused_with_a_sentence_and_changes_nothing(
    sandbox: RunningSandbox, client: httpx.Client, path: str, body: Any, word: str
) -> None:
    overview = client.get(f"{sandbox.origin}/control").json()
    answer = put(sandbox, client, path, body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    after = client.get(f"{sandbox.origin}/control").json()
    assert {**after, "now": ""} == {**overview, "now": ""}


def test_a_body_that_is_no_json_is_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = client.put(f"{sandbox.origin}/control/clock", content=b"{soon")
    assert (answer.status_code, "JSON" in answer.json()["error"]) == (400, True)


def test_an_unknown_account_is_not_found(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = put(sandbox, client, "accounts/instagram/nobody", {"situation": "ok"})
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (404, True)


def test_a_handle_that_is_taken_is_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = client.post(f"{sandbox.origin}/control/accounts", json={"network": "instagram", "handle": "@Ana"})
    assert (answer.status_code, "ana" in answer.json()["error"]) == (400, True)
