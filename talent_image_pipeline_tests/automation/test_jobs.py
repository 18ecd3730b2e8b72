"""What a person types into a launchpad, and what is refused before a run exists."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from talent_image_pipeline.automation import refusals
from talent_image_pipeline.automation.jobs import batch_config, talents_named_in
from talent_image_pipeline.definitions import defs
from talent_image_pipeline.sync.planning.scope import SyncScope
from talent_image_pipeline_tests.rows import insert_talent


@pytest.fixture(autouse=True)
def _app(
    migrated_database_url: str, opened: Callable[[str], sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An app with three talents, two of them with the same name."""
    with opened(migrated_database_url).begin() as connection:
        insert_talent(connection, id="talent_ana", name="Ana Lima")
        insert_talent(connection, id="talent_jo_1", name="Jo Weber")
        insert_talent(connection, id="talent_jo_2", name="Jo Weber")
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_database_url)
    yield
    refusals._open_database.cache_clear()


def resolved(job: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config that the job's steps and resources get."""
    return dict(dg.validate_run_config(defs.resolve_job_def(job), config))


def refusal(job: str, config: dict[str, Any]) -> str:
    """Return what a person reads who launches with this config."""
    with pytest.raises(dg.DagsterError) as refused:
        resolved(job, config)
    return f"{type(refused.value).__module__}.{type(refused.value).__name__}: {refused.value}"


def asked_for(config: dict[str, Any]) -> list[str]:
    talents: list[str] = resolved("refresh_talent", config)["ops"]["sync_talents"]["config"]["talent_ids"]
    return talents


@pytest.mark.parametrize("typed", ["talent_ana", " talent_ana ", "Ana Lima", "ana lima"])
def test_a_refresh_is_about_the_talent_of_an_id_or_of_a_name_that_only_one_has(typed: str) -> None:
    assert asked_for({"talent_id": typed}) == ["talent_ana"]


def test_a_refresh_reads_whether_or_not_the_talent_is_due() -> None:
    config = resolved("refresh_talent", {"talent_id": "talent_ana"})
    assert config["ops"]["sync_talents"]["config"]["force"] is True


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("talent_anna", ["'talent_anna'", "Did you mean talent_ana (Ana Lima)"]),
        ("", ["No talent was named"]),
        ("  ", ["No talent was named"]),
        ("Jo Weber", ["2 talents are named 'Jo Weber'", "talent_jo_1", "talent_jo_2"]),
    ],
    ids=["unknown", "empty", "blank", "ambiguous"],
)
def test_nobody_nothing_and_several_are_refused_in_one_sentence_of_their_own(typed: str, words: list[str]) -> None:
    message = refusal("refresh_talent", {"talent_id": typed})
    assert message.startswith("builtins.RefusedRun: ")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_the_example_that_the_launchpad_opens_with_is_nobody() -> None:
    assert "'talent_123'" in refusal("refresh_talent", {})


def test_what_is_no_field_of_the_launchpad_is_refused() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        resolved("refresh_talent", {"talent": "talent_ana"})


def test_a_database_that_is_not_the_apps_refuses_in_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("TALENT_DATABASE_URL", sqlite_url)
    message = refusal("refresh_talent", {"talent_id": "talent_ana"})
    assert message.startswith("builtins.RefusedRun: ")
    assert "TALENT_DATABASE_URL" in message


def test_the_sync_without_any_config_is_about_everyone_due_up_to_200() -> None:
    assert resolved("sync_profile_images", {})["resources"]["scope"]["config"] == {
        "talent_ids": [],
        "platforms": [],
        "limit": 200,
        "force": False,
        "minimum_hours": 24.0,
    }


def test_the_sync_takes_talents_by_name_and_platforms_in_any_case() -> None:
    config = resolved("sync_profile_images", {"talents": ["Ana Lima", "talent_ana"], "platforms": ["TikTok"]})
    scope = config["resources"]["scope"]["config"]
    assert scope["talent_ids"] == ["talent_ana"]
    assert scope["platforms"] == ["tiktok"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"talents": ["talent_ana", "talent_anna"]}, "'talent_anna'"),
        ({"platforms": ["myspace"]}, "There is no platform 'myspace'. Choose among instagram, tiktok, youtube."),
        ({"limit": 0}, "limit is 0; it must be at least 1"),
    ],
    ids=["talent", "platform", "limit"],
)
def test_the_sync_refuses_what_cannot_be_meant(config: dict[str, Any], words: str) -> None:
    message = refusal("sync_profile_images", config)
    assert message.startswith("builtins.RefusedRun: ")
    assert words in message


def test_the_schedules_own_batch_may_name_talents_that_the_app_has_deleted() -> None:
    config = resolved("sync_profile_images", batch_config(SyncScope(talent_ids=("deleted",), minimum_hours=20)))
    assert config["resources"]["scope"]["config"]["talent_ids"] == ["deleted"]
    changed = resolved("sync_changed_accounts", {"talent_ids": ["deleted"]})
    assert changed["ops"]["sync_talents"]["config"]["talent_ids"] == ["deleted"]


@pytest.mark.parametrize(
    ("run_config", "talents"),
    [
        ({"talent_id": "a"}, ["a"]),
        ({"talent_ids": ["a", "b"]}, ["a", "b"]),
        ({"batch": ["a"], "talents": ["b"]}, ["a", "b"]),
        ({}, []),
        (None, []),
        ({"talent_ids": "a"}, []),
    ],
)
def test_the_talents_of_a_run_can_be_read_off_its_config(run_config: Any, talents: list[str]) -> None:
    assert talents_named_in(run_config) == talents
