"""``migrate``: the database's schema."""

import click

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate as migrate_up
from talent_image_pipeline.database.migrate import migrate_down
from talent_image_pipeline.settings import load_settings


@click.command(epilog="Example: talent-images migrate")
@click.option("--down", is_flag=True, help="Drop our tables, and the columns and indexes that we added to the app's.")
@click.option(
    "--app-owns-columns",
    is_flag=True,
    help="Leave the columns of the app's table to the app's own migration, and wait up to 10 minutes for it.",
)
@click.option(
    "--with-change-feed",
    is_flag=True,
    help="Also write down every change of an account, by triggers on the app's table: changes are found at once.",
)
def migrate(*, down: bool, app_owns_columns: bool, with_change_feed: bool) -> None:
    """Bring the database to the schema that this version needs.

    Safe to repeat, and while the app is working.
    """
    settings = load_settings()
    engine = open_engine(settings.database_url)
    try:
        if down:
            report = migrate_down(engine)
        else:
            report = migrate_up(
                engine,
                with_app_tables=settings.is_embedded,
                app_owns_columns=app_owns_columns,
                with_change_feed=with_change_feed or settings.is_embedded,
                say=click.echo,
            )
    finally:
        engine.dispose()
    for verb, things in (("Created", report.created), ("Removed", report.removed)):
        for thing in things:
            click.echo(f"{verb} {thing}")
    if not report.created and not report.removed:
        click.echo("Nothing to do: the database is up to date.")
    for note in report.notes:
        click.echo(f"\nNote: {note}")
