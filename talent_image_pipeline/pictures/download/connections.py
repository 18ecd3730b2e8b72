"""How a connection to a picture's host is made: the address that was checked is the one that is dialled.

What belongs here: sessions, resolvers, sockets, and what holds for every connection.
What does not: which addresses are allowed (``ip_rules.py``), and what is asked over the connection
(``downloader.py``).
"""

import socket
from collections.abc import Callable
from ssl import SSLContext

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.typedefs import LooseHeaders

from talent_image_pipeline.pictures.download.ip_rules import RefusedAddressError, is_global_unicast

READ_BUFFER_BYTES = 64 * 1024
_HEADERS: LooseHeaders = {
    "User-Agent": "talent-image-pipeline",
    "Accept": "image/jpeg,image/png,image/webp,image/*;q=0.5",
    "Accept-Encoding": "identity",
}

_SocketAddress = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


class CheckedResolver(AbstractResolver):
    """Resolves a host name once, and refuses it when one of its addresses is not global unicast."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses to dial.

        Raises:
            RefusedAddressError: one of them is not global unicast; a rebinding name mixes good with bad.
            OSError: the name does not resolve.
        """
        results = await self._resolver.resolve(host, port, family)
        if not all(is_global_unicast(result["host"]) for result in results):
            raise RefusedAddressError(f"{host} stands for an address that is not on the public internet")
        return results

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._resolver.close()


def open_checked_socket(address: _SocketAddress) -> socket.socket:
    """Open the socket for one address, judged a last time: whatever path led here, nothing else is dialled.

    Raises:
        RefusedAddressError: the address is not global unicast.
    """
    family, kind, protocol, _, endpoint = address
    if not is_global_unicast(str(endpoint[0])):
        raise RefusedAddressError(f"{endpoint[0]} was to be dialled and is not on the public internet")
    return socket.socket(family, kind, protocol)


def open_public_session(
    *, tls: SSLContext, connections: int, resolver: AbstractResolver | None
) -> aiohttp.ClientSession:
    """Open a session that reaches the public internet and nothing else.

    The connector remembers what a name resolved to for 10 seconds. What it remembers was checked.
    """
    checked = CheckedResolver(resolver or aiohttp.ThreadedResolver())
    return _open_session(tls=tls, connections=connections, resolver=checked, socket_factory=open_checked_socket)


def open_trusted_session(*, tls: SSLContext, connections: int) -> aiohttp.ClientSession:
    """Open a session for trusted origins alone: it dials any address that their names stand for."""
    return _open_session(tls=tls, connections=connections, resolver=None, socket_factory=None)


def _open_session(
    *,
    tls: SSLContext,
    connections: int,
    resolver: AbstractResolver | None,
    socket_factory: Callable[[_SocketAddress], socket.socket] | None,
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=connections, resolver=resolver, socket_factory=socket_factory),
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        requote_redirect_url=False,
        read_bufsize=READ_BUFFER_BYTES,
    )
