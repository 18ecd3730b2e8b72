"""``GET /avatars/{talent id}?size=…``: the address that always shows a picture of a talent: today's or the initials.

What belongs here: from a talent to the bytes, or to the address of the bytes.
What does not: the pictures themselves (``picture_route.py``) and the initials (``initials_route.py``).
"""

import logging
import re
from hashlib import sha256
from urllib.parse import urlsplit

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.keys import PROFILE_SIZE, rendition_key, rendition_url
from talent_image_pipeline.pictures.store.picture_store import PictureStoreUnavailableError
from talent_image_pipeline.service.caching import cacheable, not_found, unavailable
from talent_image_pipeline.service.dependencies import ServiceDependencies
from talent_image_pipeline.service.initials_route import initials_webp
from talent_image_pipeline.service.picture_memory import KeptPicture
from talent_image_pipeline.service.picture_route import PictureRoute
from talent_image_pipeline.service.talent_lookup import ShownTalent, TalentLookup

#: A new picture shows within a minute everywhere, and at once where the address is asked for anew.
CACHE_CONTROL = "public, max-age=60, stale-while-revalidate=600"
#: What stands in for a picture that cannot be read right now is gone as soon as it can.
_STAND_IN = "public, max-age=10"
_WEBP = "image/webp"
_OWN_PICTURE = re.compile(r"/images/(?P<content_hash>[0-9a-f]{64})/\d{2,3}\.webp", re.ASCII)
_SIZE = re.compile(r"\d{1,5}", re.ASCII)

_log = logging.getLogger(__name__)


class AvatarRoute:
    """Answers with what a talent shows now."""

    def __init__(self, dependencies: ServiceDependencies, pictures: PictureRoute) -> None:
        self._pictures = pictures
        self._lookup = TalentLookup(dependencies.engine)
        self._public_url = dependencies.settings.talent_image_public_url
        self._store_public_url = dependencies.settings.talent_image_store_public_url
        self._redirects = dependencies.settings.talent_avatar_redirect or self._store_public_url is not None

    async def respond(self, request: Request) -> Response:
        """Answer with a picture whatever happens; 404 for a talent that the app does not know.

        ``?size=`` takes any number of pixels and gives the smallest rendition that is as large; ``?d=404`` answers 404
        in place of the initials.
        """
        talent_id: str = request.path_params["talent_id"]
        size = wanted_size(request.query_params.get("size"))
        try:
            talent = await self._lookup.find(talent_id)
        except sa.exc.SQLAlchemyError:
            return unavailable(await initials_webp(talent_id, "", size), media_type=_WEBP)
        if talent is None:
            return not_found("There is no such talent.")
        content_hash = self._own_picture(talent)
        if content_hash is not None:
            return await self._answer_own(request, talent_id, talent, content_hash, size)
        if talent.image_url is not None and self._is_elsewhere(talent.image_url):
            return _redirect(talent.image_url)
        if request.query_params.get("d") == "404":
            return not_found("This talent shows the initials.")
        return await _answer_initials(request, talent_id, talent, size, cache_control=CACHE_CONTROL)

    async def _answer_own(
        self, request: Request, talent_id: str, talent: ShownTalent, content_hash: str, size: int
    ) -> Response:
        kept = await self._read(content_hash, size)
        if kept is None:
            return await _answer_initials(request, talent_id, talent, size, cache_control=_STAND_IN)
        if self._store_public_url is not None:
            return _redirect(f"{self._store_public_url}/{rendition_key(content_hash, size)}")
        if self._redirects:
            return _redirect(rendition_url(self._public_url, content_hash, size))
        tag = kept.entity_tag.decode().strip('"')
        return cacheable(request, content=kept.body, media_type=_WEBP, entity_tag=tag, cache_control=CACHE_CONTROL)

    async def _read(self, content_hash: str, size: int) -> KeptPicture | None:
        """Return a picture that may be served; nobody is sent to an address where there is none."""
        try:
            return await self._pictures.find(content_hash, size)
        except PictureStoreUnavailableError as error:
            _log.error("[TALENT_IMAGE] %s", error)
            return None

    def _is_elsewhere(self, address: str) -> bool:
        """Whether an address of the app's own is one that a viewer can be sent to, and does not lead back here."""
        return _is_web_address(address) and not address.startswith(f"{self._public_url}/")

    def _own_picture(self, talent: ShownTalent) -> str | None:
        address = talent.image_url or ""
        match = _OWN_PICTURE.fullmatch(address.removeprefix(self._public_url))
        return match["content_hash"] if match is not None else None


def wanted_size(text: str | None) -> int:
    """Return the smallest rendition that is as large as asked for, or the largest; the profile's own for no number."""
    if text is None or not _SIZE.fullmatch(text):
        return PROFILE_SIZE
    return next((size for size in RENDITION_SIZES if size >= int(text)), RENDITION_SIZES[-1])


async def _answer_initials(
    request: Request, talent_id: str, talent: ShownTalent, size: int, *, cache_control: str
) -> Response:
    drawing = await initials_webp(talent_id, talent.name, size)
    tag = sha256(drawing).hexdigest()[:32]
    return cacheable(request, content=drawing, media_type=_WEBP, entity_tag=tag, cache_control=cache_control)


def _redirect(address: str) -> Response:
    return Response(status_code=302, headers={"Location": address, "Cache-Control": CACHE_CONTROL})


def _is_web_address(address: str) -> bool:
    """Whether an address from the app's table may go into a header: http(s), in visible ASCII."""
    if not address.isascii() or not address.isprintable() or " " in address:
        return False
    parts = urlsplit(address)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
