"""``/``: every talent's picture as the app shows it, and what changed today.

What belongs here: the page's question to ``operations/`` and what its template needs.
What does not: the queries and the states' words (``operations/overview.py``).
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.database.gallery_queries import PictureChange, PictureState
from talent_image_pipeline.operations.overview import (
    TalentPage,
    TalentSummary,
    changes_between,
    count_states,
    list_talents,
)
from talent_image_pipeline.pictures.initials.drawing import initials_of
from talent_image_pipeline.platforms.registry import PLATFORMS
from talent_image_pipeline.service.api.talents import make_cursor, parse_cursor
from talent_image_pipeline.service.dependencies import ServiceDependencies, dependencies_of
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.pages.rendering import ago, for_people, page, source_label
from talent_image_pipeline.service.sessions import Session

_PER_PAGE = 48
_MOST_CHANGES = 24
_LONGEST_SEARCH = 200
STATE_LABELS = {
    PictureState.CURRENT: "Up to date",
    PictureState.NEEDS_ATTENTION: "Needs attention",
    PictureState.OVERDUE: "Overdue",
    PictureState.NEVER_SYNCED: "Not synced yet",
    PictureState.NO_ACCOUNT: "No account",
    PictureState.MANUAL: "Set by hand",
}


@dataclass(frozen=True, kw_only=True)
class GalleryQuestion:
    """What the gallery is to show; what an address holds that makes no sense counts as not given."""

    search: str = ""
    source: str | None = None
    state: PictureState | None = None
    after: tuple[str, str] | None = None

    def address(self, *, after: tuple[str, str] | None = None) -> str:
        """Return the query of an address that asks the same, from another place in the list."""
        parameters = {
            "search": self.search,
            "source": self.source or "",
            "state": self.state or "",
            "cursor": make_cursor(after) if after else "",
        }
        return urlencode({name: value for name, value in parameters.items() if value})


@dataclass(frozen=True, kw_only=True)
class _Found:
    talents: TalentPage
    states: dict[PictureState, int]
    changes: tuple[PictureChange, ...]


@for_people
async def show_gallery(request: Request, session: Session) -> Response:
    """Show a page of talents, by name."""
    dependencies = dependencies_of(request)
    question = question_of(request)
    now = dependencies.clock()
    found = await anyio.to_thread.run_sync(lambda: _find(dependencies, question, now))
    next_after = found.talents.next_after
    context = {
        "title": "Talents",
        "question": question,
        "sources": [*(platform.name for platform in PLATFORMS), "manual", "initials"],
        "states": STATE_LABELS,
        "counts": found.states,
        "total": sum(found.states.values()),
        "cards": [_card(talent, now) for talent in found.talents.talents],
        "changes": found.changes,
        "next_address": question.address(after=next_after) if next_after else None,
        "first_address": question.address() if question.after else None,
    }
    return page(request, "gallery.html", context, session=session)


def question_of(request: Request) -> GalleryQuestion:
    """Read the question from the address."""
    parameters = request.query_params
    state = parameters.get("state", "")
    return GalleryQuestion(
        search=parameters.get("search", "").replace("\0", "").strip()[:_LONGEST_SEARCH],
        source=parameters.get("source", "").replace("\0", "")[:_LONGEST_SEARCH] or None,
        state=PictureState(state) if state in set(PictureState) else None,
        after=_place(parameters.get("cursor")),
    )


def _place(cursor: str | None) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        return parse_cursor(cursor)
    except ApiError:
        return None


def _find(dependencies: ServiceDependencies, question: GalleryQuestion, now: datetime) -> _Found:
    settings, engine = dependencies.settings, dependencies.engine
    return _Found(
        talents=list_talents(
            engine,
            search=question.search,
            sources=[question.source] if question.source else [],
            states=[question.state] if question.state else [],
            after=question.after,
            limit=_PER_PAGE,
            settings=settings,
            now=now,
        ),
        states=count_states(engine, settings=settings, now=now),
        changes=changes_between(
            engine, since=now.replace(hour=0, minute=0, second=0, microsecond=0), until=now, limit=_MOST_CHANGES
        ),
    )


def _card(talent: TalentSummary, now: datetime) -> dict[str, object]:
    return {
        "talent": talent,
        "initials": initials_of(talent.name),
        "source": source_label(talent.source),
        "synced": ago(talent.last_sync_at, now),
        "state": STATE_LABELS[talent.state],
    }
