"""``docs/deploy.md``, followed block by block on real servers, and what becomes of runs whose workers are killed.

PostgreSQL, an S3 API, the code server, the daemon and Celery workers are real processes. Where Redis is installed the
workers are reached through it; where it is not, through a directory, and the summary says so.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
import sqlalchemy as sa
import yaml
from moto.server import ThreadedMotoServer
from psycopg2 import sql

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.tables import run_heartbeats, talent
from talent_image_pipeline.sandbox.server import RunningSandbox, running_sandbox
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline.sandbox.world import World
from talent_image_pipeline_tests.conftest import PROJECT_ROOT, PostgresServer
from talent_image_pipeline_tests.database.test_migrate import APP_TABLES
from talent_image_pipeline_tests.production.servers import (
    Service,
    answers,
    free_port,
    running_redis,
    wait_until,
)
from talent_image_pipeline_tests.programs import find_program
from talent_image_pipeline_tests.rows import insert_account, insert_talent

pytestmark = [pytest.mark.xdist_group("deployment"), pytest.mark.timeout(600)]

BUCKET: Final = "agency-talent-images"
BINARIES: Final = Path(sys.executable).parent


def blocks() -> dict[str, str]:
    """Return the shell blocks of the document, by the word behind ``sh``."""
    text = (PROJECT_ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^```sh (\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    assert list(found) == [
        "values",
        "packages",
        "roles",
        "home",
        "migrate",
        "prisma",
        "services",
        "check",
        "upgrade",
        "backup",
        "removal",
    ]
    return found


def unit_command(name: str) -> list[str]:
    """Return what a systemd unit starts, with this checkout in place of /opt/talent-images."""
    text = (PROJECT_ROOT / f"deploy/systemd/talent-images-{name}.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/talent-images/\.venv/bin/(.*)$", text, flags=re.MULTILINE)
    return shlex.split(line)


def filled_in(example: str, values: Mapping[str, str]) -> str:
    """Fill in the example of the settings: every name of it that is given, and further ones below."""
    left = dict(values)
    lines = []
    for line in example.splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={shlex.quote(left.pop(name))}" if name in left else line)
    return "\n".join([*lines, *(f"{name}={shlex.quote(value)}" for name, value in left.items())]) + "\n"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An installation that was made by following the document."""

    directory: Path
    values: Mapping[str, str]
    settings: Mapping[str, str]
    owner_url: str
    app: sa.Engine
    sandbox: RunningSandbox

    def follow(self, block: str) -> str:
        """Paste a block into a shell; returns what it printed."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", blocks()[block]],
            env={**os.environ, **self.values},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def service(self, name: str) -> Service:
        """Start what a unit starts."""
        program, *arguments = [os.path.expandvars(part) for part in self._expanded(unit_command(name))]
        return Service(
            [str(BINARIES / program), *arguments],
            directory=PROJECT_ROOT,
            environment={**self.settings, "PATH": f"{BINARIES}:{os.environ['PATH']}"},
            log=self.directory / f"{name}.log",
        )

    def _expanded(self, command: list[str]) -> list[str]:
        return [re.sub(r"\$\{(\w+)\}", lambda match: self.settings[match[1]], part) for part in command]

    def connect(self, talent_id: str, *, situation: str = "ok", seconds: float = 0) -> None:
        """Let a talent connect an Instagram account, as the app would store it."""
        world = self.sandbox.world
        world.add_account(Network.INSTAGRAM, f"handle.{talent_id}")
        credentials = world.connect(Network.INSTAGRAM, f"handle.{talent_id}")
        world.set_situation("instagram", f"handle.{talent_id}", situation, seconds=seconds)
        with self.app.begin() as connection:
            insert_talent(connection, id=talent_id)
            insert_account(
                connection,
                id=f"account-{talent_id}",
                talent_id=talent_id,
                handle=f"handle.{talent_id}",
                access_token=credentials.access_token,
                expires_at=credentials.expires_at,
            )

    def source_of(self, talent_id: str) -> str | None:
        """Return where the picture that a talent shows is from."""
        with self.app.connect() as connection:
            return connection.scalar(sa.select(talent.c.profileImageSource).where(talent.c.id == talent_id))

    def process_of_a_run(self) -> int | None:
        """Return the process of the run that goes on, if there is one."""
        engine = open_engine(self.owner_url)
        with engine.connect() as connection:
            process: int | None = connection.scalar(sa.select(run_heartbeats.c.process_id))
        engine.dispose()
        return process


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(World()) as started:
        yield started


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    httpx.put(f"{endpoint}/{BUCKET}").raise_for_status()
    yield endpoint
    server.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """How workers are reached: through Redis where it is installed, else through a directory."""
    directory = tmp_path_factory.mktemp("broker")
    with ExitStack() as stack:
        if shutil.which("redis-server"):
            port = stack.enter_context(running_redis(directory))
            address = f"redis://127.0.0.1:{port}"
            yield {"DAGSTER_CELERY_BROKER": f"{address}/0", "DAGSTER_CELERY_BACKEND": f"{address}/1"}
            return
        for name in ("messages", "control", "results"):
            (directory / name).mkdir()
        yield {
            "DAGSTER_CELERY_BROKER": "filesystem://",
            "DAGSTER_CELERY_BACKEND": f"file://{directory / 'results'}",
            "BROKER_DIRECTORY": str(directory),
        }


def test_workers_are_reached_through_redis(tmp_path: Path) -> None:
    """Says so in the summary where Redis is missing, and the other tests here made do with a directory."""
    with running_redis(tmp_path) as port:
        assert answers(port)


@pytest.fixture(scope="module")
def installation(
    postgres_server: PostgresServer,
    sandbox: RunningSandbox,
    s3_endpoint: str,
    broker: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Steps 1 to 5 of the document. The app is there before us, with its own tables and a talent in them."""
    find_program("psql", what_for="docs/deploy.md")
    directory = tmp_path_factory.mktemp("installation")
    database = postgres_server.create_database()
    host = re.sub(r".*host=", "", postgres_server.url(database))
    owner_url = postgres_server.url(database)
    engine = open_engine(owner_url)
    with engine.begin() as connection:
        for statement in APP_TABLES.format(our_columns="").split(";"):
            connection.exec_driver_sql(statement)
    own_url = f"postgresql://talent_images@/{database}?host={host}&schema=public&connection_limit=4"
    settings = {
        "TALENT_DATABASE_URL": own_url,
        "TALENT_IMAGE_STORE": f"s3://{BUCKET}/pictures",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "TALENT_DATA_DIR": str(directory / "data"),
        "TALENT_ENV_FILE": str(directory / "no.env"),
        "DAGSTER_POSTGRES_URL": f"postgresql+psycopg2://dagster@/dagster?host={host}",
        "DAGSTER_HOME": str(directory / "dagster"),
        "DAGSTER_CODE_SERVER_PORT": str(free_port()),
        **sandbox.environment,
        **broker,
    }
    example = (PROJECT_ROOT / "deploy/env.example").read_text(encoding="utf-8")
    (directory / "env").write_text(filled_in(example, settings), encoding="utf-8")
    read = subprocess.run(
        ["/bin/bash", "-c", "set -a; . ./env; env -0"], cwd=directory, capture_output=True, text=True, check=True
    )
    loaded = dict(entry.split("=", 1) for entry in read.stdout.split("\0") if "=" in entry)
    names = {line.partition("=")[0] for line in example.splitlines()} | set(settings)
    made = Installation(
        directory=directory,
        values={
            "APP_DATABASE": database,
            "APP_SCHEMA": "public",
            "OWNER": "postgres",
            "DATABASE_HOST": host,
            "DATABASE_PORT": "5432",
            "HOME_DIRECTORY": str(PROJECT_ROOT),
            "SETTINGS": str(directory / "env"),
            "PGUSER": "postgres",
        },
        settings={name: loaded[name] for name in names if name in loaded},
        owner_url=f"{owner_url}&image_schema=talent_images",
        app=engine,
        sandbox=sandbox,
    )
    for name in re.findall(r"export (\w+)=", blocks()["values"]):
        assert name in made.values, f"the document has a value that this test does not give: {name}"
    made.follow("roles")
    made.follow("home")
    if "BROKER_DIRECTORY" in broker:
        use_directory_as_broker(directory / "dagster/dagster.yaml", Path(broker["BROKER_DIRECTORY"]))
    try:
        printed = made.follow("migrate")
        assert 'Created column "Talent"."profileImageUrl"' in printed
        yield made
    finally:
        engine.dispose()
        postgres_server.drop_database("dagster")
        postgres_server.drop_database(database)
        postgres_server.execute(sql.SQL("DROP ROLE talent_images"), sql.SQL("DROP ROLE dagster"))


def use_directory_as_broker(file: Path, directory: Path) -> None:
    """Change in Dagster's home what a directory needs to be told in place of Redis."""
    home = yaml.safe_load(file.read_text(encoding="utf-8"))
    messages = str(directory / "messages")
    home["run_launcher"]["config"]["config_source"]["broker_transport_options"] = {
        "data_folder_in": messages,
        "data_folder_out": messages,
        "control_folder": str(directory / "control"),
        "polling_interval": 0.2,
    }
    file.write_text(yaml.safe_dump(home), encoding="utf-8")


@pytest.fixture(scope="module")
def worker(installation: Installation) -> Iterator[Service]:
    """Step 6: code server, worker and daemon, as their units start them. Gives the worker."""
    with ExitStack() as stack:
        started = {name: installation.service(name) for name in ("code", "worker")}
        for service in started.values():
            stack.callback(service.stop)
        wait_until(lambda: answers(int(installation.settings["DAGSTER_CODE_SERVER_PORT"])), what="the code server")
        stack.callback(installation.service("daemon").stop)
        wait_until(lambda: started["worker"].said("ready."), what="the worker is ready")
        yield started["worker"]


def test_the_role_of_the_document_lacks_nothing(installation: Installation) -> None:
    """The doctor asks the server for every right that a run needs; the document's last line of step 5 runs it."""
    printed = installation.follow("migrate")
    assert "The role may read and write everything" in " ".join(printed.split())
    assert "Nothing to do" in printed


def test_a_changed_account_reaches_its_talent_through_a_warm_worker(
    installation: Installation, worker: Service
) -> None:
    installation.connect("ada")
    wait_until(lambda: installation.source_of("ada") == "instagram", what="the picture is shown")
    assert worker.said("this worker process is warm")
    installation.follow("check")


def test_a_run_whose_process_is_killed_ends_and_its_talent_goes_on(installation: Installation, worker: Service) -> None:
    installation.connect("bea", situation="picture_slow", seconds=120)
    wait_until(lambda: installation.process_of_a_run() is not None, what="the run goes on")
    process = installation.process_of_a_run()
    assert process is not None
    installation.sandbox.world.set_situation("instagram", "handle.bea", "ok")
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: installation.source_of("bea") == "instagram", what="the talent goes on")


def test_a_run_whose_machine_is_lost_ends_and_its_talent_goes_on(installation: Installation, worker: Service) -> None:
    """Nobody is left to tell Celery: the run is ended by its missing signs of life."""
    installation.connect("cleo", situation="picture_slow", seconds=120)
    wait_until(lambda: installation.process_of_a_run() is not None, what="the run goes on")
    worker.kill()
    installation.sandbox.world.set_situation("instagram", "handle.cleo", "ok")
    worker.start()
    wait_until(lambda: installation.source_of("cleo") == "instagram", what="the talent goes on")


def test_every_unit_and_every_container_starts_a_program_that_is_there() -> None:
    compose = yaml.safe_load((PROJECT_ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
    for name in ("code", "daemon", "webserver", "worker", "service"):
        program, *arguments = unit_command(name)
        assert (BINARIES / program).exists()
        in_container = [str(part) for part in compose["services"][name]["command"]]
        assert in_container[:2] == [program, *arguments][:2]
    yaml.safe_load((PROJECT_ROOT / "deploy/helm-values.yaml").read_text(encoding="utf-8"))
