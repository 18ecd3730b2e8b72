"""YouTube's answers as they come, and how channels are grouped into calls."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from talent_image_pipeline.clock import next_midnight
from talent_image_pipeline.platforms.contract import Account, Outcome, Scope, is_other_account
from talent_image_pipeline.platforms.youtube import YOUTUBE
from talent_image_pipeline_tests.platforms.scripted_server import Received, Reply, converse, reply_json

CHANNEL = "UC_x5XG1OV2P6uZZ5FSM9Ttw"
SIZES = {"default": 88, "medium": 240, "high": 800}


def thumbnails(path: str = "ytc/AMLnZu-oDvWEJ", *, with_widths: bool = True) -> dict[str, Any]:
    return {
        name: {"url": f"https://yt3.ggpht.com/{path}=s{width}-c-k-c0x00ffffff-no-rj"}
        | ({"width": width, "height": width} if with_widths else {})
        for name, width in SIZES.items()
    }


def channel(channel_id: str, pictures: Any = None, *, handle: str = "@ada") -> dict[str, Any]:
    shown = thumbnails(f"ytc/{channel_id}") if pictures is None else pictures
    return {"id": channel_id, "snippet": {"title": "Ada", "customUrl": handle, "thumbnails": shown}}


def listing(*items: dict[str, Any]) -> Reply:
    return reply_json({"kind": "youtube#channelListResponse", "items": list(items)})


def every_channel_exists(request: Received) -> Reply:
    return listing(*(channel(channel_id) for channel_id in reversed(request.query["id"].split(","))))


def account(handle: str = CHANNEL, **changes: Any) -> Account:
    return Account(**{"account_id": "a", "handle": handle, **changes})


def read_one(pictures: Any, **changes: Any) -> Any:
    return converse(YOUTUBE, [account(**changes)], lambda _: listing(channel(CHANNEL, pictures))).reading


def numbered(number: int) -> Account:
    return account(f"UC{number:022}", account_id=str(number))


@pytest.mark.parametrize("with_widths", [True, False])
def test_the_widest_picture_is_taken_and_known_by_what_stands_before_its_size(*, with_widths: bool) -> None:
    reading = read_one(thumbnails(with_widths=with_widths))
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id == CHANNEL
    assert "=s800-" in reading.picture.url.get_secret_value()
    assert reading.picture.content_id == "ytc/AMLnZu-oDvWEJ"
    assert reading.picture.expires_at is None


def test_channels_are_asked_for_below_the_configured_path_with_the_key() -> None:
    (request,) = converse(YOUTUBE, [account()], every_channel_exists).received
    assert (request.method, request.path) == ("GET", "/youtube.googleapis.com/youtube/v3/channels")
    assert request.query == {
        "part": "snippet",
        "id": CHANNEL,
        "maxResults": "50",
        "fields": "kind,items(id,snippet(title,customUrl,thumbnails))",
        "key": "api-key-SECRET",
    }


def test_the_same_picture_in_another_size_is_unchanged() -> None:
    pictures = {"default": {"url": "https://yt3.googleusercontent.com/ytc/AMLnZu-oDvWEJ=s88-c-k"}}
    reading = read_one(pictures, content_id="ytc/AMLnZu-oDvWEJ")
    assert reading.outcome is Outcome.UNCHANGED
    assert reading.picture is not None


def test_an_address_of_the_old_style_is_known_without_its_size() -> None:
    one, other = (
        read_one({"default": {"url": f"https://yt3.ggpht.com/-yUg/AAAAI/AAAAA/IE61/{size}/photo.jpg"}}).picture
        for size in ("s88-c-k-no-mo", "s800-c-k-no-mo")
    )
    assert one.content_id == other.content_id == "-yUg/AAAAI/AAAAA/IE61/photo.jpg"


def test_a_channel_that_shows_the_default_picture_has_none_of_its_own() -> None:
    assert read_one(thumbnails("a/default-user")).outcome is Outcome.NO_PICTURE


@pytest.mark.parametrize("pictures", [{}, {"default": {}}, {"default": {"url": ""}}, []])
def test_empty_thumbnails_are_not_ready_and_no_word_that_there_is_no_picture(pictures: Any) -> None:
    reading = read_one(pictures)
    assert (reading.outcome, reading.scope) == (Outcome.UNAVAILABLE, Scope.ACCOUNT)


def test_a_channel_that_is_left_out_is_to_be_confirmed_as_gone_and_the_others_are_read() -> None:
    conversation = converse(YOUTUBE, [numbered(1), numbered(2)], lambda _: listing(channel(f"UC{2:022}")))
    assert conversation.readings["1"].outcome is Outcome.UNCONFIRMED
    assert conversation.readings["1"].suggests is Outcome.GONE
    assert conversation.readings["2"].outcome is Outcome.PICTURE


@pytest.mark.parametrize("items", [{}, {"items": []}, {"items": None}])
def test_an_answer_without_any_channel_is_to_be_confirmed(items: dict[str, Any]) -> None:
    body = {"kind": "youtube#channelListResponse", **items}
    reading = converse(YOUTUBE, [account()], lambda _: reply_json(body)).reading
    assert (reading.outcome, reading.suggests) == (Outcome.UNCONFIRMED, Outcome.GONE)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": {}},
        {"kind": "other"},
        {"kind": "youtube#subscriptionListResponse", "items": []},
        {"items": [channel("UC" + "x" * 22), None]},
        {"items": [{"id": {"channelId": CHANNEL}}]},
        [],
        "text",
        None,
    ],
)
def test_an_answer_that_is_not_youtubes_declares_no_channel_gone(body: Any) -> None:
    assert converse(YOUTUBE, [account()], lambda _: reply_json(body)).reading.outcome is Outcome.UNAVAILABLE


def test_120_channels_are_three_calls() -> None:
    conversation = converse(YOUTUBE, [numbered(number) for number in range(120)], every_channel_exists)
    assert conversation.costs == [("youtube", 1)] * 3
    assert [len(request.query["id"].split(",")) for request in conversation.received] == [50, 50, 20]
    assert conversation.counted == 3
    for name, reading in conversation.readings.items():
        assert reading.picture is not None
        assert reading.picture.content_id == f"ytc/UC{int(name):022}"


def test_a_channel_that_several_talents_share_is_asked_for_once() -> None:
    accounts = [account(account_id=str(number)) for number in range(60)]
    conversation = converse(YOUTUBE, accounts, every_channel_exists)
    assert conversation.costs == [("youtube", 1)]
    assert conversation.received[0].query["id"] == CHANNEL
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.PICTURE}


@pytest.mark.parametrize(
    "known",
    [
        account(),
        account(f"https://www.youtube.com/channel/{CHANNEL}/videos"),
        account("@ada", profile_url=f"https://youtube.com/channel/{CHANNEL}"),
        account("Ada", profile_url=f"https://music.youtube.com/channel/{CHANNEL}"),
    ],
    ids=["as the handle", "in the handle's address", "in the page's address", "on another of YouTube's hosts"],
)
def test_a_channel_is_read_by_its_id_wherever_the_id_is_known_from(known: Account) -> None:
    conversation = converse(YOUTUBE, [known], every_channel_exists)
    assert conversation.received[0].query["id"] == CHANNEL
    assert conversation.reading.upstream_id == CHANNEL


def test_a_resolved_handle_is_read_by_its_channel_id_from_then_on() -> None:
    first = converse(YOUTUBE, [account("@Ada")], lambda _: listing(channel(CHANNEL))).reading
    again = converse(YOUTUBE, [account("@ADA", upstream_id=first.upstream_id)], every_channel_exists)
    assert again.received[0].query["id"] == CHANNEL
    assert again.reading.upstream_id == first.upstream_id


@pytest.mark.parametrize(
    "changed",
    [
        {"handle": "@other"},
        {"handle": "Ada Lovelace", "profile_url": "https://youtube.com/@other"},
        {"handle": "@ada", "profile_url": "https://youtube.com/@other"},
    ],
)
def test_a_remembered_channel_is_forgotten_when_handle_or_page_name_another_one(changed: dict[str, Any]) -> None:
    remembered = f"{CHANNEL} via @ada"
    other = channel("UC" + "o" * 22, handle="@other")
    conversation = converse(YOUTUBE, [account(**changed, upstream_id=remembered)], lambda _: listing(other))
    assert conversation.received[0].query["forHandle"] == "other"
    assert conversation.reading.outcome is Outcome.PICTURE
    assert is_other_account(remembered, conversation.reading)


def test_a_page_that_names_another_channel_id_beats_the_remembered_one() -> None:
    page = f"https://youtube.com/channel/UC{2:022}"
    conversation = converse(
        YOUTUBE, [account("@ada", profile_url=page, upstream_id=f"{CHANNEL} via @ada")], every_channel_exists
    )
    assert conversation.received[0].query["id"] == f"UC{2:022}"


def test_the_handle_of_a_channel_that_is_gone_is_looked_up_again_and_may_be_another_channels_by_now() -> None:
    gone = converse(YOUTUBE, [account("@ada", upstream_id=f"{CHANNEL} via @ada")], lambda _: listing()).reading
    assert (gone.outcome, gone.suggests) == (Outcome.UNCONFIRMED, Outcome.GONE)
    successor = listing(channel("UC" + "n" * 22))
    next_day = converse(YOUTUBE, [account("@ada", upstream_id=gone.upstream_id)], lambda _: successor)
    assert next_day.received[0].query["forHandle"] == "ada"
    assert next_day.reading.outcome is Outcome.PICTURE
    assert is_other_account(gone.upstream_id, next_day.reading)


def test_a_channel_that_is_gone_with_its_handle_is_said_to_be_gone_again() -> None:
    reading = converse(YOUTUBE, [account("@ada", upstream_id=CHANNEL)], lambda _: listing()).reading
    assert (reading.outcome, reading.suggests) == (Outcome.UNCONFIRMED, Outcome.GONE)


@pytest.mark.parametrize(
    ("spelled", "asked"),
    [
        (account("Ada Lovelace", profile_url="https://www.youtube.com/user/AdaL"), {"forUsername": "AdaL"}),
        (account("Ada Lovelace", profile_url="https://www.youtube.com/c/AdaL/videos"), {"forHandle": "AdaL"}),
        (account("Ada Lovelace", profile_url="youtube.com/AdaL"), {"forHandle": "AdaL"}),
        (account("https://www.youtube.com/user/AdaL"), {"forUsername": "AdaL"}),
        (account("@ada", profile_url="https://www.youtube.com/@ada-official"), {"forHandle": "ada-official"}),
        (account("@ada", profile_url="https://www.youtube.com/c/AdaL"), {"forHandle": "ada"}),
        (account("@%E3%82%A8%E3%82%A4%E3%83%80"), {"forHandle": "エイダ"}),
        (account("x y", profile_url="https://youtube.com/@%E3%82%A8%E3%82%A4%E3%83%80"), {"forHandle": "エイダ"}),
        (account("@@ada"), {"forHandle": "ada"}),
    ],
)
def test_every_way_to_name_a_channel_is_asked_for(spelled: Account, asked: dict[str, str]) -> None:
    (request,) = converse(YOUTUBE, [spelled], lambda _: listing()).received
    assert {name: value for name, value in request.query.items() if name in {"id", "forHandle", "forUsername"}} == asked


@pytest.mark.parametrize("path", ["watch?v=dQw4w9WgXcQ", "shorts/abc", "playlist?list=PL1", "feed/you", "results", ""])
def test_a_page_that_is_no_channels_names_none(path: str) -> None:
    conversation = converse(YOUTUBE, [account(f"https://www.youtube.com/{path}")], lambda _: listing())
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert conversation.received == []


def test_a_user_name_of_old_needs_no_handle_in_the_answer() -> None:
    old = account("Ada Lovelace", profile_url="https://www.youtube.com/user/AdaL")
    reading = converse(YOUTUBE, [old], lambda _: listing(channel(CHANNEL, handle="@somebody"))).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id == f"{CHANNEL} via user/adal"


@pytest.mark.parametrize(
    ("unresolved", "asked"),
    [
        (account("@Ada"), "Ada"),
        (account("ada.lovelace"), "ada.lovelace"),
        (account("https://www.youtube.com/@ada"), "ada"),
        (account("Ada Lovelace", profile_url="https://m.youtube.com/@ada/about"), "ada"),
        (account("@エイダ"), "エイダ"),
    ],
)
def test_a_handle_is_resolved_once_and_its_channel_id_given_to_be_remembered(unresolved: Account, asked: str) -> None:
    conversation = converse(YOUTUBE, [unresolved], lambda _: listing(channel(CHANNEL, handle=f"@{asked.lower()}")))
    (request,) = conversation.received
    assert request.query["forHandle"] == asked
    assert "id" not in request.query
    assert conversation.reading.outcome is Outcome.PICTURE
    assert conversation.reading.upstream_id == f"{CHANNEL} via @{asked.lower()}"


@pytest.mark.parametrize("handle", ["@mass", "@adá", "", None])
def test_a_channel_of_another_handle_is_never_taken_for_the_one_asked_for(handle: str | None) -> None:
    found = channel(CHANNEL)
    found["snippet"]["customUrl"] = handle
    reading = converse(YOUTUBE, [account("@maß")], lambda _: listing(found)).reading
    assert (reading.outcome, reading.scope) == (Outcome.UNAVAILABLE, Scope.ACCOUNT)


def test_handles_are_one_only_by_the_case_of_ascii_letters() -> None:
    handles = ("@maß", "@mass", "@MASS")
    accounts = [account(handle, account_id=handle) for handle in handles]
    ids = {"maß": CHANNEL, "mass": "UC" + "m" * 22}

    def answer(request: Received) -> Reply:
        handle = request.query["forHandle"]
        return listing(channel(ids[handle], handle=f"@{handle}"))

    conversation = converse(YOUTUBE, accounts, answer)
    assert len(conversation.received) == 2
    found = {name: (reading.upstream_id or "").partition(" ")[0] for name, reading in conversation.readings.items()}
    assert found == {"@maß": ids["maß"], "@mass": ids["mass"], "@MASS": ids["mass"]}


def test_each_handle_is_a_call_of_its_own_and_a_shared_one_is_asked_once() -> None:
    accounts = [account(handle, account_id=handle) for handle in ("@ada", "@grace", "ADA")]
    conversation = converse(YOUTUBE, [*accounts, numbered(1)], handles_exist)
    assert conversation.costs == [("youtube", 1)] * 3
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.PICTURE}


def handles_exist(request: Received) -> Reply:
    if "forHandle" not in request.query:
        return every_channel_exists(request)
    return listing(channel(CHANNEL, handle=f"@{request.query['forHandle'].lower()}"))


def test_a_handle_that_youtube_does_not_know_is_to_be_corrected_and_nothing_is_gone() -> None:
    reading = converse(YOUTUBE, [account("@adda")], lambda _: listing()).reading
    assert reading.outcome is Outcome.NEEDS_RECONNECT
    assert reading.is_read_daily
    assert "@adda" in reading.message


def without_key(script: Callable[[Received], Reply]) -> Any:
    return converse(YOUTUBE, [account(), numbered(1)], script, youtube_api_key=None)


def test_without_a_key_nothing_is_asked_and_the_operator_is_told_so() -> None:
    conversation = without_key(every_channel_exists)
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.MISCONFIGURED}
    assert "YOUTUBE_API_KEY" in conversation.readings["a"].message
    assert conversation.costs == [("youtube", 0)]
    assert conversation.received == []


@pytest.mark.parametrize("handle", ["", "@", "a b", "https://example.com/@ada"])
def test_an_account_with_nothing_to_ask_by_costs_nothing(handle: str) -> None:
    conversation = converse(YOUTUBE, [account(handle)], every_channel_exists)
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert conversation.received == []


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        (datetime(2026, 7, 1, 6, 59, tzinfo=UTC), datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        (datetime(2026, 7, 1, 7, 0, tzinfo=UTC), datetime(2026, 7, 2, 7, 0, tzinfo=UTC)),
        (datetime(2026, 3, 8, 8, 30, tzinfo=UTC), datetime(2026, 3, 9, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 1, 7, 30, tzinfo=UTC), datetime(2026, 11, 2, 8, 0, tzinfo=UTC)),
    ],
    ids=["a minute before", "at midnight", "clocks go forward", "clocks go back"],
)
def test_the_days_units_come_back_at_midnight_in_los_angeles(now: datetime, midnight: datetime) -> None:
    assert next_midnight(now, "America/Los_Angeles") == midnight
