"""``GET /initials/{talent id}.svg``: the initials of a talent, drawn from the name that the app has now.

What belongs here: from an address to the drawing.
What does not: which letters and colours (``pictures/drawing.py``).
"""

import logging
from hashlib import sha256

import anyio.to_thread
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.database.engine import read_only
from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.pictures.initials.drawing import draw_initials
from talent_image_pipeline.service.caching import cacheable, not_found, unavailable

_MEDIA_TYPE = "image/svg+xml"
# A new name shows within minutes; a page that is open meanwhile never waits for it.
_CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=3600"

_log = logging.getLogger(__name__)


class InitialsRoute:
    """Draws initials for the talents of a database."""

    def __init__(self, database_engine: sa.Engine) -> None:
        self._engine = read_only(database_engine)

    async def respond(self, request: Request) -> Response:
        """Answer with the drawing; 404 for an unknown talent.

        While the database does not answer it is 503 with a silhouette in the talent's colours, which browsers show.
        """
        talent_id: str = request.path_params["talent_id"]
        try:
            name = await anyio.to_thread.run_sync(self._find_name, talent_id)
        except sa.exc.SQLAlchemyError as error:
            _log.error("[TALENT_IMAGE] the database does not answer: %s", type(error).__name__)
            return unavailable(draw_initials(talent_id=talent_id, name=""), media_type=_MEDIA_TYPE)
        if name is None:
            return not_found("There is no such talent.")
        drawing = draw_initials(talent_id=talent_id, name=name).encode()
        return cacheable(
            request,
            content=drawing,
            media_type=_MEDIA_TYPE,
            entity_tag=sha256(drawing).hexdigest()[:32],
            cache_control=_CACHE_CONTROL,
        )

    def _find_name(self, talent_id: str) -> str | None:
        """Return the name that the app shows, or none for an unknown talent."""
        # PostgreSQL has no text with a zero character, and refuses to compare with one.
        if "\0" in talent_id:
            return None
        query = sa.select(talent.c.displayName, talent.c.name).where(talent.c.id == talent_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else ((row.displayName or "").strip() or row.name)
