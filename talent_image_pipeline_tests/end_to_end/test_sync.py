"""The sync from social accounts to stored pictures and columns, through Dagster, over real sockets."""

import contextlib
import re

import dagster as dg

from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.situations import PictureKind
from talent_image_pipeline_tests.end_to_end.conftest import Pipeline

ADDRESS = re.compile(r"http://127\.0\.0\.1:3001/images/([0-9a-f]{64})/256\.webp")


def requests_received(pipeline: Pipeline) -> int:
    return sum(sum(by_handle.values()) for by_handle in pipeline.world.calls.counts().values())


def test_each_network_alone_gives_a_picture_that_is_stored_under_its_hash(pipeline: Pipeline) -> None:
    for network in ("instagram", "tiktok", "youtube"):
        pipeline.connect(f"talent-{network}", network, f"handle.{network}")
    pipeline.sync()
    columns = pipeline.columns()
    for network in ("instagram", "tiktok", "youtube"):
        source, address = columns[f"talent-{network}"]
        assert source == network
        found = ADDRESS.fullmatch(address or "")
        assert found, address
        renditions = sorted(path.name for path in (pipeline.store / found[1]).glob("*.webp"))
        assert renditions == ["128.webp", "256.webp", "512.webp", "64.webp"]


def test_instagram_wins_over_tiktok_and_tiktok_over_youtube(pipeline: Pipeline) -> None:
    for network in ("youtube", "tiktok", "instagram"):
        pipeline.connect("all-three", network, "all.three")
    pipeline.world.add_account("instagram", "silhouette", picture=Picture(kind=PictureKind.SILHOUETTE))
    pipeline.connect("falls-through", "instagram", "silhouette")
    pipeline.connect("falls-through", "tiktok", "falls.through")
    pipeline.sync()
    assert pipeline.sources() == {"all-three": "instagram", "falls-through": "tiktok"}
    assert pipeline.outcomes()["falls-through-instagram"] == "no_picture"


def test_a_second_sync_of_healthy_accounts_costs_one_call_each_and_downloads_nothing(pipeline: Pipeline) -> None:
    for number in range(3):
        pipeline.connect(f"talent-{number}", "instagram", f"handle.{number}")
        pipeline.connect(f"talent-{number}", "youtube", f"handle.{number}")
    pipeline.sync()
    before = pipeline.columns()
    pipeline.world.calls.clear()
    talents = [f"talent-{number}" for number in range(3)]
    pipeline.sync({"talents": talents, "force": True})
    assert pipeline.columns() == before
    requests = {endpoint: sum(by_handle.values()) for endpoint, by_handle in pipeline.world.calls.counts().items()}
    assert requests == {"instagram.me": 3, "youtube.channels": 1, "youtube.channel": 3}, "the last counts its items"
    assert set(pipeline.outcomes().values()) == {"unchanged"}


def test_a_day_later_than_nothing_is_due_nothing_is_asked(pipeline: Pipeline) -> None:
    pipeline.connect("talent", "instagram", "handle")
    pipeline.sync()
    pipeline.world.calls.clear()
    pipeline.sync()
    assert requests_received(pipeline) == 0


def test_a_disconnect_shows_the_next_network_without_asking_any(pipeline: Pipeline) -> None:
    instagram = pipeline.connect("talent", "instagram", "handle")
    pipeline.connect("talent", "tiktok", "handle")
    pipeline.sync()
    pipeline.world.calls.clear()
    pipeline.change_account(instagram, connected=False)
    pipeline.sync({"talents": ["talent"]})
    assert pipeline.sources() == {"talent": "tiktok"}
    assert requests_received(pipeline) == 0


def test_a_new_picture_replaces_the_old_one_under_another_address(pipeline: Pipeline) -> None:
    pipeline.connect("talent", "instagram", "handle")
    pipeline.sync()
    first = pipeline.columns()["talent"]
    pipeline.world.upload_new_picture("instagram", "handle")
    assert pipeline.command("refresh", "talent").returncode == 0
    second = pipeline.columns()["talent"]
    assert second[0] == "instagram"
    assert second[1] != first[1]


def test_a_platform_that_is_down_changes_no_picture_and_fails_no_run(pipeline: Pipeline) -> None:
    for number in range(4):
        pipeline.connect(f"talent-{number}", "instagram", f"handle.{number}")
    pipeline.sync()
    before = pipeline.columns()
    pipeline.world.set_platform_situation("instagram", "outage")
    talents = [f"talent-{number}" for number in range(4)]
    pipeline.sync({"talents": talents, "force": True})
    assert pipeline.columns() == before
    assert set(pipeline.outcomes().values()) == {"unavailable"}


def test_a_refresh_of_an_unknown_talent_fails_once_and_names_it_and_the_nearest(pipeline: Pipeline) -> None:
    pipeline.connect("talent-anna", "instagram", "anna")
    refused = pipeline.command("refresh", "talent-ana")
    assert refused.returncode == 1
    assert "'talent-ana'" in refused.stdout
    assert "talent-anna" in refused.stdout
    assert refused.stdout.count("No talent has") == 1


def test_the_runs_are_in_dagsters_history_with_their_tags(pipeline: Pipeline) -> None:
    pipeline.connect("talent", "instagram", "handle")
    assert pipeline.command("refresh", "talent").returncode == 0
    # The home's paths are relative to the directory that Dagster is started in.
    with contextlib.chdir(pipeline.home), dg.DagsterInstance.from_config(str(pipeline.home)) as instance:
        (run,) = instance.get_runs()
    assert run.job_name == "refresh_talent"
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags["talent_id"] == "talent"
    assert run.tags["trigger"] == "manual"
