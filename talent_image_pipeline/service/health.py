"""``/healthz``: the process is alive. ``/readyz``: what it can do now, looked at every few seconds at most.

What belongs here: one cheap question to each thing that the service depends on, and remembering the answers.
What does not: how well the sync goes; the checks in Dagster say that.
"""

import asyncio
import time
from dataclasses import dataclass

import anyio.to_thread
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.pictures.store.picture_store import PictureStoreUnavailableError
from talent_image_pipeline.service.dependencies import ServiceDependencies

#: A look at an object store lists it, which costs money; a load balancer asks every second or two.
SECONDS_REMEMBERED = 10.0
_NO_STORE = {"Cache-Control": "no-store"}


async def answer_alive(_request: Request) -> Response:
    """Answer 200 without asking anything: whoever restarts dead processes must not restart one that waits."""
    return JSONResponse({"status": "alive"}, headers=_NO_STORE)


@dataclass(frozen=True, kw_only=True)
class _Look:
    body: dict[str, str]
    is_ready: bool
    until: float


class ReadinessRoute:
    """Asks the database and the picture store whether they answer, at most every few seconds."""

    def __init__(self, dependencies: ServiceDependencies) -> None:
        self._dependencies = dependencies
        self._engine = read_only(dependencies.engine)
        self._last: _Look | None = None
        self._looking = asyncio.Lock()

    async def respond(self, _request: Request) -> Response:
        """Answer 200 when both work and 503 when either does not; the body says which, and as of when.

        Whether refreshes can run is said too, but decides nothing: pictures are served without them.
        """
        async with self._looking:
            look = self._last
            if look is None or look.until <= time.monotonic():
                look = self._last = await self._look()
        body = {**look.body, "refreshes": self._dependencies.refreshing.jobs.readiness}
        return JSONResponse(body, status_code=200 if look.is_ready else 503, headers=_NO_STORE)

    async def _look(self) -> _Look:
        parts = {
            "database": await anyio.to_thread.run_sync(self._database_answers),
            "picture_store": await self._store_answers(),
        }
        is_ready = all(parts.values())
        words = {name: "ok" if answers else "unavailable" for name, answers in parts.items()}
        body = {
            "status": "ok" if is_ready else "unavailable",
            **words,
            "checked_at": self._dependencies.clock().isoformat(),
        }
        return _Look(body=body, is_ready=is_ready, until=time.monotonic() + SECONDS_REMEMBERED)

    def _database_answers(self) -> bool:
        try:
            with self._engine.connect() as connection:
                connection.execute(sa.select(talent.c.id).limit(1))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    async def _store_answers(self) -> bool:
        try:
            await self._dependencies.store.check_reachable()
        except PictureStoreUnavailableError:
            return False
        return True
