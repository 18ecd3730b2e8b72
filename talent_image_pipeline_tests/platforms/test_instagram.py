"""Instagram's answers as they come, with a talent's own token and by look-up, and how calls are grouped."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Outcome, Scope, is_other_account
from talent_image_pipeline.platforms.instagram import DEFAULT_CONTENT_IDS, INSTAGRAM
from talent_image_pipeline_tests.platforms.scripted_server import NOW, Received, Reply, converse, reply_json

FILE_NAME = "119360396_354046192452293_1644353770392407160_n.jpg"
PICTURE_URL = f"https://scontent-nrt1-1.cdninstagram.com/v/t51.2885-15/{FILE_NAME}?ccb=1-5&oh=0153ca5b&oe=61218964"
USER = {"user_id": "17841407673135339", "id": "6413", "username": "ada", "profile_picture_url": PICTURE_URL}
OWN = Account(account_id="own", handle="ada", access_token=SecretStr("talent-token"))


def looked_up(number: int, **changes: Any) -> Account:
    return Account(**{"account_id": f"account-{number}", "handle": f"talent.{number}", **changes})


def names_in(request: Received) -> list[str]:
    return [
        item["relative_url"].partition("username(")[2].partition(")")[0] for item in json.loads(request.form["batch"])
    ]


def discovery(answer_for: Callable[[str], Any]) -> Callable[[Received], Reply]:
    return lambda request: reply_json([answer_for(name) for name in names_in(request)])


def entry(user: dict[str, Any]) -> dict[str, Any]:
    return {"code": 200, "headers": [], "body": json.dumps({"business_discovery": user, "id": "1784"})}


def found(name: str) -> dict[str, Any]:
    url = f"https://x.fbcdn.net/v/{name}_n.jpg?oe=7"
    return entry({"id": f"id-{name}", "username": name, "profile_picture_url": url})


def test_a_picture_is_known_by_its_file_name_and_dies_when_its_address_says() -> None:
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER)).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id == "17841407673135339"
    assert reading.picture is not None
    assert reading.picture.url.get_secret_value() == PICTURE_URL
    assert reading.picture.content_id == FILE_NAME
    assert reading.picture.expires_at == datetime.fromtimestamp(0x61218964, tz=UTC)


def test_the_own_account_is_asked_for_below_the_configured_path_with_the_token_in_a_header() -> None:
    (request,) = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER)).received
    assert request.method == "GET"
    assert request.path == "/graph.instagram.com/v26.0/me"
    assert request.query == {"fields": "user_id,username,name,account_type,profile_picture_url,has_profile_pic"}
    assert request.headers["authorization"] == "Bearer talent-token"


def test_a_user_wrapped_in_data_reads_like_a_flat_one() -> None:
    flat = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER)).reading
    assert converse(INSTAGRAM, [OWN], lambda _: reply_json({"data": [USER]})).reading == flat


def test_the_picture_that_we_own_is_unchanged_whatever_its_signature() -> None:
    account = Account(account_id="own", handle="ada", access_token=SecretStr("t"), content_id=FILE_NAME)
    user = {**USER, "profile_picture_url": f"https://scontent.xx.fbcdn.net/v/t51/{FILE_NAME}?oh=other&oe=7FFFFFFF"}
    reading = converse(INSTAGRAM, [account], lambda _: reply_json(user)).reading
    assert reading.outcome is Outcome.UNCHANGED
    assert reading.picture is not None


@pytest.mark.parametrize(
    "change",
    [
        {"has_profile_pic": False},
        {"profile_picture_url": None, "has_profile_pic": False},
        *({"profile_picture_url": f"https://x.cdninstagram.com/v/{name}?oe=7"} for name in sorted(DEFAULT_CONTENT_IDS)),
        {"profile_picture_url": "https://x.cdninstagram.com/v/a.jpg?ig_cache_key=YW5vbnltb3VzX3Byb2ZpbGVfcGlj.2"},
    ],
)
def test_an_account_without_a_picture_of_its_own_has_no_picture(change: dict[str, Any]) -> None:
    assert converse(INSTAGRAM, [OWN], lambda _: reply_json({**USER, **change})).reading.outcome is Outcome.NO_PICTURE


LEFT_OUT = [{"user_id": "1"}, {"profile_picture_url": None}, {"profile_picture_url": ""}, {"has_profile_pic": None}]


@pytest.mark.parametrize("change", LEFT_OUT)
def test_a_picture_that_is_left_out_without_a_word_is_to_be_confirmed(change: dict[str, Any]) -> None:
    user = {"user_id": "1", "username": "ada", **change}
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json(user)).reading
    assert (reading.outcome, reading.suggests) == (Outcome.UNCONFIRMED, Outcome.NO_PICTURE)
    assert reading.upstream_id == "1"


@pytest.mark.parametrize("change", LEFT_OUT)
def test_a_picture_that_a_look_up_leaves_out_is_to_be_confirmed(change: dict[str, Any]) -> None:
    user = {"id": "1", "username": "talent.1", **change}
    reading = converse(INSTAGRAM, [looked_up(1)], lambda _: reply_json([entry(user)])).reading
    assert (reading.outcome, reading.suggests) == (Outcome.UNCONFIRMED, Outcome.NO_PICTURE)


def test_a_picture_that_exists_and_is_not_given_is_a_fault() -> None:
    user = {"user_id": "1", "username": "ada", "has_profile_pic": True}
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json(user)).reading
    assert (reading.outcome, reading.scope) == (Outcome.UNAVAILABLE, Scope.ACCOUNT)


def test_a_look_up_takes_the_word_that_there_is_no_picture() -> None:
    user = {"id": "1", "username": "talent.1", "has_profile_pic": False}
    reading = converse(INSTAGRAM, [looked_up(1)], lambda _: reply_json([entry(user)])).reading
    assert reading.outcome is Outcome.NO_PICTURE


def test_an_id_that_belongs_to_our_app_alone_is_never_taken_for_the_accounts() -> None:
    user = {name: value for name, value in USER.items() if name != "user_id"}
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json(user)).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id is None
    assert not is_other_account("17841407673135339", reading)


@pytest.mark.parametrize("body", [{}, {"id": "6413"}, {"data": []}, {"data": [7]}, {"username": 7}, [USER], "text", 7])
def test_an_answer_that_names_no_user_does_not_say_that_there_is_no_picture(body: Any) -> None:
    assert converse(INSTAGRAM, [OWN], lambda _: reply_json(body)).reading.outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://x.fbcdn.net/a.jpg", "http://[", "https://x.fbcdn.net/\ud800", 7, []]
)
def test_an_address_that_is_none_never_counts_as_a_picture(url: Any) -> None:
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json({**USER, "profile_picture_url": url})).reading
    assert reading.outcome in {Outcome.UNAVAILABLE, Outcome.UNCONFIRMED}


def test_an_expiry_that_no_calendar_holds_is_no_expiry() -> None:
    user = {**USER, "profile_picture_url": "https://x.fbcdn.net/v/a_n.jpg?oe=FFFFFFFFFFFFFFFFFF"}
    reading = converse(INSTAGRAM, [OWN], lambda _: reply_json(user)).reading
    assert reading.picture is not None
    assert reading.picture.expires_at is None


@pytest.mark.parametrize(
    "account",
    [
        Account(account_id="a", handle="ada", access_token=SecretStr("dämaged")),
        Account(account_id="a", handle="ada", access_token=SecretStr("two\r\nlines")),
        Account(account_id="a", handle="ada){id},x.username(eve"),
        Account(account_id="a", handle=""),
    ],
    ids=["token outside ASCII", "token of two lines", "handle with braces", "no handle"],
)
def test_an_account_that_no_call_can_help_needs_a_reconnect_and_costs_nothing(account: Account) -> None:
    conversation = converse(INSTAGRAM, [account], lambda _: reply_json(USER))
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert conversation.costs == [("instagram", 0)]
    assert conversation.received == []


@pytest.mark.parametrize("missing", ["instagram_business_token", "instagram_business_account_id"])
def test_a_handle_cannot_be_looked_up_without_the_agencys_own_account(missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    conversation = converse(INSTAGRAM, [looked_up(1)], discovery(found), **without)
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert conversation.received == []


def test_sixty_handles_are_two_posts_that_cost_sixty() -> None:
    conversation = converse(INSTAGRAM, [looked_up(number) for number in range(60)], discovery(found))
    assert conversation.costs == [("facebook", 50), ("facebook", 10)]
    assert len(conversation.received) == conversation.counted == 2
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.PICTURE}
    assert conversation.readings["account-57"].upstream_id == "id-talent.57"


def test_a_look_up_is_a_form_below_the_configured_path() -> None:
    (request,) = converse(INSTAGRAM, [looked_up(1)], discovery(found)).received
    assert (request.method, request.path) == ("POST", "/graph.facebook.com/v26.0/")
    assert request.form["access_token"] == "agency-token-SECRET"
    assert request.form["include_headers"] == "false"
    assert json.loads(request.form["batch"]) == [
        {
            "method": "GET",
            "relative_url": "v26.0/17841406338772941?fields=business_discovery.username(talent.1)"
            "{username,name,profile_picture_url,has_profile_pic,id}",
        }
    ]


@pytest.mark.parametrize(
    ("handle", "page"),
    [
        ("@Ada", None),
        (" ada ", None),
        ("https://www.instagram.com/ada/", None),
        ("instagram.com/ada?hl=en", None),
        ("Ada Lovelace", "https://instagram.com/ada/"),
        ("ada/", None),
        ("@@ada", None),
        ("https://instagram.com/%61da", None),
        ("https://www.instagram.com/_u/ada", None),
        ("https://business.instagram.com/ada", None),
        ("https://instagr.am/ada", None),
        ("https://ig.me/m/ada", None),
        ("https://www.instagram.com/p/C1x2y3z4/", "https://instagram.com/ada/"),
    ],
)
def test_a_handle_is_found_however_the_app_spells_it(handle: str, page: str | None) -> None:
    account = Account(account_id="a", handle=handle, profile_url=page)
    (request,) = converse(INSTAGRAM, [account], discovery(found)).received
    assert names_in(request) == ["ada"]


@pytest.mark.parametrize(
    "address",
    [
        "instagram.com/p/C1x2y3z4/",
        "https://www.instagram.com/reel/C1x2y3z4/",
        "https://www.instagram.com/stories/ada/3141592653589793238/",
        "https://www.instagram.com/explore/",
        "https://www.instagram.com/accounts/edit/",
        "https://www.instagram.com/share/abc",
        "https://www.instagram.com/",
        "instagram.com/",
        "https://example.com/ada",
    ],
)
def test_a_page_that_is_no_accounts_names_nobody(address: str) -> None:
    conversation = converse(INSTAGRAM, [looked_up(1, handle=address)], discovery(found))
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert conversation.received == []


def test_a_handle_that_two_talents_share_is_looked_up_once() -> None:
    accounts = [looked_up(1), looked_up(2, handle="@Talent.1")]
    conversation = converse(INSTAGRAM, accounts, discovery(found))
    assert conversation.costs == [("facebook", 1)]
    assert {reading.outcome for reading in conversation.readings.values()} == {Outcome.PICTURE}


def test_accounts_with_a_token_and_known_by_handle_are_called_for_apart() -> None:
    damaged = looked_up(9, access_token=SecretStr("two lines\r\n of it"))
    conversation = converse(
        INSTAGRAM,
        [looked_up(1), OWN, damaged, looked_up(2)],
        lambda request: reply_json(USER) if request.method == "GET" else discovery(found)(request),
    )
    assert sorted(conversation.costs) == [("facebook", 2), ("instagram", 0), ("instagram", 1)]
    assert {name: reading.outcome for name, reading in conversation.readings.items()} == {
        "account-1": Outcome.PICTURE,
        "own": Outcome.PICTURE,
        "account-9": Outcome.NEEDS_RECONNECT,
        "account-2": Outcome.PICTURE,
    }


def test_a_look_up_that_ran_out_of_time_may_be_tried_again() -> None:
    conversation = converse(
        INSTAGRAM, [looked_up(1), looked_up(2)], discovery(lambda name: None if name == "talent.1" else found(name))
    )
    assert conversation.readings["account-1"].outcome is Outcome.UNAVAILABLE
    assert conversation.readings["account-1"].is_retryable
    assert conversation.readings["account-2"].outcome is Outcome.PICTURE


def test_a_batch_answered_in_part_leaves_the_rest_for_another_try() -> None:
    conversation = converse(INSTAGRAM, [looked_up(1), looked_up(2)], lambda _: reply_json([found("talent.1")]))
    assert conversation.readings["account-1"].outcome is Outcome.PICTURE
    assert conversation.readings["account-2"].is_retryable


def test_a_token_past_its_stated_end_is_tried() -> None:
    stale = Account(account_id="a", handle="ada", access_token=SecretStr("t"), token_expires_at=NOW - timedelta(days=9))
    assert converse(INSTAGRAM, [stale], lambda _: reply_json(USER)).reading.outcome is Outcome.PICTURE


def test_a_batch_in_another_order_is_matched_by_name_and_an_error_in_it_is_nobodys() -> None:
    accounts = [looked_up(1), looked_up(2), looked_up(3)]
    error = {"code": 400, "body": json.dumps({"error": {"code": 110, "error_subcode": 2207013}})}
    items = [found("talent.3"), error, found("talent.1")]
    conversation = converse(INSTAGRAM, accounts, lambda _: reply_json(items))
    assert {name: reading.upstream_id for name, reading in conversation.readings.items()} == {
        "account-1": "id-talent.1",
        "account-2": None,
        "account-3": "id-talent.3",
    }
    assert conversation.readings["account-2"].outcome is Outcome.UNAVAILABLE
    assert conversation.readings["account-2"].is_retryable


def test_an_answer_for_another_user_name_is_not_taken_for_this_one() -> None:
    reading = converse(INSTAGRAM, [looked_up(1)], discovery(lambda _: found("somebody.else"))).reading
    assert reading.outcome is Outcome.UNAVAILABLE


def test_the_highest_figure_of_the_apps_usage_is_reported_for_the_platform() -> None:
    headers = {"x-app-usage": '{"call_count":28,"total_time":91,"total_cputime":25}'}
    usage = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER, headers=headers)).usage
    assert usage is not None
    assert (usage.percent, usage.regain_at, usage.is_platform_wide) == (91.0, None, True)


def test_the_usage_of_one_token_is_reported_with_the_time_of_its_return() -> None:
    entries = {
        "17841407673135339": [
            {"type": "instagram", "call_count": 12, "estimated_time_to_regain_access": 0},
            {"type": "instagram"},
            {"type": "pages", "total_time": 97, "estimated_time_to_regain_access": 15},
            {"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 600},
            {"call_count": 100, "estimated_time_to_regain_access": 600},
        ],
        "somebody else's": [{"type": "instagram", "call_count": 99, "estimated_time_to_regain_access": 300}],
    }
    headers = {"X-Business-Use-Case-Usage": json.dumps(entries), "X-App-Usage": '{"call_count": 3}'}
    usage = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER, headers=headers)).usage
    assert usage is not None
    assert (usage.percent, usage.is_platform_wide) == (97.0, False)
    assert usage.regain_at == NOW + timedelta(minutes=15)


def test_a_pressing_usage_of_the_app_outranks_that_of_one_token() -> None:
    headers = {
        "x-business-use-case-usage": '{"6413":[{"type":"instagram","call_count":99}]}',
        "x-app-usage": '{"call_count":80}',
    }
    usage = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER, headers=headers)).usage
    assert usage is not None
    assert (usage.percent, usage.is_platform_wide) == (80.0, True)


def test_a_look_up_counts_the_usage_of_the_agencys_own_account_alone() -> None:
    entries = {
        "17841406338772941": [
            {"type": "instagram", "call_count": 2},
            {"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 600},
        ],
        "1": [{"type": "instagram", "call_count": 98}],
    }
    headers = {"x-business-use-case-usage": json.dumps(entries)}
    usage = converse(INSTAGRAM, [looked_up(1)], lambda _: reply_json([found("talent.1")], headers=headers)).usage
    assert usage is not None
    assert (usage.percent, usage.regain_at, usage.is_platform_wide) == (2.0, None, True)


@pytest.mark.parametrize("spelled", ["", "nonsense", "[]", '{"1":7}', '{"1":[7,{"call_count":"x"}]}', "[" * 9_000])
def test_usage_that_cannot_be_read_is_no_usage(spelled: str) -> None:
    headers = {"x-business-use-case-usage": spelled, "x-app-usage": spelled}
    conversation = converse(INSTAGRAM, [OWN], lambda _: reply_json(USER, headers=headers))
    assert conversation.reading.outcome is Outcome.PICTURE
    assert conversation.usage is None
