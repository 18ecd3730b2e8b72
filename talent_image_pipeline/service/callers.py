"""Who asks: a program with the API token, or a page with its session.

What belongs here: reading both from a request, and refusing what carries neither.
What does not: how tokens and sessions are made (``api_token.py``, ``sessions.py``).
"""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection, Request

from talent_image_pipeline.service.api_token import is_token
from talent_image_pipeline.service.dependencies import ServiceDependencies, dependencies_of
from talent_image_pipeline.service.errors import ApiError
from talent_image_pipeline.service.sessions import CSRF_HEADER, SESSION_COOKIE, Session, is_csrf_token, read_session

#: A program that acts for a person may say for whom; the audit log keeps it beside what is proven.
ACTING_USER_HEADER = "X-Acting-User"
_LONGEST_USER = 100
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="TALENT_API_TOKEN")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE, auto_error=False, description=f"A page's session; what changes something needs {CSRF_HEADER}."
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, in the words of the audit log."""

    actor: str


def current_session(connection: HTTPConnection) -> Session | None:
    """Return the session of the page that asks, or none; for pages, which then show the login."""
    dependencies = dependencies_of(connection)
    cookie = connection.cookies.get(SESSION_COOKIE)
    return None if cookie is None else read_session(cookie, dependencies.api_token, now=dependencies.clock())


def require_caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _session_cookie: Annotated[str | None, Security(_cookie)],
) -> Caller:
    """Let in who gives the token, or who has a session and, to change something, its page's token against forgery.

    Raises:
        ApiError: 401 for nobody; 403 for a session whose request does not come from its own page.
    """
    dependencies: ServiceDependencies = dependencies_of(request)
    if bearer is not None:
        if not is_token(bearer.credentials, dependencies.api_token):
            raise _not_let_in("The token is not the one of TALENT_API_TOKEN.")
        return Caller(actor=_named("API token", request))
    session = current_session(request)
    if session is None:
        raise _not_let_in("Please log in to access this feature, or send the API token as a bearer token.")
    if request.method not in _SAFE_METHODS and not is_csrf_token(request.headers.get(CSRF_HEADER, ""), session):
        raise ApiError(403, "FORBIDDEN", f"Forbidden: {CSRF_HEADER} is not that of this session; reload the page.")
    return Caller(actor=_named(f"page session {session.nonce[:6]}", request))


Authenticated = Annotated[Caller, Depends(require_caller)]


def _named(proven: str, request: Request) -> str:
    claimed = _UNPRINTABLE.sub("?", request.headers.get(ACTING_USER_HEADER, "").strip())[:_LONGEST_USER]
    return f"{proven} for {claimed}" if claimed else proven


def _not_let_in(message: str) -> ApiError:
    return ApiError(401, "AUTH_REQUIRED", message, headers={"WWW-Authenticate": "Bearer"})
