"""A tick finds what changed: at once through the change feed, and within a round by the walk, deletions included."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.change_feed import install_change_feed, queued_accounts
from talent_image_pipeline.database.tables import platform_images, social_account_connection
from talent_image_pipeline.sync.planning.account_walk import Walk
from talent_image_pipeline.sync.planning.candidates import reading_rules
from talent_image_pipeline.sync.planning.finding_changes import FoundChanges, find_changes, wait_for_feed
from talent_image_pipeline_tests.rows import insert_account, insert_talent

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
RULES = reading_rules(verified_only=False)
RESTING = Walk(round_ended_at=NOW - timedelta(minutes=1), last_round_seconds=5)


@pytest.fixture
def fed(migrated_engine: sa.Engine) -> sa.Engine:
    """A database with a change feed and a talent."""
    with migrated_engine.begin() as connection:
        install_change_feed(connection)
        insert_talent(connection, id="ada")
    return migrated_engine


def tick(engine: sa.Engine, walk: Walk, *, now: datetime = NOW) -> FoundChanges:
    return find_changes(engine, rules=RULES, walk=walk, now=now, limit=100)


def ids(found: FoundChanges) -> list[str]:
    return [finding.account_id for finding in found.findings]


def see(engine: sa.Engine, *, claimed_until: datetime | None = None) -> None:
    """Let the ledger see every account as it is now."""
    from talent_image_pipeline.database.account_queries import account, fingerprint_now

    with engine.begin() as connection:
        connection.execute(sa.delete(platform_images))
        for row in connection.execute(sa.select(account.c.id, account.c.creatorId, fingerprint_now)).all():
            connection.execute(
                sa.insert(platform_images).values(
                    account_id=row[0],
                    talent_id=row[1],
                    platform="instagram",
                    handle="@ada",
                    fingerprint=row[2],
                    outcome="no_picture",
                    read_at=NOW,
                    claimed_by=None if claimed_until is None else "another run",
                    claimed_until=claimed_until,
                )
            )


def test_while_the_walk_rests_the_feed_alone_finds_a_change(fed: sa.Engine) -> None:
    assert tick(fed, RESTING) == FoundChanges(
        findings=(), walk=RESTING, message="looked at the change feed", has_feed=True
    )
    with fed.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
    assert ids(tick(fed, RESTING)) == ["1"]
    assert ids(tick(fed, RESTING)) == ["1"], "it stays found until a run has carried it through"
    see(fed)
    assert ids(tick(fed, RESTING)) == []
    with fed.connect() as connection:
        assert queued_accounts(connection, limit=10) == {}


def test_an_account_that_a_run_reads_now_stays_in_the_queue(fed: sa.Engine) -> None:
    with fed.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
    see(fed, claimed_until=NOW + timedelta(minutes=1))
    with fed.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(handle="@other"))
    assert ids(tick(fed, RESTING)) == []
    assert ids(tick(fed, RESTING, now=NOW + timedelta(minutes=2))) == ["1"]


def test_an_account_that_the_app_deleted_is_found_through_the_feed(fed: sa.Engine) -> None:
    with fed.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
    see(fed)
    with fed.begin() as connection:
        connection.execute(sa.delete(social_account_connection))
    (finding,) = tick(fed, RESTING).findings
    assert (finding.account_id, finding.fingerprint) == ("1", None)


def test_what_the_triggers_missed_is_found_by_the_walk_within_the_hour(fed: sa.Engine) -> None:
    with fed.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
        connection.exec_driver_sql("DELETE FROM changed_accounts")
    assert ids(tick(fed, RESTING)) == []
    assert ids(tick(fed, RESTING, now=NOW + timedelta(hours=1))) == ["1"]


def test_a_walk_in_slices_finds_new_changed_and_deleted_accounts_within_one_round(migrated_engine: sa.Engine) -> None:
    engine = migrated_engine
    with engine.begin() as connection:
        for number in range(7):
            insert_talent(connection, id=f"t{number}")
            insert_account(connection, id=f"a{number}", talent_id=f"t{number}")
    see(engine)
    with engine.begin() as connection:
        changed = social_account_connection.c.id == "a1"
        connection.execute(sa.update(social_account_connection).where(changed).values(handle="@other"))
        connection.execute(sa.delete(social_account_connection).where(social_account_connection.c.id.in_(["a3", "a6"])))
        insert_account(connection, id="b", talent_id="t6")
    walk, found, slices = Walk(size=2), [], 0
    while walk.last_round_seconds is None:
        step = tick(engine, walk)
        found += ids(step)
        walk = Walk(
            after=step.walk.after,
            size=2,
            round_began_at=step.walk.round_began_at,
            last_round_seconds=step.walk.last_round_seconds,
        )
        slices += 1
    assert sorted(found) == ["a1", "a3", "a6", "b"]
    assert slices >= 3


def test_waiting_ends_as_soon_as_something_is_queued_and_at_last_without(fed: sa.Engine) -> None:
    looks: list[float] = []

    def connect_meanwhile(seconds: float) -> None:
        looks.append(seconds)
        with fed.begin() as connection:
            insert_account(connection, id="1", talent_id="ada")

    assert wait_for_feed(fed, seconds=60, sleep=connect_meanwhile)
    assert len(looks) == 1
    with fed.begin() as connection:
        connection.exec_driver_sql("DELETE FROM changed_accounts")
    assert not wait_for_feed(fed, seconds=0)
