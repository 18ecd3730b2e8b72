"""The three columns, versions and pins: nothing, one and a thousand at a time."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database import history_queries
from talent_image_pipeline.database.history_queries import NewVersion, TalentColumns
from talent_image_pipeline.database.records import PinRecord
from talent_image_pipeline.database.tables import profile_image_versions, talent
from talent_image_pipeline_tests.rows import insert_talent
from talent_image_pipeline_tests.sync import simulated_run as sim

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version_of(talent_id: str, source: str = "instagram") -> NewVersion:
    return NewVersion(talent_id=talent_id, source=source, picture_hash=None, why="it is new")


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_any_number_of_columns_and_versions_is_written(migrated_engine: sa.Engine, number: int) -> None:
    ids = [f"talent-{index:04}" for index in range(number)]
    rows = [
        TalentColumns(talent_id=talent_id, image_url=f"http://x/{talent_id}", image_source="tiktok", last_sync_at=NOON)
        for talent_id in ids
    ]
    with migrated_engine.begin() as connection:
        for talent_id in ids:
            insert_talent(connection, id=talent_id)
        history_queries.write_talent_columns(connection, rows)
        for now in (NOON, NOON + HOUR):
            history_queries.write_versions(connection, [version_of(i) for i in ids], run_id="run", now=now)
        shown = connection.execute(sa.select(talent.c.id, talent.c.profileImageUrl)).all()
        current = history_queries.current_versions(connection, ids)
        ended = connection.scalars(
            sa.select(profile_image_versions.c.valid_to).where(profile_image_versions.c.valid_to.is_not(None))
        ).all()
    assert {tuple(row) for row in shown} == {(row.talent_id, row.image_url) for row in rows}
    assert {version.valid_from for version in current.values()} == ({NOON + HOUR} if ids else set())
    assert ended == [NOON + HOUR] * number


def test_columns_that_all_become_null_are_written(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada", profile_image_url="http://x", profile_image_source="tiktok")
        row = TalentColumns(talent_id="ada", image_url=None, image_source="initials", last_sync_at=None)
        history_queries.write_talent_columns(connection, [row])
    assert sim.columns_of(migrated_engine, "ada") == (None, "initials", None)


def test_the_columns_of_a_manual_picture_are_not_written(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="ada", profile_image_url="http://own", profile_image_source="manual")
        row = TalentColumns(talent_id="ada", image_url=None, image_source="initials", last_sync_at=NOON)
        history_queries.write_talent_columns(connection, [row])
    assert sim.columns_of(migrated_engine, "ada") == ("http://own", "manual", None)


def test_the_database_itself_refuses_a_second_current_version(migrated_engine: sa.Engine) -> None:
    row = {"talent_id": "ada", "source": "tiktok", "valid_from": NOON, "why": "a bug"}
    with migrated_engine.begin() as connection:
        connection.execute(sa.insert(profile_image_versions).values(row))
    with pytest.raises(sa.exc.IntegrityError), migrated_engine.begin() as connection:
        connection.execute(sa.insert(profile_image_versions).values(row))


def test_of_versions_that_began_at_the_same_moment_the_later_one_is_the_newer(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        for source in ("instagram", "tiktok"):
            history_queries.write_versions(connection, [version_of("ada", source)], run_id=None, now=NOON)
        assert [version.source for version in history_queries.load_history(connection, "ada")] == [
            "tiktok",
            "instagram",
        ]


def test_a_deleted_talent_keeps_neither_pin_nor_current_version(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        history_queries.write_versions(connection, [version_of("ada"), version_of("grace")], run_id="run", now=NOON)
        for talent_id, version in history_queries.current_versions(connection, ["ada", "grace"]).items():
            pin = PinRecord(
                talent_id=talent_id,
                version_id=version.version_id,
                source=version.source,
                picture_hash=version.picture_hash,
                pinned_at=NOON,
            )
            history_queries.save_pin(connection, pin)
        history_queries.forget_talents(connection, ["ada"], now=NOON + HOUR)
        assert set(history_queries.load_pins(connection, ["ada", "grace"])) == {"grace"}
        assert set(history_queries.current_versions(connection, ["ada", "grace"])) == {"grace"}


def test_the_history_of_a_deleted_talent_goes_when_all_of_it_is_old_enough(migrated_engine: sa.Engine) -> None:
    with migrated_engine.begin() as connection:
        insert_talent(connection, id="living")
        for moment in (NOON, NOON + HOUR):
            names = ("living", "deleted lately", "deleted long ago")
            history_queries.write_versions(connection, [version_of(n) for n in names], run_id="run", now=moment)
        history_queries.forget_talents(connection, ["deleted long ago"], now=NOON + 2 * HOUR)
        history_queries.forget_talents(connection, ["deleted lately"], now=NOON + 9 * HOUR)
        removed = history_queries.forget_history_of_deleted_talents(connection, ended_before=NOON + 3 * HOUR)
        left = connection.scalars(sa.select(profile_image_versions.c.talent_id)).all()
    assert removed == 2
    assert sorted(left) == ["deleted lately", "deleted lately", "living", "living"]
