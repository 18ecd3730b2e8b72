"""Answers that no honest server gives: cut connections, nonsense, error pages, endless bodies.

What belongs here: misbehaviour that is the same for every platform, below the level of its own error bodies.
What does not: a platform's own errors, and which situation an account is in.
"""

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from functools import cache

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from talent_image_pipeline.sandbox.situations import Situation
from talent_image_pipeline.sandbox.world import Trouble

HUGE_BODY_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024

_OUTAGE_PAGE = (
    "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{status}</h1>"
    "<p>Sorry, something went wrong. We're working on it and we'll get it fixed as soon as we can.</p></body></html>"
)


class ResetAnswer(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection with whatever was on its way."""
        connection: asyncio.Transport = scope["state"]["connection"]
        linger_not_at_all = struct.pack("ii", 1, 0)
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not_at_all)
        connection.abort()
        await _disconnected(receive)


class CutAnswer(Response):
    """The beginning of an answer that promises more: then the connection closes.

    Args:
        beginning: What is sent of the body.
        promised: What the Content-Length says.
        content_type: What the body claims to be.
    """

    def __init__(self, beginning: bytes, *, promised: int, content_type: str) -> None:
        super().__init__(beginning, headers={"content-length": str(promised)}, media_type=content_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning and close."""
        connection: asyncio.Transport = scope["state"]["connection"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        connection.close()
        await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def error_page(status: int) -> Response:
    """Return an HTML page, as load balancers send in place of an answer."""
    return HTMLResponse(_OUTAGE_PAGE.format(status=status), status_code=status)


def endless(
    *, content_type: str, beginning: bytes = b"", total: int = HUGE_BODY_BYTES, says_so: bool = True
) -> Response:
    """Return a body of that many bytes that begins like something and goes on with padding."""

    async def body() -> AsyncIterator[bytes]:
        yield beginning
        left = total - len(beginning)
        while left > 0:
            yield b" " * min(_CHUNK, left)
            left -= _CHUNK

    headers: Mapping[str, str] = {"content-length": str(total)} if says_so else {}
    return StreamingResponse(body(), headers=headers, media_type=content_type)


def trickle(body: bytes, *, content_type: str) -> Response:
    """Return a body at one byte a second."""

    async def slowly() -> AsyncIterator[bytes]:
        for number in range(len(body)):
            yield body[number : number + 1]
            await asyncio.sleep(1)

    return StreamingResponse(slowly(), headers={"content-length": str(len(body))}, media_type=content_type)


async def api_misbehaviour(trouble: Trouble) -> Response | None:
    """Return what an API answers that does not even speak its own language; none when it does, after its delay."""
    situation = trouble.situation
    if situation is Situation.SLOW:
        await asyncio.sleep(trouble.seconds)
        return None
    if situation is Situation.OUTAGE:
        return error_page(503)
    if situation is Situation.BAD_GATEWAY:
        return error_page(502)
    if situation is Situation.RESET:
        return ResetAnswer()
    if situation is Situation.NONSENSE:
        return Response(b"%PDF-1.4 this is no JSON", media_type="application/json")
    if situation is Situation.TRUNCATED_BODY:
        return CutAnswer(b'{"data": {"user": {"open', promised=900, content_type="application/json")
    if situation is Situation.HUGE_BODY:
        return endless(content_type="application/json", beginning=b'{"data": {}, "padding": [')
    if situation is Situation.COMPRESSED:
        return Response(_gzip_within_gzip(), headers={"content-encoding": "gzip, gzip"}, media_type="application/json")
    if situation is Situation.API_REDIRECT:
        return RedirectResponse(trouble.redirect_to, status_code=302)
    return None


@cache
def _gzip_within_gzip() -> bytes:
    return gzip.compress(gzip.compress(b" " * HUGE_BODY_BYTES))


def origin_of(request: Request) -> str:
    """Return where the sandbox was reached: addresses that it hands out lead back there."""
    return f"{request.url.scheme}://{request.url.netloc}"
