"""The HTTP service: the API, the pictures under their fixed addresses, drawn initials, and whether it is well.

What belongs here: putting the routes together, and what starts and ends with the service.
What does not: what a route answers (one file for each beside this one), and listening on a port (``server.py``).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from talent_image_pipeline.service.api import batches, profile_image, talents
from talent_image_pipeline.service.avatar_route import AvatarRoute
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.errors import add_error_handlers
from talent_image_pipeline.service.health import ReadinessRoute, answer_alive
from talent_image_pipeline.service.http_protocol import ConnectionLimits, ConnectionTable
from talent_image_pipeline.service.initials_route import InitialsRoute
from talent_image_pipeline.service.pages.routes import page_routes
from talent_image_pipeline.service.picture_memory import PictureMemory
from talent_image_pipeline.service.picture_route import PREFIX, PictureRoute
from talent_image_pipeline.service.safe_headers import SafeHeaders
from talent_image_pipeline.settings import Settings

API_PREFIX = "/api/admin"
OPENAPI_PATH = "/api/openapi.json"


class Service:
    """The service as an ASGI application: pictures first, everything else through the framework.

    Attributes:
        connections: The bounds that every connection of the server is under.
        picture_memory: From which connections answer at once.
    """

    def __init__(self, app: ASGIApp, pictures: PictureRoute, *, memory: PictureMemory, settings: Settings) -> None:
        self._app = app
        self._pictures = pictures
        # A proxy in front may keep the path of the public address or strip it.
        self._prefix = urlsplit(settings.talent_image_public_url).path.rstrip("/")
        self.picture_memory = memory
        self.connections = ConnectionTable(
            ConnectionLimits(
                connections=settings.talent_service_connections,
                connections_per_client=settings.talent_service_connections_per_client,
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, below the prefix or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self._prefix and path.startswith(f"{self._prefix}/"):
            scope = {**scope, "root_path": self._prefix}
            path = path.removeprefix(self._prefix)
        await (self._pictures if path.startswith(PREFIX) else self._app)(scope, receive, send)


def build_service(
    dependencies: ServiceDependencies,
    *,
    on_start: Callable[[], None] | None = None,
    on_end: Callable[[], None] | None = None,
) -> Service:
    """Put the service together; nothing is opened or contacted before the first request.

    Args:
        dependencies: What the routes work with; their owner closes them.
        on_start: Called when the service starts, in its event loop; must not block.
        on_end: Called when all requests and runs have ended, in a thread.
    """
    settings = dependencies.settings
    memory = PictureMemory(limit_bytes=settings.talent_service_memory_mb * 1_000_000)
    pictures = PictureRoute(dependencies.store, memory)
    app = build_app(dependencies, pictures, on_start=on_start, on_end=on_end)
    return Service(app, pictures, memory=memory, settings=settings)


def build_app(
    dependencies: ServiceDependencies,
    pictures: PictureRoute,
    *,
    on_start: Callable[[], None] | None = None,
    on_end: Callable[[], None] | None = None,
) -> FastAPI:
    """Put the application together, as :func:`build_service` serves it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if on_start is not None:
            on_start()
        yield
        await dependencies.refreshing.end()
        if on_end is not None:
            await anyio.to_thread.run_sync(on_end)

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
        Route("/avatars/{talent_id}", AvatarRoute(dependencies, pictures).respond),
        *InitialsRoute(dependencies).routes(),
        Route("/healthz", answer_alive),
        Route("/readyz", ReadinessRoute(dependencies).respond),
        *page_routes(),
    ]
    return app
