"""From a platform's URL to the bytes behind it, whatever the URL, the host or the answer tries.

What belongs here: one download, its redirects, its limits, and how each ending is named.
What does not: the rules on URLs (``url_rules.py``) and network addresses (``ip_rules.py``), how connections
are made (``connections.py``), and whether the bytes are a picture at all: the declared content type is not even read.

It speaks aiohttp directly: its connector lets the address be checked where it is dialled, and it sends a signed URL's
path and query byte for byte as they came.
"""

import asyncio
import copy
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import aiohttp
import httpx
import yarl
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver
from pydantic import SecretStr

from talent_image_pipeline.clock import Clock, utc_now
from talent_image_pipeline.pictures.download.connections import open_public_session, open_trusted_session
from talent_image_pipeline.pictures.download.ip_rules import RefusedAddressError
from talent_image_pipeline.pictures.download.url_rules import (
    CheckedAddress,
    RefusedWebAddressError,
    check_web_address,
    parse_origin,
    resolve_redirect,
)

# A URL that dies while it is asked for is as good as dead.
EXPIRY_MARGIN = timedelta(seconds=5)

_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
_ETAG = re.compile(r'(?:W/)?"[!#-~]{0,254}"')


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """What one download may take.

    Attributes:
        max_bytes: Of the body. One byte more is an error, never a truncation.
        deadline_seconds: For everything: resolving, connecting, redirects, and the last byte.
        connect_seconds: For one connection, TLS included.
        max_redirects: How many are followed.
        connections: How many downloads go on at once; more wait, without their deadline running.
    """

    max_bytes: int = 10 * 1024 * 1024
    deadline_seconds: float = 20.0
    connect_seconds: float = 5.0
    max_redirects: int = 3
    connections: int = 64


@dataclass(frozen=True, kw_only=True)
class DownloadedPicture:
    """The bytes, complete but not yet known to be a picture, and the CDN's ETag where it gave a usable one."""

    body: bytes = field(repr=False)
    etag: str | None


@dataclass(frozen=True, kw_only=True)
class NotModified:
    """The CDN says that the picture is still the one with our ETag."""


class PictureRefused(Exception):  # noqa: N818
    """A safety rule was broken. The text names the rule and at most the host."""


class PictureBytesRefused(PictureRefused):
    """What came broke a rule, not the address: it will come again under the same content id."""


class PictureUnavailable(Exception):  # noqa: N818
    """No picture came. The text names the kind of failure and at most the host.

    Attributes:
        is_retryable: Another try in the same run may help.
    """

    def __init__(self, message: str, *, is_retryable: bool) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable


class PictureExpired(Exception):  # noqa: N818
    """The signed URL is past its expiry, or the CDN no longer accepts it: the platform is to be asked for a new one."""


class PictureDownloader:
    """Downloads pictures. Use it as an async context manager; one serves any number of downloads at once.

    Attributes:
        downloads: How many pictures came in full.
        bytes_received: Of bodies, including those that were given up.
    """

    def __init__(
        self,
        *,
        trusted_origins: frozenset[str],
        limits: DownloadLimits = DownloadLimits(),
        clock: Clock = utc_now,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Prepare, without connecting to anything.

        Args:
            trusted_origins: Exact origins that count as a platform's own host and are freed from the rules on https,
                port and network address.
            limits: What one download may take.
            clock: What tells whether a signed URL is past.
            resolver: Resolves the names of all but trusted origins; its answers are judged like any other. The
                system's own by default.

        Raises:
            ValueError: a trusted origin is not an exact origin.
        """
        for origin in trusted_origins:
            parse_origin(origin)
        self.downloads = 0
        self.bytes_received = 0
        self._trusted_origins = trusted_origins
        self._limits = limits
        self._clock = clock
        self._resolver = resolver
        self._slots = asyncio.Semaphore(limits.connections)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_seconds)
        self._sessions = AsyncExitStack()

    async def __aenter__(self) -> Self:
        # Certificates are verified against certifi's roots, or those that the standard SSL_CERT_FILE names.
        tls = httpx.create_ssl_context()
        connections = self._limits.connections
        public = open_public_session(tls=tls, connections=connections, resolver=self._resolver)
        self._public = await self._sessions.enter_async_context(public)
        trusted = open_trusted_session(tls=tls, connections=connections)
        self._trusted = await self._sessions.enter_async_context(trusted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

    def counted_apart(self) -> Self:
        """Return the same downloader, over the same connections, with counts of its own that begin at zero."""
        apart = copy.copy(self)
        apart.downloads = 0
        apart.bytes_received = 0
        return apart

    async def download(
        self, url: SecretStr, *, hosts: Sequence[str], expires_at: datetime | None = None, etag: str | None = None
    ) -> DownloadedPicture | NotModified:
        """Fetch what is behind a URL, in full, or say why not.

        Args:
            url: As the platform gave it.
            hosts: Where the platform keeps pictures: exact host names, or dotted suffixes such as
                ``.cdninstagram.com``. They bind every redirect, too.
            expires_at: When the URL dies, where the platform said so or its client read it in the URL.
            etag: Of the picture that we own of this URL, as the CDN gave it.

        Raises:
            PictureRefused: a safety rule was broken.
            PictureUnavailable: nothing came, or nothing usable.
            PictureExpired: the URL is past its expiry (nothing was requested), or the CDN answered 403.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self._limits.deadline_seconds):
                    return await self._follow(url, hosts=hosts, expires_at=expires_at, etag=etag)
            except TimeoutError:
                pass
        # Raised out here, it carries no exception with it that could tell the URL.
        raise PictureUnavailable(
            f"the picture did not come within {self._limits.deadline_seconds:g} seconds", is_retryable=True
        )

    async def _follow(
        self, url: SecretStr, *, hosts: Sequence[str], expires_at: datetime | None, etag: str | None
    ) -> DownloadedPicture | NotModified:
        address = self._check(url.get_secret_value(), hosts=hosts)
        self._check_expiry(expires_at, address)
        for _ in range(self._limits.max_redirects + 1):
            answer = await self._request(address, etag=etag)
            if not isinstance(answer, str):
                return answer
            address = self._check_redirect(answer, base=address, hosts=hosts)
        raise PictureRefused(
            f"{address.origin.host} is one redirect too many: {self._limits.max_redirects} are followed"
        )

    def _check(self, url: str, *, hosts: Sequence[str]) -> CheckedAddress:
        try:
            return check_web_address(url, hosts=hosts, trusted_origins=self._trusted_origins)
        except RefusedWebAddressError as refusal:
            failure = PictureRefused(str(refusal))
        raise failure

    def _check_redirect(self, location: str, *, base: CheckedAddress, hosts: Sequence[str]) -> CheckedAddress:
        try:
            url = resolve_redirect(location, base=base)
            return check_web_address(url, hosts=hosts, trusted_origins=self._trusted_origins)
        except RefusedWebAddressError as refusal:
            failure = PictureRefused(f"{base.origin.host} redirects elsewhere: {refusal}")
        raise failure

    def _check_expiry(self, expires_at: datetime | None, address: CheckedAddress) -> None:
        if expires_at is not None and expires_at <= self._clock() + EXPIRY_MARGIN:
            raise PictureExpired(
                f"the signed address at {address.origin.host} expired at {expires_at:%Y-%m-%d %H:%M:%S}"
            )

    async def _request(self, address: CheckedAddress, *, etag: str | None) -> DownloadedPicture | NotModified | str:
        """Ask one host; a string is where it redirects to."""
        try:
            return await self._exchange(address, etag=etag)
        except (aiohttp.ClientError, OSError) as error:
            failure = _name_failure(error, host=address.origin.host)
        # Out here, because aiohttp's exceptions may carry the URL.
        raise failure

    async def _exchange(self, address: CheckedAddress, *, etag: str | None) -> DownloadedPicture | NotModified | str:
        session = self._trusted if address.is_trusted else self._public
        headers = {hdrs.IF_NONE_MATCH: etag} if etag and _ETAG.fullmatch(etag) else None
        url = yarl.URL(address.url, encoded=True)
        async with session.get(url, headers=headers, allow_redirects=False, timeout=self._timeout) as response:
            host = address.origin.host
            if response.status in _REDIRECT_STATUSES:
                return _read_location(response, host=host)
            if response.status == 304 and headers:
                return NotModified()
            _check_status(response.status, host=host)
            _check_encoding(response, host=host)
            body = await self._read_body(response, host=host)
        self.downloads += 1
        return DownloadedPicture(body=body, etag=_read_etag(response))

    async def _read_body(self, response: aiohttp.ClientResponse, *, host: str) -> bytes:
        cap = self._limits.max_bytes
        if response.content_length is not None and response.content_length > cap:
            raise PictureBytesRefused(
                f"{host} declares a body of {response.content_length} bytes; at most {cap} are taken"
            )
        body = bytearray()
        async for chunk in response.content.iter_any():
            self.bytes_received += len(chunk)
            body += chunk
            if len(body) > cap:
                raise PictureBytesRefused(f"{host} sends more than {cap} bytes")
        if not body:
            raise PictureUnavailable(f"{host} sends an empty body", is_retryable=True)
        return bytes(body)


def _check_status(status: int, *, host: str) -> None:
    if status == 200:
        return
    if status == 403:
        raise PictureExpired(f"{host} answers 403: the signed address is no longer accepted")
    is_retryable = status >= 500 or status in _RETRYABLE_STATUSES
    raise PictureUnavailable(f"{host} answers {status}", is_retryable=is_retryable)


def _check_encoding(response: aiohttp.ClientResponse, *, host: str) -> None:
    encodings = ",".join(response.headers.getall(hdrs.CONTENT_ENCODING, [])).split(",")
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in encodings):
        raise PictureBytesRefused(f"{host} compresses the body, which was not asked for: it may unfold to any size")


def _read_location(response: aiohttp.ClientResponse, *, host: str) -> str:
    locations = response.headers.getall(hdrs.LOCATION, [])
    if len(locations) != 1:
        raise PictureUnavailable(f"{host} redirects to {len(locations)} addresses", is_retryable=False)
    return locations[0]


def _read_etag(response: aiohttp.ClientResponse) -> str | None:
    etag = response.headers.get(hdrs.ETAG, "")
    return etag if _ETAG.fullmatch(etag) else None


def _name_failure(error: Exception, *, host: str) -> Exception:
    """Say what an exception of the transport stands for, in words that hold no URL."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return PictureRefused(f"{host} has no valid certificate")
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, RefusedAddressError):
        return PictureRefused(str(error.os_error))
    if isinstance(error, TimeoutError):
        return PictureUnavailable(f"{host} could not be reached in time", is_retryable=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return PictureUnavailable(f"{host} does not resolve", is_retryable=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return PictureUnavailable(f"{host} could not be reached", is_retryable=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return PictureUnavailable(f"{host} answers in no HTTP, or in headers without measure", is_retryable=False)
    return PictureUnavailable(f"{host} broke the connection off", is_retryable=True)
