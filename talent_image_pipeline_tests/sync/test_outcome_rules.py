"""What a reading makes of the ledger row, as properties over any row before and any reading."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome, PictureReference, Reading
from talent_image_pipeline.sync.accounts import is_same_account
from talent_image_pipeline.sync.reading.outcome_rules import (
    CONSEQUENCES,
    PictureAction,
    StoredReference,
    is_known_to_be_no_picture,
    ledger_after,
)
from talent_image_pipeline_tests.sync.states import NOW, accounts, make_account, make_ledger

KEEPING = [outcome for outcome in Outcome if CONSEQUENCES[outcome].picture is PictureAction.KEPT]
DROPPING = [outcome for outcome in Outcome if CONSEQUENCES[outcome].picture is PictureAction.DROPPED]
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
        (Outcome.GONE, timedelta(days=30), timedelta(days=30)),
        (Outcome.UNAVAILABLE, timedelta(minutes=1), timedelta(hours=6)),
    ],
)
def test_the_next_read_is_when_the_table_says(outcome: Outcome, earliest: timedelta, latest: timedelta) -> None:
    ledger = after(make_account(ledger=make_ledger()), outcome).ledger
    assert ledger is not None
    assert ledger.next_read_at is not None
    assert NOW + earliest <= ledger.next_read_at <= NOW + latest


def test_a_dead_token_has_no_next_read_until_the_account_changes() -> None:
    ledger = after(make_account(), Outcome.NEEDS_RECONNECT).ledger
    assert ledger is not None
    assert ledger.next_read_at is None


def test_an_account_that_stays_hidden_is_asked_less_and_less_often_down_to_once_a_week() -> None:
    account = make_account(ledger=make_ledger())
    waits = []
    for reads in range(1, 7):
        ledger = after(account, *[Outcome.HIDDEN] * reads).ledger
        assert ledger is not None
        assert ledger.next_read_at is not None
        assert ledger.read_at is not None
        waits.append((ledger.next_read_at - ledger.read_at) / timedelta(days=1))
    assert [round(wait + 0.2) for wait in waits] == [1, 2, 4, 7, 7, 7]


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
