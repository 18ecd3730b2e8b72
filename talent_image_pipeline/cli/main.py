"""``talent-images``: everything a person does from a terminal.

What belongs here: commands, their options, what they print and their exit codes.
What does not: what they do; each calls one function of the library, so that a test or the service can call it too.
"""

import logging
from pathlib import Path

import click
from rich.console import Console

from talent_image_pipeline.cli import store as cli_upkeep
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.app_additions import MigrationBlockedError
from talent_image_pipeline.database.engine import DatabaseUnavailableError, MissingAppTableError, open_engine
from talent_image_pipeline.database.migrate import AppColumnsMissingError, migrate, migrate_down
from talent_image_pipeline.database.rights import MissingRightsError
from talent_image_pipeline.database.url import DatabaseAddressError
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreAddressError
from talent_image_pipeline.sandbox.server import DEFAULT_PORT
from talent_image_pipeline.settings import load_settings

_console = Console()
_EXPECTED_ERRORS = (
    DatabaseAddressError,
    DatabaseUnavailableError,
    MissingAppTableError,
    MigrationBlockedError,
    MissingRightsError,
    AppColumnsMissingError,
    PictureStoreAddressError,
)


class _Commands(click.Group):
    """Turns errors that a person can mend into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except _EXPECTED_ERRORS as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Keep one current, valid, well-cropped profile picture for every talent, under a URL that never breaks."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")


@main.command()
@click.option("--once", is_flag=True, help="End after the run, without leaving the Dagster UI running.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
def demo(*, once: bool, port: int) -> None:
    """Set everything up with sample talents and a sandbox of the platforms, run the sync, and show what came of it."""
    from talent_image_pipeline.cli.demo import DemoError, run_demo

    try:
        run_demo(console=_console, once=once, ui_port=port)
    except DemoError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port on 127.0.0.1.")
def sandbox(*, port: int) -> None:
    """Run the three platforms in a box, on loopback, with the sample talents' accounts."""
    from talent_image_pipeline.cli.demo import serve_sandbox

    serve_sandbox(console=_console, port=port)


@main.command(name="migrate")
@click.option("--down", is_flag=True, help="Take our tables, and the columns that we added, away again.")
@click.option(
    "--app-owns-columns",
    is_flag=True,
    help="Leave the columns of the app's table to the app's own migration, and wait up to 10 minutes for it.",
)
def migrate_command(*, down: bool, app_owns_columns: bool) -> None:
    """Bring the database to the version that this code needs. Safe to repeat; the app goes on working meanwhile."""
    settings = load_settings()
    engine = open_engine(settings.database_url)
    try:
        if down:
            report = migrate_down(engine)
        else:
            report = migrate(
                engine, with_app_tables=settings.is_embedded, app_owns_columns=app_owns_columns, say=click.echo
            )
    finally:
        engine.dispose()
    for verb, things in (("Created", report.created), ("Removed", report.removed)):
        for thing in things:
            click.echo(f"{verb} {thing}")
    if not report.created and not report.removed:
        click.echo("Nothing to do: the database is as it should be.")
    for note in report.notes:
        click.echo(f"\nNote: {note}")


@main.command()
@click.argument("talent_id")
def refresh(talent_id: str) -> None:
    """Read one talent's accounts now and show the picture that wins."""
    from talent_image_pipeline.runs import NoDagsterHomeError, run_refresh

    try:
        with _console.status(f"Refreshing {talent_id} …"):
            run = run_refresh(talent_id)
    except NoDagsterHomeError as error:
        raise click.ClickException(str(error)) from None
    if run.failure is not None:
        raise click.ClickException(run.failure)
    click.echo(f"Refreshed {talent_id} in run {run.run_id}.")
    click.get_current_context().invoke(cli_upkeep.show, talent=talent_id)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3001, show_default=True, help="Port to listen on.")
def serve(*, host: str, port: int) -> None:
    """Serve the pictures and the initials under their addresses."""
    from talent_image_pipeline.service.app import build_service
    from talent_image_pipeline.service.server import CannotListenError
    from talent_image_pipeline.service.server import serve as serve_app

    settings = load_settings()
    engine = open_engine(settings.database_url)
    store = PictureStore.from_url(settings.image_store_url)
    try:
        service = build_service(
            store=store, database_engine=engine, public_url=settings.talent_image_public_url, clock=utc_now
        )
        serve_app(service, host=host, port=port, on_listening=_say_where)
    except CannotListenError as error:
        raise click.ClickException(str(error)) from None
    finally:
        engine.dispose()


def _say_where(host: str, port: int) -> None:
    click.echo(f"Serving pictures and initials at http://{host}:{port}")


@main.command(name="contact-sheet")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path), default=Path("contact-sheet.html"))
def contact_sheet(output: Path) -> None:
    """Write an HTML page that shows how pictures are cropped and rendered, and the initials in every script."""
    from talent_image_pipeline.operations.contact_sheet import write_contact_sheet

    with _console.status("Drawing and rendering …"):
        write_contact_sheet(output)
    click.echo(f"Wrote {output}.")


for command in (
    cli_upkeep.show,
    cli_upkeep.gc,
    cli_upkeep.verify,
    cli_upkeep.rollback,
    cli_upkeep.unpin,
    cli_upkeep.doctor,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
