"""Releasing a platform from the UI."""

import dagster as dg
import pytest
import sqlalchemy as sa

from talent_image_pipeline.definitions import defs
from talent_image_pipeline_tests.sync import test_mass_guard as guard


def run(platform: str) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("release_held_back")
    config = {"ops": {"release_platform": {"config": {"platform": platform}}}}
    return job.execute_in_process(run_config=config, raise_on_error=False)


def test_a_person_releases_a_platform_from_the_launchpad(
    migrated_engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = migrated_engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TALENT_DATABASE_URL", url)
    handles = guard.agency(migrated_engine, 8)
    guard.read(migrated_engine, handles, guard.NONE, now=guard.NOW)
    assert guard.held(migrated_engine) == set(handles)
    assert run("Instagram ").success
    assert guard.held(migrated_engine) == guard.owned(migrated_engine) == set()
    assert not run("myspace").success
