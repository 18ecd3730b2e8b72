"""The HTTP service: the pictures under their fixed addresses, drawn initials, and whether it is well.

What belongs here: putting the routes together.
What does not: what a route answers (one file for each beside this one), and listening on a port (``server.py``).
"""

from urllib.parse import urlsplit

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.health import HealthRoute
from talent_image_pipeline.service.initials_route import InitialsRoute
from talent_image_pipeline.service.picture_route import PictureRoute
from talent_image_pipeline.service.safe_headers import SAFE_HEADERS, SafeHeaders


def build_service(*, store: PictureStore, database_engine: sa.Engine, public_url: str, clock: Clock) -> Starlette:
    """Put the service together; nothing is opened or contacted before the first request.

    Args:
        store: Where the pictures are.
        database_engine: The app's database; stays open, its owner closes it.
        public_url: What published addresses start with. Where it has a path, the routes answer below that path too, so
            that a proxy in front may keep the path or strip it.
        clock: Says when a health check was made.
    """
    routes: list[BaseRoute] = [
        Route("/images/{content_hash}/{file_name}", PictureRoute(store).respond),
        Route("/initials/{talent_id}.svg", InitialsRoute(database_engine).respond),
        Route("/healthz", HealthRoute(store=store, database_engine=database_engine, clock=clock).respond),
    ]
    prefix = urlsplit(public_url).path.rstrip("/")
    below_prefix: list[BaseRoute] = [Mount(prefix, app=Router(routes, redirect_slashes=False))] if prefix else []
    service = Starlette(
        routes=[*below_prefix, *routes],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={Exception: _answer_defect},
    )
    # A redirect would name whatever host the request claimed to be for.
    service.router.redirect_slashes = False
    return service


async def _answer_defect(_request: Request, _defect: Exception) -> Response:
    """Answer 500 after a defect of ours, outside of all middleware; the web server logs it."""
    headers = {**SAFE_HEADERS, "Cache-Control": "no-store"}
    return PlainTextResponse("Something went wrong here.\n", status_code=500, headers=headers)
