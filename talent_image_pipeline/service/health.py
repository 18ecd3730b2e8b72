"""``GET /healthz``: whether the service can do its work now.

What belongs here: one cheap question to each thing that the service depends on.
What does not: how well the sync goes; the checks in Dagster say that.
"""

import anyio.to_thread
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from talent_image_pipeline.clock import Clock
from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError


class HealthRoute:
    """Asks the database and the picture store whether they answer."""

    def __init__(self, *, store: PictureStore, database_engine: sa.Engine, clock: Clock) -> None:
        self._store = store
        self._engine = read_only(database_engine)
        self._clock = clock

    async def respond(self, _request: Request) -> Response:
        """Answer 200 when both work and 503 when either does not; the body says which."""
        parts = {
            "database": await anyio.to_thread.run_sync(self._database_answers),
            "picture_store": await self._store_answers(),
        }
        is_well = all(parts.values())
        body = {name: "ok" if answers else "unavailable" for name, answers in parts.items()}
        return JSONResponse(
            {"status": "ok" if is_well else "unavailable", **body, "checked_at": self._clock().isoformat()},
            status_code=200 if is_well else 503,
            headers={"Cache-Control": "no-store"},
        )

    def _database_answers(self) -> bool:
        try:
            with self._engine.connect() as connection:
                connection.execute(sa.select(talent.c.id).limit(1))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    async def _store_answers(self) -> bool:
        try:
            await self._store.check_reachable()
        except PictureStoreUnavailableError:
            return False
        return True
