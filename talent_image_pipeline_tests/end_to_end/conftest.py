"""The whole pipeline in a directory of its own: a database, a Dagster home, and the sandbox over real sockets.

What belongs here: what the end-to-end tests share.
What does not: anything that replaces a part of the pipeline.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from talent_image_pipeline.database.tables import platform_images, social_account_connection, talent
from talent_image_pipeline.runs import FinishedRun, run_sync
from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.conftest import PROJECT_ROOT
from talent_image_pipeline_tests.rows import insert_account, insert_talent

_RUN_SYNC = """
import json, sys
from talent_image_pipeline.resources import DatabaseResource, PictureStoreResource, PlatformsResource
from talent_image_pipeline.runs import run_sync
limits = json.loads(sys.argv[2])
platforms = PlatformsResource(database=DatabaseResource(), picture_store=PictureStoreResource(), **limits)
finished = run_sync(run_config=json.loads(sys.argv[1]), resource_overrides={"platforms": platforms})
print("FINISHED", finished.run_id, finished.failure)
"""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline and what an operator does with it."""

    home: Path
    environment: Mapping[str, str]
    engine: sa.Engine
    world: World

    @property
    def store(self) -> Path:
        """The directory of the picture store."""
        return self.home / ".talent-images" / "images"

    def start(self, command: list[str]) -> "subprocess.Popen[str]":
        """Start a process in the pipeline's home; what it prints goes to one pipe."""
        return subprocess.Popen(
            command,
            cwd=self.home,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_sync(self, run_config: Mapping[str, Any] | None = None, **limits: float) -> "subprocess.Popen[str]":
        """Start ``sync_profile_images`` in a process of its own, with these fields of the platforms' resource."""
        return self.start([sys.executable, "-c", _RUN_SYNC, json.dumps(run_config or {}), json.dumps(limits)])

    def sync(self, run_config: Mapping[str, Any] | None = None) -> FinishedRun:
        """Run ``sync_profile_images`` to its end, in this process: it is the same, without Dagster's imports anew."""
        with contextlib.chdir(self.home):
            run = run_sync(run_config=run_config)
        assert run.failure is None, run.failure
        return run

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``talent-images`` with these arguments."""
        process = self.start([sys.executable, "-m", "talent_image_pipeline.cli.main", *arguments])
        output, _ = process.communicate(timeout=180)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout=output)

    def connect(self, talent_id: str, network: Network | str, handle: str, **changes: Any) -> str:
        """Let a talent connect an account of the sandbox, as the app would store it; returns the connection's id."""
        network = Network(network)
        if self.world.find(network, handle) is None:
            self.world.add_account(network, handle)
        account_id = f"{talent_id}-{network}"
        tokens: dict[str, Any] = {}
        if network is not Network.YOUTUBE:
            credentials = self.world.connect(network, handle)
            tokens = {
                "access_token": credentials.access_token,
                "refresh_token": credentials.refresh_token,
                "expires_at": credentials.expires_at,
            }
        with self.engine.begin() as connection:
            if not connection.scalar(sa.select(talent.c.id).where(talent.c.id == talent_id)):
                insert_talent(connection, id=talent_id)
            values = {"id": account_id, "talent_id": talent_id, "platform": network.upper(), "handle": handle, **tokens}
            insert_account(connection, **values | changes)
        return account_id

    def change_account(self, account_id: str, **values: Any) -> None:
        """Change a connection as the app does: without touching ``updatedAt``."""
        row = social_account_connection.c.id == account_id
        with self.engine.begin() as connection:
            connection.execute(sa.update(social_account_connection).where(row).values(**values))

    def columns(self) -> dict[str, tuple[str, str | None]]:
        """Return what each talent shows: source and address."""
        with self.engine.connect() as connection:
            statement = sa.select(talent.c.id, talent.c.profileImageSource, talent.c.profileImageUrl)
            return {row[0]: (row[1], row[2]) for row in connection.execute(statement)}

    def sources(self) -> dict[str, str]:
        """Return the source of what each talent shows."""
        return {talent_id: source for talent_id, (source, _) in self.columns().items()}

    def outcomes(self) -> dict[str, str | None]:
        """Return how each account's last read ended."""
        with self.engine.connect() as connection:
            statement = sa.select(platform_images.c.account_id, platform_images.c.outcome)
            return {row[0]: row[1] for row in connection.execute(statement)}


def finished(process: "subprocess.Popen[str]") -> str:
    """Wait for a sync, make sure that it succeeded, and return what it printed."""
    output, _ = process.communicate(timeout=240)
    assert "FINISHED" in output, output
    assert output.rstrip().endswith("None"), output
    return output


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """The three platforms, without any account."""
    with running_sandbox(World()) as running:
        yield running


@pytest.fixture
def pipeline(
    tmp_path: Path,
    migrated_database_url: str,
    opened: Callable[[str], sa.Engine],
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> Pipeline:
    """A pipeline on each kind of database in turn, against the sandbox."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT_ROOT / name, home / name)
    environment = {
        "DAGSTER_HOME": str(home),
        **sandbox.environment,
        "TALENT_DATABASE_URL": migrated_database_url,
        "TALENT_DATA_DIR": str(home / ".talent-images"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Pipeline(home=home, environment=environment, engine=opened(migrated_database_url), world=sandbox.world)
