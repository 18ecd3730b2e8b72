"""TikTok: what it says of a user, how tokens rotate, and the sliding minute.

What belongs here: TikTok's API. What does not: its image host.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from talent_image_pipeline.sandbox.image_hosts import TIKTOK_SILHOUETTE
from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.sandbox.calling import read_tiktok, refresh_tiktok


@pytest.fixture(autouse=True)
def _ana(world: World) -> None:
    world.add_account(Network.TIKTOK, "ana", name="Ana Lima")


def refresh_token_of(sandbox: RunningSandbox, *, age: timedelta = timedelta()) -> str:
    return sandbox.world.connect(Network.TIKTOK, "ana", age=age).refresh_token or ""


def test_success_has_the_code_ok(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = read_tiktok(sandbox, client, "ana")
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "ok")
    assert set(answer.json()["data"]["user"]) == {
        "open_id",
        "union_id",
        "display_name",
        "avatar_url",
        "avatar_url_100",
        "avatar_large_url",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", (400, "invalid_params")),
        ("open_id,avatar_url_200", (400, "invalid_params")),
        ("open_id,username", (401, "scope_not_authorized")),
        ("open_id,follower_count", (401, "scope_not_authorized")),
    ],
)
def test_missing_unknown_and_ungranted_fields_fail_the_whole_request(
    sandbox: RunningSandbox, client: httpx.Client, fields: str, expected: tuple[int, str]
) -> None:
    answer = read_tiktok(sandbox, client, "ana", fields=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == expected


def test_a_path_without_its_slash_does_not_exist(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert client.get(f"{sandbox.environment['TIKTOK_API_URL']}/v2/user/info?fields=open_id").status_code == 404
    assert client.post(f"{sandbox.environment['TIKTOK_API_URL']}/v2/oauth/token").status_code == 404


def test_a_read_without_a_token_is_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = client.get(f"{sandbox.environment['TIKTOK_API_URL']}/v2/user/info/?fields=open_id")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "access_token_invalid")


def test_an_access_token_lives_two_hours(sandbox: RunningSandbox, client: httpx.Client) -> None:
    token = sandbox.world.connect(Network.TIKTOK, "ana").access_token
    sandbox.world.clock_offset = timedelta(minutes=119)
    assert read_tiktok(sandbox, client, "ana", token=token).status_code == 200
    sandbox.world.clock_offset = timedelta(minutes=121)
    assert read_tiktok(sandbox, client, "ana", token=token).json()["error"]["code"] == "access_token_invalid"


def test_a_refresh_rotates_the_pair_and_the_old_one_is_dead_at_once(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    old = refresh_token_of(sandbox)
    pair = refresh_tiktok(sandbox, client, old).json()
    assert pair["refresh_token"] != old
    assert (pair["expires_in"], pair["token_type"]) == (7_200, "Bearer")
    assert read_tiktok(sandbox, client, "ana", token=pair["access_token"]).status_code == 200
    refused = refresh_tiktok(sandbox, client, old)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refresh_tiktok(sandbox, client, pair["refresh_token"]).status_code == 200


def test_a_refresh_does_not_extend_the_consent(sandbox: RunningSandbox, client: httpx.Client) -> None:
    first = refresh_tiktok(sandbox, client, refresh_token_of(sandbox)).json()
    assert first["refresh_expires_in"] == pytest.approx(180 * 86_400, abs=5)
    sandbox.world.clock_offset = timedelta(days=100)
    second = refresh_tiktok(sandbox, client, first["refresh_token"]).json()
    assert second["refresh_expires_in"] == pytest.approx(80 * 86_400, abs=5)
    sandbox.world.clock_offset = timedelta(days=181)
    assert refresh_tiktok(sandbox, client, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_access_token_does_not_outlive_the_consent(sandbox: RunningSandbox, client: httpx.Client) -> None:
    almost_over = refresh_token_of(sandbox, age=timedelta(days=179, hours=23))
    assert refresh_tiktok(sandbox, client, almost_over).json()["expires_in"] == pytest.approx(3_600, abs=5)


def test_a_new_consent_gives_life_to_an_account_whose_pair_was_lost(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    refresh_tiktok(sandbox, client, refresh_token_of(sandbox))
    sandbox.world.clock_offset = timedelta(days=1)
    assert "access_token" in refresh_tiktok(sandbox, client, refresh_token_of(sandbox)).json()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_grant"),
        ({"refresh_token": "rft.garbage"}, "invalid_grant"),
        ({"refresh_token": ""}, "invalid_request"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_errors_of_the_token_endpoint_are_flat_and_their_status_is_a_switch(
    sandbox: RunningSandbox, client: httpx.Client, changed: dict[str, str], error: str, status: int
) -> None:
    sandbox.world.rules.tiktok_oauth_error_status = status
    answer = refresh_tiktok(sandbox, client, refresh_token_of(sandbox), changed=changed)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert isinstance(answer.json()["error_description"], str)


def test_a_lost_answer_has_rotated_the_pair_and_happens_once(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.TIKTOK, "ana", Situation.REFRESH_ANSWER_LOST)
    token = refresh_token_of(sandbox)
    with pytest.raises(httpx.TransportError):
        refresh_tiktok(sandbox, client, token)
    assert refresh_tiktok(sandbox, client, token).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_slow_answer_has_rotated_the_pair_before_it_comes(
    sandbox: RunningSandbox, client: httpx.Client, is_ended: bool
) -> None:
    sandbox.world.set_situation(
        Network.TIKTOK, "ana", Situation.REFRESH_ANSWER_SLOW, seconds=3_600 if is_ended else 1.0
    )
    token = refresh_token_of(sandbox)
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(refresh_tiktok, sandbox, client, token)
        while not sandbox.world.account(Network.TIKTOK, "ana").generation:
            time.sleep(0.01)
        assert not answer.done()
        assert refresh_tiktok(sandbox, client, token).json()["error"] == "invalid_grant"
        if is_ended:
            sandbox.world.set_situation(Network.TIKTOK, "ana", Situation.OK)
    sandbox.world.set_situation(Network.TIKTOK, "ana", Situation.OK)
    assert "access_token" in refresh_tiktok(sandbox, client, answer.result().json()["refresh_token"]).json()


def test_a_lost_request_has_rotated_nothing(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.TIKTOK, "ana", Situation.REFRESH_REQUEST_LOST)
    token = refresh_token_of(sandbox)
    with pytest.raises(httpx.TransportError):
        refresh_tiktok(sandbox, client, token)
    assert "access_token" in refresh_tiktok(sandbox, client, token).json()


def test_a_restarted_sandbox_remembers_what_it_rotated(tmp_path: Path, client: httpx.Client) -> None:
    state_file = tmp_path / "new" / "state.json"
    first = World(state_file=state_file)
    first.add_account(Network.TIKTOK, "ana")
    with running_sandbox(first) as sandbox:
        old = refresh_token_of(sandbox)
        new = refresh_tiktok(sandbox, client, old).json()["refresh_token"]
    second = World(state_file=state_file)
    second.add_account(Network.TIKTOK, "ana")
    with running_sandbox(second) as sandbox:
        assert refresh_tiktok(sandbox, client, old).json()["error"] == "invalid_grant"
        assert "access_token" in refresh_tiktok(sandbox, client, new).json()
    assert [path.name for path in state_file.parent.iterdir()] == ["state.json"]


def test_a_sandbox_without_a_memory_takes_the_tokens_of_an_earlier_one(client: httpx.Client) -> None:
    tokens: list[str] = []
    for _ in range(2):
        world = World()
        world.add_account(Network.TIKTOK, "ana")
        with running_sandbox(world) as sandbox:
            token = tokens[-1] if tokens else refresh_token_of(sandbox)
            tokens.append(refresh_tiktok(sandbox, client, token).json()["refresh_token"])
    assert tokens[0] != tokens[1]


def test_a_state_file_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("[1", encoding="utf-8")
    with pytest.raises(ValueError, match="delete it"):
        World(state_file=tmp_path / "state.json")


def test_a_revoked_consent_kills_both_tokens(sandbox: RunningSandbox, client: httpx.Client) -> None:
    tokens = sandbox.world.connect(Network.TIKTOK, "ana")
    form = {
        "client_key": sandbox.environment["TIKTOK_CLIENT_KEY"],
        "client_secret": sandbox.environment["TIKTOK_CLIENT_SECRET"],
        "token": tokens.access_token,
    }
    assert client.post(f"{sandbox.environment['TIKTOK_API_URL']}/v2/oauth/revoke/", data=form).status_code == 200
    assert read_tiktok(sandbox, client, "ana", token=tokens.access_token).status_code == 401
    assert refresh_tiktok(sandbox, client, tokens.refresh_token or "").json()["error"] == "invalid_grant"


def test_the_minute_is_a_sliding_one(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.platforms[Platform.TIKTOK].limit = 2
    assert [read_tiktok(sandbox, client, "ana").status_code for _ in range(3)] == [200, 200, 429]
    sandbox.world.clock_offset = timedelta(seconds=61)
    assert read_tiktok(sandbox, client, "ana").status_code == 200


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation.TOKEN_EXPIRED, (401, "access_token_invalid")),
        (Situation.SCOPE_MISSING, (401, "scope_not_authorized")),
        (Situation.FIELD_REMOVED, (400, "invalid_params")),
        (Situation.RATE_LIMITED, (429, "rate_limit_exceeded")),
        (Situation.SERVER_ERROR, (500, "internal_error")),
        (Situation.ERROR_IN_200, (200, "internal_error")),
    ],
)
def test_each_trouble_has_its_documented_code(
    sandbox: RunningSandbox, client: httpx.Client, situation: Situation, expected: tuple[int, str]
) -> None:
    sandbox.world.set_situation(Network.TIKTOK, "ana", situation)
    answer = read_tiktok(sandbox, client, "ana")
    assert (answer.status_code, answer.json()["error"]["code"]) == expected


def test_a_silhouette_has_its_known_object_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.TIKTOK, "ana", Situation.SILHOUETTE)
    assert f"/{TIKTOK_SILHOUETTE}~" in read_tiktok(sandbox, client, "ana").json()["data"]["user"]["avatar_url"]
