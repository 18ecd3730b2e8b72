"""Who is due, and which accounts are read."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.sync.planning.due import Reason, batches, is_changed, is_owed_a_read, reason_for
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS, SyncScope
from talent_image_pipeline_tests.sync.states import NOW, accounts, make_account, make_ledger

DAY = timedelta(hours=24)


def due(last_sync_at: datetime | None, **changes: object) -> Reason | None:
    facts = {"is_readable": True, "is_changed": False, "force": False, "now": NOW, "minimum_age": DAY} | changes
    return reason_for(last_sync_at=last_sync_at, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last_sync_at", "reason"),
    [
        (None, Reason.NEVER_SYNCED),
        (NOW - timedelta(hours=25), Reason.STALE),
        (NOW - timedelta(hours=23), None),
        (NOW - timedelta(minutes=1), None),
    ],
)
def test_a_talent_is_due_when_never_synced_or_not_for_24_hours(
    last_sync_at: datetime | None, reason: Reason | None
) -> None:
    assert due(last_sync_at) == reason


@pytest.mark.parametrize("seconds_after_two", [1, 60, 3600, 3 * 3600])
def test_a_talent_synced_by_yesterdays_daily_run_is_due_in_todays(seconds_after_two: int) -> None:
    stamp = NOW - DAY + timedelta(seconds=seconds_after_two)
    assert due(stamp, minimum_age=timedelta(hours=DAILY_MINIMUM_HOURS)) is Reason.STALE


def test_a_changed_account_makes_a_talent_due_at_once() -> None:
    assert due(NOW - timedelta(minutes=1), is_changed=True) is Reason.ACCOUNT_CHANGED


def test_a_talent_whose_every_account_waits_out_a_backoff_is_not_due() -> None:
    assert due(None, is_readable=False) is None


def test_whoever_is_asked_for_is_read() -> None:
    assert due(NOW, is_readable=False, force=True) is Reason.ASKED_FOR


@given(account=accounts(), force=st.booleans())
def test_a_disconnected_account_is_never_read(account: AccountRecord, force: bool) -> None:
    if not account.connected:
        assert not is_owed_a_read(account, now=NOW, minimum_age=DAY, force=force)


@given(account=accounts())
def test_a_connected_account_in_a_state_not_seen_yet_is_always_read(account: AccountRecord) -> None:
    is_new_state = account.ledger is None or account.ledger.fingerprint != account.fingerprint
    if account.connected and is_new_state:
        assert is_owed_a_read(account, now=NOW, minimum_age=DAY, force=False)


@pytest.mark.parametrize("force", [False, True])
def test_a_dead_token_is_not_tried_again_until_the_account_changes(force: bool) -> None:
    ledger = make_ledger(outcome="needs_reconnect", next_read_at=None)
    dead = make_account(ledger=ledger)
    assert not is_owed_a_read(dead, now=NOW, minimum_age=DAY, force=force)
    reconnected = make_account(ledger=ledger, fingerprint="state-2")
    assert is_owed_a_read(reconnected, now=NOW, minimum_age=DAY, force=force)


def test_an_account_that_only_lacks_a_token_of_ours_is_looked_at_again_the_next_day() -> None:
    tomorrow = NOW + timedelta(hours=20)
    handle_only = make_account(ledger=make_ledger(outcome="needs_reconnect", next_read_at=tomorrow), access_token=None)
    assert not is_owed_a_read(handle_only, now=NOW, minimum_age=DAY, force=False)
    assert is_owed_a_read(handle_only, now=tomorrow, minimum_age=DAY, force=False)


def test_an_account_in_backoff_is_left_alone_until_it_has_passed() -> None:
    waiting = make_account(ledger=make_ledger(outcome="unavailable", next_read_at=NOW + timedelta(minutes=5)))
    assert not is_owed_a_read(waiting, now=NOW, minimum_age=DAY, force=False)
    assert is_owed_a_read(waiting, now=NOW + timedelta(minutes=5), minimum_age=DAY, force=False)


def test_what_was_read_and_never_reached_the_talent_counts_as_a_change() -> None:
    assert is_changed(make_account(ledger=make_ledger(awaits_resolution=True)))
    assert not is_changed(make_account(ledger=make_ledger()))


def test_an_account_that_was_never_connected_is_no_change() -> None:
    assert not is_changed(make_account(connected=False))
    assert is_changed(make_account(connected=True))


@given(items=st.lists(st.integers()), size=st.integers(min_value=1, max_value=7))
def test_batches_keep_everybody_in_order(items: list[int], size: int) -> None:
    cut = list(batches(items, size=size))
    assert [item for batch in cut for item in batch] == items
    assert all(1 <= len(batch) <= size for batch in cut)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"limit": 0}, "limit"), ({"minimum_hours": -1}, "minimum_hours"), ({"talent_ids": (" ",)}, "talent_ids")],
)
def test_a_scope_that_cannot_be_meant_is_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SyncScope(**changes)  # type: ignore[arg-type]
