"""``GET /initials/{talent id}.svg`` and ``…/{size}.webp``: initials, drawn from the name that the app has now.

What belongs here: from an address to the drawing.
What does not: which letters and colors (``pictures/initials/``).
"""

from hashlib import sha256

import anyio.to_thread
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from talent_image_pipeline.pictures.initials.drawing import draw_initials
from talent_image_pipeline.pictures.initials.raster import render_initials
from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.service.caching import cacheable, not_found, unavailable
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.talent_lookup import TalentLookup

_SVG = "image/svg+xml"
_WEBP = "image/webp"
# A new name shows within minutes; a page that is open meanwhile never waits for it.
_CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=3600"
_NO_SUCH_TALENT = "There is no such talent."


class InitialsRoute:
    """Draws initials for the talents of a database."""

    def __init__(self, dependencies: ServiceDependencies) -> None:
        self._lookup = TalentLookup(dependencies.engine)
        self._names_are_public = dependencies.settings.talent_image_public_names

    def routes(self) -> list[Route]:
        """Return both addresses."""
        return [
            Route("/initials/{talent_id}.svg", self.respond_svg),
            Route("/initials/{talent_id}/{size:int}.webp", self.respond_webp),
        ]

    async def respond_svg(self, request: Request) -> Response:
        """Answer with the drawing; 404 for an unknown talent.

        While the database does not answer it is 503 with a silhouette in the talent's colors, which browsers show.
        """
        talent_id: str = request.path_params["talent_id"]
        try:
            talent = await self._lookup.find(talent_id)
        except sa.exc.SQLAlchemyError:
            return unavailable(draw_initials(talent_id=talent_id, name=""), media_type=_SVG)
        if talent is None:
            return not_found(_NO_SUCH_TALENT)
        drawing = draw_initials(talent_id=talent_id, name=talent.name, is_titled=self._names_are_public).encode()
        return _cacheable(request, drawing, media_type=_SVG)

    async def respond_webp(self, request: Request) -> Response:
        """Do the same as a WebP file of one of the sizes that pictures have."""
        talent_id: str = request.path_params["talent_id"]
        size: int = request.path_params["size"]
        if size not in RENDITION_SIZES:
            return not_found(f"There are {', '.join(map(str, RENDITION_SIZES))} px.")
        try:
            talent = await self._lookup.find(talent_id)
        except sa.exc.SQLAlchemyError:
            return unavailable(await initials_webp(talent_id, "", size), media_type=_WEBP)
        if talent is None:
            return not_found(_NO_SUCH_TALENT)
        return _cacheable(request, await initials_webp(talent_id, talent.name, size), media_type=_WEBP)


async def initials_webp(talent_id: str, name: str, size: int) -> bytes:
    """Draw initials as WebP, beside the event loop."""
    return await anyio.to_thread.run_sync(lambda: render_initials(talent_id=talent_id, name=name, size=size))


def _cacheable(request: Request, drawing: bytes, *, media_type: str) -> Response:
    return cacheable(
        request,
        content=drawing,
        media_type=media_type,
        entity_tag=sha256(drawing).hexdigest()[:32],
        cache_control=_CACHE_CONTROL,
    )
