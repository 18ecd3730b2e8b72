"""Both homes of Dagster are loaded as Dagster loads them, used, and left with the history that they should keep."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.load_target import WorkspaceFileTarget

PROJECT_ROOT = Path(__file__).parent.parent


@dg.op
def do_nothing() -> None:
    """Succeed."""


@dg.job(tags={"trigger": "manual"})
def trivial_job() -> None:
    """Make one run to be found again."""
    do_nothing()


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to start Dagster in that is not the developer's."""
    directory = tmp_path / "checkout"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture(params=["embedded", "production"])
def home(request: pytest.FixtureRequest, working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one of the two files, and what that file asks for."""
    if request.param == "production":
        address: str = request.getfixturevalue("postgres_url")
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", address.replace("postgresql://", "postgresql+psycopg2://"))
    file = PROJECT_ROOT / ("dagster.yaml" if request.param == "embedded" else "deploy/dagster.yaml")
    shutil.copy(file, working_directory / "dagster.yaml")
    return working_directory


def test_a_run_is_still_there_when_dagster_is_started_again(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run_id = trivial_job.execute_in_process(instance=instance).run_id
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.is_success
        assert run.tags["trigger"] == "manual"
        assert instance.all_logs(run_id)


def test_a_home_decides_what_must_not_be_left_to_defaults(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        # The ledger keeps two runs of one talent apart; a limit by a tag that a launchpad does not set would not.
        assert {limit["key"] for limit in queue.tag_concurrency_limits} == {"trigger"}
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert instance.managed_python_loggers == []


def test_the_embedded_home_keeps_everything_in_the_data_directory(working_directory: Path) -> None:
    """Where ``dagster dev`` runs without DAGSTER_HOME, whatever is elsewhere is deleted when it ends."""
    shutil.copy(PROJECT_ROOT / "dagster.yaml", working_directory)
    with dg.DagsterInstance.from_config(str(working_directory)) as instance:
        trivial_job.execute_in_process(instance=instance)
    assert {entry.name for entry in working_directory.iterdir()} == {".talent-images", "dagster.yaml"}


@pytest.mark.parametrize("path", ["dagster.yaml", "deploy/dagster.yaml"])
def test_every_section_of_a_home_says_its_reason(path: str) -> None:
    text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
    sections = [section for section in re.split(r"^(?=[a-z_]+:)", text, flags=re.MULTILINE) if section[:1] != "#"]
    assert len(sections) > 5
    assert [section.splitlines()[0] for section in sections if "  # " not in section] == []


def test_the_workspace_names_the_module_that_holds_the_definitions() -> None:
    (origin,) = WorkspaceFileTarget(paths=[str(PROJECT_ROOT / "workspace.yaml")]).create_origins()
    assert origin.location_name == "talent_image_pipeline"
    assert find_spec(str(origin.loadable_target_origin.module_name)) is not None
