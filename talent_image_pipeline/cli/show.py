"""``show``: everything about one talent's picture."""

import click
from rich.console import Console
from rich.table import Table

from talent_image_pipeline.cli.json_output import json_option, print_json
from talent_image_pipeline.cli.opening import open_console, open_database
from talent_image_pipeline.cli.table_text import cell, markup_free, time_cell
from talent_image_pipeline.clock import utc_now
from talent_image_pipeline.database.records import VersionRecord
from talent_image_pipeline.operations.explain import (
    AccountDescription,
    DecisionDescription,
    TalentDescription,
    describe_talent,
)
from talent_image_pipeline.settings import load_settings
from talent_image_pipeline.sync.planning.talent_names import find_talent

SHORT_HASH = 12
_ACCOUNT_COLUMNS = (
    "platform",
    "handle",
    "connected",
    "connection",
    "token until",
    "last read",
    "outcome",
    "next read",
)


@click.command(epilog='Example: talent-images show "Maya Stone"')
@click.argument("talent")
@json_option
def show(*, talent: str, as_json: bool) -> None:
    """Show everything about one talent's picture: accounts, last reads, decision, pin and history.

    TALENT is an id or a name.
    """
    settings = load_settings()
    with open_database(settings) as engine:
        description = describe_talent(engine, find_talent(engine, talent), settings=settings, now=utc_now())
    if as_json:
        print_json(description)
        return
    console = open_console()
    _print_talent(console, description)
    console.print(_accounts_table(description.accounts))
    for account in description.accounts:
        _print_failure(console, account)
    _print_decision(console, description.decision)
    console.print(_history_table(description.history))
    for refusal in description.not_restorable.values():
        console.print(f"  [yellow]{markup_free(refusal)}[/yellow]", highlight=False)


def _print_talent(console: Console, description: TalentDescription) -> None:
    talent = description.talent
    console.print(f"[bold]{markup_free(talent.name)}[/bold] ({markup_free(talent.talent_id)})", highlight=False)
    console.print(f"shows    {talent.image_source}", highlight=False)
    console.print(
        f"address  {markup_free(talent.image_url or 'none: initials are drawn')}", highlight=False, soft_wrap=True
    )
    console.print(f"synced   {time_cell(talent.last_sync_at) or 'never'}", highlight=False)
    if description.pin is not None:
        pin = description.pin
        console.print(
            f"[yellow]pinned[/yellow]   to version {pin.version_id} since {time_cell(pin.pinned_at)};"
            f" talent-images unpin {markup_free(talent.talent_id)} frees it",
            highlight=False,
        )


def _accounts_table(accounts: tuple[AccountDescription, ...]) -> Table:
    table = Table(title="Accounts", title_justify="left")
    for heading in (
        "platform",
        "handle",
        "connected",
        "connection",
        "token until",
        "last read",
        "outcome",
        "next read",
    ):
        table.add_column(heading, overflow="fold")
    for account in accounts:
        ledger = account.ledger
        table.add_row(
            cell(account.platform),
            cell(account.handle),
            "yes" if account.connected else "no",
            cell(account.how, at_most=40),
            time_cell(account.token_expires_at),
            time_cell(ledger.read_at) if ledger else "",
            (ledger.outcome or "") if ledger else "",
            ledger.next_read
            if ledger
            else "with the next run"
            if account.is_known
            else "never: not a platform that is read",
        )
    return table


def _next_read(account: AccountDescription) -> str:
    if account.ledger is not None:
        return account.ledger.next_read
    return "with the next run" if account.is_known else "never: this platform is not read"


def _print_failure(console: Console, account: AccountDescription) -> None:
    """Print what does not fit into the table: the failure in words, a claim, an old handle, a consent's end."""
    ledger = account.ledger
    if ledger is None:
        return
    times = f" ({ledger.consecutive_failures} in a row)" if ledger.consecutive_failures > 1 else ""
    notes = [
        f"{ledger.failure}{times}" if ledger.failure else None,
        ledger.doubt,
        f"being read by {ledger.claim}" if ledger.claim else None,
        None if ledger.is_of_this_handle else "what was read belongs to an earlier handle",
        f"the talent's consent ends {time_cell(ledger.consent_ends_at)}" if ledger.consent_ends_at else None,
        f"picture {ledger.picture_hash[:SHORT_HASH]}, since {time_cell(ledger.changed_at)}"
        if ledger.picture_hash
        else None,
    ]
    for note in filter(None, notes):
        console.print(f"  {markup_free(account.platform)}: {markup_free(note)}", highlight=False)


def _print_decision(console: Console, decision: DecisionDescription) -> None:
    what = decision.source or "stays as it is"
    picture = f", picture {decision.picture_hash[:SHORT_HASH]}" if decision.picture_hash else ""
    console.print(f"[bold]Decision[/bold]: {what}{picture}", highlight=False)
    for reason in decision.reasons:
        console.print(f"  {markup_free(reason)}", highlight=False)
    if not decision.is_shown:
        console.print("  [yellow]The talent does not show this yet; the next sync writes it.[/yellow]", highlight=False)


def _history_table(history: tuple[VersionRecord, ...]) -> Table:
    table = Table(title="History", title_justify="left")
    for heading in ("version", "from", "to", "source", "picture", "why", "run"):
        table.add_column(heading, overflow="fold")
    for version in history:
        table.add_row(
            str(version.version_id),
            time_cell(version.valid_from),
            time_cell(version.valid_to) or "now",
            version.source,
            (version.picture_hash or "")[:SHORT_HASH],
            cell(version.why, at_most=60),
            markup_free((version.run_id or "by hand")[:SHORT_HASH]),
        )
    return table
