"""What is read from Dagster's instance, and what is said where it cannot be opened."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from talent_image_pipeline.automation.instance import look_at_instance, open_instance

SECRET = "planted-secret-that-nobody-may-see"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose history lies in a directory that does not exist yet."""
    directory = tmp_path / "history"
    (tmp_path / "dagster.yaml").write_text(f"storage:\n  sqlite:\n    # here\n    base_dir: {directory}\n")
    return tmp_path


def test_a_home_in_which_nothing_ever_ran_stays_as_it_is(home: Path) -> None:
    assert look_at_instance(home).has_history is False
    assert not (home / "history").exists()


def test_a_home_that_is_not_one_is_named(tmp_path: Path) -> None:
    for place in (None, tmp_path, tmp_path / "nowhere"):
        state = look_at_instance(place)
        assert state.home is None
        assert state.problem is not None
        assert "DAGSTER_HOME" in state.problem


def test_the_last_success_and_the_silence_of_the_daemon_are_read(home: Path) -> None:
    with open_instance(home) as instance:
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(run)
    assert look_at_instance(home).last_success is None

    @dg.job
    def succeeds() -> None:
        pass

    with open_instance(home) as instance:
        succeeds.execute_in_process(instance=instance)
    state = look_at_instance(home)

    assert state.last_success is not None
    assert set(state.heartbeats.values()) == {None}
    assert state.switched_on == {"daily_profile_image_sync": True, "social_account_changes": True}


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("{env: NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
        (f"postgresql://dagster:{SECRET}@127.0.0.1:1/dagster", "postgresql+psycopg2://"),
        (f"postgresql+psycopg2://dagster:{SECRET}@127.0.0.1:1/dagster", "127.0.0.1"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_explained_without_the_password(
    address: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "dagster.yaml").write_text(f"storage:\n  postgres:\n    postgres_url: {address}\n")

    problem = look_at_instance(tmp_path).problem

    assert problem is not None
    assert says in problem
    assert SECRET not in problem
    assert "\n" not in problem


def test_threads_that_open_a_new_home_at_once_leave_one_that_opens_again(home: Path) -> None:
    def open_once(_: int) -> int:
        with open_instance(home) as instance:
            return instance.get_runs_count()

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert list(threads.map(open_once, range(8))) == [0] * 8
    assert open_once(0) == 0
