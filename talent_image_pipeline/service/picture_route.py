"""``GET /images/{content hash}/{size}.webp``: a stored rendition, the same bytes for ever.

What belongs here: from an address to the stored bytes, and what may be kept of them.
What does not: how pictures are stored (``pictures/store.py``).
"""

import logging

from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.pictures.store.damage import DamagedRenditionError
from talent_image_pipeline.pictures.store.keys import parse_rendition_key
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError
from talent_image_pipeline.service.caching import cacheable, not_found, unavailable

_FOR_EVER = "public, max-age=31536000, immutable"
_NO_SUCH_PICTURE = "There is no such picture."

_log = logging.getLogger(__name__)


class PictureRoute:
    """Serves renditions from a store."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store

    async def respond(self, request: Request) -> Response:
        """Answer with the rendition; 404 when there is none, 503 when the store does not answer."""
        parsed = parse_rendition_key("{content_hash}/{file_name}".format(**request.path_params))
        if parsed is None:
            return not_found(_NO_SUCH_PICTURE)
        content_hash, size = parsed
        try:
            content = await self._store.read_verified(content_hash, size)
        except DamagedRenditionError as error:
            # An answer is kept for a year: damaged bytes must not become one.
            _log.error("[TALENT_IMAGE] picture %s: %s; run talent-images verify", content_hash, error.damage.message)
            return not_found(_NO_SUCH_PICTURE)
        except PictureStoreUnavailableError as error:
            _log.error("[TALENT_IMAGE] %s", error)
            return unavailable("The picture store does not answer.\n")
        if content is None:
            return not_found(_NO_SUCH_PICTURE)
        return cacheable(
            request,
            content=content,
            media_type="image/webp",
            entity_tag=f"{content_hash}-{size}",
            cache_control=_FOR_EVER,
        )
