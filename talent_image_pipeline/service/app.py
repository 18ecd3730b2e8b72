"""The HTTP service: the API, the pictures under their fixed addresses, drawn initials, and whether it is well.

What belongs here: putting the routes together, and what starts and ends with the service.
What does not: what a route answers (one file for each beside this one), and listening on a port (``server.py``).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from talent_image_pipeline.service.api import batches, profile_image, talents
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.errors import add_error_handlers
from talent_image_pipeline.service.health import ReadinessRoute, answer_alive
from talent_image_pipeline.service.initials_route import InitialsRoute
from talent_image_pipeline.service.picture_route import PictureRoute
from talent_image_pipeline.service.safe_headers import SafeHeaders

API_PREFIX = "/api/admin"
OPENAPI_PATH = "/api/openapi.json"


def build_service(dependencies: ServiceDependencies, *, on_start: Callable[[], None] | None = None) -> ASGIApp:
    """Put the service together; nothing is opened or contacted before the first request.

    Args:
        dependencies: What the routes work with; their owner closes them.
        on_start: Called when the service starts, in its event loop; must not block.
    """
    return _BelowPrefix(
        build_app(dependencies, on_start=on_start),
        prefix=urlsplit(dependencies.settings.talent_image_public_url).path.rstrip("/"),
    )


def build_app(dependencies: ServiceDependencies, *, on_start: Callable[[], None] | None = None) -> FastAPI:
    """Put the application together, as :func:`build_service` serves it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if on_start is not None:
            on_start()
        yield
        await dependencies.refreshing.end()

    app = FastAPI(
        title="Talent profile images",
        description="One current profile picture for every talent: what it is, where it came from, refreshing it.",
        version=version("talent-image-pipeline"),
        openapi_url=OPENAPI_PATH,
        # Both load scripts from somebody else's origin.
        docs_url=None,
        redoc_url=None,
        # A redirect would name whatever host the request claimed to be for.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.dependencies = dependencies
    app.add_middleware(SafeHeaders)
    add_error_handlers(app)
    # Batches first: their addresses have the shape of a talent's.
    for router in (batches.router, profile_image.router, talents.router):
        app.include_router(router, prefix=API_PREFIX)
    app.router.routes += [
        Route("/images/{content_hash}/{file_name}", PictureRoute(dependencies.store).respond),
        Route("/initials/{talent_id}.svg", InitialsRoute(dependencies.engine).respond),
        Route("/healthz", answer_alive),
        Route("/readyz", ReadinessRoute(dependencies).respond),
    ]
    return app


class _BelowPrefix:
    """Answers below the path of the public address too, so that a proxy in front may keep the path or strip it."""

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the application which part of the path is not its own."""
        if self._prefix and scope["type"] == "http" and scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "root_path": self._prefix}
        await self._app(scope, receive, send)
