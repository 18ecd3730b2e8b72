"""What is refused before a run exists: names of talents and platforms that nobody has, in one sentence.

What belongs here: looking up what a person typed into a launchpad, and the error that Dagster shows as it is.
What does not: how talents are found (``sync/planning/talent_names.py``).

Dagster lets its own errors out of a config mapping untouched and buries any other below a page of stack trace. It calls
a mapping several times for one run, so a look-up is one query over a connection that stays open.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.platforms.registry import PLATFORMS, platform_named
from talent_image_pipeline.settings import load_settings

if TYPE_CHECKING:
    import sqlalchemy as sa


class RefusedRun(dg.DagsterError):
    """A run that is not begun; the message is one sentence that says why and what to type instead."""


# Dagster shows an error under its full name, unless it is one of Python's own.
RefusedRun.__module__ = "builtins"


def talents_named(typed: Sequence[str]) -> list[str]:
    """Return the ids of the talents that a person means by ids or names, each once.

    Raises:
        RefusedRun: naming the first that is nobody's or that several have, and the nearest.
    """
    if not typed:
        return []
    from talent_image_pipeline.sync.planning.talent_names import find_talent

    try:
        engine = _open_database(load_settings().database_url)
        return list(dict.fromkeys(find_talent(engine, one) for one in typed))
    except UserError as error:
        raise RefusedRun(str(error)) from None


def platforms_named(typed: Sequence[str]) -> list[str]:
    """Return the platforms that a person means, each once.

    Raises:
        RefusedRun: naming the first that we do not know, and those that we do.
    """
    found = [(one, platform_named(one)) for one in typed]
    unknown = [one for one, platform in found if platform is None]
    if unknown:
        known = ", ".join(platform.name for platform in PLATFORMS)
        raise RefusedRun(f"There is no platform {unknown[0]!r}. Choose among {known}.")
    return list(dict.fromkeys(platform.name for _, platform in found if platform is not None))


@lru_cache(maxsize=1)
def _open_database(url: str) -> "sa.Engine":
    from talent_image_pipeline.database.engine import open_engine, require_app_tables
    from talent_image_pipeline.database.schema_revision import require_current_schema

    engine = open_engine(url)
    require_app_tables(engine)
    require_current_schema(engine)
    return engine
