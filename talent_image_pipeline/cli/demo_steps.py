"""The demo: everything a newcomer needs, from an empty directory to pictures, in one command.

What belongs here: the order of the steps, and what is printed.
What does not: the sandbox (``sandbox/``), the sync (``assets/``) and the service (``service/``).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from talent_image_pipeline.cli.sandbox import point_embedded_default_at, state_file_in
from talent_image_pipeline.database.engine import open_engine, read_only
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline.database.tables import (
    platform_images,
    profile_image_pins,
    profile_image_versions,
    social_account_connection,
    talent,
)
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.resources import scope_config
from talent_image_pipeline.runs import run_sync, use_dagster_home
from talent_image_pipeline.sandbox.samples import sample_accounts, sample_talents
from talent_image_pipeline.sandbox.server import (
    DEFAULT_PORT,
    sandbox_process,
)
from talent_image_pipeline.service.api_token import load_api_token
from talent_image_pipeline.settings import Settings, active_platforms, load_settings
from talent_image_pipeline.sync.planning.scope import SyncScope

_SERVICE_PORT = 3001


class DemoError(UserError):
    """The demo cannot run here; the message says what to do."""


def run_demo(*, console: Console, once: bool, ui_port: int) -> None:
    """Set up the embedded database with sample talents, run the sync against the sandbox and show what came of it.

    Args:
        console: Where to print.
        once: End after the run; otherwise the Dagster UI, the picture service and the sandbox go on until Ctrl-C.
        ui_port: Port of the Dagster UI.

    Raises:
        DemoError: when settings point at a real database, or something cannot be started.
    """
    settings = load_settings()
    if not settings.is_embedded:
        raise DemoError("TALENT_DATABASE_URL is set: the demo only works on its own embedded database. Unset it first.")
    use_dagster_home()
    # Being terminated ends what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        _start_sandbox(stack, console, settings)
        _prepare_database(console, load_settings())
        with console.status("Syncing profile images through Dagster …"):
            # Whoever was synced a minute ago is asked for again, to show that nothing is downloaded twice.
            run = run_sync(run_config=scope_config(SyncScope(minimum_hours=0)))
        if run.failure is not None:
            raise DemoError(f"The run {run.run_id} failed: {run.failure}")
        changed = _print_result(console, load_settings(), run_id=run.run_id)
        news = f"{changed} talents show something new" if changed else "Nothing changed"
        console.print(f"{news}. Calls to the platforms: {run.api_calls}. Pictures downloaded: {run.downloads}.")
        if not once:
            _leave_running(console, stack, load_settings(), ui_port=ui_port)


def _start_sandbox(stack: ExitStack, console: Console, settings: Settings) -> None:
    origin = f"http://127.0.0.1:{DEFAULT_PORT}"
    point_embedded_default_at(settings, origin=origin)
    with console.status("Starting the sandbox of the three platforms …"):
        stack.enter_context(sandbox_process(port=DEFAULT_PORT, state_file=state_file_in(settings)))


def _prepare_database(console: Console, settings: Settings) -> None:
    with console.status("Preparing the embedded database …"), _engine(settings) as engine:
        migrate(engine, with_app_tables=True, with_change_feed=True)
        insert_samples(engine)


def insert_samples(engine: sa.Engine) -> None:
    """Insert the sample talents and their accounts; those that are there already stay as they are."""
    with engine.begin() as connection:
        for table, rows in ((talent, sample_talents()), (social_account_connection, sample_accounts())):
            known = set(connection.scalars(sa.select(table.c.id)))
            new = [row for row in rows if row["id"] not in known]
            for row in new:
                connection.execute(sa.insert(table).values(**row))


@contextmanager
def _engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = open_engine(settings.database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _print_result(console: Console, settings: Settings, *, run_id: str) -> int:
    """Print each talent with its source, how each platform's read ended, and where the picture is.

    Returns:
        How many talents show something else than before the run.
    """
    table = Table(title=f"Profile images after run {run_id}", title_justify="left")
    for heading in ("Talent", "Source", *(platform.label for platform in active_platforms())):
        table.add_column(heading, overflow="fold")
    table.add_column("Picture", overflow="fold")
    with _engine(settings) as engine, read_only(engine).begin() as connection:
        rows = connection.execute(sa.select(talent).order_by(talent.c.id)).mappings().all()
        outcomes = _outcomes(connection)
        pinned = set(connection.scalars(sa.select(profile_image_pins.c.talent_id)))
        changed = connection.scalar(sa.select(sa.func.count()).where(profile_image_versions.c.run_id == run_id))
    for row in rows:
        reads = [outcomes.get((row["id"], platform.name), "-") for platform in active_platforms()]
        table.add_row(
            row["displayName"] or row["name"] or "(no name)",
            row["profileImageSource"] + (" (pinned)" if row["id"] in pinned else ""),
            *reads,
            row["profileImageUrl"] or f"{settings.talent_image_public_url}/initials/{row['id']}.svg",
        )
    console.print(table)
    return changed or 0


def _outcomes(connection: sa.Connection) -> dict[tuple[str, str], str]:
    statement = sa.select(platform_images.c.talent_id, platform_images.c.platform, platform_images.c.outcome)
    return {(row[0], row[1]): row[2] or "-" for row in connection.execute(statement)}


def _leave_running(console: Console, stack: ExitStack, settings: Settings, *, ui_port: int) -> None:
    """Leave the picture service and Dagster's UI and daemon running until Ctrl-C."""
    log = settings.talent_data_dir / "demo.log"
    output = stack.enter_context(log.open("w", encoding="utf-8"))
    commands = [
        [sys.executable, "-m", "talent_image_pipeline.cli.main", "serve", "--port", str(_SERVICE_PORT)],
        [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-p", str(ui_port)],
    ]
    processes = [stack.enter_context(_child(command, output)) for command in commands]
    console.print(f"\nDagster UI: http://127.0.0.1:{ui_port} (ready in some seconds)")
    console.print(f"Pictures:   http://127.0.0.1:{_SERVICE_PORT}, the addresses above")
    console.print(f"API token:  {load_api_token(settings).get_secret_value()}")
    console.print(f"Sandbox:    http://127.0.0.1:{DEFAULT_PORT}/control, where accounts can be changed")
    console.print(f"What they print goes to {log}. Ctrl-C ends everything.")
    try:
        processes[-1].wait()
        raise DemoError(f"The Dagster UI ended by itself; {log} says why.")
    except KeyboardInterrupt:
        console.print("Stopping …")


@contextmanager
def _child(command: Sequence[str], output: IO[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, env=dict(os.environ), stdout=output, stderr=output)  # noqa: S603 - our own
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
