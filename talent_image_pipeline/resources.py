"""What Dagster hands to assets, jobs, schedule and sensor: settings, database, picture store, platforms, scope.

What belongs here: resources that open plain objects of the library from the settings and close them again.
What does not: the objects themselves, and importing them before a run opens them: these classes are loaded by every
process of Dagster's, most of which never read a picture.

The Resources page shows which settings come from the environment. Their values stay there: Dagster is handed the names
of the variables alone.
See https://docs.dagster.io/guides/build/external-resources.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr, SecretStr, create_model
from pydantic.fields import FieldInfo

from talent_image_pipeline.settings import Settings, load_settings, settings_type
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DUE_AFTER_HOURS, SyncScope

if TYPE_CHECKING:
    import sqlalchemy as sa

    from talent_image_pipeline.pictures.store.picture_store import PictureStore
    from talent_image_pipeline.sync.reading.platform_threads import PlatformThreads


class _Fields(dg.ConfigurableResource[Any]):
    """Nothing yet: the settings become its fields."""


def _shown(name: str, setting: FieldInfo) -> tuple[Any, Any]:
    """Return a setting as Dagster shows it: always text, and never its value where that is secret."""
    is_secret = SecretStr.__name__ in str(setting.annotation)
    default = "none" if setting.default is None or setting.default == "" else str(setting.default)
    field = Field(
        default=None,
        description=f"{setting.description or name.upper()}. Unset: {'none' if is_secret else default}.",
        json_schema_extra={"dagster__is_secret": is_secret},
    )
    return (str | None, field)


_FIELDS: dict[str, Any] = {name: _shown(name, setting) for name, setting in settings_type().model_fields.items()}


class SettingsResource(create_model("_SettingFields", __base__=_Fields, **_FIELDS)):  # type: ignore[misc]
    """Every setting by its environment variable; what is not set there comes from `.env` or is the default."""

    @classmethod
    def from_environment(cls) -> "SettingsResource":
        """Name the variables that are set now; a run reads them when it begins."""
        names = [name for name in settings_type().model_fields if os.environ.get(name.upper())]
        return cls(**{name: dg.EnvVar(name.upper()) for name in names})

    def load(self) -> Settings:
        """Return the settings as plain values.

        Raises:
            pydantic.ValidationError: when a value cannot be used; the message names the variable.
        """
        given = {name: getattr(self, name) for name in settings_type().model_fields}
        return load_settings(**{name: value for name, value in given.items() if value is not None})


class DatabaseResource(dg.ConfigurableResource[Any]):
    """The app's database, with our own tables in it. `TALENT_DATABASE_URL` says where it is."""

    environment: dg.ResourceDependency[SettingsResource]

    _settings: Settings = PrivateAttr()
    _engine: "sa.Engine" = PrivateAttr()

    def __init__(self, **fields: Any) -> None:
        """Take the settings from the environment unless they are given."""
        super().__init__(**{"environment": SettingsResource.from_environment(), **fields})

    @classmethod
    def already_open(cls, engine: "sa.Engine", settings: Settings) -> "DatabaseResource":
        """Return a database that whoever opened it keeps open for many runs."""
        resource = cls()
        resource._settings, resource._engine = settings, engine
        return resource

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["DatabaseResource", None, None]:
        """Open the database for a run or a tick."""
        from talent_image_pipeline.database.engine import open_engine, require_app_tables
        from talent_image_pipeline.database.schema_revision import require_current_schema
        from talent_image_pipeline.sync.heartbeat import beating

        self._settings = self.environment.load()
        self._engine = open_engine(self._settings.database_url)
        try:
            require_app_tables(self._engine)
            require_current_schema(self._engine)
            with beating(self._engine, run_id=context.run.run_id) if context.run else nullcontext():
                yield self
        finally:
            self._engine.dispose()

    @property
    def settings(self) -> Settings:
        """The settings that were in force when the run began."""
        return self._settings

    @property
    def engine(self) -> "sa.Engine":
        """The open database."""
        return self._engine


class PictureStoreResource(dg.ConfigurableResource[Any]):
    """Where pictures are kept. `TALENT_IMAGE_STORE` says where that is."""

    environment: dg.ResourceDependency[SettingsResource]

    _store: "PictureStore" = PrivateAttr()

    def __init__(self, **fields: Any) -> None:
        """Take the settings from the environment unless they are given."""
        super().__init__(**{"environment": SettingsResource.from_environment(), **fields})

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Open the store."""
        from talent_image_pipeline.pictures.store.picture_store import PictureStore

        self._store = PictureStore.from_url(self.environment.load().image_store_url)

    @property
    def store(self) -> "PictureStore":
        """The open store."""
        return self._store


class PlatformsResource(dg.ConfigurableResource[Any]):
    """The platforms' clients, the downloader and the picture workers, in one event loop for the whole run."""

    database: dg.ResourceDependency[DatabaseResource]
    picture_store: dg.ResourceDependency[PictureStoreResource]
    api_concurrency: int = Field(default=100, description="How many API calls to one platform go on at once.")
    picture_concurrency: int = Field(default=16, description="How many pictures are downloaded and rendered at once.")
    claim_seconds: float = Field(
        default=90.0,
        description="How long an account stays claimed by a run that was killed, in seconds; a live run renews it.",
    )
    run_deadline_seconds: float = Field(
        default=600.0, description="How long reading one platform may take in all, in seconds."
    )
    wait_for_claims_seconds: float = Field(
        default=30.0, description="How long a refresh waits for another run that reads the same account, in seconds."
    )

    _threads: "PlatformThreads" = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["PlatformsResource", None, None]:
        """Start the event loop and open what reading needs."""
        from talent_image_pipeline.sync.reading.platform_threads import open_platform_threads
        from talent_image_pipeline.sync.reading.tools import ReadingLimits

        limits = ReadingLimits(
            api_concurrency=self.api_concurrency,
            picture_concurrency=self.picture_concurrency,
            claim_seconds=self.claim_seconds,
            run_deadline_seconds=self.run_deadline_seconds,
            wait_for_claims_seconds=self.wait_for_claims_seconds,
        )
        with open_platform_threads(
            settings=self.database.settings,
            engine=self.database.engine,
            store=self.picture_store.store,
            limits=limits,
        ) as self._threads:
            yield self

    @classmethod
    def already_open(cls, threads: "PlatformThreads") -> "PlatformsResource":
        """Return platforms that whoever opened them keeps open for many runs."""
        resource = cls(database=DatabaseResource(), picture_store=PictureStoreResource())
        resource._threads = threads
        return resource

    @property
    def threads(self) -> "PlatformThreads":
        """What reads the platforms."""
        return self._threads


class SyncScopeResource(dg.ConfigurableResource[Any]):
    """Which talents a run is about. With nothing set: everyone due, up to 200."""

    talent_ids: list[str] = Field(
        default=[], description='Only these talents, by their id in the app, e.g. ["talent_123"]. Empty: everyone.'
    )
    limit: int = Field(default=BATCH_SIZE, description="At most this many talents, the longest waiting first.")
    force: bool = Field(
        default=False,
        description="Read the talents' accounts now, whether or not they are due.",
    )
    minimum_hours: float = Field(
        default=DUE_AFTER_HOURS, description="How many hours ago a talent's last sync must be for the talent to be due."
    )
    platforms: list[str] = Field(
        default=[],
        description='Only talents who are due on these platforms, e.g. ["tiktok"]; all of their accounts are read.',
    )

    @classmethod
    def of(cls, scope: SyncScope) -> "SyncScopeResource":
        """Return a scope as Dagster is told of it."""
        return cls(
            talent_ids=list(scope.talent_ids),
            limit=scope.limit,
            force=scope.force,
            minimum_hours=scope.minimum_hours,
            platforms=list(scope.platforms),
        )

    def scope(self) -> SyncScope:
        """Return the scope as a plain value.

        Raises:
            dagster.Failure: when it cannot be meant; says which field is wrong, and is not retried.
        """
        try:
            return SyncScope(
                talent_ids=tuple(self.talent_ids),
                limit=self.limit,
                force=self.force,
                minimum_hours=self.minimum_hours,
                platforms=tuple(self.platforms),
            )
        except ValueError as error:
            raise dg.Failure(description=f"The sync scope cannot be used: {error}", allow_retries=False) from None
