"""From a template to an answer: what every page has in common.

What belongs here: the template engine, the headers of a page, the addresses below the service's path, words for times.
What does not: what single pages show.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache, wraps
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from talent_image_pipeline.platforms.registry import platform_named
from talent_image_pipeline.service.callers import current_session
from talent_image_pipeline.service.sessions import CSRF_FIELD, Session

#: Everything comes from this service, but for pictures that were set by hand, which lie wherever the app has them;
#: nothing is inline, nothing is framed by others.
PAGE_POLICY = (
    "default-src 'none'; img-src 'self' https:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_log = logging.getLogger(__name__)

_OTHER_SOURCES = {"manual": "Set by hand", "initials": "Initials"}
_SECONDS_PER_UNIT = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def page(
    request: Request, template: str, context: Mapping[str, Any], *, session: Session | None, status: int = 200
) -> Response:
    """Render a page.

    Args:
        request: Its root path is where the service lies below the public address.
        template: The file's name in ``templates/``.
        context: What the template shows; everything is escaped.
        session: Whose page it is; its token against forgery goes into the page. None for the login.
        status: Of the answer.
    """
    html = (
        _environment()
        .get_template(template)
        .render(
            **context,
            root=root_of(request),
            csrf_field=CSRF_FIELD,
            csrf_token=session.csrf_token if session is not None else "",
            is_logged_in=session is not None,
        )
    )
    return HTMLResponse(html, status_code=status, headers=_HEADERS)


def for_people(show: Callable[[Request, Session], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Make a page of a function: for whoever has a session, and in words where the database does not answer."""

    @wraps(show)
    async def respond(request: Request) -> Response:
        session = current_session(request)
        if session is None:
            return _to_login(request)
        try:
            return await show(request, session)
        except sa.exc.SQLAlchemyError as error:
            # The statement may hold what people typed; its type is enough.
            _log.error("[TALENT_IMAGE] a page could not be shown: %s", type(error).__name__)
            context = {"title": "The database does not answer"}
            return page(request, "unavailable.html", context, session=session, status=503)

    return respond


def _to_login(request: Request) -> Response:
    """Send somebody without a session to the login, and back here afterwards."""
    wanted = request.url.path.removeprefix(root_of(request))
    query = f"?{request.url.query}" if request.url.query else ""
    return see_other(request, f"/login?next={quote(wanted + query, safe='')}")


def see_other(request: Request, path: str) -> RedirectResponse:
    """Answer 303 with an address of this service, which does not name whatever host the request claimed."""
    return RedirectResponse(f"{root_of(request)}{path}", status_code=303, headers={"Cache-Control": "no-store"})


def root_of(request: Request) -> str:
    """Return the path under which the service lies; empty at the top."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def ago(moment: datetime | None, now: datetime) -> str:
    """Say how long ago something was, in its largest unit: "3 hours ago"."""
    if moment is None:
        return "never"
    seconds = (now - moment.replace(tzinfo=moment.tzinfo or UTC)).total_seconds()
    for unit, length in _SECONDS_PER_UNIT:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def source_label(source: str | None) -> str:
    """Return a source as people write it."""
    if source is None:
        return "nothing"
    platform = platform_named(source)
    return (
        platform.label
        if platform is not None
        else {"manual": "Set by hand", "initials": "Initials"}.get(source, source)
    )


def percent(part: float, whole: float) -> str:
    """Return a share in per cent, without decimals; a dash of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("talent_image_pipeline.service"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["source_label"] = source_label
    environment.filters["path"] = lambda text: quote(text, safe="")
    environment.filters["minute"] = lambda moment: f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else "never"
    environment.filters["number"] = lambda number: f"{number:,}"
    environment.filters["platform_label"] = source_label
    return environment
