"""The commands that look at the pictures and look after them: ``show``, ``gc``, ``verify``, ``rollback``, ...

What belongs here: their options, what they print and their exit codes.
What does not: what they do (``sync/``), and the other commands (``main.py``).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import anyio
import click
import sqlalchemy as sa
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.engine import open_engine, require_app_tables
from talent_image_pipeline.database.records import VersionRecord
from talent_image_pipeline.operations.doctor import Diagnosis, State, diagnose
from talent_image_pipeline.operations.explain import (
    AccountDescription,
    DecisionDescription,
    TalentDescription,
    describe_talent,
    find_talent,
)
from talent_image_pipeline.operations.store_maintenance import (
    DamagedPicture,
    GarbageReport,
    collect_garbage,
    verify_store,
)
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError
from talent_image_pipeline.settings import Settings, load_settings
from talent_image_pipeline.sync.planning.candidates import UnknownTalentError
from talent_image_pipeline.sync.publishing.pins import PinningRefusedError, roll_back
from talent_image_pipeline.sync.publishing.pins import unpin as unpin_talent
from talent_image_pipeline.sync.publishing.publish import PublishingRules

_SHORT_HASH = 12
_WIDTH_WITHOUT_TERMINAL = 160
_STYLES = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "yellow", State.BROKEN: "bold red"}
_EXPECTED_ERRORS = (UnknownTalentError, PinningRefusedError, PictureStoreUnavailableError)


@contextmanager
def _open_database(settings: Settings) -> Iterator[sa.Engine]:
    """Open the app's database for one command, whose expected errors become one line and exit code 1."""
    engine = open_engine(settings.database_url)
    try:
        require_app_tables(engine)
        yield engine
    except _EXPECTED_ERRORS as error:
        raise click.ClickException(str(error)) from None
    finally:
        engine.dispose()


def _console() -> Console:
    """Print as wide as the terminal is; into a file or a pipe wide enough for every table."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_WITHOUT_TERMINAL)


def _rules(settings: Settings) -> PublishingRules:
    return PublishingRules(
        public_url=settings.talent_image_public_url, verified_only=settings.talent_image_verified_only
    )


# --- show -----------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("talent")
def show(talent: str) -> None:
    """Say everything about one talent's picture: accounts, last reads, decision, pin and history.

    TALENT is an id or a name.
    """
    settings = load_settings()
    with _open_database(settings) as engine:
        description = describe_talent(engine, find_talent(engine, talent), settings=settings, now=utc_now())
    console = _console()
    _print_talent(console, description)
    console.print(_accounts_table(description.accounts))
    for account in description.accounts:
        _print_failure(console, account)
    _print_decision(console, description.decision)
    console.print(_history_table(description.history))
    for refusal in description.not_restorable.values():
        console.print(f"  [yellow]{escape(refusal)}[/yellow]", highlight=False)


def _print_talent(console: Console, description: TalentDescription) -> None:
    talent = description.talent
    console.print(f"[bold]{escape(talent.name)}[/bold] ({escape(talent.talent_id)})", highlight=False)
    console.print(f"shows    {talent.image_source}", highlight=False)
    console.print(f"address  {escape(talent.image_url or 'none: initials are drawn')}", highlight=False, soft_wrap=True)
    console.print(f"synced   {_time(talent.last_sync_at) or 'never'}", highlight=False)
    if description.pin is not None:
        pin = description.pin
        console.print(
            f"[yellow]pinned[/yellow]   to version {pin.version_id} since {_time(pin.pinned_at)};"
            f" talent-images unpin {escape(talent.talent_id)} frees it",
            highlight=False,
        )


def _accounts_table(accounts: tuple[AccountDescription, ...]) -> Table:
    table = Table(title="Accounts", title_justify="left")
    for heading in ("platform", "handle", "connected", "how", "token until", "last read", "outcome", "next read"):
        table.add_column(heading, overflow="fold")
    for account in accounts:
        ledger = account.ledger
        table.add_row(
            account.platform,
            escape(account.handle),
            "yes" if account.connected else "no",
            account.how,
            _time(account.token_expires_at),
            _time(ledger.read_at) if ledger else "",
            (ledger.outcome or "") if ledger else "",
            ledger.next_read if ledger else "with the next run" if account.is_known else "never: not read here",
        )
    return table


def _print_failure(console: Console, account: AccountDescription) -> None:
    """Print what does not fit into the table: the failure in words, a claim, an old handle, a consent's end."""
    ledger = account.ledger
    if ledger is None:
        return
    times = f" ({ledger.consecutive_failures} in a row)" if ledger.consecutive_failures > 1 else ""
    notes = [
        f"{ledger.failure}{times}" if ledger.failure else None,
        f"being read by {ledger.claim}" if ledger.claim else None,
        None if ledger.is_of_this_handle else "what was read belongs to an earlier handle",
        f"the talent's consent ends {_time(ledger.consent_ends_at)}" if ledger.consent_ends_at else None,
        f"picture {ledger.picture_hash[:_SHORT_HASH]}, since {_time(ledger.changed_at)}"
        if ledger.picture_hash
        else None,
    ]
    for note in filter(None, notes):
        console.print(f"  {account.platform}: {escape(note)}", highlight=False)


def _print_decision(console: Console, decision: DecisionDescription) -> None:
    what = decision.source or "stays as it is"
    picture = f", picture {decision.picture_hash[:_SHORT_HASH]}" if decision.picture_hash else ""
    console.print(f"[bold]Decision[/bold]: {what}{picture}", highlight=False)
    for reason in decision.reasons:
        console.print(f"  {escape(reason)}", highlight=False)
    if not decision.is_shown:
        console.print("  [yellow]The talent does not show this yet; the next sync writes it.[/yellow]", highlight=False)


def _history_table(history: tuple[VersionRecord, ...]) -> Table:
    table = Table(title="History", title_justify="left")
    for heading in ("version", "from", "to", "source", "picture", "why", "run"):
        table.add_column(heading, overflow="fold")
    for version in history:
        table.add_row(
            str(version.version_id),
            _time(version.valid_from),
            _time(version.valid_to) or "now",
            version.source,
            (version.picture_hash or "")[:_SHORT_HASH],
            escape(version.why),
            escape((version.run_id or "by hand")[:_SHORT_HASH]),
        )
    return table


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else ""


# --- pins -----------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("talent")
@click.argument("version", type=int, required=False)
def rollback(talent: str, version: int | None) -> None:
    """Pin an earlier picture of a talent, until it is unpinned.

    TALENT is an id or a name; VERSION a number from talent-images show, by default the one before the present picture.
    """
    settings = load_settings()
    with _open_database(settings) as engine:
        store = PictureStore.from_url(settings.image_store_url)
        talent_id = find_talent(engine, talent)

        async def pin() -> VersionRecord:
            return await roll_back(engine, store, talent_id, version_id=version, rules=_rules(settings), now=utc_now())

        pinned = anyio.run(pin)
    what = f"the {pinned.source} picture {pinned.picture_hash[:_SHORT_HASH]}" if pinned.picture_hash else "initials"
    click.echo(f"Pinned {talent_id} to version {pinned.version_id}: {what}.")


@click.command()
@click.argument("talent")
def unpin(talent: str) -> None:
    """Free a pinned picture: the networks decide again, at once.

    TALENT is an id or a name.
    """
    settings = load_settings()
    with _open_database(settings) as engine:
        talent_id = find_talent(engine, talent)
        resolution = unpin_talent(engine, talent_id, rules=_rules(settings), now=utc_now())
    click.echo(f"Unpinned {talent_id}: shows {resolution.source if resolution else 'what it showed'}.")


# --- upkeep ---------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="Leave what was stored in the last so many hours.",
)
def gc(*, dry_run: bool, grace_hours: float) -> None:
    """Remove the stored pictures that no account, version or pin refers to. Safe beside a running sync."""
    settings = load_settings()
    with _open_database(settings) as engine, _progress("Removing") as advance:
        store = PictureStore.from_url(settings.image_store_url)

        async def collect() -> GarbageReport:
            grace = timedelta(hours=grace_hours)
            return await collect_garbage(
                engine, store, grace=grace, clock=utc_now, dry_run=dry_run, on_progress=advance
            )

        report = anyio.run(collect)
    verb = "Would remove" if dry_run else "Removed"
    click.echo(f"{verb} {_pictures(len(report.removed))} of {report.bytes / 1e6:.1f} MB.")
    if report.leftovers:
        click.echo(f"Cleared away {report.leftovers} half-written by processes that were killed.")
    if report.kept:
        click.echo(f"Kept {_pictures(report.kept)} that came into use meanwhile.")
    if report.not_reached:
        click.echo(f"Left {_pictures(report.not_reached)}: syncs were reading all the time. Run it again later.")


@click.command()
def verify() -> None:
    """Read every stored picture again and report damage; damaged pictures are fetched again by the next sync.

    The exit code is 1 when there is damage.
    """
    settings = load_settings()
    with _open_database(settings) as engine, _progress("Reading") as advance:
        store = PictureStore.from_url(settings.image_store_url)
        report = anyio.run(lambda: verify_store(engine, store, clock=utc_now, on_progress=advance))
    for picture in report.damaged:
        click.echo(_damage_words(picture))
    recovered = f" {_pictures(report.recovered)} found damaged before: sound again." if report.recovered else ""
    click.echo(f"Checked {_pictures(report.checked)}: {len(report.damaged)} damaged.{recovered}")
    if report.damaged:
        raise click.exceptions.Exit(1)


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


class _Advance:
    """Moves a progress bar."""

    def __init__(self, progress: Progress, message: str) -> None:
        self._progress = progress
        self._task = progress.add_task(message, total=None)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def _progress(message: str) -> Iterator[_Advance]:
    """Show a progress bar on standard error, where a person watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Advance(progress, message)


# --- doctor ---------------------------------------------------------------------------------------------------------


@click.command()
def doctor() -> None:
    """Say what is configured, reachable and missing. The exit code is 1 when something is broken."""
    console = _console()
    try:
        settings = load_settings()
    except ValidationError as error:
        found = _unusable_settings(error)
    else:
        with Console(stderr=True).status("Looking at everything …"):
            found = anyio.run(lambda: diagnose(settings))
    table = Table()
    table.add_column("part")
    table.add_column("state")
    table.add_column("what was found", overflow="fold")
    for diagnosis in found:
        style = _STYLES[diagnosis.state]
        table.add_row(escape(diagnosis.name), f"[{style}]{diagnosis.state}[/{style}]", escape(diagnosis.message))
    console.print(table)
    if any(diagnosis.state is State.BROKEN for diagnosis in found):
        raise click.exceptions.Exit(1)


def _unusable_settings(error: ValidationError) -> list[Diagnosis]:
    """Name each setting that cannot be used; its value is not repeated, whatever it is."""
    return [
        Diagnosis(
            name=".".join(map(str, details["loc"])).upper(),
            state=State.BROKEN,
            message=f"Its value cannot be used ({details['type']}).",
        )
        for details in error.errors(include_url=False, include_input=False, include_context=False)
    ]
