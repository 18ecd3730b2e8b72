"""What a reading makes of the ledger row, as properties over any row before and any reading."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.database.records import AccountRecord, LedgerRecord
from talent_image_pipeline.platforms.contract import Outcome, PictureReference, Reading
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.reading.outcome_rules import (
    CONSEQUENCES,
    PictureAction,
    StoredReference,
    is_known_to_be_no_picture,
    is_known_to_be_refused,
    ledger_after,
)
from talent_image_pipeline_tests.sync.states import NOW, accounts, make_account, make_ledger

KEEPING = [outcome for outcome in Outcome if CONSEQUENCES[outcome].picture is PictureAction.KEPT]
DROPPING = [outcome for outcome in Outcome if CONSEQUENCES[outcome].picture is PictureAction.DROPPED]
REFERENCE = PictureReference(url=SecretStr("https://yt3.ggpht.com/a=s88"), content_id="letter-avatar")
FAILING = [outcome for outcome in Outcome if CONSEQUENCES[outcome].is_failure]


def after(account: AccountRecord, *outcomes: Outcome, **changes: object) -> AccountRecord:
    """Return the account after readings with these outcomes, one after the other."""
    for number, outcome in enumerate(outcomes):
        reading = Reading(outcome=outcome, message="words", **changes)  # type: ignore[arg-type]
        now = NOW + timedelta(minutes=number)
        account = replace(account, ledger=ledger_after(account, reading, picture=None, now=now, rng=random.Random(1)))
    return account


def test_every_outcome_has_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(Outcome)


DAY = timedelta(days=1)
SUGGESTIONS = [
    Reading(outcome=Outcome.UNCONFIRMED, suggests=Outcome.NO_PICTURE, message="no address"),
    Reading(outcome=Outcome.UNCONFIRMED, suggests=Outcome.GONE, message="left out"),
    Reading(outcome=Outcome.GONE, message="not found"),
]


def read_at(account: AccountRecord, reading: Reading, now: datetime) -> LedgerRecord:
    return ledger_after(account, reading, picture=None, now=now, rng=random.Random(1))


@pytest.mark.parametrize("reading", SUGGESTIONS, ids=str)
def test_what_is_not_explicit_drops_a_picture_when_a_later_day_says_the_same(reading: Reading) -> None:
    account = make_account(ledger=make_ledger())
    first = read_at(account, reading, NOW)
    assert (first.outcome, first.picture_hash) == ("unconfirmed", "a" * 64)
    same_day = read_at(replace(account, ledger=first), reading, NOW + timedelta(hours=20))
    assert (same_day.outcome, same_day.picture_hash) == ("unconfirmed", "a" * 64)
    later = read_at(replace(account, ledger=same_day), reading, NOW + DAY)
    expected = reading.suggests or Outcome.GONE
    assert (later.outcome, later.picture_hash, later.lost_picture_hash) == (expected, None, "a" * 64)


def test_two_looks_on_either_side_of_midnight_are_one() -> None:
    late = NOW.replace(hour=23, minute=50)
    first = read_at(make_account(ledger=make_ledger()), SUGGESTIONS[0], late)
    again = read_at(make_account(ledger=first), SUGGESTIONS[0], late + timedelta(minutes=20))
    assert again.outcome == "unconfirmed"


def test_another_statement_or_a_picture_between_begins_the_second_look_again() -> None:
    first = read_at(make_account(ledger=make_ledger()), SUGGESTIONS[0], NOW)
    other = read_at(make_account(ledger=first), SUGGESTIONS[1], NOW + DAY)
    assert other.outcome == "unconfirmed"
    shown = Reading(outcome=Outcome.UNCHANGED, message="", picture=REFERENCE)
    between = read_at(make_account(ledger=first), shown, NOW + DAY)
    assert read_at(make_account(ledger=between), SUGGESTIONS[0], NOW + 2 * DAY).outcome == "unconfirmed"


def test_a_failure_between_two_looks_changes_nothing() -> None:
    first = read_at(make_account(ledger=make_ledger()), SUGGESTIONS[1], NOW)
    failed = read_at(make_account(ledger=first), Reading(outcome=Outcome.UNAVAILABLE, message=""), NOW + DAY)
    assert read_at(make_account(ledger=failed), SUGGESTIONS[1], NOW + 2 * DAY).outcome == "gone"


def test_an_account_that_stays_gone_is_looked_at_weekly() -> None:
    account = make_account(ledger=make_ledger())
    waits = []
    now = NOW
    for _ in range(4):
        ledger = read_at(account, SUGGESTIONS[2], now)
        account = replace(account, ledger=ledger)
        assert ledger.next_read_at is not None
        waits.append(round((ledger.next_read_at - now) / DAY + 1 / 6))
        now = ledger.next_read_at + timedelta(hours=4)
    assert waits == [1, 7, 7, 7]


def test_a_renamed_account_with_the_same_token_keeps_its_picture() -> None:
    ledger = read_at(make_account(ledger=make_ledger()), Reading(outcome=Outcome.UNAVAILABLE, message=""), NOW)
    renamed = make_account(handle="ada.new", ledger=ledger)
    assert is_same_account(ledger, renamed)
    assert read_at(renamed, Reading(outcome=Outcome.UNAVAILABLE, message=""), NOW).picture_hash == "a" * 64
    other_token = replace(renamed, access_token=SecretStr("another"))
    assert not is_same_account(ledger, other_token)


def test_a_renamed_account_that_answers_with_the_same_id_keeps_its_picture() -> None:
    account = make_account(handle="ada.new", ledger=make_ledger(upstream_id="17"))
    failed = Reading(outcome=Outcome.REFUSED, message="", upstream_id="17", picture=REFERENCE)
    assert read_at(account, failed, NOW).picture_hash == "a" * 64
    assert read_at(account, replace(failed, upstream_id="18"), NOW).picture_hash is None


@pytest.mark.parametrize("handle", ["https://www.instagram.com/Ada/", "@ada", "instagram.com/ada?hl=en", "ADA "])
def test_an_address_and_the_bare_name_are_the_same_account(handle: str) -> None:
    assert is_same_account(make_ledger(handle="ada"), make_account(handle=handle))


def test_refused_bytes_are_not_downloaded_again_for_a_week() -> None:
    account = make_account(ledger=make_ledger())
    refused = Reading(outcome=Outcome.REFUSED, message="too large", picture=REFERENCE)
    ledger = ledger_after(account, refused, picture=None, now=NOW, rng=random.Random(1), has_refused_bytes=True)
    assert ledger.refused_host == "yt3.ggpht.com"
    known = replace(account, ledger=ledger)
    assert is_known_to_be_refused(known, refused, now=NOW + 6 * DAY)
    assert not is_known_to_be_refused(known, refused, now=NOW + 7 * DAY)
    again = read_at(known, refused, NOW + 3 * DAY)
    assert again.refused_at == NOW
    healthy = read_at(known, Reading(outcome=Outcome.UNCHANGED, message="", picture=REFERENCE), NOW + DAY)
    assert (healthy.refused_host, healthy.refused_content_id) == (None, None)


def test_only_no_picture_and_gone_drop_a_picture() -> None:
    assert set(DROPPING) == {Outcome.NO_PICTURE, Outcome.GONE}


@given(account=accounts(), outcomes=st.lists(st.sampled_from(FAILING), min_size=1, max_size=12))
def test_the_last_good_picture_survives_any_sequence_of_failures(
    account: AccountRecord, outcomes: list[Outcome]
) -> None:
    before = account.ledger.picture_hash if account.ledger and is_same_account(account.ledger, account) else None
    ledger = after(account, *outcomes).ledger
    assert ledger is not None
    assert ledger.picture_hash == before


@given(account=accounts(), outcome=st.sampled_from(FAILING))
def test_a_failure_is_counted_and_told_in_words(account: AccountRecord, outcome: Outcome) -> None:
    ledger = after(account, outcome).ledger
    assert ledger is not None
    assert ledger.consecutive_failures >= 1
    assert ledger.failure == "words"


@given(account=accounts(), outcome=st.sampled_from(KEEPING))
def test_a_picture_read_under_another_handle_is_never_kept(account: AccountRecord, outcome: Outcome) -> None:
    ledger = after(replace(account, handle="quite.another"), outcome).ledger
    assert ledger is not None
    assert ledger.picture_hash is None
    assert ledger.handle == "quite.another"


@given(account=accounts(), outcome=st.sampled_from(list(Outcome)))
def test_every_read_is_dated_and_waits_to_reach_the_talent(account: AccountRecord, outcome: Outcome) -> None:
    ledger = after(account, outcome).ledger
    assert ledger is not None
    assert ledger.read_at == NOW
    assert ledger.awaits_resolution
    assert ledger.fingerprint == account.fingerprint
    assert ledger.next_read_at is None or ledger.next_read_at >= NOW


@pytest.mark.parametrize(
    ("outcome", "earliest", "latest"),
    [
        (Outcome.PICTURE, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.UNCHANGED, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.NO_PICTURE, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.UNCONFIRMED, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.HIDDEN, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.REFUSED, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.GONE, timedelta(hours=18), timedelta(hours=24)),
        (Outcome.UNAVAILABLE, timedelta(minutes=1), timedelta(hours=6)),
    ],
)
def test_the_next_read_is_when_the_table_says(outcome: Outcome, earliest: timedelta, latest: timedelta) -> None:
    ledger = after(make_account(ledger=make_ledger()), outcome).ledger
    assert ledger is not None
    assert ledger.next_read_at is not None
    assert NOW + earliest <= ledger.next_read_at <= NOW + latest


def days_until_read(account: AccountRecord, outcome: Outcome, *, reads: int, **changes: object) -> list[int]:
    """Return after how many days of the daily run an account is read next, after one, two, ... reads that end so."""
    days = []
    for number in range(1, reads + 1):
        ledger = after(account, *[outcome] * number, **changes).ledger
        assert ledger is not None
        assert ledger.next_read_at is not None
        assert ledger.read_at is not None
        days.append(round((ledger.next_read_at - ledger.read_at) / DAY + 1 / 6))
    return days


def test_a_dead_token_is_tried_again_after_one_three_and_seven_days_and_weekly_from_then_on() -> None:
    assert days_until_read(make_account(), Outcome.NEEDS_RECONNECT, reads=5) == [1, 3, 7, 7, 7]


def test_what_the_talent_mends_on_the_network_itself_is_looked_at_daily() -> None:
    assert days_until_read(make_account(), Outcome.NEEDS_RECONNECT, reads=4, is_read_daily=True) == [1, 1, 1, 1]


def test_an_account_that_stays_hidden_is_asked_less_and_less_often_down_to_once_a_week() -> None:
    account = make_account(ledger=make_ledger())
    assert days_until_read(account, Outcome.HIDDEN, reads=6) == [1, 2, 4, 7, 7, 7]


def test_failures_of_another_kind_do_not_make_the_waits_longer() -> None:
    account = after(make_account(ledger=make_ledger()), *[Outcome.UNAVAILABLE] * 5)
    assert days_until_read(account, Outcome.HIDDEN, reads=1) == [1]


def test_what_is_not_confirmed_keeps_the_picture_and_says_why() -> None:
    ledger = after(make_account(ledger=make_ledger()), Outcome.UNCONFIRMED, suggests=Outcome.GONE).ledger
    assert ledger is not None
    assert (ledger.picture_hash, ledger.failure) == ("a" * 64, "words")


def test_a_limit_is_waited_out_until_the_platform_said() -> None:
    retry_at = NOW + timedelta(minutes=17)
    ledger = after(make_account(), Outcome.RATE_LIMITED, retry_at=retry_at).ledger
    assert ledger is not None
    assert ledger.next_read_at == retry_at


def test_a_success_ends_the_failures() -> None:
    ledger = after(make_account(ledger=make_ledger()), Outcome.UNAVAILABLE, Outcome.UNCHANGED).ledger
    assert ledger is not None
    assert (ledger.consecutive_failures, ledger.failure) == (0, None)


def test_another_account_behind_the_same_handle_does_not_keep_the_picture() -> None:
    account = make_account(ledger=make_ledger(upstream_id="old-id"))
    ledger = after(account, Outcome.UNAVAILABLE, upstream_id="new-id").ledger
    assert ledger is not None
    assert ledger.picture_hash is None


def test_a_picture_that_turned_out_to_be_none_is_known_again_by_its_content_id() -> None:
    reference = PictureReference(url=SecretStr("https://yt3.ggpht.com/a=s88"), content_id="letter-avatar")
    reading = Reading(outcome=Outcome.NO_PICTURE, message="a single letter", picture=reference)
    account = make_account(ledger=make_ledger())
    ledger = ledger_after(account, reading, picture=None, now=NOW, rng=random.Random(1))
    named_again = Reading(outcome=Outcome.PICTURE, message="", picture=reference)
    assert ledger.picture_hash is None
    assert is_known_to_be_no_picture(replace(account, ledger=ledger), named_again)
    assert not is_known_to_be_no_picture(account, named_again)


def test_a_new_picture_replaces_the_old_one_and_dates_the_change() -> None:
    account = make_account(ledger=make_ledger(changed_at=NOW - timedelta(days=9)))
    picture = StoredReference(content_hash="b" * 64, content_id="content-2")
    reading = Reading(outcome=Outcome.PICTURE, message="")
    ledger = ledger_after(account, reading, picture=picture, now=NOW, rng=random.Random(1))
    assert (ledger.picture_hash, ledger.content_id, ledger.changed_at) == ("b" * 64, "content-2", NOW)


def test_the_same_picture_under_a_new_content_id_is_no_change() -> None:
    changed_at = NOW - timedelta(days=9)
    account = make_account(ledger=make_ledger(changed_at=changed_at))
    picture = StoredReference(content_hash="a" * 64, content_id="content-2")
    reading = Reading(outcome=Outcome.UNCHANGED, message="")
    ledger = ledger_after(account, reading, picture=picture, now=NOW, rng=random.Random(1))
    assert (ledger.picture_hash, ledger.content_id, ledger.changed_at) == ("a" * 64, "content-2", changed_at)


@pytest.mark.parametrize("retry_at", [NOW - timedelta(hours=1), NOW, NOW + timedelta(seconds=59)])
def test_a_limit_that_is_said_to_end_at_once_is_waited_out_for_a_minute(retry_at: datetime) -> None:
    reading = Reading(outcome=Outcome.RATE_LIMITED, message="too many calls", retry_at=retry_at)
    after = ledger_after(make_account(), reading, picture=None, now=NOW, rng=random.Random(1))
    assert after.next_read_at == NOW + timedelta(minutes=1)
