"""How answers are cached and revalidated.

What belongs here: cache lifetimes, conditional requests, and the answers that must not stay in caches.
What does not: what is answered.
"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

# What is absent now may be stored a moment later, so nobody remembers its absence for long.
ABSENCE_CACHE_CONTROL = "public, max-age=60"
RETRY_AFTER_SECONDS = 5


def cacheable(request: Request, *, content: bytes, media_type: str, entity_tag: str, cache_control: str) -> Response:
    """Answer with the content, or with 304 and nothing where the client has it already.

    Args:
        request: Its ``If-None-Match`` decides.
        content: The body.
        media_type: Of the content.
        entity_tag: Strong, without its quotes; changes with every byte of the content.
        cache_control: How long anybody may keep the answer.
    """
    quoted = f'"{entity_tag}"'
    headers = {"ETag": quoted, "Cache-Control": cache_control}
    if _matches(request.headers.getlist("if-none-match"), quoted):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def not_found(what: str) -> Response:
    """Answer 404, to be asked again before long."""
    return PlainTextResponse(f"{what}\n", status_code=404, headers={"Cache-Control": ABSENCE_CACHE_CONTROL})


def unavailable(content: bytes | str, *, media_type: str = "text/plain") -> Response:
    """Answer 503, to be asked again at once and never cached."""
    headers = {"Cache-Control": "no-store", "Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(content, status_code=503, media_type=media_type, headers=headers)


def _matches(if_none_match: list[str], quoted_tag: str) -> bool:
    """Compare weakly, as RFC 9110, section 13.1.2, asks for."""
    tags = [tag.strip().removeprefix("W/") for line in if_none_match for tag in line.split(",")]
    return quoted_tag in tags or "*" in tags
