"""TikTok's answers as they come, and how calls are planned."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from talent_image_pipeline.platforms.contract import Account, Outcome, Scope, is_other_account
from talent_image_pipeline.platforms.tiktok import TIKTOK
from talent_image_pipeline_tests.platforms.scripted_server import NOW, Reply, converse, reply_json

ACCOUNT = Account(account_id="a", handle="ada", access_token=SecretStr("act.token"))
OBJECT = "tos-maliva-avt-0068/accb4aeac4ec812e2bdc45ce1da1ed39"


def address(size: str, *, object_path: str = OBJECT) -> str:
    return f"https://p16-sign-va.tiktokcdn.com/{object_path}~c5_{size}.jpeg?x-expires=1656828000&x-signature=Mm%3D"


def answer(**changes: Any) -> Reply:
    user = {
        "open_id": "723f24d7",
        "avatar_url": address("168x168"),
        "avatar_url_100": address("100x100"),
        "avatar_large_url": address("1080x1080"),
        **changes,
    }
    return reply_json({"data": {"user": user}, "error": {"code": "ok", "message": "", "log_id": "2022"}})


def test_the_largest_picture_is_taken_and_known_by_bucket_and_object() -> None:
    reading = converse(TIKTOK, [ACCOUNT], lambda _: answer()).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id == "723f24d7"
    assert reading.picture is not None
    assert reading.picture.url.get_secret_value() == address("1080x1080")
    assert reading.picture.content_id == OBJECT
    assert reading.picture.expires_at == datetime.fromtimestamp(1656828000, tz=UTC)


def test_the_user_is_asked_for_with_the_trailing_slash_and_the_token_in_a_header() -> None:
    (request,) = converse(TIKTOK, [ACCOUNT], lambda _: answer()).received
    assert (request.method, request.path) == ("GET", "/open.tiktokapis.com/v2/user/info/")
    assert request.query == {"fields": "open_id,union_id,avatar_url,avatar_url_100,avatar_large_url,display_name"}
    assert request.headers["authorization"] == "Bearer act.token"


@pytest.mark.parametrize(
    ("missing", "size"), [(("avatar_large_url",), "168x168"), (("avatar_large_url", "avatar_url"), "100x100")]
)
def test_the_next_smaller_picture_stands_in_for_a_missing_one(missing: tuple[str, ...], size: str) -> None:
    reading = converse(TIKTOK, [ACCOUNT], lambda _: answer(**dict.fromkeys(missing))).reading
    assert reading.picture is not None
    assert reading.picture.url.get_secret_value() == address(size)


@pytest.mark.parametrize(
    "url",
    [
        f"https://p77-sign-sg.tiktokcdn-us.com/{OBJECT}~tplv-tiktokx-cropcenter:1080:1080.webp?x-expires=1&refresh_token=9",
        f"https://p19-sign.tiktokcdn.com/{OBJECT}~c5_100x100.jpeg",
    ],
)
def test_host_size_and_signature_do_not_make_another_picture(url: str) -> None:
    account = Account(account_id="a", handle="ada", access_token=SecretStr("t"), content_id=OBJECT)
    reading = converse(TIKTOK, [account], lambda _: answer(avatar_large_url=url)).reading
    assert reading.outcome is Outcome.UNCHANGED
    assert reading.picture is not None


def test_a_real_picture_in_the_bucket_of_the_default_one_is_a_picture() -> None:
    url = address("1080x1080", object_path="musically-maliva-obj/1661181402174469")
    assert converse(TIKTOK, [ACCOUNT], lambda _: answer(avatar_large_url=url)).reading.outcome is Outcome.PICTURE


@pytest.mark.parametrize("bucket", ["musically-maliva-obj", "tos-alisg-avt-0068"])
def test_the_default_picture_counts_as_none_in_any_bucket(bucket: str) -> None:
    url = address("1080x1080", object_path=f"{bucket}/1594805258216454")
    assert converse(TIKTOK, [ACCOUNT], lambda _: answer(avatar_large_url=url)).reading.outcome is Outcome.NO_PICTURE


@pytest.mark.parametrize("value", ["", None])
def test_a_user_whose_picture_fields_are_absent_is_a_fault_and_no_word_that_there_is_no_picture(
    value: str | None,
) -> None:
    empty = dict.fromkeys(("avatar_url", "avatar_url_100", "avatar_large_url"), value)
    reading = converse(TIKTOK, [ACCOUNT], lambda _: answer(**empty)).reading
    assert (reading.outcome, reading.scope) == (Outcome.UNAVAILABLE, Scope.ACCOUNT)


def test_the_same_person_under_another_client_key_is_known_by_the_union_id() -> None:
    first = converse(TIKTOK, [ACCOUNT], lambda _: answer(open_id="one", union_id="person")).reading
    second = converse(TIKTOK, [ACCOUNT], lambda _: answer(open_id="two", union_id="person")).reading
    stranger = converse(TIKTOK, [ACCOUNT], lambda _: answer(open_id="two", union_id="stranger")).reading
    assert not is_other_account(first.upstream_id, second)
    assert is_other_account(first.upstream_id, stranger)
    assert not is_other_account("two", second)


def test_another_account_behind_the_token_is_read_under_its_own_id() -> None:
    account = Account(account_id="a", handle="ada", access_token=SecretStr("t"), upstream_id="the-first-one")
    reading = converse(TIKTOK, [account], lambda _: answer()).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id == "723f24d7"


@pytest.mark.parametrize("open_id", ["half \ud800 of a pair", "with \0 inside", "x" * 1_000, True, 1.5, [], ""])
def test_an_id_that_no_database_can_hold_is_no_id(open_id: Any) -> None:
    reading = converse(TIKTOK, [ACCOUNT], lambda _: answer(open_id=open_id)).reading
    assert reading.outcome is Outcome.PICTURE
    assert reading.upstream_id is None


@pytest.mark.parametrize(
    "account",
    [
        Account(account_id="a", handle="ada"),
        Account(account_id="a", handle="ada", access_token=SecretStr("  ")),
        Account(account_id="a", handle="ada", access_token=SecretStr("dämaged")),
    ],
    ids=["no token", "blank token", "token outside ASCII"],
)
def test_an_account_that_no_call_can_help_needs_a_reconnect_and_costs_nothing(account: Account) -> None:
    conversation = converse(TIKTOK, [account], lambda _: answer())
    assert conversation.reading.outcome is Outcome.NEEDS_RECONNECT
    assert not conversation.reading.is_token_refused
    assert conversation.costs == [("tiktok", 0)]
    assert conversation.received == []


def test_a_token_past_its_stated_end_is_tried() -> None:
    stale = Account(account_id="a", handle="ada", access_token=SecretStr("t"), token_expires_at=NOW - timedelta(days=1))
    assert converse(TIKTOK, [stale], lambda _: answer()).reading.outcome is Outcome.PICTURE


def test_each_account_with_a_token_is_one_call() -> None:
    accounts = [
        *(Account(account_id=str(number), handle="x", access_token=SecretStr(f"t{number}")) for number in range(5)),
        Account(account_id="none", handle="x"),
    ]
    conversation = converse(TIKTOK, accounts, lambda _: answer())
    assert conversation.costs == [*[("tiktok", 1)] * 5, ("tiktok", 0)]
    assert [request.headers["authorization"] for request in conversation.received] == [
        f"Bearer t{number}" for number in range(5)
    ]
