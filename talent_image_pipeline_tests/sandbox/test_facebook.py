"""Facebook's host: look-ups by handle, batches, several ids, and the app's hour.

What belongs here: reading with the agency's token. What does not: reading with a talent's own.
"""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.sandbox.calling import discovery_path, post_batch


@pytest.fixture(autouse=True)
def _two_accounts(world: World) -> None:
    world.add_account(Network.INSTAGRAM, "ana")
    world.add_account(Network.INSTAGRAM, "ben")


def get(sandbox: RunningSandbox, client: httpx.Client, path: str, *, token: str | None = None) -> httpx.Response:
    token = token or sandbox.environment["INSTAGRAM_BUSINESS_TOKEN"]
    return client.get(f"{sandbox.environment['FACEBOOK_API_URL']}/{path}", headers={"Authorization": f"Bearer {token}"})


def bodies(answer: httpx.Response) -> list[Any]:
    return [item and (item["code"], json.loads(item["body"])) for item in answer.json()]


def test_a_handle_is_looked_up_through_the_agencys_account(sandbox: RunningSandbox, client: httpx.Client) -> None:
    body = get(sandbox, client, discovery_path(sandbox, "ana")).json()
    assert body["business_discovery"]["username"] == "ana"
    assert body["id"] == sandbox.environment["INSTAGRAM_BUSINESS_ACCOUNT_ID"]


@pytest.mark.parametrize("situation", [Situation.DELETED, Situation.PRIVATE])
def test_hidden_accounts_look_like_unknown_ones(
    sandbox: RunningSandbox, client: httpx.Client, situation: Situation
) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", situation)
    hidden, unknown = (get(sandbox, client, discovery_path(sandbox, name)) for name in ("ana", "nobody"))
    assert hidden.status_code == unknown.status_code == 400
    assert hidden.json() == unknown.json()
    assert (hidden.json()["error"]["code"], hidden.json()["error"]["error_subcode"]) == (110, 2207013)


def test_an_unknown_field_of_a_look_up_fails_it(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = get(sandbox, client, discovery_path(sandbox, "ana", fields="username,is_verified"))
    assert answer.json()["error"]["code"] == 100


def test_another_token_than_the_agencys_is_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = get(sandbox, client, discovery_path(sandbox, "ana"), token="EAAother")
    assert answer.json()["error"]["code"] == 190


def test_a_batch_answers_in_the_order_of_its_requests(sandbox: RunningSandbox, client: httpx.Client) -> None:
    found = bodies(post_batch(sandbox, client, ["ben", "nobody", "ana"]))
    assert [code for code, _ in found] == [200, 400, 200]
    assert found[0][1]["business_discovery"]["username"] == "ben"
    assert found[2][1]["business_discovery"]["username"] == "ana"


def test_each_item_of_a_batch_counts_as_a_call(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.platforms[Platform.FACEBOOK].limit = 3
    first = post_batch(sandbox, client, ["ana", "ben"])
    assert json.loads(first.headers["x-app-usage"])["call_count"] == 66
    assert [code for code, _ in bodies(post_batch(sandbox, client, ["ana", "ben"]))] == [200, 403]
    assert bodies(post_batch(sandbox, client, ["ana"]))[0][1]["error"]["code"] == 4
    sandbox.world.clock_offset = timedelta(hours=1)
    assert bodies(post_batch(sandbox, client, ["ana"]))[0][0] == 200


def test_more_than_fifty_items_are_refused_as_a_whole(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert len(post_batch(sandbox, client, ["ana"] * 50).json()) == 50
    answer = post_batch(sandbox, client, ["ana"] * 51)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "GraphBatchException")


def test_an_item_that_the_batch_had_no_time_for_is_null(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.RESET)
    first, second = bodies(post_batch(sandbox, client, ["ana", "ben"]))
    assert first is None
    assert second[0] == 200


def test_headers_of_items_are_sent_only_where_they_are_wanted(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert "headers" not in post_batch(sandbox, client, ["ana"]).json()[0]


def test_several_ids_come_in_one_object_and_one_bad_id_fails_them_all(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    ana, ben = (sandbox.world.account(Network.INSTAGRAM, name).account_id for name in ("ana", "ben"))
    assert set(get(sandbox, client, f"v26.0/?ids={ana},{ben}&fields=username").json()) == {ana, ben}
    failed = get(sandbox, client, f"v26.0/?ids={ana},17841000000000000&fields=username")
    assert (failed.json()["error"]["code"], failed.json()["error"]["error_subcode"]) == (100, 33)


def test_a_talents_own_dead_token_does_not_hinder_a_look_up(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.TOKEN_EXPIRED)
    assert get(sandbox, client, discovery_path(sandbox, "ana")).status_code == 200


def test_posts_and_look_ups_are_counted_apart(sandbox: RunningSandbox, client: httpx.Client) -> None:
    post_batch(sandbox, client, ["ana", "ben"])
    assert sandbox.world.calls.total("facebook.batch") == 1
    assert sandbox.world.calls.total("facebook.discovery") == 2
    assert sandbox.world.calls.total("facebook.discovery", "ben") == 1
