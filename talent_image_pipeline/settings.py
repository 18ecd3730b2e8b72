"""Every setting, its default and what it means: read from the environment, then ``.env``, then the demo's file.

What belongs here: names, defaults, parsing and validation of settings.
What does not: anything that acts on them.

The demo leaves ``sandbox.env`` in the data directory, so that its sample accounts are never asked for at the real
platforms. That file counts only while no ``TALENT_DATABASE_URL`` is set.
"""

import os
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field, SecretStr, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.pictures.download.url_rules import parse_origin
from talent_image_pipeline.platforms.contract import Platform, WebAddress
from talent_image_pipeline.platforms.registry import PLATFORMS, platforms_in

DEFAULT_DATA_DIR = Path(".talent-images")
SANDBOX_ENV_FILE = "sandbox.env"


class SettingsError(UserError):
    """Settings that cannot be used. Their values are not repeated: any of them may hold a password.

    Attributes:
        problems: What is wrong, by the name of the setting.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Put the problems into words."""
        self.problems = dict(problems)
        super().__init__(_in_words(self.problems))


class Settings(BaseSettings):
    """What an operator can set. Field names in capitals are the names of the environment variables.

    What one platform alone needs stands in the platform's own file; :func:`settings_with` and :func:`load_settings`
    give an instance that has those fields too.

    Raises:
        pydantic.ValidationError: when a value cannot be used; the message names the variable.
    """

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    talent_database_url: SecretStr | None = None
    talent_image_store: str | None = None
    talent_image_public_url: WebAddress = "http://127.0.0.1:3001"
    talent_data_dir: Path = DEFAULT_DATA_DIR
    talent_image_trusted_origins: str = ""
    talent_image_platforms: str = ",".join(platform.name for platform in PLATFORMS)
    talent_image_verified_only: bool = False
    talent_image_schema: str | None = None
    talent_image_deleted_history_days: int = Field(default=30, ge=0)
    talent_api_token: SecretStr | None = Field(default=None)
    talent_dagster_url: WebAddress = "http://127.0.0.1:3000"
    talent_image_public_names: bool = False
    talent_avatar_redirect: bool = False
    talent_image_store_public_url: WebAddress | None = None
    talent_service_workers: int = Field(default=1, ge=1, le=64)
    talent_service_memory_mb: int = Field(default=64, ge=0, le=65_536)
    talent_service_connections: int = Field(default=2000, ge=1, le=100_000)
    talent_service_connections_per_client: int = Field(default=500, ge=1, le=100_000)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, ``.env``, and in the embedded default the demo's file."""
        named = {**dotenv_settings(), **env_settings(), **init_settings()}
        sources = (init_settings, env_settings, dotenv_settings)
        if named.get("talent_database_url"):
            return sources
        data_dir = Path(named.get("talent_data_dir") or DEFAULT_DATA_DIR)
        return (*sources, DotEnvSettingsSource(settings_cls, env_file=data_dir / SANDBOX_ENV_FILE))

    @field_validator("talent_image_trusted_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in _comma_separated(value):
            parse_origin(origin)
        return value

    @field_validator("talent_image_platforms")
    @classmethod
    def _are_platforms(cls, value: str) -> str:
        platforms_in(value)
        return value

    @cached_property
    def platforms(self) -> tuple[Platform, ...]:
        """The active platforms, in the order in which their pictures win."""
        return platforms_in(self.talent_image_platforms)

    @cached_property
    def platform_values(self) -> Mapping[str, str | SecretStr | None]:
        """The settings of all platforms, by field name: what :meth:`Platform.open_client` takes its part from."""
        names = {name for platform in PLATFORMS for name in platform.settings.model_fields}
        return MappingProxyType({name: getattr(self, name) for name in sorted(names) if hasattr(self, name)})

    @cached_property
    def trusted_origins(self) -> frozenset[str]:
        """Exact origins that count as a platform's own host: for the sandbox and tests only."""
        return frozenset(_comma_separated(self.talent_image_trusted_origins))

    @property
    def database_url(self) -> str:
        """The app's database, as the operator wrote it and with our own schema, or the embedded SQLite file."""
        if self.talent_database_url is not None:
            url = self.talent_database_url.get_secret_value()
        else:
            url = f"sqlite:///{(self.talent_data_dir / 'talents.db').absolute()}"
        if not self.talent_image_schema:
            return url
        # It brings the database library, which is a quarter of what it costs to load Dagster.
        from talent_image_pipeline.database.url import with_own_schema

        return with_own_schema(url, self.talent_image_schema)

    @property
    def is_embedded(self) -> bool:
        """Whether this is the embedded default, whose app tables we create ourselves."""
        return self.talent_database_url is None

    @property
    def image_store_url(self) -> str:
        """Where pictures are stored: a directory or an object-store URL."""
        return self.talent_image_store or str((self.talent_data_dir / "images").absolute())


def _comma_separated(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


@cache
def settings_type() -> type[Settings]:
    """The settings with the fields of every platform."""
    bases: tuple[Any, ...] = (Settings, *(platform.settings for platform in PLATFORMS))
    complete: type[Settings] = create_model("Settings", __base__=bases)
    return complete


def settings_with(**values: Any) -> Settings:
    """Read the settings as they are now; ``values``, by field name, replace what the environment says.

    Raises:
        pydantic.ValidationError: when a value cannot be used.
    """
    return settings_type()(**values)


def load_settings(**given: str) -> Settings:
    """Read the settings as they are now; what is given by name counts before the environment.

    Raises:
        SettingsError: when one cannot be used.
    """
    values: dict[str, Any] = {"_env_file": os.environ.get("TALENT_ENV_FILE", ".env"), **given}
    try:
        return settings_with(**values)
    except ValidationError as error:
        # Its own text repeats the values, and its chain would show it.
        raise SettingsError(_problems_of(error)) from None


def active_platforms() -> tuple[Platform, ...]:
    """Return the platforms whose pictures count, in the order in which they win.

    Raises:
        SettingsError: when the settings cannot be used.
    """
    return load_settings().platforms


def _in_words(problems: Mapping[str, str]) -> str:
    """Name every setting in at most three lines."""
    first, *others = problems
    lines = [f"{first} cannot be used. {problems[first]}."]
    if others:
        lines.append(f"Neither can {', '.join(others)}; talent-images doctor says why.")
    return "\n".join([*lines, "Correct it in the environment or in .env."])


def _problems_of(error: ValidationError) -> dict[str, str]:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return {
        ".".join(map(str, problem["loc"])).upper() or "settings": problem["msg"].removeprefix("Value error, ")
        for problem in problems
    }
