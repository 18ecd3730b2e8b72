"""kill -9 in the middle of a batch, and two runs at once."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import anyio
import dagster as dg
import sqlalchemy as sa

from talent_image_pipeline.automation.dead_runs import dead_runs
from talent_image_pipeline.database.tables import (
    pictures,
    platform_images,
    profile_image_versions,
    run_heartbeats,
    talent,
)
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.pictures.store.verification import verify_pictures
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline.sync.planning.dead_runs import Lookout, cursor_of, lookout_from
from talent_image_pipeline_tests.end_to_end.conftest import Pipeline, finished

TALENTS = 24
SLOW = 8
SHORT_CLAIM_SECONDS = 2.0


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def reads_written(pipeline: Pipeline) -> int:
    with pipeline.engine.connect() as connection:
        statement = sa.select(sa.func.count()).where(platform_images.c.outcome.is_not(None))
        return connection.scalar(statement) or 0


def connect_many(pipeline: Pipeline) -> None:
    for number in range(TALENTS):
        pipeline.connect(f"talent-{number:02}", "instagram", f"handle.{number:02}")
        if number < SLOW:
            pipeline.world.set_situation("instagram", f"handle.{number:02}", "picture_slow", seconds=15)


def assert_every_row_is_as_before_or_complete(pipeline: Pipeline) -> None:
    with pipeline.engine.connect() as connection:
        for row in connection.execute(sa.select(platform_images)).mappings():
            is_complete = row["outcome"] == "picture" and row["picture_hash"] and row["read_at"] and row["content_id"]
            is_as_before = row["outcome"] is None and row["picture_hash"] is None and row["read_at"] is None
            assert is_complete or is_as_before, dict(row)
        shown = connection.execute(sa.select(talent.c.id, talent.c.profileImageUrl)).all()
        versions = {
            row[0] for row in connection.execute(sa.select(profile_image_versions.c.talent_id).where(sa.true()))
        }
        for talent_id, address in shown:
            assert (address is None) == (talent_id not in versions)
        hashes = list(connection.scalars(sa.select(pictures.c.hash)))
    assert anyio.run(verify_pictures, PictureStore.from_url(str(pipeline.store)), hashes) == []


def test_a_run_killed_in_the_middle_leaves_whole_rows_and_the_next_run_finishes_the_rest(pipeline: Pipeline) -> None:
    connect_many(pipeline)
    process = pipeline.start_sync(claim_seconds=SHORT_CLAIM_SECONDS)
    wait_until(lambda: reads_written(pipeline) >= 5)
    process.kill()
    process.communicate()
    already_read = reads_written(pipeline)
    assert 5 <= already_read <= TALENTS - SLOW
    assert_every_row_is_as_before_or_complete(pipeline)
    for number in range(SLOW):
        pipeline.world.set_situation("instagram", f"handle.{number:02}", "ok")
    pipeline.world.calls.clear()
    wait_until(lambda: claims_have_lapsed(pipeline))
    pipeline.sync()
    assert set(pipeline.sources().values()) == {"instagram"}
    assert reads_written(pipeline) == TALENTS
    assert pipeline.world.calls.total("instagram.me") == TALENTS - already_read
    assert_every_row_is_as_before_or_complete(pipeline)


def look_for_dead_runs(instance: dg.DagsterInstance, cursor: str | None) -> str:
    """Look as the sensor does; returns its cursor as of twelve seconds ago, so that nobody has to wait."""
    resources = {"database": DatabaseResource()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = dead_runs(context)
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    lookout = lookout_from(result.cursor)
    assert lookout is not None
    earlier = timedelta(seconds=12)
    runs = {run_id: replace(sighting, since=sighting.since - earlier) for run_id, sighting in lookout.runs.items()}
    return cursor_of(Lookout(looked_at=lookout.looked_at - earlier, runs=runs))


def test_a_killed_run_is_ended_and_its_talents_go_on_at_once(pipeline: Pipeline) -> None:
    with contextlib.chdir(pipeline.home), dg.DagsterInstance.from_config(str(pipeline.home)) as instance:
        end_a_killed_run(pipeline, instance)
    assert not has_claims(pipeline)
    pipeline.sync()
    assert set(pipeline.sources().values()) == {"instagram"}


def end_a_killed_run(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    for number in range(3):
        pipeline.connect(f"talent-{number}", "instagram", f"handle.{number}")
        pipeline.world.set_situation("instagram", f"handle.{number}", "picture_slow", seconds=30)
    process = pipeline.start_sync()
    try:
        wait_until(lambda: pipeline.world.calls.total("instagram.me") == 3)
        cursor = look_for_dead_runs(instance, None)
    finally:
        process.kill()
        process.communicate()
    for number in range(3):
        pipeline.world.set_situation("instagram", f"handle.{number}", "ok")
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    for _ in range(3):
        cursor = look_for_dead_runs(instance, cursor)
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    messages = [entry.message for entry in instance.all_logs(run.run_id)]
    assert any("This run is gone: process" in message and "3 accounts" in message for message in messages)


def has_claims(pipeline: Pipeline) -> bool:
    with pipeline.engine.connect() as connection:
        statement = sa.select(sa.func.count()).where(platform_images.c.claimed_by.is_not(None))
        return bool(connection.scalar(statement))


def test_a_run_that_lives_is_not_ended_and_leaves_no_sign_of_life_behind(pipeline: Pipeline) -> None:
    pipeline.connect("talent", "instagram", "handle")
    pipeline.world.set_situation("instagram", "handle", "picture_slow", seconds=8)
    with contextlib.chdir(pipeline.home), dg.DagsterInstance.from_config(str(pipeline.home)) as instance:
        process = pipeline.start_sync()
        wait_until(lambda: pipeline.world.calls.total("instagram.me") == 1)
        cursor = look_for_dead_runs(instance, look_for_dead_runs(instance, None))
        wait_until(lambda: beats(pipeline) >= 2)
        look_for_dead_runs(instance, cursor)
        finished(process)
        (run,) = instance.get_runs()
        assert run.is_success
    assert beats(pipeline) == 0


def beats(pipeline: Pipeline) -> int:
    with pipeline.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.sum(run_heartbeats.c.beats))) or 0


def claims_have_lapsed(pipeline: Pipeline) -> bool:
    from talent_image_pipeline.clock import utc_now

    with pipeline.engine.connect() as connection:
        statement = sa.select(sa.func.count()).where(platform_images.c.claimed_until > utc_now())
        return connection.scalar(statement) == 0


def test_two_runs_at_once_over_the_same_talents_read_each_account_once(pipeline: Pipeline) -> None:
    for number in range(TALENTS):
        pipeline.connect(f"talent-{number:02}", "instagram", f"handle.{number:02}")
    pipeline.world.set_latency(api=0.3, image=0.1)
    # Dagster's own SQLite files cannot be created by two processes at once.
    assert "'nobody'" in pipeline.command("refresh", "nobody").stdout
    processes = [pipeline.start_sync(), pipeline.start_sync()]
    for process in processes:
        finished(process)
    counts = pipeline.world.calls.counts()["instagram.me"]
    assert counts == {f"handle.{number:02}": 1 for number in range(TALENTS)}
    sources = pipeline.sources()
    assert set(sources.values()) == {"instagram"}
    with pipeline.engine.connect() as connection:
        current = sa.select(profile_image_versions.c.talent_id).where(profile_image_versions.c.valid_to.is_(None))
        assert sorted(connection.scalars(current)) == sorted(sources)


def test_a_disconnect_in_the_middle_of_a_slow_read_wins(pipeline: Pipeline) -> None:
    account = pipeline.connect("talent", "instagram", "handle")
    pipeline.world.set_situation("instagram", "handle", "picture_slow", seconds=4)
    process = pipeline.start_sync()
    wait_until(lambda: pipeline.world.calls.total("instagram.me") == 1)
    pipeline.change_account(account, connected=False)
    finished(process)
    assert pipeline.columns() == {"talent": ("initials", None)}
