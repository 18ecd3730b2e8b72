"""One API request and its answer, kept within bounds: a deadline, a size, no redirects, no secrets in any text.

What belongs here: what is true of HTTP with every platform.
What does not: what an answer means (one file per network beside this one), retries and rate limits (``sync/``).
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    # Half a second of imports that only a process that reads needs: the registry is loaded by every one.
    import aiohttp
    import httpx

DEADLINE_SECONDS = 10.0
BODY_LIMIT = 1024 * 1024
# Meta sends up to 32 usage entries in one header line, which is more than aiohttp's default of 8 KiB allows.
HEADER_LIMIT = 64 * 1024
USER_AGENT = "talent-image-pipeline"


@dataclass(frozen=True, kw_only=True)
class ApiAnswer:
    """What a platform answered. Bodies and headers hold tokens and signed addresses: they are in no repr.

    Attributes:
        host: Who answered.
        status: The HTTP status, never a redirect.
        headers: By lower-case name.
        body: At most the transport's body limit, as it was sent but for its transfer encoding.
    """

    host: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> Any:
        """The body as JSON, parsed once; none where it is no JSON (an HTML page, nothing, a bomb of brackets)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """No usable answer came back.

    Attributes:
        host: Who was asked.
        kind: What happened, in words of our own.
        is_retryable: Whether asking again within the run may help.
    """

    host: str
    kind: str
    is_retryable: bool


class ApiTransport:
    """Sends API requests through one shared connection pool and counts them.

    Attributes:
        calls: How many requests were sent so far, whatever became of them.
    """

    def __init__(
        self, client: "httpx.AsyncClient", *, deadline_seconds: float = DEADLINE_SECONDS, body_limit: int = BODY_LIMIT
    ) -> None:
        self._client = client
        self._deadline_seconds = deadline_seconds
        self._body_limit = body_limit
        self.calls = 0

    async def send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> ApiAnswer | Unreachable:
        """Send one request and read its whole answer, within one deadline for everything.

        Raises nothing that a platform can cause: timeouts, resets, oversize bodies, redirects and broken HTTP all
        come back as :class:`Unreachable`.
        """
        self.calls += 1
        host = urlsplit(url).hostname or "the platform"
        request = self._client.build_request
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._exchange(host, request(method, url, params=query, headers=headers, data=form))
        except TimeoutError:
            return Unreachable(host=host, kind="no answer in time", is_retryable=True)
        except _failures() as failure:
            kind, is_retryable = _kind_of(failure)
            return Unreachable(host=host, kind=kind, is_retryable=is_retryable)

    async def _exchange(self, host: str, request: "httpx.Request") -> ApiAnswer | Unreachable:
        response = await self._client.send(request, stream=True)
        try:
            if 300 <= response.status_code < 400:
                return Unreachable(host=host, kind="it redirects elsewhere", is_retryable=False)
            if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
                # None was asked for, and a few bytes of it can stand for gigabytes.
                return Unreachable(host=host, kind="its answer is compressed", is_retryable=False)
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._body_limit:
                    return Unreachable(host=host, kind="body too large", is_retryable=False)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ApiAnswer(host=host, status=response.status_code, headers=headers, body=bytes(body))


@cache
def _send_once() -> "aiohttp.ClientMiddlewareType":
    """Return what lets a broken connection end its request.

    aiohttp sends every GET that ends in one of these two errors once more at once, uncounted and without a backoff. An
    error of another type it passes on.
    """
    import aiohttp

    class BrokenConnectionError(aiohttp.ClientConnectionError):
        """A connection broke under a request."""

    async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        try:
            return await send(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise BrokenConnectionError from error

    return send_once


def open_api_client(*, max_connections: int = 128) -> "httpx.AsyncClient":
    """Open the connection pool that the transports of a run share; the caller closes it.

    Certificates are always checked, proxies and other settings from the environment are ignored, redirects are not
    followed, cookies are neither kept nor sent.
    """
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    _keep_addresses_out_of_the_log()
    certificates = httpx.create_ssl_context(verify=True, trust_env=False)

    def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=certificates, limit=max_connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_field_size=HEADER_LIMIT,
            middlewares=(_send_once(),),
        )

    return httpx.AsyncClient(
        transport=AiohttpTransport(verify=certificates, trust_env=False, client=open_session),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113 - each request runs under the transport's own deadline
        trust_env=False,
        follow_redirects=False,
    )


@cache
def _failures() -> tuple[type[Exception], ...]:
    """Return all that a request can end in; RecursionError and the like come from no network."""
    import aiohttp
    import httpx
    from aiohttp.http import HttpProcessingError

    # A token that no header can carry ends in ValueError.
    ours = (OSError, ValueError)
    return (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, HttpProcessingError, *ours)


def _keep_addresses_out_of_the_log() -> None:
    """Drop what httpx logs at INFO: each request's whole address, where keys and tokens may be parameters."""
    logger = logging.getLogger("httpx")
    if _is_worth_attention not in logger.filters:
        logger.addFilter(_is_worth_attention)


def _is_worth_attention(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO


def _kind_of(failure: Exception) -> tuple[str, bool]:
    """Say what failed, from types alone: the texts of these exceptions may hold addresses with tokens in them."""
    import aiohttp
    import httpx
    from aiohttp.http import HttpProcessingError

    cause = failure.__cause__ or failure
    if isinstance(cause, aiohttp.ClientSSLError | ssl.SSLError):
        return "its TLS certificate or handshake is not valid", False
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve", True
    if isinstance(cause, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return "no connection", True
    if isinstance(cause, HttpProcessingError | aiohttp.ClientResponseError | httpx.DecodingError):
        return "its answer is not HTTP", True
    if isinstance(cause, ValueError) and not isinstance(cause, aiohttp.ClientError):
        return "the request could not be written", False
    return "the connection broke", True
