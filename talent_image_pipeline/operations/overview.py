"""All talents at a glance: who shows what, in which state, said in words; and what changed lately.

What belongs here: the rules for the states, the words, and pages of the list.
What does not: the queries (``database/gallery_queries.py``) and one talent in full (``explain.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from talent_image_pipeline.database import gallery_queries
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.gallery_queries import (
    GalleryFilter,
    GalleryRow,
    GalleryRules,
    PictureChange,
    PictureState,
)
from talent_image_pipeline.platforms.contract import Outcome
from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.settings import Settings

#: Nobody waits longer than this unless a platform's limits explain it.
OVERDUE_AFTER = timedelta(hours=25, minutes=30)
#: Somebody must do something before these accounts can be read again.
ATTENTION_OUTCOMES = (Outcome.GONE, Outcome.MISCONFIGURED, Outcome.NEEDS_RECONNECT, Outcome.REFUSED)
ATTENTION_AFTER_FAILURES = 3
MOST_PER_PAGE = 200

_WORDS = {
    PictureState.MANUAL: "Set by hand in the app; never touched.",
    PictureState.NO_ACCOUNT: "No account is connected that a picture could come from.",
    PictureState.NEVER_SYNCED: "Not synced yet; the next run takes it.",
    PictureState.OVERDUE: "The last sync is more than a day old.",
}
_SOURCES = {
    "initials": "Shows the initials: no connected account has a picture.",
    "manual": _WORDS[PictureState.MANUAL],
}


@dataclass(frozen=True, kw_only=True)
class TalentSummary:
    """One talent in the list.

    Attributes:
        image_url: Of the 256 px picture; none for initials.
        message: The state in one sentence, with what to do where somebody must.
    """

    talent_id: str
    name: str
    source: str
    image_url: str | None
    last_sync_at: datetime | None
    is_pinned: bool
    state: PictureState
    message: str


@dataclass(frozen=True, kw_only=True)
class TalentPage:
    """A page of the list; ``next_after`` is where the page after it begins, none on the last one."""

    talents: tuple[TalentSummary, ...]
    next_after: tuple[str, str] | None


def gallery_rules(settings: Settings, *, now: datetime) -> GalleryRules:
    """Return the rules by which a talent is in a state."""
    return GalleryRules(
        platforms=tuple(platform.name for platform in settings.platforms),
        verified_only=settings.talent_image_verified_only,
        attention_outcomes=tuple(str(outcome) for outcome in ATTENTION_OUTCOMES),
        attention_after_failures=ATTENTION_AFTER_FAILURES,
        overdue_before=now - OVERDUE_AFTER,
    )


def list_talents(
    engine: sa.Engine,
    *,
    search: str = "",
    sources: Sequence[str] = (),
    states: Sequence[PictureState] = (),
    after: tuple[str, str] | None = None,
    limit: int = 50,
    settings: Settings,
    now: datetime,
) -> TalentPage:
    """Return a page of the talents, by name.

    Args:
        engine: The app's database.
        search: Part of a name or a handle, or a whole id.
        sources: Only with a picture from one of these; empty means any.
        states: Only in one of these states; empty means any.
        after: As a page before returned it.
        limit: At most this many, from 1 to ``MOST_PER_PAGE``.
        settings: Which accounts count.
        now: The present time.
    """
    wanted = GalleryFilter(
        search=search.strip(), sources=tuple(sources), states=tuple(states), after=after, limit=limit + 1
    )
    with read_only(engine).begin() as connection:
        rows = gallery_queries.list_talents(connection, wanted=wanted, rules=gallery_rules(settings, now=now))
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return TalentPage(
        talents=tuple(_summary(row) for row in shown),
        next_after=None if last is None else (last.sort_key, last.talent_id),
    )


def count_states(engine: sa.Engine, *, settings: Settings, now: datetime) -> dict[PictureState, int]:
    """Return how many talents are in each state, all states named."""
    with read_only(engine).begin() as connection:
        counts = gallery_queries.count_states(connection, rules=gallery_rules(settings, now=now))
    return {state: counts.get(state, 0) for state in PictureState}


def changes_between(
    engine: sa.Engine, *, since: datetime, until: datetime, limit: int = 100
) -> tuple[PictureChange, ...]:
    """Return which talents show something else since some time, before and after, the newest first."""
    with read_only(engine).begin() as connection:
        return tuple(gallery_queries.changes_between(connection, since=since, until=until, limit=limit))


def state_message(row: GalleryRow) -> str:
    """Say in one sentence how it stands with a talent's picture."""
    if row.state is PictureState.NEEDS_ATTENTION:
        return row.failure or "An account cannot be read; open the talent to see which."
    if row.is_pinned:
        return "A person pinned this picture; it is shown until it is unpinned."
    words = _WORDS.get(row.state) or _SOURCES.get(row.image_source)
    if words is not None:
        return words
    platform = platform_named(row.image_source)
    return f"Up to date, from {platform.label if platform is not None else row.image_source}."


def _summary(row: GalleryRow) -> TalentSummary:
    return TalentSummary(
        talent_id=row.talent_id,
        name=row.name,
        source=row.image_source,
        image_url=row.image_url,
        last_sync_at=row.last_sync_at,
        is_pinned=row.is_pinned,
        state=row.state,
        message=state_message(row),
    )
