"""``refresh`` and ``sync``: running a sync now, with its run in Dagster's history."""

import click
import sqlalchemy as sa
from rich.console import Console

from talent_image_pipeline.automation.jobs import batch_config
from talent_image_pipeline.cli.opening import open_database, progress_bar
from talent_image_pipeline.cli.plain_text import single_line
from talent_image_pipeline.cli.show import show
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database import history_queries, transactions
from talent_image_pipeline.errors import UserError
from talent_image_pipeline.runs import FinishedRun, run_refresh, run_sync
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline.sync.planning.candidates import plan_daily_batches
from talent_image_pipeline.sync.planning.scope import BATCH_SIZE, DAILY_MINIMUM_HOURS, SyncScope
from talent_image_pipeline.sync.planning.talent_names import find_talent


class RunFailedError(UserError):
    """A run ended in a failure, which it explains in words."""


@click.command(epilog="Example: talent-images refresh talent_maya_stone")
@click.argument("talents", metavar="TALENT...", nargs=-1, required=True)
def refresh(talents: tuple[str, ...]) -> None:
    """Read talents' accounts now, whether or not they are due, and show the pictures that win.

    TALENT is an id or a name that only one talent has.
    """
    with open_database(load_settings()) as engine:
        talent_ids = _find_all(engine, talents)
    with Console(stderr=True).status(f"Refreshing {len(talent_ids)} …"):
        if len(talent_ids) == 1:
            run = run_refresh(talent_ids[0])
        else:
            run = run_sync(run_config=batch_config(SyncScope(talent_ids=talent_ids, limit=len(talent_ids), force=True)))
    _require_success(run)
    click.echo(f"Refreshed {', '.join(map(single_line, talent_ids))} in run {run.run_id}.")
    if len(talent_ids) == 1:
        click.get_current_context().invoke(show, talent=talent_ids[0], as_json=False)
    else:
        _print_sources(talent_ids)


@click.command(epilog="Example: talent-images sync")
@click.argument("talents", metavar="[TALENT]...", nargs=-1)
def sync(talents: tuple[str, ...]) -> None:
    """Sync everyone who is due, or those of the named talents who are.

    TALENT is an id or a name that only one talent has. Talents synced within the last 20 hours are not due.
    """
    settings = load_settings()
    with open_database(settings) as engine:
        if talents:
            batches = [_find_all(engine, talents)]
        else:
            batches = plan_daily_batches(engine, now=utc_now(), verified_only=settings.talent_image_verified_only)
    if not batches:
        click.echo("Nobody is due.")
        return
    total = sum(len(batch) for batch in batches)
    done = api_calls = downloads = 0
    with progress_bar("Syncing") as advance:
        advance(0, total)
        for batch in batches:
            scope = SyncScope(talent_ids=batch, limit=max(BATCH_SIZE, len(batch)), minimum_hours=DAILY_MINIMUM_HOURS)
            run = run_sync(run_config=batch_config(scope))
            _require_success(run)
            done += len(batch)
            api_calls += run.api_calls
            downloads += run.downloads
            advance(done, total)
    click.echo(
        f"Synced {done} talent{'' if done == 1 else 's'}. "
        f"Calls to the platforms: {api_calls}. Pictures downloaded: {downloads}."
    )


def _find_all(engine: sa.Engine, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(find_talent(engine, text) for text in wanted))


def _require_success(run: FinishedRun) -> None:
    if run.failure is not None:
        raise RunFailedError(run.failure)


def _print_sources(talent_ids: tuple[str, ...]) -> None:
    with open_database(load_settings()) as engine:
        talents = transactions.read(engine, history_queries.load_talents, talent_ids)
    for talent in talents:
        click.echo(f"  {single_line(talent.talent_id)}: {talent.image_source}")
