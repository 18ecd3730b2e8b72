"""Runs as the Dagster UI sees them: their events, their tags, their place on the timeline, and refusals."""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_shared.serdes import serialize_value

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.definitions import defs
from talent_image_pipeline.runs import RefusedRunError, WarmRuns, open_warm_runs, run_refresh
from talent_image_pipeline_tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)

MOST_EVENTS_OF_A_REFRESH = 30
MOST_BYTES_OF_A_REFRESH = 60_000
MOST_EVENTS_OF_A_BATCH = 55
TALENTS = 6


@pytest.fixture
def instance(pipeline: Pipeline) -> Iterator[dg.DagsterInstance]:
    """The persistent instance that the runs are in."""
    with contextlib.chdir(pipeline.home), dg.DagsterInstance.from_config(str(pipeline.home)) as opened:
        yield opened


@pytest.fixture
def warm(pipeline: Pipeline) -> Iterator[WarmRuns]:
    """A process that keeps everything open, as the service does."""
    with contextlib.chdir(pipeline.home), open_warm_runs() as opened:
        yield opened


def events_of(instance: dg.DagsterInstance, run_id: str) -> list[dg.EventLogEntry]:
    return list(instance.all_logs(run_id))


def verdict(instance: dg.DagsterInstance, asset: str, check: str) -> tuple[str, str] | None:
    """Return the newest verdict of a check: how it stands and, where it was evaluated, what it says."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    if record is None:
        return None
    data = record.event.dagster_event.event_specific_data if record.event and record.event.dagster_event else None
    return record.status.value, str(getattr(data, "description", ""))


def connect_all(pipeline: Pipeline) -> None:
    for number in range(TALENTS):
        for network in ("instagram", "tiktok", "youtube"):
            pipeline.connect(f"talent-{number}", network, f"handle.{number}")


def test_a_batch_and_a_refresh_leave_few_events(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    connect_all(pipeline)
    batch = events_of(instance, pipeline.sync().run_id)
    with contextlib.chdir(pipeline.home):
        refresh = events_of(instance, run_refresh("talent-0").run_id)
    # What the queue and the launcher of a launched run add, and the daily run's second line.
    launching = 8
    assert 15 < len(batch) + launching <= MOST_EVENTS_OF_A_BATCH, [event.dagster_event_type for event in batch]
    assert 5 < len(refresh) + launching <= MOST_EVENTS_OF_A_REFRESH, [event.dagster_event_type for event in refresh]
    size = sum(len(serialize_value(event)) for event in refresh)
    assert 1_000 < size <= MOST_BYTES_OF_A_REFRESH


def test_a_refresh_leaves_one_materialization_that_says_what_came_of_it(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    pipeline.connect("talent", "instagram", "handle")
    with contextlib.chdir(pipeline.home):
        run_id = run_refresh("talent").run_id
    (told,) = [event.asset_materialization for event in events_of(instance, run_id) if event.asset_materialization]
    assert told.asset_key == dg.AssetKey("resolved_profile_images")
    assert told.metadata["outcome"].value == "changed"
    assert "Instagram" in str(told.metadata["summary"].value)
    assert told.metadata["run/changed"].value == 1


def test_a_refresh_that_fails_turns_no_asset_red(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    connect_all(pipeline)
    run_id = pipeline.sync().run_id
    with pipeline.engine.begin() as connection:
        # What a refresh needs to write is gone: it ends in an error of ours.
        connection.execute(sa.text("ALTER TABLE profile_image_versions RENAME TO elsewhere"))
    with contextlib.chdir(pipeline.home):
        failed = run_refresh("talent-0")
    assert failed.failure is not None
    for asset in ("candidate_talents", "instagram_images", "resolved_profile_images"):
        records = instance.get_asset_records([dg.AssetKey(asset)])
        assert [record.asset_entry.last_run_id for record in records] == [run_id], asset


def test_a_refresh_stands_where_the_timeline_looks_for_runs(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    pipeline.connect("talent", "instagram", "handle")
    with contextlib.chdir(pipeline.home):
        run_id = run_refresh("talent").run_id
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "talent_image_pipeline"
    assert run.tags["talent_id"] == "talent"
    assert run.tags["trigger"] == "manual"
    assert run.tags[".dagster/repository"] == "__repository__@talent_image_pipeline"


def test_an_outage_is_still_warned_of_after_the_refresh_of_somebody_else(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    connect_all(pipeline)
    pipeline.connect("instagram-only", "instagram", "instagram.only")
    pipeline.sync()
    assert (verdict(instance, "tiktok_images", "is_answering") or ("",))[0] == "SUCCEEDED"
    pipeline.world.set_platform_situation("tiktok", "outage")
    pipeline.sync({"talents": [f"talent-{number}" for number in range(TALENTS)], "force": True})
    assert (verdict(instance, "tiktok_images", "is_answering") or ("",))[0] == "FAILED"
    with contextlib.chdir(pipeline.home):
        assert run_refresh("instagram-only").failure is None
    pipeline.sync({"talents": ["instagram-only"], "force": True})
    still = verdict(instance, "tiktok_images", "is_answering")
    assert still is not None
    assert still[0] == "FAILED"
    assert f"{TALENTS} of {TALENTS}" in still[1]


def test_a_platform_alone_reads_everyone_due_on_it_and_nobody_else(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    connect_all(pipeline)
    pipeline.connect("instagram-only", "instagram", "instagram.only")
    with contextlib.chdir(pipeline.home):
        result = (
            defs.resolve_implicit_global_asset_job_def()
            .get_subset(asset_selection={dg.AssetKey("tiktok_images")})
            .execute_in_process(instance=instance)
        )
    assert result.success
    assert pipeline.outcomes() == {f"talent-{number}-tiktok": "picture" for number in range(TALENTS)}
    (told,) = [event.materialization for event in result.get_asset_materialization_events()]
    assert told.asset_key == dg.AssetKey("tiktok_images")


def test_a_run_that_reads_nothing_says_so_and_changes_no_verdict(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    connect_all(pipeline)
    pipeline.sync()
    before = verdict(instance, "tiktok_images", "is_answering")
    events = events_of(instance, pipeline.sync().run_id)
    told = [event.asset_materialization for event in events if event.asset_materialization]
    summaries = {one.asset_key.path[-1]: str(one.metadata["summary"].value) for one in told}
    assert summaries["tiktok_images"].startswith("Nothing to read")
    assert summaries["candidate_talents"] == "nobody is due"
    assert [event for event in events if "CHECK" in str(event.dagster_event_type)] == []
    assert verdict(instance, "tiktok_images", "is_answering") == before


@pytest.mark.parametrize("typed", ["nobody", " ", "Ada Lovelace"])
def test_a_refresh_of_nobody_leaves_no_run(pipeline: Pipeline, instance: dg.DagsterInstance, typed: str) -> None:
    pipeline.connect("talent-1", "instagram", "handle.1")
    pipeline.connect("talent-2", "instagram", "handle.2")
    with contextlib.chdir(pipeline.home), pytest.raises(RefusedRunError) as refused:
        run_refresh(typed)
    assert "\n" not in str(refused.value)
    assert instance.get_runs() == []


def test_refreshes_in_a_warm_process_may_be_asked_for_at_once_from_many_threads(
    pipeline: Pipeline, instance: dg.DagsterInstance, warm: WarmRuns
) -> None:
    connect_all(pipeline)
    with ThreadPoolExecutor(TALENTS) as threads:
        results = list(threads.map(lambda number: warm.refresh(f"talent-{number}"), range(TALENTS)))
    assert [(one.outcome, one.changed) for one in results] == [("changed", True)] * TALENTS
    assert set(pipeline.sources().values()) == {"instagram"}
    again = warm.refresh("talent-0", trigger="manual")
    assert (again.outcome, again.changed) == ("unchanged", False)
    runs = {run.run_id: run for run in instance.get_runs()}
    assert {one.run_id for one in (*results, again)} == set(runs)
    assert all(run.status is dg.DagsterRunStatus.SUCCESS for run in runs.values())
    assert runs[results[0].run_id].tags["trigger"] == "api"
    assert runs[again.run_id].tags["trigger"] == "manual"


def test_a_warm_process_says_what_became_of_a_picture_that_nobody_could_read(
    pipeline: Pipeline, warm: WarmRuns
) -> None:
    account = pipeline.connect("talent", "instagram", "handle")
    assert warm.refresh("talent").outcome == "changed"
    pipeline.world.set_platform_situation("instagram", "outage")
    kept = warm.refresh("talent")
    assert (kept.outcome, kept.changed) == ("kept", False)
    assert kept.message.startswith("The picture stays as it is. Instagram: ")
    pipeline.change_account(account, connected=False)
    gone = warm.sync_changed("talent")
    assert (gone.outcome, gone.changed) == ("changed", True)
    with pipeline.engine.begin() as connection:
        connection.execute(sa.update(talent).values(profileImageSource="manual"))
    assert not warm.refresh("talent").changed


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")
def test_no_setting_that_is_secret_is_in_what_dagster_is_told_of_the_definitions(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.remote_representation.external_data import RepositorySnap

    from talent_image_pipeline.definitions import build_definitions

    monkeypatch.setenv("YOUTUBE_API_KEY", "the-key-that-nobody-sees")
    snapshot = serialize_value(RepositorySnap.from_def(build_definitions().get_repository_def()))
    assert "the-key-that-nobody-sees" not in snapshot
    assert "YOUTUBE_API_KEY" in snapshot
    assert json.loads(snapshot)
