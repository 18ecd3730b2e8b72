"""Who is due, and why: the rule that the database carries out, and the rule for accounts that must agree with it."""

from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import account_queries, candidate_queries
from talent_image_pipeline.database.records import AccountRecord, Candidate, Reason
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.sync.planning.candidates import reading_rules
from talent_image_pipeline.sync.planning.due import WAITING_OUTCOMES, is_owed_a_read
from talent_image_pipeline.sync.planning.scope import DAILY_MINIMUM_HOURS
from talent_image_pipeline_tests.rows import insert_account, insert_talent

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


def find(connection: sa.Connection, *, minimum_age: timedelta = DAY, **facts: Any) -> list[Candidate]:
    rules = reading_rules(verified_only=False)
    return candidate_queries.find_candidates(connection, rules=rules, now=NOW, synced_before=NOW - minimum_age, **facts)


def reason_of(engine: sa.Engine, *, last_sync_at: datetime | None, ledger: dict[str, Any], **facts: Any) -> str | None:
    """Return why a talent with one account is due."""
    with engine.connect() as connection:
        add_talent(connection, "ada", last_sync_at=last_sync_at, ledger=ledger)
        found = find(connection, **facts)
    return found[0].reason if found else None


def add_talent(
    connection: sa.Connection,
    talent_id: str,
    *,
    last_sync_at: datetime | None,
    ledger: dict[str, Any] | None,
    connected: bool = True,
) -> None:
    """Insert a talent with one account; what ``ledger`` says of it was read in its present state unless it says so."""
    insert_talent(connection, id=talent_id, last_profile_image_sync_at=last_sync_at)
    account_id = f"account-of-{talent_id}"
    insert_account(connection, id=account_id, talent_id=talent_id, connected=connected, access_token="t")
    if ledger is None:
        return
    (record,) = account_queries.load_accounts(connection, [account_id])
    values = {
        "account_id": account_id,
        "talent_id": talent_id,
        "platform": "instagram",
        "handle": record.handle,
        "fingerprint": record.fingerprint,
        "outcome": Outcome.UNCHANGED,
        "read_at": NOW - DAY,
        "next_read_at": NOW - timedelta(hours=4),
    }
    connection.execute(sa.insert(platform_images).values(values | ledger))


@pytest.mark.parametrize(
    ("last_sync_at", "reason"),
    [
        (None, Reason.NEVER_SYNCED),
        (NOW - timedelta(hours=25), Reason.STALE),
        (NOW - timedelta(hours=24), Reason.STALE),
        (NOW - timedelta(hours=23), None),
        (NOW - timedelta(minutes=1), None),
        (NOW + timedelta(days=1500), Reason.NEVER_SYNCED),
    ],
    ids=["never", "25 h ago", "24 h ago", "23 h ago", "just now", "by a wrong clock in the future"],
)
def test_a_talent_is_due_when_never_synced_or_not_for_24_hours(
    migrated_engine: sa.Engine, last_sync_at: datetime | None, reason: Reason | None
) -> None:
    assert reason_of(migrated_engine, last_sync_at=last_sync_at, ledger={}) is reason


@pytest.mark.parametrize("seconds_after_two", [1, 60, 3600, 3 * 3600])
def test_a_talent_synced_by_yesterdays_daily_run_is_due_in_todays(
    migrated_engine: sa.Engine, seconds_after_two: int
) -> None:
    stamp = NOW - DAY + timedelta(seconds=seconds_after_two)
    minimum_age = timedelta(hours=DAILY_MINIMUM_HOURS)
    assert reason_of(migrated_engine, last_sync_at=stamp, ledger={}, minimum_age=minimum_age) is Reason.STALE


def test_a_changed_account_and_one_whose_wait_is_over_make_a_talent_due_at_once(migrated_engine: sa.Engine) -> None:
    just_now = NOW - timedelta(minutes=1)
    failed = {"outcome": Outcome.UNAVAILABLE, "next_read_at": just_now}
    assert reason_of(migrated_engine, last_sync_at=just_now, ledger=failed) is Reason.WAIT_IS_OVER
    assert reason_of(migrated_engine, last_sync_at=just_now, ledger=failed | {"fingerprint": "other"}) is (
        Reason.ACCOUNT_CHANGED
    )


def test_whoever_is_asked_for_is_read(migrated_engine: sa.Engine) -> None:
    waiting = {"outcome": Outcome.UNAVAILABLE, "next_read_at": NOW + DAY}
    facts = {"talent_ids": ["ada"], "force": True}
    assert reason_of(migrated_engine, last_sync_at=NOW, ledger=waiting, **facts) is Reason.ASKED_FOR
    assert reason_of(migrated_engine, last_sync_at=None, ledger=waiting) is None


def test_stamps_of_a_wrong_clock_come_first_among_the_never_synced(migrated_engine: sa.Engine) -> None:
    with migrated_engine.connect() as connection:
        add_talent(connection, "a-waiting", last_sync_at=NOW - 3 * DAY, ledger={})
        add_talent(connection, "b-future", last_sync_at=NOW + DAY, ledger={})
        add_talent(connection, "c-never", last_sync_at=None, ledger={})
        assert [row.talent_id for row in find(connection)] == ["b-future", "c-never", "a-waiting"]


@pytest.mark.parametrize("spelling", [" instagram", "INSTAGRAM ", "Instagram\n", "\tinstagram"])
def test_blanks_around_a_platform_and_its_case_do_not_count(migrated_engine: sa.Engine, spelling: str) -> None:
    with migrated_engine.connect() as connection:
        insert_talent(connection, id="ada")
        insert_account(connection, id="account", talent_id="ada", platform=spelling, access_token="t")
        assert [row.reason for row in find(connection)] == [Reason.NEVER_SYNCED]
        (record,) = account_queries.load_accounts(connection, ["account"])
    assert record.platform == "instagram"


AGES = (None, timedelta(minutes=1), timedelta(hours=19), timedelta(hours=21), timedelta(hours=25), timedelta(days=9))


def every_state() -> list[tuple[str, dict[str, Any]]]:
    """Return talents with one account in every combination of stamp, outcome, times and change."""
    rng = Random(20261121)
    states: list[tuple[str, dict[str, Any]]] = []
    for stamp, outcome, is_seen, connected in product(AGES, (None, *Outcome), (True, False), (True, False)):
        read_ago, next_in = rng.choice(AGES), rng.choice((None, -DAY, timedelta(0), timedelta(hours=3)))
        ledger: dict[str, Any] = {"outcome": outcome, "awaits_resolution": rng.random() < 0.1}
        ledger["read_at"] = None if read_ago is None else NOW - read_ago
        ledger["next_read_at"] = None if next_in is None else NOW + next_in
        ledger |= {} if is_seen else {"fingerprint": "before"}
        last_sync_at = None if stamp is None else NOW - stamp
        states.append((f"{len(states):04}", {"last_sync_at": last_sync_at, "ledger": ledger, "connected": connected}))
    return states


@pytest.mark.parametrize("minimum_age", [timedelta(hours=20), DAY])
def test_the_rule_for_accounts_agrees_with_the_query_in_every_state(
    migrated_engine: sa.Engine, minimum_age: timedelta
) -> None:
    with migrated_engine.connect() as connection:
        for talent_id, state in every_state():
            add_talent(connection, talent_id, **state)
        reasons = {row.talent_id: row.reason for row in find(connection, minimum_age=minimum_age)}
        ids = list(connection.scalars(sa.select(account_queries.account.c.id)))
        records = account_queries.load_accounts(connection, ids)
    stamps = {talent_id: state["last_sync_at"] for talent_id, state in every_state()}
    assert len(records) == len(stamps) > 250
    assert set(reasons.values()) == set(Reason) - {Reason.ASKED_FOR}
    for record in records:
        reason = reasons.get(record.talent_id)
        is_owed = is_owed_a_read(record, now=NOW, minimum_age=minimum_age, force=False)
        stamp = stamps[record.talent_id]
        is_old = stamp is None or stamp <= NOW - minimum_age
        assert_agreement(record, reason=reason, is_owed=is_owed, is_old=is_old)


def assert_agreement(record: AccountRecord, *, reason: Reason | None, is_owed: bool, is_old: bool) -> None:
    assert record.ledger is not None
    if is_owed and is_old:
        assert reason in {Reason.NEVER_SYNCED, Reason.STALE}, "an account that is owed a read is forgotten"
    if is_owed and record.ledger.fingerprint != record.fingerprint:
        assert reason is not None, "a change is forgotten"
    if reason is Reason.WAIT_IS_OVER:
        assert is_owed, "a run would be asked for again and again without reading anything"
    if reason in {Reason.NEVER_SYNCED, Reason.STALE}:
        assert record.connected
        assert is_old
        assert is_owed or record.ledger.outcome not in WAITING_OUTCOMES, "a wait is cut short"
