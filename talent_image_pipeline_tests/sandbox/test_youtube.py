"""YouTube: filters, what is left out, partial answers, keys and units.

What belongs here: YouTube's API. What does not: its image host.
"""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network, Platform, Situation
from talent_image_pipeline.sandbox.world import World, account_id_of
from talent_image_pipeline_tests.sandbox.calling import list_channels

UNKNOWN = "UC" + "x" * 22


@pytest.fixture(autouse=True)
def _seven_channels(world: World) -> None:
    for number in range(7):
        world.add_account(Network.YOUTUBE, f"channel{number}")


def ids(*numbers: int) -> str:
    return ",".join(account_id_of(Network.YOUTUBE, f"channel{number}") for number in numbers)


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_channels_come_with_three_thumbnails_and_an_envelope(sandbox: RunningSandbox, client: httpx.Client) -> None:
    body = list_channels(sandbox, client, id=ids(0)).json()
    assert body["kind"] == "youtube#channelListResponse"
    assert body["pageInfo"] == {"totalResults": 1, "resultsPerPage": 5}
    thumbnails = body["items"][0]["snippet"]["thumbnails"]
    assert {name: one["width"] for name, one in thumbnails.items()} == {"default": 88, "medium": 240, "high": 800}


def test_without_a_number_only_five_channels_come(sandbox: RunningSandbox, client: httpx.Client) -> None:
    seven = ids(*range(7))
    assert len(list_channels(sandbox, client, id=seven).json()["items"]) == 5
    assert len(list_channels(sandbox, client, id=seven, maxResults=50).json()["items"]) == 7


def test_ids_may_be_repeated_parameters(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert len(list_channels(sandbox, client, id=[ids(0), ids(1, 2)]).json()["items"]) == 3


def test_unknown_and_deleted_channels_are_left_out_without_a_word(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    sandbox.world.set_situation(Network.YOUTUBE, "channel1", Situation.DELETED)
    answer = list_channels(sandbox, client, id=f"{ids(0, 1)},{UNKNOWN}")
    assert [item["id"] for item in answer.json()["items"]] == [ids(0)]


def test_where_nothing_is_found_there_are_no_items_but_an_envelope(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    answer = list_channels(sandbox, client, id=UNKNOWN, fields="kind,items(id)")
    assert (answer.status_code, answer.json()) == (200, {"kind": "youtube#channelListResponse"})
    sandbox.world.rules.youtube_sends_empty_items = True
    assert list_channels(sandbox, client, id=UNKNOWN).json()["items"] == []


@pytest.mark.parametrize("handle", ["@channel3", "channel3", "@Channel3"])
def test_a_handle_finds_its_channel_with_and_without_its_sign(
    sandbox: RunningSandbox, client: httpx.Client, handle: str
) -> None:
    assert list_channels(sandbox, client, forHandle=handle).json()["items"][0]["id"] == ids(3)


def test_fields_keep_only_what_they_name(sandbox: RunningSandbox, client: httpx.Client) -> None:
    mask = "items(id,snippet(title,thumbnails/high/url))"
    item = list_channels(sandbox, client, id=ids(0), fields=mask).json()["items"][0]
    assert item.keys() == {"id", "snippet"}
    assert item["snippet"].keys() == {"title", "thumbnails"}
    assert item["snippet"]["thumbnails"].keys() == {"high"}
    assert item["snippet"]["thumbnails"]["high"].keys() == {"url"}


@pytest.mark.parametrize("mask", ["items(id", "items)", "items(,id)", "items;id"])
def test_fields_that_break_the_grammar_are_refused(sandbox: RunningSandbox, client: httpx.Client, mask: str) -> None:
    assert reason_of(list_channels(sandbox, client, id=ids(0), fields=mask)) == (400, "invalidParameter")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (400, "missingRequiredParameter")),
        ({"id": UNKNOWN, "part": None}, (400, "missingRequiredParameter")),
        ({"id": UNKNOWN, "part": "snippet,portrait"}, (400, "unknownPart")),
        ({"id": UNKNOWN, "forHandle": "@a"}, (400, "incompatibleParameters")),
        ({"id": ",".join([UNKNOWN] * 51)}, (400, "invalidFilters")),
        ({"id": UNKNOWN, "maxResults": "51"}, (400, "invalidParameter")),
        ({"id": UNKNOWN, "key": None}, (403, "forbidden")),
        ({"mine": "true"}, (401, "authError")),
    ],
)
def test_requests_that_break_a_rule_are_refused_and_cost_a_unit_too(
    sandbox: RunningSandbox, client: httpx.Client, query: dict[str, str | None], expected: tuple[int, str]
) -> None:
    assert reason_of(list_channels(sandbox, client, **query)) == expected
    assert sandbox.world.youtube_units_today() == 1


def test_fifty_ids_are_one_unit(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert list_channels(sandbox, client, id=",".join([UNKNOWN] * 50)).status_code == 200
    assert sandbox.world.youtube_units_today() == 1


def test_a_wrong_key_is_refused_in_the_new_form_or_the_old(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = list_channels(sandbox, client, id=ids(0), key="wrong")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    sandbox.world.rules.youtube_has_old_key_error = True
    assert reason_of(list_channels(sandbox, client, id=ids(0), key="wrong")) == (400, "keyInvalid")


def test_the_key_may_be_a_header(sandbox: RunningSandbox, client: httpx.Client) -> None:
    client.headers["X-Goog-Api-Key"] = sandbox.environment["YOUTUBE_API_KEY"]
    assert list_channels(sandbox, client, id=ids(0), key=None).status_code == 200


def test_used_up_units_come_back_at_midnight_pacific(client: httpx.Client) -> None:
    # In July, Los Angeles is seven hours behind UTC.
    world = World(clock=lambda: datetime(2026, 7, 10, 6, 30, tzinfo=UTC))
    world.platforms[Platform.YOUTUBE].limit = 1
    with running_sandbox(world) as sandbox:
        assert list_channels(sandbox, client, id=UNKNOWN).status_code == 200
        refused = list_channels(sandbox, client, id=UNKNOWN)
        assert reason_of(refused) == (403, "quotaExceeded")
        assert refused.json()["error"]["errors"][0]["domain"] == "youtube.quota"
        world.clock_offset = timedelta(minutes=29)
        assert list_channels(sandbox, client, id=UNKNOWN).status_code == 403
        world.clock_offset = timedelta(minutes=30)
        assert list_channels(sandbox, client, id=UNKNOWN).status_code == 200


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation.RATE_LIMITED, (403, "quotaExceeded")),
        (Situation.USER_LIMIT, (403, "userRateLimitExceeded")),
        (Situation.CUSTOM_LIMIT, (429, "rateLimitExceeded")),
        (Situation.API_NOT_ENABLED, (403, "accessNotConfigured")),
        (Situation.SERVER_ERROR, (500, "backendError")),
        (Situation.TRANSIENT, (503, "backendError")),
        (Situation.ERROR_IN_200, (200, "internalError")),
    ],
)
def test_each_trouble_has_its_documented_reason(
    sandbox: RunningSandbox, client: httpx.Client, situation: Situation, expected: tuple[int, str]
) -> None:
    sandbox.world.set_platform_situation(Platform.YOUTUBE, situation)
    assert reason_of(list_channels(sandbox, client, id=ids(0))) == expected


def test_a_new_channel_has_no_thumbnails_and_does_not_hinder_the_others(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    sandbox.world.set_situation(Network.YOUTUBE, "channel0", Situation.PICTURE_LEFT_OUT)
    items = list_channels(sandbox, client, id=ids(0, 1)).json()["items"]
    thumbnails = {item["id"]: item["snippet"]["thumbnails"] for item in items}
    assert thumbnails[ids(0)] == {}
    assert thumbnails[ids(1)]


def test_a_channel_without_a_picture_of_its_own_shows_the_default_user(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    sandbox.world.set_situation(Network.YOUTUBE, "channel0", Situation.SILHOUETTE)
    thumbnails = list_channels(sandbox, client, id=ids(0)).json()["items"][0]["snippet"]["thumbnails"]
    assert "/a/default-user=s800" in thumbnails["high"]["url"]
