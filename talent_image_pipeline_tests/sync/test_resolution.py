"""Which picture wins, as properties over every state that accounts can be in, and the cases that people ask about."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.records import AccountRecord, LedgerRecord, PinRecord, Reason
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.publishing.resolution import TalentState, resolve, stamp_after
from talent_image_pipeline_tests.sync.states import (
    NOW,
    PRIORITY,
    account_lists,
    make_account,
    make_ledger,
    make_talent,
    make_version,
    pins,
)

INSTAGRAM_PICTURE = "1" * 64
TIKTOK_PICTURE = "2" * 64

#: What a talent shows whose accounts were read before and had no picture.
INITIALS_SHOWN = make_version()


def state_of(*accounts: AccountRecord, **changes: object) -> TalentState:
    return TalentState(**{"talent": make_talent(), "accounts": accounts, **changes})  # type: ignore[arg-type]


def with_picture(platform: str, picture_hash: str, **changes: object) -> AccountRecord:
    account = make_account(account_id=platform, platform=platform)
    ledger = make_ledger(account_id=platform, platform=platform, picture_hash=picture_hash)
    return replace(account, ledger=ledger, **changes)  # type: ignore[arg-type]


@given(accounts=account_lists(), verified_only=st.booleans())
def test_only_a_picture_that_we_own_of_an_account_connected_now_under_its_present_handle_is_shown(
    accounts: tuple[AccountRecord, ...], verified_only: bool
) -> None:
    resolution = resolve(state_of(*accounts, current=INITIALS_SHOWN), priority=PRIORITY, verified_only=verified_only)
    assert resolution is not None
    if resolution.source == "initials":
        assert resolution.picture_hash is None
        return
    shown = [a for a in accounts if a.platform == resolution.source and a.connected and a.ledger is not None]
    shown = [a for a in shown if a.ledger and a.ledger.picture_hash == resolution.picture_hash]
    assert any(
        a.ledger and a.ledger.handle.lower().removeprefix("@") == a.handle.lower().removeprefix("@") for a in shown
    )
    if verified_only:
        assert any(a.access_token is not None for a in shown)


@given(accounts=account_lists())
def test_no_network_of_higher_priority_has_a_picture_that_could_be_shown(accounts: tuple[AccountRecord, ...]) -> None:
    resolution = resolve(state_of(*accounts, current=INITIALS_SHOWN), priority=PRIORITY)
    assert resolution is not None
    rank = PRIORITY.index(resolution.source) if resolution.source in PRIORITY else len(PRIORITY)
    for platform in PRIORITY[:rank]:
        alone = [account for account in accounts if account.platform == platform]
        preferred = resolve(state_of(*alone, current=INITIALS_SHOWN), priority=PRIORITY)
        assert preferred is not None
        assert preferred.source == "initials"


@given(accounts=account_lists(), pin=st.none() | pins)
def test_a_manual_picture_and_its_stamp_are_never_touched(
    accounts: tuple[AccountRecord, ...], pin: PinRecord | None
) -> None:
    talent = make_talent(image_source="manual", image_url="https://cdn.example/own.jpg")
    state = state_of(*accounts, talent=talent, pin=pin)
    assert resolve(state, priority=PRIORITY) is None
    assert all(stamp_after(state, reason=reason, now=NOW) is None for reason in Reason)


@given(accounts=account_lists())
def test_the_choice_is_the_same_whatever_order_the_accounts_come_in(accounts: tuple[AccountRecord, ...]) -> None:
    forwards = resolve(state_of(*accounts, current=INITIALS_SHOWN), priority=PRIORITY)
    backwards = resolve(state_of(*reversed(accounts), current=INITIALS_SHOWN), priority=PRIORITY)
    assert forwards is not None
    assert backwards is not None
    assert (forwards.source, forwards.picture_hash) == (backwards.source, backwards.picture_hash)


@given(accounts=account_lists(), outcome=st.sampled_from([o for o in Outcome if o.value not in {"no_picture", "gone"}]))
def test_no_outcome_of_a_read_that_keeps_the_picture_changes_the_choice(
    accounts: tuple[AccountRecord, ...], outcome: Outcome
) -> None:
    failed = [a if a.ledger is None else replace(a, ledger=replace(a.ledger, outcome=outcome)) for a in accounts]
    before = resolve(state_of(*accounts, current=INITIALS_SHOWN), priority=PRIORITY)
    after = resolve(state_of(*failed, current=INITIALS_SHOWN), priority=PRIORITY)
    assert before is not None
    assert after is not None
    assert (before.source, before.picture_hash) == (after.source, after.picture_hash)


@given(accounts=account_lists(), pin=pins)
def test_a_pin_wins_over_whatever_the_networks_say(accounts: tuple[AccountRecord, ...], pin: PinRecord) -> None:
    resolution = resolve(state_of(*accounts, pin=pin), priority=PRIORITY)
    assert resolution is not None
    assert (resolution.source, resolution.picture_hash) == (pin.source, pin.picture_hash)
    assert "pinned" in resolution.why


def test_disconnecting_instagram_shows_the_tiktok_picture_that_is_already_ours() -> None:
    instagram, tiktok = with_picture("instagram", INSTAGRAM_PICTURE), with_picture("tiktok", TIKTOK_PICTURE)
    current = make_version(source="instagram", picture_hash=INSTAGRAM_PICTURE)
    before = resolve(state_of(instagram, tiktok, current=current), priority=PRIORITY)
    after = resolve(state_of(replace(instagram, connected=False), tiktok, current=current), priority=PRIORITY)
    assert before is not None
    assert (before.source, before.picture_hash) == ("instagram", INSTAGRAM_PICTURE)
    assert after is not None
    assert (after.source, after.picture_hash) == ("tiktok", TIKTOK_PICTURE)
    assert after.why == "the instagram account was disconnected; tiktok is next"


def test_the_old_handles_picture_is_not_shown_after_reconnecting_with_another_handle() -> None:
    renamed = with_picture("instagram", INSTAGRAM_PICTURE, handle="somebody.else", fingerprint="state-2")
    current = make_version(source="instagram", picture_hash=INSTAGRAM_PICTURE)
    resolution = resolve(state_of(renamed, current=current), priority=PRIORITY)
    assert resolution is not None
    assert resolution.source == "initials"
    assert resolution.why == "the instagram account is another one now"


def test_of_two_accounts_on_one_network_the_one_with_a_token_is_preferred() -> None:
    by_handle = with_picture("instagram", INSTAGRAM_PICTURE, account_id="z", access_token=None)
    own = with_picture("instagram", TIKTOK_PICTURE, account_id="a")
    resolution = resolve(state_of(by_handle, own), priority=PRIORITY)
    assert resolution is not None
    assert resolution.picture_hash == TIKTOK_PICTURE


def test_accounts_known_only_by_handle_do_not_count_where_only_verified_ones_do() -> None:
    by_handle = with_picture("instagram", INSTAGRAM_PICTURE, access_token=None)
    resolution = resolve(state_of(by_handle), priority=PRIORITY, verified_only=True)
    assert resolution is not None
    assert resolution.source == "initials"


@pytest.mark.parametrize("outcome", ["unavailable", "rate_limited", "needs_reconnect", "refused", "misconfigured"])
def test_a_picture_from_before_us_stays_while_its_network_cannot_be_read(outcome: str) -> None:
    talent = make_talent(image_source="instagram", image_url="https://scontent.example/old.jpg")
    account = make_account(ledger=make_ledger(picture_hash=None, outcome=outcome))
    assert resolve(state_of(account, talent=talent), priority=PRIORITY) is None


@pytest.mark.parametrize("outcome", ["no_picture", "gone"])
def test_a_picture_from_before_us_goes_when_its_network_says_that_there_is_none(outcome: str) -> None:
    talent = make_talent(image_source="instagram", image_url="https://scontent.example/old.jpg")
    account = make_account(ledger=make_ledger(picture_hash=None, outcome=outcome))
    resolution = resolve(state_of(account, talent=talent), priority=PRIORITY)
    assert resolution is not None
    assert resolution.source == "initials"


def test_nothing_is_said_of_a_new_talent_before_the_first_read_of_any_account_came_to_an_end() -> None:
    unread = make_account(account_id="1")
    claimed = make_account(account_id="2", platform="tiktok", ledger=make_ledger(outcome=None, picture_hash=None))
    failed = make_account(
        account_id="3", platform="youtube", ledger=make_ledger(outcome=Outcome.UNAVAILABLE, picture_hash=None)
    )
    assert resolve(state_of(unread, claimed, failed), priority=PRIORITY) is None
    ended = replace(failed, ledger=make_ledger(outcome=Outcome.NO_PICTURE, picture_hash=None))
    said = resolve(state_of(unread, claimed, ended), priority=PRIORITY)
    assert said is not None
    assert said.source == "initials"


def test_a_new_talent_without_any_account_shows_its_initials_at_once() -> None:
    said = resolve(state_of(make_account(connected=False)), priority=PRIORITY)
    assert said is not None
    assert said.source == "initials"


@pytest.mark.parametrize("outcome", ["unavailable", "rate_limited"])
def test_the_stamp_stays_while_no_read_came_to_an_end(outcome: str) -> None:
    account = make_account(ledger=make_ledger(outcome=outcome))
    assert stamp_after(state_of(account), reason=Reason.STALE, now=NOW) is None


def test_the_stamp_moves_when_one_of_several_reads_came_to_an_end() -> None:
    down = make_account(account_id="1", ledger=make_ledger(account_id="1", outcome="unavailable"))
    read = make_account(account_id="2", ledger=just_read(account_id="2", outcome="no_picture"))
    assert stamp_after(state_of(down, read), reason=Reason.STALE, now=NOW) == NOW


def just_read(**changes: Any) -> LedgerRecord:
    return make_ledger(**{"read_at": NOW, "next_read_at": NOW + timedelta(hours=20)} | changes)


def test_the_stamp_stays_while_another_run_reads_an_account() -> None:
    done = make_account(account_id="1", ledger=just_read(account_id="1"))
    elsewhere = make_ledger(account_id="2", claimed_by="other", claimed_until=NOW + timedelta(seconds=60))
    state = state_of(done, make_account(account_id="2", ledger=elsewhere))
    assert stamp_after(state, reason=Reason.STALE, now=NOW) is None
    assert stamp_after(state, reason=Reason.ASKED_FOR, now=NOW) is None


def test_the_stamp_stays_when_the_run_did_not_get_to_an_account() -> None:
    done = make_account(account_id="1", ledger=just_read(account_id="1"))
    left = make_account(account_id="2", ledger=make_ledger(account_id="2"))
    assert stamp_after(state_of(done, left), reason=Reason.STALE, now=NOW) is None


@pytest.mark.parametrize("reason", [Reason.ACCOUNT_CHANGED, Reason.WAIT_IS_OVER])
def test_a_run_about_one_account_leaves_the_others_due_as_before(reason: Reason) -> None:
    yesterday = NOW - timedelta(hours=19)
    other = make_account(account_id="1", ledger=make_ledger(account_id="1", read_at=yesterday))
    dead = make_account(account_id="2", ledger=make_ledger(outcome="needs_reconnect", read_at=NOW - timedelta(days=9)))
    changed = make_account(account_id="3", ledger=just_read(account_id="3"))
    state = state_of(other, dead, changed, talent=make_talent(last_sync_at=yesterday))
    assert stamp_after(state, reason=reason, now=NOW) is None
    assert stamp_after(state_of(dead, changed), reason=reason, now=NOW) == NOW


def test_resolving_a_disconnect_does_not_make_the_talent_look_freshly_read() -> None:
    read_at = NOW - timedelta(hours=10)
    account = make_account(ledger=make_ledger(outcome="unchanged", read_at=read_at))
    state = state_of(account, talent=make_talent(last_sync_at=read_at))
    assert stamp_after(state, reason=Reason.ACCOUNT_CHANGED, now=NOW) is None


def test_a_run_that_only_carries_on_what_a_killed_run_read_stamps_the_time_of_that_read() -> None:
    read_at = NOW - timedelta(minutes=5)
    account = make_account(ledger=make_ledger(outcome="picture", read_at=read_at))
    assert stamp_after(state_of(account), reason=Reason.ACCOUNT_CHANGED, now=NOW) == read_at
