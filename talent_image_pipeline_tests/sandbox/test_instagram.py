"""Instagram with a talent's own token: what it says of a user, and how a token is renewed.

What belongs here: Instagram's own host. What does not: Facebook's host and the image host.
"""

import json
from datetime import timedelta

import httpx
import pytest

from talent_image_pipeline.sandbox.image_hosts import INSTAGRAM_SILHOUETTE
from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.sandbox.calling import read_instagram


@pytest.fixture(autouse=True)
def _ana(world: World) -> None:
    world.add_account(Network.INSTAGRAM, "ana", name="Ana Lima")


def error_of(answer: httpx.Response) -> tuple[int, int, int | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("error_subcode")


def refresh(sandbox: RunningSandbox, client: httpx.Client, token: str) -> httpx.Response:
    return client.get(
        f"{sandbox.environment['INSTAGRAM_API_URL']}/refresh_access_token",
        params={"grant_type": "ig_refresh_token", "access_token": token},
    )


def test_a_user_is_a_flat_object_with_the_fields_that_were_asked_for(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    user = read_instagram(sandbox, client, "ana", fields="user_id,username,account_type").json()
    assert set(user) == {"id", "user_id", "username", "account_type"}
    assert user["username"] == "ana"


def test_a_user_is_wrapped_in_data_where_the_rule_says_so(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.rules.instagram_wraps_in_data = True
    assert read_instagram(sandbox, client, "ana").json()["data"][0]["username"] == "ana"


def test_a_token_works_as_a_parameter_too(sandbox: RunningSandbox, client: httpx.Client) -> None:
    token = sandbox.world.connect(Network.INSTAGRAM, "ana").access_token
    answer = client.get(f"{sandbox.environment['INSTAGRAM_API_URL']}/me", params={"access_token": token})
    assert answer.json()["username"] == "ana"


def test_one_unknown_field_fails_the_whole_request(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = read_instagram(sandbox, client, "ana", fields="username,is_verified")
    assert error_of(answer) == (400, 100, None)
    assert "is_verified" in answer.json()["error"]["message"]


def test_without_a_token_nothing_is_said(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert error_of(client.get(f"{sandbox.environment['INSTAGRAM_API_URL']}/me")) == (400, 2500, None)


def test_a_token_that_was_tampered_with_is_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    token = sandbox.world.connect(Network.INSTAGRAM, "ana").access_token
    altered = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
    answer = client.get(f"{sandbox.environment['INSTAGRAM_API_URL']}/me", params={"access_token": altered})
    assert error_of(answer) == (400, 190, None)


def test_a_token_lives_sixty_days(sandbox: RunningSandbox, client: httpx.Client) -> None:
    token = sandbox.world.connect(Network.INSTAGRAM, "ana").access_token
    url = f"{sandbox.environment['INSTAGRAM_API_URL']}/me"
    sandbox.world.clock_offset = timedelta(days=60, minutes=-1)
    assert client.get(url, params={"access_token": token}).status_code == 200
    sandbox.world.clock_offset = timedelta(days=60, minutes=1)
    assert error_of(client.get(url, params={"access_token": token})) == (400, 190, 463)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation.TOKEN_EXPIRED, (400, 190, 463)),
        (Situation.TOKEN_INVALID, (400, 190, None)),
        (Situation.PASSWORD_CHANGED, (400, 190, 460)),
        (Situation.APP_REMOVED, (400, 190, 458)),
        (Situation.CHECKPOINT, (400, 190, 459)),
        (Situation.UNCONFIRMED, (400, 190, 464)),
        (Situation.SCOPE_MISSING, (403, 10, None)),
        (Situation.DELETED, (400, 100, 33)),
        (Situation.RATE_LIMITED, (400, 80002, None)),
        (Situation.USER_LIMIT, (400, 17, None)),
        (Situation.PAGE_LIMIT, (400, 32, None)),
        (Situation.CUSTOM_LIMIT, (400, 613, None)),
        (Situation.POLICY_BLOCK, (400, 368, None)),
        (Situation.FIELD_REMOVED, (400, 100, None)),
        (Situation.SERVER_ERROR, (500, 1, 99)),
        (Situation.TRANSIENT, (400, 2, None)),
        (Situation.ERROR_IN_200, (200, 2, None)),
    ],
)
def test_each_trouble_has_its_documented_numbers(
    sandbox: RunningSandbox, client: httpx.Client, situation: Situation, expected: tuple[int, int, int | None]
) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", situation)
    assert error_of(read_instagram(sandbox, client, "ana")) == expected


def test_an_exhausted_account_says_when_it_may_be_asked_again(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.RATE_LIMITED)
    usage = json.loads(read_instagram(sandbox, client, "ana").headers["x-business-use-case-usage"])
    (entry,) = usage[sandbox.world.account(Network.INSTAGRAM, "ana").account_id]
    assert (entry["type"], entry["call_count"]) == ("instagram", 100)
    assert entry["estimated_time_to_regain_access"] > 0


def test_usage_is_reported_as_it_is_set(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.platforms[Platform.INSTAGRAM].usage_percent = 95
    usage = json.loads(read_instagram(sandbox, client, "ana").headers["x-business-use-case-usage"])
    assert next(iter(usage.values()))[0]["call_count"] == 95


def test_without_a_picture_the_field_is_left_out(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.NO_PICTURE)
    user = read_instagram(sandbox, client, "ana").json()
    assert "profile_picture_url" not in user
    assert user["has_profile_pic"] is False


def test_a_silhouette_has_its_known_file_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.SILHOUETTE)
    assert INSTAGRAM_SILHOUETTE in read_instagram(sandbox, client, "ana").json()["profile_picture_url"]


def test_a_flag_can_tell_a_silhouette_of_an_unknown_file_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.NO_PICTURE_FLAG)
    user = read_instagram(sandbox, client, "ana").json()
    assert user["has_profile_pic"] is False
    assert INSTAGRAM_SILHOUETTE not in user["profile_picture_url"]


def test_another_account_behind_a_token_has_another_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    before = read_instagram(sandbox, client, "ana").json()["user_id"]
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.WRONG_ACCOUNT)
    assert read_instagram(sandbox, client, "ana").json()["user_id"] != before


@pytest.mark.parametrize("age", [timedelta(hours=23), timedelta(days=61)])
def test_a_token_too_young_or_expired_is_not_renewed(
    sandbox: RunningSandbox, client: httpx.Client, age: timedelta
) -> None:
    token = sandbox.world.connect(Network.INSTAGRAM, "ana", age=age).access_token
    assert error_of(refresh(sandbox, client, token))[1] == 190


def test_a_renewed_token_lives_another_sixty_days_and_the_old_one_lives_on(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    old = sandbox.world.connect(Network.INSTAGRAM, "ana", age=timedelta(days=50)).access_token
    renewed = refresh(sandbox, client, old).json()
    assert renewed["token_type"] == "bearer"
    assert renewed["expires_in"] == pytest.approx(60 * 86_400, abs=5)
    url = f"{sandbox.environment['INSTAGRAM_API_URL']}/me"
    for token in (old, renewed["access_token"]):
        assert client.get(url, params={"access_token": token}).status_code == 200
    sandbox.world.clock_offset = timedelta(days=20)
    assert client.get(url, params={"access_token": renewed["access_token"]}).status_code == 200
    assert client.get(url, params={"access_token": old}).status_code == 400


def test_every_read_is_counted_for_its_account(sandbox: RunningSandbox, client: httpx.Client) -> None:
    for _ in range(3):
        read_instagram(sandbox, client, "ana")
    assert sandbox.world.calls.total("instagram.me", "ana") == 3
    sandbox.world.calls.clear()
    assert sandbox.world.calls.total("instagram.me") == 0
