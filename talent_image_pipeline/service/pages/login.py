"""The login: the API token once, a cookie afterwards; and the way out.

What belongs here: the form, the cookie and its flags.
What does not: how a session is signed (``sessions.py``).
"""

from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.service.api_token import is_token
from talent_image_pipeline.service.callers import current_session
from talent_image_pipeline.service.dependencies import dependencies_of
from talent_image_pipeline.service.pages.rendering import page, root_of, see_other
from talent_image_pipeline.service.sessions import (
    CSRF_FIELD,
    SESSION_COOKIE,
    SESSION_LASTS,
    Session,
    is_csrf_token,
    open_session,
)

_LARGEST_FORM = 4096


async def show_login(request: Request) -> Response:
    """Show the form; whoever has a session is sent on."""
    wanted = safe_path(request.query_params.get("next"))
    if current_session(request) is not None:
        return see_other(request, wanted)
    return _login_page(request, wanted=wanted)


async def log_in(request: Request) -> Response:
    """Open a session for whoever gives the token."""
    form = await _form(request)
    dependencies = dependencies_of(request)
    wanted = safe_path(form.get("next"))
    if not is_token(form.get("token", "").strip(), dependencies.api_token):
        return _login_page(
            request, wanted=wanted, failure="That is not the token. It is the value of TALENT_API_TOKEN."
        )
    session = open_session(dependencies.api_token, now=dependencies.clock())
    response = see_other(request, wanted)
    _set_cookie(request, response, session.cookie, seconds=int(SESSION_LASTS.total_seconds()))
    return response


async def log_out(request: Request) -> Response:
    """Forget the session; only from a page of this session."""
    session: Session | None = current_session(request)
    form = await _form(request)
    if session is not None and not is_csrf_token(form.get(CSRF_FIELD, ""), session):
        return see_other(request, "/")
    response = see_other(request, "/login")
    _set_cookie(request, response, "", seconds=0)
    return response


def safe_path(wanted: str | None) -> str:
    """Return where to go after the login: a path of this service, or the gallery for anything else."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\", "/login")):
        return "/"
    is_plain = all(" " < character < "\x7f" and character != "\\" for character in wanted)
    return wanted if is_plain else "/"


def _login_page(request: Request, *, wanted: str, failure: str | None = None) -> Response:
    context = {"title": "Log in", "wanted": wanted, "failure": failure}
    return page(request, "login.html", context, session=None, status=200 if failure is None else 403)


def _set_cookie(request: Request, response: Response, value: str, *, seconds: int) -> None:
    public = urlsplit(dependencies_of(request).settings.talent_image_public_url)
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=seconds,
        path=f"{root_of(request)}/",
        httponly=True,
        # Followed links, such as those of Dagster's UI, keep the session; requests that change something carry a token.
        samesite="lax",
        secure=request.url.scheme == "https" or public.scheme == "https",
    )


async def _form(request: Request) -> dict[str, str]:
    """Return a form's fields; nothing of a form larger than ours."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_FORM:
            return {}
    fields = parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[-1] for name, values in fields.items()}
