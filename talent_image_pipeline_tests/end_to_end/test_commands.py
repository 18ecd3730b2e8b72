"""Refreshing and syncing from the command line, on the real pipeline."""

import pytest

from talent_image_pipeline_tests.end_to_end.conftest import Pipeline


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_sync_reads_everyone_who_is_due_and_refresh_reads_whoever_is_named_by_id_or_name(pipeline: Pipeline) -> None:
    for talent_id in ("ada", "bea", "cleo"):
        pipeline.connect(talent_id, "instagram", talent_id)

    first = pipeline.command("sync")
    assert (first.returncode, "Synced 3 talents." in first.stdout) == (0, True), first.stdout
    assert set(pipeline.sources().values()) == {"instagram"}

    pipeline.world.calls.clear()
    second = pipeline.command("sync")
    assert (second.returncode, second.stdout) == (0, "Nobody is due.\n")

    refreshed = pipeline.command("refresh", "ada", "bea", "ada")
    assert refreshed.returncode == 0, refreshed.stdout
    assert "Refreshed ada, bea in run" in refreshed.stdout
    assert pipeline.world.calls.counts()["instagram.me"] == {"ada": 1, "bea": 1}

    unknown = pipeline.command("refresh", "ada", "nobody")
    assert (unknown.returncode, "'nobody'" in unknown.stdout) == (1, True)
    assert pipeline.world.calls.counts()["instagram.me"] == {"ada": 1, "bea": 1}
