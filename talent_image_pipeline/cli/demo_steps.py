"""The demo: everything a newcomer needs, from an empty directory to pictures, in one command.

What belongs here: the order of the steps, each of which is printed as it ends.
What does not: the sandbox (``sandbox/``), the sync (``assets/``), the service (``service/``) and the child processes
themselves (``children.py``).
"""

import fcntl
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from rich.console import Console

from talent_image_pipeline.automation.jobs import batch_config
from talent_image_pipeline.cli.children import Children
from talent_image_pipeline.cli.demo_result import print_result
from talent_image_pipeline.cli.main import handle_signals
from talent_image_pipeline.cli.private_files import make_private_directory
from talent_image_pipeline.cli.sandbox import point_embedded_default_at, state_file_in
from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.tables import social_account_connection, talent
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.runs import run_sync, use_dagster_home
from talent_image_pipeline.sandbox.samples import sample_accounts, sample_talents
from talent_image_pipeline.sandbox.server import is_sandbox, sandbox_environment
from talent_image_pipeline.service.api_token import load_api_token
from talent_image_pipeline.settings import Settings, load_settings
from talent_image_pipeline.sync.planning.scope import SyncScope

_LOOPBACK = "127.0.0.1"
_INTERPRETER = (sys.executable, "-m")
#: Both start an interpreter and import everything; a laptop that does other things takes a while.
_SECONDS_TO_START = 180.0


class DemoError(UserError):
    """The demo cannot run here; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class DemoPorts:
    """Free ports on loopback."""

    ui: int
    service: int
    sandbox: int

    @property
    def environment(self) -> dict[str, str]:
        """The settings, by the names of their environment variables, that lead everything here."""
        return {
            **sandbox_environment(f"http://{_LOOPBACK}:{self.sandbox}"),
            "TALENT_IMAGE_PUBLIC_URL": f"http://{_LOOPBACK}:{self.service}",
            "TALENT_DAGSTER_URL": f"http://{_LOOPBACK}:{self.ui}",
        }


def run_demo(*, console: Console, once: bool, ports: DemoPorts) -> None:
    """Set up the embedded database with sample talents, run the sync against the sandbox and show what came of it.

    Args:
        console: Where to print.
        once: Exit after the run; otherwise the Dagster UI, the service and the sandbox go on until Ctrl-C.
        ports: Where they listen.

    Raises:
        UserError: when settings point at a real database, another demo runs here, or something cannot be started.
    """
    settings = load_settings()
    if not settings.is_embedded:
        raise DemoError("TALENT_DATABASE_URL is set: the demo only works on its own embedded database. Unset it first.")
    use_dagster_home()
    make_private_directory(settings.talent_data_dir)
    with ExitStack() as stack:
        stack.enter_context(_only_demo_in(settings))
        children = stack.enter_context(Children(settings.talent_data_dir / "demo.log"))
        with _step(console, "Starting the sandbox of the platforms", "Sandbox of the platforms started"):
            _start_sandbox(children, settings, port=ports.sandbox)
        point_embedded_default_at(settings, ports.environment)
        settings = load_settings()
        with _step(console, "Preparing the embedded database", "Embedded database with sample talents ready"):
            _prepare_database(settings)
        with _step(console, "Syncing profile images through Dagster", "Profile images synced through Dagster"):
            # Whoever was synced a minute ago is asked for again, to show that nothing is downloaded twice.
            run = run_sync(run_config=batch_config(SyncScope(minimum_hours=0)))
        # Dagster leaves its own handlers behind.
        handle_signals()
        if run.failure is not None:
            raise DemoError(f"The run {run.run_id} failed: {run.failure}")
        console.print()
        changed = print_result(console, settings, run_id=run.run_id)
        news = f"{changed} talents show something new" if changed else "Nothing changed"
        console.print(f"\n{news}. Calls to the platforms: {run.api_calls}. Pictures downloaded: {run.downloads}.")
        if once:
            console.print(f"The pictures are in {settings.image_store_url}.", soft_wrap=True)
            return
        _leave_running(console, children, settings, ports=ports)


@contextmanager
def _only_demo_in(settings: Settings) -> Iterator[None]:
    """Keep a second demo out of the same directory; the lock goes with the process, however it ends."""
    with (settings.talent_data_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"A demo is running in {settings.talent_data_dir.absolute()} already: "
                "stop it, or give this one a directory of its own: talent-images --data-dir DIRECTORY demo."
            ) from None
        yield


@contextmanager
def _step(console: Console, doing: str, done: str) -> Iterator[None]:
    """Show what is going on, and when it is done say so, with how long it took."""
    started = time.monotonic()
    with console.status(f"{doing} …"):
        yield
    console.print(f"{done} ({time.monotonic() - started:.1f} s)")


def _start_sandbox(children: Children, settings: Settings, *, port: int) -> None:
    command = [*_INTERPRETER, "talent_image_pipeline.sandbox.server", "--port", str(port)]
    children.start("The sandbox", [*command, "--state-file", str(state_file_in(settings))])
    origin = f"http://{_LOOPBACK}:{port}"
    children.wait_until(lambda: is_sandbox(origin), timeout_seconds=_SECONDS_TO_START)


def _prepare_database(settings: Settings) -> None:
    engine = open_engine(settings.database_url)
    try:
        migrate(engine, with_app_tables=True, with_change_feed=True)
        insert_samples(engine)
    finally:
        engine.dispose()


def insert_samples(engine: sa.Engine) -> None:
    """Insert the sample talents and their accounts; those that are there already stay as they are."""
    with engine.begin() as connection:
        for table, rows in ((talent, sample_talents()), (social_account_connection, sample_accounts())):
            known = set(connection.scalars(sa.select(table.c.id)))
            new = [row for row in rows if row["id"] not in known]
            for row in new:
                connection.execute(sa.insert(table).values(**row))


def _leave_running(console: Console, children: Children, settings: Settings, *, ports: DemoPorts) -> None:
    """Leave the service and Dagster's UI and daemon running until Ctrl-C, or until one of them ends."""
    gallery, ui = f"http://{_LOOPBACK}:{ports.service}", f"http://{_LOOPBACK}:{ports.ui}"
    children.start(
        "The gallery", [*_INTERPRETER, "talent_image_pipeline.cli.main", "serve", "--port", str(ports.service)]
    )
    children.start("Dagster", [*_INTERPRETER, "dagster", "dev", "-w", "workspace.yaml", "-p", str(ports.ui)])
    try:
        _await_answer(console, children, "Gallery", f"{gallery}/healthz")
        _await_answer(console, children, "Dagster UI", f"{ui}/server_info")
        console.print(f"\nGallery:    {gallery}/")
        console.print(f"Dagster UI: {ui}")
        console.print(f"Sandbox:    http://{_LOOPBACK}:{ports.sandbox}/control, where accounts can be changed")
        console.print(f"API token:  {load_api_token(settings).get_secret_value()}")
        console.print(f"What they print goes to {children.log}. Ctrl-C ends everything.")
        children.watch()
    except KeyboardInterrupt:
        console.print("Stopping …")


def _await_answer(console: Console, children: Children, name: str, address: str) -> None:
    with _step(console, f"Starting the {name}", f"{name} ready"):
        children.wait_until(lambda: _answers(address), timeout_seconds=_SECONDS_TO_START)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except OSError:
        return False
