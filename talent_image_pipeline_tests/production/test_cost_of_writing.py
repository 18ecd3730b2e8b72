"""What our daily writes cost PostgreSQL: beside the old row where they can, and found by an index."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import history_queries, ledger_queries
from talent_image_pipeline.database.history_queries import TalentColumns
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.tables import platform_images
from talent_image_pipeline_tests.database.test_migrate import create_app
from talent_image_pipeline_tests.rows import insert_talent

TALENTS = 300
NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


def test_most_daily_stamps_are_written_beside_the_old_row(
    postgres_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    """An update that touches an index of another kind, or finds no room, writes into every index of the app's table."""
    engine = opened(postgres_url)
    create_app(engine, has_our_columns=False)
    migrate(engine, with_app_tables=False)
    ids = [f"talent-{number:04}" for number in range(TALENTS)]
    with engine.begin() as connection:
        for talent_id in ids:
            insert_talent(connection, id=talent_id)
    for day in range(3):
        stamp = NOW + timedelta(days=day)
        rows = [TalentColumns(talent_id=i, image_url=None, image_source="initials", last_sync_at=stamp) for i in ids]
        for start in range(0, TALENTS, 20):
            with engine.begin() as connection:
                history_queries.write_talent_columns(connection, rows[start : start + 20])
                connection.execute(sa.select(sa.func.pg_stat_force_next_flush()))
    statement = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'Talent'"
    with opened(postgres_url).connect() as connection:
        updates, beside = connection.exec_driver_sql(statement).one()
    assert updates >= 3 * TALENTS - 20
    # Not one with a b-tree of the stamps; here all but those that find their page full on the first day.
    assert beside / updates > 0.7


def test_a_runs_claims_are_found_by_an_index_however_long_the_ledger(
    postgres_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    engine = opened(postgres_url)
    migrate(engine, with_app_tables=True)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO platform_images (account_id, talent_id, platform, handle, claimed_by)"
            " SELECT i::text, i::text, 'tiktok', 'h', CASE WHEN i %% 500 = 0 THEN 'run' END"
            " FROM generate_series(1, 20000) AS i"
        )
        connection.exec_driver_sql("ANALYZE platform_images")
        statement = sa.update(platform_images).where(platform_images.c.claimed_by == "run").values(claimed_until=NOW)
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}"))
        assert "platform_images_claimed_by_idx" in plan
        ledger_queries.renew_claims(connection, run_id="run", until=NOW)
        renewed = sa.select(sa.func.count()).where(platform_images.c.claimed_until == NOW)
        assert connection.scalar(renewed) == 40
