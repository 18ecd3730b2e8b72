"""``talent-images serve`` in a process of its own, with the sandbox and a database: what the app and the pages meet.

What belongs here: starting and stopping it, and what a test changes in the app's tables and in the sandbox.
What does not: what a test expects.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from talent_image_pipeline.database.audit_queries import AuditEntry, latest_entries
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.conftest import PROJECT_ROOT
from talent_image_pipeline_tests.rows import insert_account, insert_talent

API_TOKEN = "a-token-for-tests-alone"
_SECONDS_TO_START = 60
_numbers = count(1)


@dataclass(kw_only=True)
class LiveService:
    """A running service and what is around it."""

    address: str
    home: Path
    engine: sa.Engine
    sandbox: RunningSandbox
    process: "subprocess.Popen[str]"
    client: httpx.Client = field(init=False)
    anonymous: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Open a client with the token, and one without."""
        self.anonymous = httpx.Client(base_url=self.address, timeout=60)
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        self.client = httpx.Client(base_url=self.address, timeout=60, headers=headers)

    @property
    def world(self) -> World:
        """What the sandbox knows."""
        return self.sandbox.world

    @property
    def image_directory(self) -> Path:
        """Where the pictures are stored."""
        return self.home / ".talent-images" / "images"

    def add_talent(self, *networks: Network | str, name: str = "Ada Lovelace", **columns: Any) -> str:
        """Add a talent with a healthy account on each of these networks, and return its id."""
        talent_id = f"talent_{next(_numbers)}"
        with self.engine.begin() as connection:
            insert_talent(connection, id=talent_id, name=name, **columns)
        for network in networks:
            self.connect(talent_id, network)
        return talent_id

    def connect(self, talent_id: str, network: Network | str, **account: Any) -> str:
        """Connect an account that the sandbox knows, and return its id."""
        handle = f"{talent_id.replace('_', '.')}.{Network(network)}"
        self.world.add_account(network, handle, **account)
        tokens: dict[str, Any] = {}
        if Network(network) is not Network.YOUTUBE:
            credentials = self.world.connect(network, handle)
            tokens = {
                "access_token": credentials.access_token,
                "refresh_token": credentials.refresh_token,
                "expires_at": credentials.expires_at,
            }
        with self.engine.begin() as connection:
            return insert_account(
                connection,
                id=f"{talent_id}-{Network(network)}",
                talent_id=talent_id,
                platform=Network(network).upper(),
                handle=f"@{handle}",
                **tokens,
            )

    def handle(self, talent_id: str, network: Network | str) -> str:
        """Return the handle of a talent's account, as the sandbox knows it."""
        return f"{talent_id.replace('_', '.')}.{Network(network)}"

    def disconnect(self, talent_id: str, network: Network | str) -> None:
        """Disconnect an account, as the app does."""
        account = social_account_connection
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(account).where(account.c.id == f"{talent_id}-{Network(network)}").values(connected=False)
            )

    def sync(self, talent_id: str, *, force: bool = False) -> httpx.Response:
        """Ask for a sync, as "Refresh Photo" does."""
        body = {"forceRefresh": force}
        return self.client.post(f"/api/admin/talent/{talent_id}/profile-image/sync", json=body)

    def columns(self, talent_id: str) -> tuple[str, str | None]:
        """Return the talent's source and address."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(talent).where(talent.c.id == talent_id)).mappings().one()
        return row["profileImageSource"], row["profileImageUrl"]

    def audit(self, talent_id: str | None = None) -> list[AuditEntry]:
        """Return what was asked for, the newest first."""
        with self.engine.connect() as connection:
            return latest_entries(connection, talent_id=talent_id, limit=100)

    def calls(self, talent_id: str) -> int:
        """Return how many calls of the networks' APIs were about a talent's accounts."""
        prefix = talent_id.replace("_", ".") + "."
        return sum(
            number
            for endpoint, handles in self.world.calls.counts().items()
            for handle, number in handles.items()
            if handle.startswith(prefix) and not endpoint.endswith(".picture")
        )


@contextmanager
def live_service(
    *,
    home: Path,
    database_url: str,
    environment: Mapping[str, str] | None = None,
    before_start: Callable[[RunningSandbox, sa.Engine], None] | None = None,
) -> Iterator[LiveService]:
    """Serve in a process of its own until the block ends.

    Args:
        home: An empty directory, for Dagster's home and the pictures.
        database_url: A database that was migrated.
        environment: Settings besides those that lead to the sandbox and the database.
        before_start: Called before the service starts.
    """
    home.mkdir(exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT_ROOT / name, home / name)
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(World()))
        engine = open_engine(database_url)
        stack.callback(engine.dispose)
        if before_start is not None:
            before_start(sandbox, engine)
        process = start_service(
            home, {**sandbox.environment, "TALENT_DATABASE_URL": database_url, **(environment or {})}
        )
        stack.callback(stop_service, process)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://" in said, said
        service = LiveService(address=said.split()[-1], home=home, engine=engine, sandbox=sandbox, process=process)
        stack.callback(service.client.close)
        stack.callback(service.anonymous.close)
        yield service


def start_service(home: Path, environment: Mapping[str, str], *options: str) -> "subprocess.Popen[str]":
    """Start ``talent-images serve`` on a free port; its first line says where."""
    with (home / "service.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "talent_image_pipeline.cli.main", "serve", "--port", "0", *options],
            cwd=home,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("TALENT_", "DAGSTER_"))},
                "DAGSTER_HOME": str(home),
                "TALENT_DATA_DIR": str(home / ".talent-images"),
                "TALENT_ENV_FILE": str(home / "no.env"),
                "TALENT_API_TOKEN": API_TOKEN,
                "PYTHONPATH": str(PROJECT_ROOT),
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def stop_service(process: "subprocess.Popen[str]") -> None:
    """Stop the service in order; one that does not end is killed."""
    process.terminate()
    try:
        process.communicate(timeout=_SECONDS_TO_START)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
