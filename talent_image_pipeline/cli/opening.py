"""What several commands need: the open database, a console, and a progress bar."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from talent_image_pipeline.database import transactions
from talent_image_pipeline.database.engine import open_engine, require_app_tables
from talent_image_pipeline.database.rights import MissingRightsError, missing_for_reading
from talent_image_pipeline.database.schema_revision import require_current_schema
from talent_image_pipeline.settings import Settings

_WIDTH_WITHOUT_TERMINAL = 160


@contextmanager
def open_database(settings: Settings) -> Iterator[sa.Engine]:
    """Open the app's database for one command.

    Raises:
        UserError: when it cannot be reached, is not the app's, or was not migrated.
    """
    engine = open_engine(settings.database_url)
    try:
        require_app_tables(engine)
        _require_reading_rights(engine)
        require_current_schema(engine)
        yield engine
    finally:
        engine.dispose()


def _require_reading_rights(engine: sa.Engine) -> None:
    missing = transactions.read(engine, missing_for_reading)
    if not missing:
        return
    others = f"\nIt lacks {len(missing) - 1} more; talent-images doctor lists them." if missing[1:] else ""
    raise MissingRightsError(f"The {missing[0]}{others}")


def open_console() -> Console:
    """Return a console as wide as the terminal; into a file or a pipe, wide enough for every table."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_WITHOUT_TERMINAL)


class Advance:
    """Moves a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        """Take the bar and the task to move in it."""
        self._progress = progress
        self._task = task

    def __call__(self, done: int, total: int) -> None:
        """Show how much of the whole is done."""
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def progress_bar(message: str) -> Iterator[Advance]:
    """Show a progress bar on standard error, if a person watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Advance(progress, progress.add_task(message, total=None))
