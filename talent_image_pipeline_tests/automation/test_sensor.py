"""The sensor, evaluated through Dagster's own context, over real databases and a real instance."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster import DagsterRunStatus

from talent_image_pipeline.automation.sensors import SECONDS_BETWEEN_TICKS, social_account_changes
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import account_queries
from talent_image_pipeline.database.tables import platform_images, social_account_connection, talent
from talent_image_pipeline.resources import DatabaseResource
from talent_image_pipeline_tests.rows import insert_account, insert_talent


@pytest.fixture
def engine(migrated_engine: sa.Engine, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    monkeypatch.setenv("TALENT_DATABASE_URL", migrated_database_url)
    return migrated_engine


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def tick(instance: dg.DagsterInstance, *, cursor: str | None = None) -> dg.SensorResult:
    resources = {"database": DatabaseResource()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = social_account_changes(context)
    assert isinstance(result, dg.SensorResult)
    return result


def asked_for(result: dg.SensorResult) -> list[str]:
    requests = result.run_requests or []
    return [talent_id for request in requests for talent_id in config_of(request)["talent_ids"]]


def config_of(request: dg.RunRequest) -> dict[str, Any]:
    return dict(request.run_config)


def connect(engine: sa.Engine, number: int = 1, **changes: Any) -> None:
    with engine.begin() as connection:
        insert_talent(connection, id=f"talent-{number}")
        values = {"talent_id": f"talent-{number}", "access_token": "token", "handle": f"handle.{number}"}
        insert_account(connection, id=f"account-{number}", **values | changes)


def have_seen_everything(engine: sa.Engine) -> None:
    """Bring the ledger to where a run that succeeded leaves it."""
    with engine.begin() as connection:
        connection.execute(sa.delete(platform_images))
        ids = list(connection.scalars(sa.select(social_account_connection.c.id)))
        for record in account_queries.load_accounts(connection, ids):
            connection.execute(
                sa.insert(platform_images).values(
                    account_id=record.account_id,
                    talent_id=record.talent_id,
                    platform=record.platform,
                    handle=record.handle,
                    fingerprint=record.fingerprint,
                    outcome="unchanged",
                    read_at=utc_now(),
                    next_read_at=utc_now() + timedelta(hours=20),
                )
            )


def change_account(engine: sa.Engine, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(social_account_connection).values(**values))


def launch(instance: dg.DagsterInstance, request: dg.RunRequest, status: DagsterRunStatus) -> dg.DagsterRun:
    """Put a run of the job into the instance, as the daemon does with a run request."""
    run = dg.DagsterRun(
        job_name="sync_changed_accounts", run_config=dict(request.run_config), tags=dict(request.tags), status=status
    )
    return instance.add_run(run)


def test_the_interval_is_short_enough_for_the_daemons_loop() -> None:
    assert 1 <= SECONDS_BETWEEN_TICKS <= 4
    assert social_account_changes.default_status is dg.DefaultSensorStatus.RUNNING


def test_with_nothing_changed_the_skip_reason_says_what_was_looked_at(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    have_seen_everything(engine)
    result = tick(instance)
    assert not result.run_requests
    assert isinstance(result.skip_reason, dg.SkipReason)
    assert "No account differs" in (result.skip_reason.skip_message or "")


def test_a_new_account_is_asked_for(engine: sa.Engine, instance: dg.DagsterInstance) -> None:
    connect(engine)
    result = tick(instance)
    assert asked_for(result) == ["talent-1"]
    assert [request.tags["trigger"] for request in result.run_requests or []] == ["sensor"]


@pytest.mark.parametrize(
    "changes",
    [
        {"connected": False},
        {"handle": "somebody.else"},
        {"accessToken": "another token"},
        {"refreshToken": "another refresh token"},
        {"profileUrl": "https://www.instagram.com/somebody.else"},
        {"connectionType": "MANUAL"},
    ],
    ids=["disconnected", "re-handled", "re-tokened", "re-consented", "re-addressed", "reconnected by hand"],
)
def test_a_changed_account_is_asked_for_although_the_app_leaves_its_date(
    engine: sa.Engine, instance: dg.DagsterInstance, changes: dict[str, Any]
) -> None:
    connect(engine)
    have_seen_everything(engine)
    change_account(engine, **changes)
    assert asked_for(tick(instance)) == ["talent-1"]


def test_a_deleted_account_is_asked_for(engine: sa.Engine, instance: dg.DagsterInstance) -> None:
    connect(engine)
    have_seen_everything(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(social_account_connection))
    assert asked_for(tick(instance)) == ["talent-1"]


def test_a_deleted_talent_is_asked_for_so_that_its_rows_can_be_forgotten(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    have_seen_everything(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(social_account_connection))
        connection.execute(sa.delete(talent))
    assert asked_for(tick(instance)) == ["talent-1"]


@pytest.mark.parametrize("changes", [{"platform": "LINKEDIN"}, {"connected": False}])
def test_accounts_that_cannot_give_a_picture_are_no_change(
    engine: sa.Engine, instance: dg.DagsterInstance, changes: dict[str, Any]
) -> None:
    connect(engine, **changes)
    assert asked_for(tick(instance)) == []


def test_talents_with_a_manual_picture_are_left_alone(engine: sa.Engine, instance: dg.DagsterInstance) -> None:
    connect(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(talent).values(profileImageSource="manual"))
    assert asked_for(tick(instance)) == []


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_change_is_not_asked_for_again_while_its_run_is_on_its_way(
    engine: sa.Engine, instance: dg.DagsterInstance, status: DagsterRunStatus
) -> None:
    connect(engine)
    first = tick(instance)
    launch(instance, (first.run_requests or [])[0], status)
    second = tick(instance, cursor=first.cursor)
    assert asked_for(second) == []
    assert isinstance(second.skip_reason, dg.SkipReason)
    assert "on their way" in (second.skip_reason.skip_message or "")


def test_a_change_whose_run_failed_is_asked_for_again_under_another_key(
    engine: sa.Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(engine)
    first = tick(instance)
    run = launch(instance, (first.run_requests or [])[0], DagsterRunStatus.STARTED)
    instance.report_run_failed(run)
    assert asked_for(tick(instance, cursor=first.cursor)) == []
    later = utc_now() + timedelta(minutes=1)
    monkeypatch.setattr("talent_image_pipeline.automation.sensors.utc_now", lambda: later)
    again = tick(instance, cursor=first.cursor)
    assert asked_for(again) == ["talent-1"]
    assert (again.run_requests or [])[0].run_key != (first.run_requests or [])[0].run_key


def test_a_change_that_came_while_the_daemon_was_down_is_found(engine: sa.Engine, instance: dg.DagsterInstance) -> None:
    connect(engine)
    have_seen_everything(engine)
    change_account(engine, connected=False)
    change_account(engine, connected=True, handle="back.again")
    assert asked_for(tick(instance, cursor="41")) == ["talent-1"]


def test_a_change_during_a_run_is_asked_for_when_the_run_has_ended(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    first = tick(instance)
    run = launch(instance, (first.run_requests or [])[0], DagsterRunStatus.STARTED)
    have_seen_everything(engine)
    change_account(engine, handle="changed.meanwhile")
    assert asked_for(tick(instance, cursor=first.cursor)) == []
    instance.handle_run_event(run.run_id, success_event())
    assert asked_for(tick(instance, cursor=first.cursor)) == ["talent-1"]


def success_event() -> Any:
    return dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name="sync_profile_images")


def test_an_account_that_a_run_holds_is_not_asked_for_until_its_claim_ends(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    have_seen_everything(engine)
    change_account(engine, handle="another")
    with engine.begin() as connection:
        claim = {"claimed_by": "a killed run", "claimed_until": utc_now() + timedelta(minutes=1)}
        connection.execute(sa.update(platform_images).values(**claim))
    assert asked_for(tick(instance)) == []
    with engine.begin() as connection:
        connection.execute(sa.update(platform_images).values(claimed_until=utc_now() - timedelta(seconds=1)))
    assert asked_for(tick(instance)) == ["talent-1"]


def test_a_failed_read_is_asked_for_again_when_its_backoff_has_passed(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    have_seen_everything(engine)
    with engine.begin() as connection:
        waiting = {"outcome": "unavailable", "next_read_at": utc_now() + timedelta(minutes=5)}
        connection.execute(sa.update(platform_images).values(**waiting))
    assert asked_for(tick(instance)) == []
    with engine.begin() as connection:
        connection.execute(sa.update(platform_images).values(next_read_at=utc_now() - timedelta(seconds=1)))
    assert asked_for(tick(instance)) == ["talent-1"]


def test_what_was_read_and_never_reached_the_talent_is_asked_for(
    engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    connect(engine)
    have_seen_everything(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(platform_images).values(awaits_resolution=True))
    assert asked_for(tick(instance)) == ["talent-1"]


def test_many_changes_become_few_runs(engine: sa.Engine, instance: dg.DagsterInstance) -> None:
    for number in range(60):
        connect(engine, number)
    result = tick(instance)
    assert len(result.run_requests or []) == 1
    assert len(asked_for(result)) == 60
