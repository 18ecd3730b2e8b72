"""How an opened database behaves, on both kinds."""

from collections.abc import Callable

import sqlalchemy as sa

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline_tests.rows import insert_account, insert_talent


def test_rows_survive_the_engine_that_wrote_them(
    migrated_database_url: str, opened: Callable[[str], sa.Engine]
) -> None:
    first = opened(migrated_database_url)
    with first.begin() as connection:
        insert_talent(connection, id="t1", name="Zoë")
        insert_account(connection, id="a1", talent_id="t1")
    first.dispose()
    with opened(migrated_database_url).connect() as connection:
        assert connection.scalars(sa.select(talent.c.name)).all() == ["Zoë"]
