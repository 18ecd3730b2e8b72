"""The pages' own files, and the avatar element for any front end.

What belongs here: finding them in the package once, and their headers.
What does not: what is in them.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from talent_image_pipeline.pictures.initials.palette import colour_pairs
from talent_image_pipeline.service.caching import cacheable, not_found

#: Revalidated each time: an answer without a change is 304 and a few bytes.
_CACHE_CONTROL = "public, max-age=300, must-revalidate"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_AVATAR_ELEMENT = "talent-avatar.js"
_FILES = ("pages.css", "pages.js", "icon.svg", _AVATAR_ELEMENT)


@dataclass(frozen=True, kw_only=True)
class _StaticFile:
    content: bytes
    media_type: str
    entity_tag: str


class StaticFiles:
    """Answers with the files of the package; there are few, so they are kept in memory."""

    def __init__(self) -> None:
        self._files = {name: _load(name) for name in _FILES}

    async def respond(self, request: Request) -> Response:
        """Answer with one of the pages' files."""
        return self._answer(request, request.path_params["file_name"])

    async def respond_with_avatar_element(self, request: Request) -> Response:
        """Answer with the avatar element, to pages of any origin."""
        response = self._answer(request, _AVATAR_ELEMENT)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _answer(self, request: Request, name: str) -> Response:
        found = self._files.get(name)
        if found is None:
            return not_found("There is no such file.")
        return cacheable(
            request,
            content=found.content,
            media_type=found.media_type,
            entity_tag=found.entity_tag,
            cache_control=_CACHE_CONTROL,
        )


def _load(name: str) -> _StaticFile:
    content = (files("talent_image_pipeline.service") / "static" / name).read_bytes()
    # The element draws initials in the colors of the service, which are calculated.
    palette = ",".join(f"{pair.background}/{pair.foreground}" for pair in colour_pairs())
    content = content.replace(b"{{PALETTE}}", palette.encode())
    suffix = name[name.rindex(".") :]
    return _StaticFile(content=content, media_type=_MEDIA_TYPES[suffix], entity_tag=sha256(content).hexdigest()[:32])
