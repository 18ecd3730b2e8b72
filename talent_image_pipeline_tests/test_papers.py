"""What the papers say of the settings and of files is so."""

import re
from pathlib import Path

import pytest

from talent_image_pipeline.definitions import defs
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline_tests.conftest import PROJECT_ROOT

_PAPERS = [PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def _names_of_settings() -> set[str]:
    return {name.upper() for name in type(load_settings()).model_fields}


def test_the_example_of_an_env_file_names_every_setting_and_no_other() -> None:
    lines = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    named = {match[1] for line in lines if (match := re.fullmatch(r"(?:# )?([A-Z_]+)=.*", line))}

    assert named == _names_of_settings()


def test_the_readme_explains_every_setting() -> None:
    table = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")

    assert {name for name in _names_of_settings() if f"`{name}`" not in table} == set()


@pytest.mark.parametrize("paper", _PAPERS, ids=lambda paper: paper.name)
def test_every_file_that_a_paper_links_to_exists(paper: Path) -> None:
    links = _LINK.findall(paper.read_text(encoding="utf-8"))

    assert [link for link in links if not (paper.parent / link).exists()] == []


def _names_in_dagster() -> dict[str, set[str]]:
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    return {
        "assets": {key.to_user_string() for key in graph.get_all_asset_keys()},
        "checks": {key.name for key in graph.asset_check_keys},
        "jobs": {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")},
        "schedules": {schedule.name for schedule in repository.schedule_defs},
        "sensors": {sensor.name for sensor in repository.sensor_defs},
    }


def test_the_runbook_explains_everything_that_dagster_shows_by_name() -> None:
    runbook = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = _names_in_dagster()

    # Looking at an empty list would find nothing missing.
    assert {kind for kind, of_kind in names.items() if not of_kind} == set()
    assert {name for of_kind in names.values() for name in of_kind if f"`{name}`" not in runbook} == set()
