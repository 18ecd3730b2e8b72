"""The real schedules and the real sensor, evaluated by Dagster over a test's own database at a test's own time.

What belongs here: evaluating them and reading what they ask for. What does not: what a run does with it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from talent_image_pipeline.assets.naming import TRIGGER_TAG
from talent_image_pipeline.automation import sensors
from talent_image_pipeline.automation.jobs import SYNC_JOB
from talent_image_pipeline.automation.schedules import daily_profile_image_sync, hourly_catch_up
from talent_image_pipeline.automation.sensors import social_account_changes
from talent_image_pipeline.clock import Clock
from talent_image_pipeline.resources import DatabaseResource, SettingsResource
from talent_image_pipeline.settings import Settings
from talent_image_pipeline.sync.planning.scope import SyncScope


@dataclass(kw_only=True)
class DagsterTicks:
    """Evaluates schedules and sensor; remembers the sensor's cursor as the daemon does.

    Attributes:
        engine: The database, open already.
        settings: The settings that the ticks see.
        clock: What time it is.
        instance: Dagster's runs, in a persistent instance; none unless the test puts some there.
        cursor: What the sensor's last tick left.
        message: Why the last tick asked for nothing.
    """

    engine: sa.Engine
    settings: Settings
    clock: Clock
    instance: dg.DagsterInstance
    cursor: str | None = None
    message: str | None = None

    def daily(self) -> list[dg.RunRequest]:
        """Return what the daily schedule asks for now."""
        return self._evaluate(daily_profile_image_sync)

    def catch_up(self) -> list[dg.RunRequest]:
        """Return what the hourly catch-up asks for now."""
        return self._evaluate(hourly_catch_up)

    def changes(self) -> list[dg.RunRequest]:
        """Return what a tick of the sensor asks for now."""
        with (
            pytest.MonkeyPatch.context() as patch,
            dg.build_sensor_context(
                instance=self.instance, cursor=self.cursor, resources={"database": self._database()}
            ) as context,
        ):
            patch.setattr(sensors, "utc_now", self.clock)
            result = social_account_changes(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        skip = result.skip_reason
        self.message = skip.skip_message if isinstance(skip, dg.SkipReason) else skip
        return list(result.run_requests or [])

    def launch(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Put a run into Dagster's records, as the daemon does with a run request."""
        job = request.job_name or SYNC_JOB
        # Dagster queues only runs that say where their code is.
        location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("talent_image_pipeline"), "__repository__")
        run = dg.DagsterRun(
            job_name=job,
            run_config=dict(request.run_config),
            tags=dict(request.tags),
            status=status,
            remote_job_origin=RemoteJobOrigin(location, job),
        )
        return self.instance.add_run(run)

    def _evaluate(self, schedule: Any) -> list[dg.RunRequest]:
        with dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=self.clock(), resources={"database": self._database()}
        ) as context:
            # Dagster would open the instance anew for every evaluation: half a second of reading its own migrations.
            object.__setattr__(context, "_instance", self.instance)
            found = list(schedule(context))
        self.message = next((one.skip_message for one in found if isinstance(one, dg.SkipReason)), None)
        return [one for one in found if isinstance(one, dg.RunRequest)]

    def _database(self) -> DatabaseResource:
        engine, settings = self.engine, self.settings

        class OpenDatabase(DatabaseResource):
            @contextmanager
            def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[DatabaseResource, None, None]:
                self._engine, self._settings = engine, settings
                yield self

        return OpenDatabase(environment=SettingsResource())


def scope_of(request: dg.RunRequest) -> SyncScope:
    """Return the scope of the run that a request asks for."""
    config: dict[str, Any] = dict(request.run_config)
    if "talent_ids" in config:
        # A run about changed accounts: these talents, and nothing else to say of them.
        return SyncScope(talent_ids=tuple(config["talent_ids"]), limit=len(config["talent_ids"]))
    talents, platforms = config.pop("batch"), config.pop("platforms")
    return SyncScope(**config, talent_ids=tuple(talents), platforms=tuple(platforms))


def trigger_of(request: dg.RunRequest) -> str:
    """Return why the run is asked for."""
    return request.tags[TRIGGER_TAG]
