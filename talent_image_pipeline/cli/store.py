"""``gc`` and ``verify``: looking after the stored pictures."""

from datetime import timedelta

import anyio
import click

from talent_image_pipeline.cli.json_output import json_option, print_json
from talent_image_pipeline.cli.opening import open_database, progress_bar
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import history_queries, transactions
from talent_image_pipeline.operations.store_maintenance import (
    DamagedPicture,
    GarbageReport,
    VerificationReport,
    collect_garbage,
    verify_store,
)
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.settings import load_settings


@click.command(epilog="Example: talent-images gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="Keep pictures stored within the last N hours.",
)
@json_option
def gc(*, dry_run: bool, grace_hours: float, as_json: bool) -> None:
    """Remove stored pictures that no account, version or pin refers to.

    First the history of talents that the app deleted more than TALENT_IMAGE_DELETED_HISTORY_DAYS ago is removed, and
    with it what refers to their pictures. Safe while a sync is running.
    """
    settings = load_settings()
    with open_database(settings) as engine, progress_bar("Removing") as advance:
        store = PictureStore.from_url(settings.image_store_url)
        if not dry_run:
            ended_before = utc_now() - timedelta(days=settings.talent_image_deleted_history_days)
            transactions.write(engine, history_queries.forget_history_of_deleted_talents, ended_before=ended_before)

        async def collect() -> GarbageReport:
            grace = timedelta(hours=grace_hours)
            return await collect_garbage(
                engine, store, grace=grace, clock=utc_now, dry_run=dry_run, on_progress=advance
            )

        report = anyio.run(collect)
    if as_json:
        print_json(report)
        return
    verb = "Would remove" if dry_run else "Removed"
    click.echo(f"{verb} {_pictures(len(report.removed))} of {report.bytes / 1e6:.1f} MB.")
    if report.leftovers:
        click.echo(
            f"Removed {report.leftovers} partial file{'' if report.leftovers == 1 else 's'} left by killed processes."
        )
    if report.kept:
        click.echo(f"Kept {_pictures(report.kept)} that came into use in the meantime.")
    if report.not_reached:
        click.echo(f"Skipped {_pictures(report.not_reached)} because syncs were running throughout. Try again later.")


@click.command(epilog="Example: talent-images verify")
@json_option
def verify(*, as_json: bool) -> None:
    """Read every stored picture and report damage.

    The next sync fetches damaged pictures again. The exit code is 1 when there is damage.
    """
    settings = load_settings()
    with open_database(settings) as engine, progress_bar("Reading") as advance:
        store = PictureStore.from_url(settings.image_store_url)
        report = anyio.run(lambda: verify_store(engine, store, clock=utc_now, on_progress=advance))
    if as_json:
        print_json(report)
    else:
        _print_verification(report)
    if report.damaged:
        raise click.exceptions.Exit(1)


def _print_verification(report: VerificationReport) -> None:
    for picture in report.damaged:
        click.echo(_damage_words(picture))
    recovered = f" {_pictures(report.recovered)} found damaged before, now intact." if report.recovered else ""
    click.echo(f"Checked {_pictures(report.checked)}: {len(report.damaged)} damaged.{recovered}")


def _damage_words(picture: DamagedPicture) -> str:
    what = "; ".join(damage.message for damage in picture.damages)
    if not picture.is_recorded:
        then = "nothing shows it, talent-images gc removes it"
    elif picture.accounts:
        then = "the next sync fetches it again"
    else:
        then = "only the history names it, so it cannot be fetched again"
    return f"{picture.content_hash}: {what}; {then}."


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
