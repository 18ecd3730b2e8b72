"""The change feed writes down what the app touches, and nothing that goes wrong in it reaches the app."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.change_feed import forget_queued, has_change_feed, queued_accounts
from talent_image_pipeline.database.migrate import migrate, migrate_down
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.database.url import with_own_schema
from talent_image_pipeline_tests.rows import insert_account, insert_talent

Opener = Callable[[str], sa.Engine]


@pytest.fixture
def engine(migrated_engine: sa.Engine) -> sa.Engine:
    """A database whose feed is turned on, with two talents."""
    migrate(migrated_engine, with_app_tables=False, with_change_feed=True)
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada")
        insert_talent(connection, id="bea")
    return migrated_engine


def queued(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(queued_accounts(connection, limit=100))


def empty(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        forget_queued(connection, list(queued_accounts(connection, limit=100).items()))


def test_whatever_the_app_does_to_an_account_is_written_down_in_order(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_account(connection, id="2", talent_id="ada")
        insert_account(connection, id="1", talent_id="bea")
    assert queued(engine) == ["2", "1"]
    empty(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(connected=False))
    assert sorted(queued(engine)) == ["1", "2"]
    empty(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(talent).where(talent.c.id == "ada"))
    assert queued(engine) == ["2"], "an account that goes with its talent is a change too"


def test_what_changes_while_it_is_worked_on_stays_in_the_queue(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
        seen = list(queued_accounts(connection, limit=100).items())
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(handle="@other"))
        forget_queued(connection, seen)
    assert queued(engine) == ["1"]


def test_turning_it_on_twice_writes_every_change_down_once(engine: sa.Engine) -> None:
    migrate(engine, with_app_tables=False, with_change_feed=True)
    with engine.begin() as connection:
        insert_account(connection, id="1", talent_id="ada")
        count = connection.exec_driver_sql("SELECT count(*) FROM changed_accounts").scalar_one()
    assert count == 1


def test_the_way_back_takes_it_away_and_the_app_goes_on(engine: sa.Engine) -> None:
    migrate_down(engine)
    with engine.begin() as connection:
        assert not has_change_feed(connection)
        connection.exec_driver_sql(
            """INSERT INTO "SocialAccountConnection" ("id", "creatorId", "platform", "handle", "updatedAt")"""
            " VALUES ('1', 'ada', 'TIKTOK', '@ada', '2026-01-01')"
        )


def test_the_feed_is_off_unless_it_was_turned_on(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        assert not has_change_feed(connection)
        insert_talent(connection, id="ada")
        insert_account(connection, id="1", talent_id="ada")
    assert queued(migrated_engine) == []


def test_a_queue_that_is_broken_or_gone_never_fails_the_apps_statement(postgres_url: str, opened: Opener) -> None:
    app = opened(postgres_url)
    migrate(app, with_app_tables=True)
    engine = opened(with_own_schema(postgres_url, "talent_images"))
    migrate(engine, with_app_tables=False, with_change_feed=True)
    with app.begin() as connection:
        connection.exec_driver_sql("DROP TABLE talent_images.changed_accounts")
    with app.begin() as connection:
        insert_talent(connection, id="ada")
        insert_account(connection, id="1", talent_id="ada")
    with app.connect() as connection:
        assert connection.scalars(sa.select(social_account_connection.c.id)).all() == ["1"]


def test_the_apps_role_needs_no_right_on_the_queue(postgres_url: str, opened: Opener) -> None:
    owner = opened(postgres_url)
    migrate(owner, with_app_tables=True)
    engine = opened(with_own_schema(postgres_url, "talent_images"))
    migrate(engine, with_app_tables=False, with_change_feed=True)
    with owner.begin() as connection:
        insert_talent(connection, id="ada")
        connection.exec_driver_sql("CREATE ROLE an_app")
        connection.exec_driver_sql('GRANT ALL ON "Talent", "SocialAccountConnection" TO an_app')
    try:
        with owner.begin() as connection:
            connection.exec_driver_sql("SET LOCAL ROLE an_app")
            insert_account(connection, id="1", talent_id="ada")
        assert queued(engine) == ["1"]
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY an_app")
            connection.exec_driver_sql("DROP ROLE an_app")
