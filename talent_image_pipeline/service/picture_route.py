"""``GET /images/{content hash}/{size}.webp``: a stored rendition, the same bytes for ever.

What belongs here: from an address to the stored bytes, without framework, middleware or database on the way.
What does not: how pictures are stored (``pictures/store/``), and answering from memory before any of this
(``http_protocol.py``).
"""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from talent_image_pipeline.pictures.store.damage import DamagedRenditionError
from talent_image_pipeline.pictures.store.keys import parse_rendition_key
from talent_image_pipeline.pictures.store.picture_store import PictureStore, PictureStoreUnavailableError
from talent_image_pipeline.service.caching import not_found, unavailable
from talent_image_pipeline.service.picture_memory import KeptPicture, PictureMemory, names_entity_tag
from talent_image_pipeline.service.safe_headers import SAFE_HEADERS

PREFIX = "/images/"
_NO_SUCH_PICTURE = "There is no such picture."

_OF_THE_BODY = frozenset({b"content-length", b"content-type"})

_log = logging.getLogger(__name__)


class PictureRoute:
    """Serves renditions from a store, as an ASGI application of its own."""

    def __init__(self, store: PictureStore, memory: PictureMemory) -> None:
        self._store = store
        self._memory = memory
        self._reads: dict[bytes, asyncio.Task[KeptPicture | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path, below any prefix, begins with ``/images/``."""
        request = Request(scope)
        if request.method not in {"GET", "HEAD"}:
            response = Response(status_code=405, headers={"Allow": "GET, HEAD", "Cache-Control": "no-store"})
            await _send(response, scope, receive, send)
            return
        key = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(PREFIX)
        parsed = parse_rendition_key(key)
        try:
            kept = await self.find(*parsed, path=scope["raw_path"]) if parsed is not None else None
        except PictureStoreUnavailableError as error:
            _log.error("[TALENT_IMAGE] %s", error)
            await _send(unavailable("The picture store does not answer.\n"), scope, receive, send)
            return
        if kept is None:
            await _send(not_found(_NO_SUCH_PICTURE), scope, receive, send)
            return
        await send_kept(kept, request, send)

    async def find(self, content_hash: str, size: int, *, path: bytes | None = None) -> KeptPicture | None:
        """Return a rendition from memory or from the store, or none when there is none that may be served.

        Args:
            content_hash: The picture.
            size: The rendition.
            path: The address as it came over the wire, under which the connection finds it in memory.

        Raises:
            PictureStoreUnavailableError: when the store does not answer.
        """
        place = path or f"{PREFIX}{content_hash}/{size}.webp".encode()
        kept = self._memory.find(place)
        if kept is not None:
            return kept
        # Whoever asks for the same picture meanwhile waits for the same read.
        read = self._reads.get(place)
        if read is None:
            read = self._reads[place] = asyncio.create_task(self._read(content_hash, size, place))
            read.add_done_callback(lambda _: self._reads.pop(place, None))
        return await asyncio.shield(read)

    async def _read(self, content_hash: str, size: int, place: bytes) -> KeptPicture | None:
        try:
            content = await self._store.read_verified(content_hash, size)
        except DamagedRenditionError as error:
            # An answer is kept for a year: damaged bytes must not become one.
            _log.error("[TALENT_IMAGE] picture %s: %s; run talent-images verify", content_hash, error.damage.message)
            return None
        if content is None:
            return None
        return self._memory.keep(place, content, entity_tag=f"{content_hash}-{size}")


async def send_kept(kept: KeptPicture, request: Request, send: Send) -> None:
    """Send a picture, or 304 and nothing where the client has it already."""
    asked = b",".join(value for name, value in request.scope["headers"] if name == b"if-none-match")
    is_known = bool(asked) and names_entity_tag(asked, kept.entity_tag)
    headers = [header for header in kept.headers if not (is_known and header[0] in _OF_THE_BODY)]
    body = b"" if is_known or request.method == "HEAD" else kept.body
    await send({"type": "http.response.start", "status": 304 if is_known else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    response.headers.update(SAFE_HEADERS)
    await response(scope, receive, send)
