"""The definitions as Dagster's code server loads them: nothing missing, nothing extra, everything described."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from talent_image_pipeline.assets.columns import COLUMNS_FILE, describe_tables, table_schema
from talent_image_pipeline.definitions import build_definitions, defs
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline_tests.conftest import PROJECT_ROOT

# One code server serves them all.
pytestmark = pytest.mark.xdist_group("definitions")

PLATFORM_CHECKS = {"is_answering", "error_budget", "nothing_held_back", "accounts_stay_connected"}
#: What Dagster's own import does not bring, and only a process that reads, stores or serves needs.
HEAVY = ("pandas", "cv2", "PIL", "alembic", "aiohttp", "httpx", "starlette", "boto3", "obstore", "numpy", "sqlalchemy")


@pytest.fixture(scope="module")
def listed() -> dict[str, list[dict[str, Any]]]:
    """What ``dg list defs`` finds: it starts a code server and asks it, as the webserver and the daemon do."""
    command = [str(Path(sys.executable).parent / "dg"), "list", "defs", "--json"]
    found = subprocess.run(command, cwd=PROJECT_ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    listing: dict[str, list[dict[str, Any]]] = json.loads(found.stdout)
    return listing


def test_the_code_server_serves_exactly_these_names(listed: dict[str, list[dict[str, Any]]]) -> None:
    assert {asset["asset_key"] for asset in listed["assets"]} == {
        "candidate_talents",
        "instagram_images",
        "tiktok_images",
        "youtube_images",
        "resolved_profile_images",
    }
    assert {job["name"] for job in listed["jobs"]} == {
        "sync_profile_images",
        "refresh_talent",
        "sync_changed_accounts",
        "release_held_back",
    }
    assert {schedule["name"]: schedule["cron_schedule"] for schedule in listed["schedules"]} == {
        "daily_profile_image_sync": "0 2 * * *",
        "hourly_catch_up": "30 * * * *",
    }
    assert {sensor["name"] for sensor in listed["sensors"]} == {"social_account_changes", "dead_runs"}
    assert {resource["name"] for resource in listed["resources"]} == {
        "settings",
        "database",
        "picture_store",
        "platforms",
        "scope",
    }
    platform_checks = {f"{platform.name}_images:{check}" for platform in PLATFORMS for check in PLATFORM_CHECKS}
    assert {check["key"] for check in listed["asset_checks"]} == {
        "candidate_talents:no_trusted_origins",
        "resolved_profile_images:columns_match_history",
        *platform_checks,
    }


def test_the_assets_follow_each_other_as_the_data_does(listed: dict[str, list[dict[str, Any]]]) -> None:
    upstream = {asset["asset_key"]: set(asset["dependency_keys"]) for asset in listed["assets"]}
    platforms = {f"{platform.name}_images" for platform in PLATFORMS}
    assert upstream["candidate_talents"] == set()
    assert all(upstream[name] == {"candidate_talents"} for name in platforms)
    assert upstream["resolved_profile_images"] == platforms


@pytest.mark.parametrize("kind", ["assets", "asset_checks", "jobs"])
def test_everything_that_the_ui_lists_has_a_description(listed: dict[str, list[dict[str, Any]]], kind: str) -> None:
    assert [item for item in listed[kind] if not item.get("description")] == []


def test_schedule_sensor_and_config_fields_have_descriptions() -> None:
    repository = defs.get_repository_def()
    assert all(schedule.description for schedule in repository.schedule_defs)
    assert all(sensor.description for sensor in repository.sensor_defs)
    for resource in (build_definitions().resources or {}).values():
        for name, field in type(resource).model_fields.items():
            is_nested = isinstance(getattr(resource, name), dg.ConfigurableResource)
            assert field.description or is_nested, f"{type(resource).__name__}.{name}"
        assert type(resource).__doc__


def test_assets_have_owners_kinds_and_a_column_schema_from_the_tables() -> None:
    for node in defs.resolve_asset_graph().asset_nodes:
        assert node.owners, node.key
        assert node.kinds, node.key
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert all(column.description for column in schema.columns), node.key


def test_schedule_and_sensor_run_by_default() -> None:
    repository = defs.get_repository_def()
    assert repository.get_schedule_def("daily_profile_image_sync").default_status is dg.DefaultScheduleStatus.RUNNING
    assert repository.get_sensor_def("social_account_changes").default_status is dg.DefaultSensorStatus.RUNNING


@pytest.mark.parametrize("job", ["sync_profile_images", "refresh_talent", "sync_changed_accounts"])
def test_every_job_runs_in_one_process(job: str) -> None:
    assert defs.resolve_job_def(job).executor_def.name == "in_process"


def loaded_by(module: str) -> set[str]:
    """Return which of the heavy packages are there after a fresh interpreter imported a module."""
    report = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    command = [sys.executable, "-c", report]
    found = subprocess.run(command, cwd=PROJECT_ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_the_definitions_load_nothing_that_only_a_run_needs() -> None:
    assert loaded_by("talent_image_pipeline.definitions") == set()


def test_what_a_run_needs_would_be_noticed() -> None:
    assert loaded_by("talent_image_pipeline.sync.batch") >= {"aiohttp", "httpx", "obstore", "sqlalchemy"}


def test_the_file_of_columns_is_what_the_tables_are() -> None:
    written = COLUMNS_FILE.read_text(encoding="utf-8")
    assert written == describe_tables(), "run: python -m talent_image_pipeline.assets.columns"


def test_a_column_that_no_table_has_cannot_be_shown() -> None:
    with pytest.raises(KeyError, match="shoe_size"):
        table_schema("pictures", only=["hash", "shoe_size"])


def test_only_five_rooms_know_dagster() -> None:
    package = PROJECT_ROOT / "talent_image_pipeline"
    allowed = {package / "definitions.py", package / "resources.py", package / "runs.py"}
    allowed |= set((package / "assets").rglob("*.py")) | set((package / "automation").rglob("*.py"))
    strangers = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path not in allowed
        and any(
            line.strip().startswith(("import dagster", "from dagster"))
            for line in path.read_text(encoding="utf-8").splitlines()
        )
    ]
    assert strangers == []
