"""Which accounts of a chosen talent are read."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.database.records import AccountRecord
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.planning.due import batch_size_for, batches, is_owed_a_read
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline_tests.sync.states import NOW, accounts, make_account, make_ledger

DAY = timedelta(hours=24)


@given(account=accounts(), force=st.booleans())
def test_a_disconnected_account_is_never_read(account: AccountRecord, force: bool) -> None:
    if not account.connected:
        assert not is_owed_a_read(account, now=NOW, minimum_age=DAY, force=force)


@given(account=accounts())
def test_a_connected_account_in_a_state_not_seen_yet_is_always_read(account: AccountRecord) -> None:
    is_new_state = account.ledger is None or account.ledger.fingerprint != account.fingerprint
    if account.connected and is_new_state:
        assert is_owed_a_read(account, now=NOW, minimum_age=DAY, force=False)


def test_a_dead_token_is_tried_again_when_its_time_has_come_the_account_changes_or_a_person_asks() -> None:
    ledger = make_ledger(outcome=Outcome.NEEDS_RECONNECT, next_read_at=NOW + timedelta(days=3))
    dead = make_account(ledger=ledger)
    assert not is_owed_a_read(dead, now=NOW, minimum_age=DAY, force=False)
    assert is_owed_a_read(dead, now=NOW, minimum_age=DAY, force=True)
    assert is_owed_a_read(dead, now=NOW + timedelta(days=3), minimum_age=DAY, force=False)
    reconnected = make_account(ledger=ledger, fingerprint="state-2")
    assert is_owed_a_read(reconnected, now=NOW, minimum_age=DAY, force=False)


@given(outcome=st.sampled_from(list(Outcome)), days=st.integers(0, 40))
def test_no_outcome_without_a_time_for_its_next_read_is_a_dead_end(outcome: Outcome, days: int) -> None:
    account = make_account(ledger=make_ledger(outcome=outcome, next_read_at=None, read_at=NOW - timedelta(days=days)))
    assert is_owed_a_read(account, now=NOW, minimum_age=DAY, force=False)


def test_an_account_that_only_lacks_a_token_of_ours_is_looked_at_again_the_next_day() -> None:
    tomorrow = NOW + timedelta(hours=20)
    ledger = make_ledger(outcome=Outcome.NEEDS_RECONNECT, next_read_at=tomorrow)
    handle_only = make_account(ledger=ledger, access_token=None)
    assert not is_owed_a_read(handle_only, now=NOW, minimum_age=DAY, force=False)
    assert is_owed_a_read(handle_only, now=tomorrow, minimum_age=DAY, force=False)


def test_an_account_in_backoff_is_left_alone_until_it_has_passed() -> None:
    waiting = make_account(ledger=make_ledger(outcome=Outcome.UNAVAILABLE, next_read_at=NOW + timedelta(minutes=5)))
    assert not is_owed_a_read(waiting, now=NOW, minimum_age=DAY, force=False)
    assert is_owed_a_read(waiting, now=NOW + timedelta(minutes=5), minimum_age=DAY, force=False)


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


@given(st.integers(min_value=0, max_value=20_000_000))
def test_however_many_are_due_a_day_has_few_batches_and_none_is_needlessly_small(due: int) -> None:
    size = batch_size_for(due, least=200, most_batches=500)
    assert len(range(0, due, size)) <= 500
    assert size == 200 or due > 200 * 500
