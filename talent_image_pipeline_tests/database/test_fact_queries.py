"""The facts behind the checks: of all accounts and talents, whoever a run was about, on both databases."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import fact_queries, transactions
from talent_image_pipeline.database.fact_queries import PlatformFacts
from talent_image_pipeline.database.records import OWN_ERROR
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline_tests.rows import insert_account, insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def connect(engine: sa.Engine, *names: str) -> None:
    with engine.begin() as connection:
        for name in names:
            insert_talent(connection, id=name)
            insert_account(connection, id=name, talent_id=name, handle=name)


def facts(engine: sa.Engine, *, now: datetime = NOW) -> PlatformFacts:
    return transactions.read(engine, fact_queries.platform_facts, platform="instagram", since=now - DAY)


def out_of_sync(engine: sa.Engine) -> list[str]:
    return transactions.read(engine, fact_queries.talents_out_of_sync, picture_url=sim.RULES.around_hash)


def test_every_account_counts_whichever_run_read_it(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine, "ada", "grace", "hedy")
    sim.run(migrated_engine, now=NOW - timedelta(hours=3), run_id="one", talent_ids=("ada",))
    sim.run(migrated_engine, now=NOW, run_id="two", talent_ids=("grace", "hedy"), outcome=Outcome.UNAVAILABLE)
    found = facts(migrated_engine)
    assert found.outcomes == {Outcome.PICTURE: 1, Outcome.UNAVAILABLE: 2}
    assert found.messages == {Outcome.UNAVAILABLE: ["it is unavailable"]}
    assert found.last_read_at[Outcome.PICTURE] == NOW - timedelta(hours=3)


def test_errors_of_our_own_are_counted_from_what_the_ledger_says(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine, "ada", "grace")
    sim.run(migrated_engine, now=NOW, outcome=Outcome.UNAVAILABLE)
    assert facts(migrated_engine).own_errors == 0
    with migrated_engine.begin() as connection:
        statement = sa.update(platform_images).where(platform_images.c.account_id == "ada")
        connection.execute(statement.values(failure=f"{OWN_ERROR}: KeyError"))
    assert facts(migrated_engine).own_errors == 1


def test_reads_of_yesterday_and_disconnected_accounts_do_not_count(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine, "ada", "grace")
    sim.run(migrated_engine, now=NOW)
    sim.change_account(migrated_engine, "grace", connected=False)
    assert facts(migrated_engine).reads == 1
    assert facts(migrated_engine, now=NOW + DAY + timedelta(minutes=1)).reads == 0


def test_a_talent_that_shows_something_else_than_its_history_says_is_found(migrated_engine: sa.Engine) -> None:
    connect(migrated_engine, "ada", "grace")
    sim.run(migrated_engine, now=NOW)
    assert out_of_sync(migrated_engine) == []
    assert transactions.read(migrated_engine, fact_queries.count_synced_talents) == 2
    with migrated_engine.begin() as connection:
        connection.execute(
            sa.text("""UPDATE "Talent" SET "profileImageUrl" = 'http://else.example' WHERE id = 'ada'""")
        )
    assert out_of_sync(migrated_engine) == ["ada"]
    with migrated_engine.begin() as connection:
        connection.execute(sa.text("""UPDATE "Talent" SET "profileImageSource" = 'manual' WHERE id = 'ada'"""))
        connection.execute(sa.text("""UPDATE "Talent" SET "profileImageUrl" = NULL WHERE id = 'grace'"""))
    assert out_of_sync(migrated_engine) == ["grace"]
