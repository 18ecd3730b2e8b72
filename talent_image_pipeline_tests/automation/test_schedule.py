"""The daily schedule, evaluated through Dagster's own context, over real databases and simulated days."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from talent_image_pipeline.automation.schedules import daily_profile_image_sync
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.sync.planning.candidates import choose_candidates
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline_tests.rows import insert_account, insert_talent

FIRST_DAY = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
def engine(migrated_engine: sa.Engine, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_database_url)
    return migrated_engine


def insert_many(engine: sa.Engine, number: int) -> None:
    stamp = {"createdAt": FIRST_DAY, "updatedAt": FIRST_DAY}
    talents = [{"id": f"talent-{i:05}", "userId": f"user-{i}", "name": f"Talent {i}", **stamp} for i in range(number)]
    accounts = [
        {
            "id": f"account-{i:05}",
            "creatorId": f"talent-{i:05}",
            "platform": "INSTAGRAM",
            "handle": f"talent.{i}",
            "connected": True,
            **stamp,
        }
        for i in range(number)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(talent), talents)
        connection.execute(sa.insert(social_account_connection), accounts)


def evaluate_whole(at: datetime) -> list[dg.RunRequest | dg.SkipReason]:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, resources={"database": DatabaseResource()}
        ) as context,
    ):
        return list(daily_profile_image_sync(context))  # type: ignore[arg-type]


def evaluate(at: datetime) -> list[dg.RunRequest]:
    return [request for request in evaluate_whole(at) if isinstance(request, dg.RunRequest)]


def scope_of(request: dg.RunRequest) -> dict[str, Any]:
    config: dict[str, Any] = request.run_config["resources"]["scope"]["config"]
    return config


def set_stamp(engine: sa.Engine, talent_id: str, at: datetime | None) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(talent).where(talent.c.id == talent_id).values(lastProfileImageSyncAt=at))


def test_a_thousand_due_talents_are_five_runs_and_nobody_is_left(engine: sa.Engine) -> None:
    insert_many(engine, 1000)
    requests = evaluate(FIRST_DAY)
    assert [len(scope_of(request)["talent_ids"]) for request in requests] == [200] * 5
    assert len({talent_id for request in requests for talent_id in scope_of(request)["talent_ids"]}) == 1000
    assert len({request.run_key for request in requests}) == 5
    assert {request.tags["trigger"] for request in requests} == {"daily"}


def test_never_synced_talents_come_first_and_then_the_longest_waiting(engine: sa.Engine) -> None:
    insert_many(engine, 4)
    set_stamp(engine, "talent-00000", FIRST_DAY - timedelta(days=2))
    set_stamp(engine, "talent-00001", FIRST_DAY - timedelta(days=9))
    set_stamp(engine, "talent-00002", FIRST_DAY - timedelta(days=3))
    (request,) = evaluate(FIRST_DAY)
    assert scope_of(request)["talent_ids"] == ["talent-00003", "talent-00001", "talent-00002", "talent-00000"]


def test_when_nobody_is_due_the_skip_reason_says_so(engine: sa.Engine) -> None:
    (skip,) = evaluate_whole(FIRST_DAY)
    assert isinstance(skip, dg.SkipReason)
    assert "Nobody is due" in (skip.skip_message or "")


def test_talents_without_a_known_account_and_with_a_manual_picture_are_never_due(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id="nothing")
        insert_talent(connection, id="linkedin-only")
        insert_account(connection, id="linkedin", talent_id="linkedin-only", platform="LINKEDIN")
        insert_talent(connection, id="disconnected")
        insert_account(connection, id="old", talent_id="disconnected", connected=False)
        insert_talent(connection, id="manual", profile_image_source="manual")
        insert_account(connection, id="manual-account", talent_id="manual")
    assert evaluate(FIRST_DAY) == []


def test_over_thirty_days_every_talent_is_synced_every_day_none_skipped_and_none_twice(engine: sa.Engine) -> None:
    insert_many(engine, 250)
    rng = random.Random(7)
    for day in range(30):
        at = FIRST_DAY + timedelta(days=day)
        synced: Counter[str] = Counter()
        for number, request in enumerate(evaluate(at)):
            # Runs of one day follow each other, and each stamps its talents when it is done.
            began_at = at + timedelta(minutes=number * 40, seconds=rng.uniform(3, 300))
            config = scope_of(request)
            scope = SyncScope(**{**config, "talent_ids": tuple(config["talent_ids"])})
            selection = choose_candidates(
                engine, scope=scope, run_id=f"{day}-{number}", now=began_at, verified_only=False, must_exist=False
            )
            chosen = [candidate.talent_id for candidate in selection.candidates]
            synced.update(chosen)
            ended_at = began_at + timedelta(seconds=rng.uniform(1, 900))
            with engine.begin() as connection:
                connection.execute(
                    sa.update(talent).where(talent.c.id.in_(chosen)).values(lastProfileImageSyncAt=ended_at)
                )
        assert len(synced) == 250, f"day {day}"
        assert set(synced.values()) == {1}, f"day {day}"
