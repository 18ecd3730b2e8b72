"""Every setting, its default and what it means: read from the environment, then ``.env``, then the demo's file.

What belongs here: names, defaults, parsing and validation of settings.
What does not: anything that acts on them.

The demo leaves ``sandbox.env`` in the data directory, so that its sample accounts are never asked for at the real
platforms. That file counts only while no ``TALENT_DATABASE_URL`` is set.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from talent_image_pipeline.database.url import with_own_schema
from talent_image_pipeline.errors import UserError

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

    Raises:
        pydantic.ValidationError: when a value cannot be used; the message names the variable.
    """

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    talent_database_url: SecretStr | None = None
    talent_image_store: str | None = None
    talent_image_public_url: str = "http://127.0.0.1:3001"
    talent_data_dir: Path = DEFAULT_DATA_DIR
    talent_image_trusted_origins: str = ""
    instagram_api_url: str = "https://graph.instagram.com"
    facebook_api_url: str = "https://graph.facebook.com"
    tiktok_api_url: str = "https://open.tiktokapis.com"
    youtube_api_url: str = "https://youtube.googleapis.com"
    instagram_business_account_id: str | None = None
    instagram_business_token: SecretStr | None = None
    tiktok_client_key: SecretStr | None = None
    tiktok_client_secret: SecretStr | None = None
    youtube_api_key: SecretStr | None = None
    talent_image_verified_only: bool = False
    talent_image_schema: str | None = None
    talent_api_token: SecretStr | None = Field(default=None)
    talent_dagster_url: str = "http://127.0.0.1:3000"
    talent_image_public_names: bool = False
    talent_avatar_redirect: bool = False
    talent_image_store_public_url: str | None = None
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

    @field_validator(
        "talent_image_public_url",
        "talent_dagster_url",
        "talent_image_store_public_url",
        "instagram_api_url",
        "facebook_api_url",
        "tiktok_api_url",
        "youtube_api_url",
    )
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("It is not an http(s) address; write it like https://example.com")
        return value.rstrip("/")

    @field_validator("talent_image_trusted_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in _comma_separated(value):
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.hostname
                or parts.path
                or parts.query
                or parts.username
            ):
                raise ValueError("It is not a list of exact origins; write each like http://127.0.0.1:9999")
        return value

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
        return with_own_schema(url, self.talent_image_schema) if self.talent_image_schema else url

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


def load_settings() -> Settings:
    """Read the settings as they are now.

    Raises:
        SettingsError: when one cannot be used.
    """
    try:
        return Settings(_env_file=os.environ.get("TALENT_ENV_FILE", ".env"))  # type: ignore[call-arg]
    except ValidationError as error:
        # Its own text repeats the values, and its chain would show it.
        raise SettingsError(_problems_of(error)) from None


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
