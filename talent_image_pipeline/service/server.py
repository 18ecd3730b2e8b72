"""Listening on a port, until told to stop.

What belongs here: sockets and the web server's own settings.
What does not: what is served (``app.py``).
"""

import errno
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.service.http_protocol import BoundedProtocol

#: How long a stop waits for requests under way before it breaks them off.
SECONDS_FOR_REQUESTS_TO_END = 20

_HIGHEST_PORT = 65535
_OPEN_FILES = 16_384
_REASONS = {
    errno.EADDRINUSE: "the port is taken: stop what listens there, or choose another with --port",
    errno.EACCES: "the port may not be opened by this user: choose one above 1023",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


class CannotListenError(UserError):
    """The address cannot be listened on; the message says which, why, and what to do."""


def open_listener(*, host: str, port: int) -> socket.socket:
    """Take a port; 0 takes any free one.

    Raises:
        CannotListenError: when it is taken, not allowed, or not an address of this machine.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise CannotListenError(f"cannot listen on {host}, port {port}: a port is a number from 0 to {_HIGHEST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise CannotListenError(f"cannot listen on {host}, port {port}: {reason}") from None


def make_server(service: ASGIApp) -> uvicorn.Server:
    """Return the web server around the service, as it is run everywhere; it listens on nothing yet."""
    return uvicorn.Server(server_config(service))


def server_config(service: "ASGIApp | str", **changes: Any) -> uvicorn.Config:
    """Return the web server's settings; ``service`` is the application, or where its factory is."""
    return uvicorn.Config(
        service,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        # Whoever is in front may say what it likes of its clients: nothing here depends on it.
        proxy_headers=False,
        timeout_graceful_shutdown=SECONDS_FOR_REQUESTS_TO_END,
        lifespan="on",
        **changes,
    )


def serve(service: ASGIApp, *, host: str, port: int, on_listening: Callable[[str, int], None] | None = None) -> None:
    """Serve until the process is interrupted or terminated; requests under way are answered first.

    Args:
        service: What is served.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        on_listening: Called once with the address and the port that were taken.

    Raises:
        CannotListenError: when the port cannot be taken.
    """
    with open_listener(host=host, port=port) as listener:
        allow_many_connections()
        if on_listening is not None:
            on_listening(*listener.getsockname()[:2])
        # uvicorn raises the interruption again after it has answered what was under way.
        with suppress(KeyboardInterrupt):
            make_server(service).run(sockets=[listener])


def serve_in_workers(
    factory: str, *, workers: int, host: str, port: int, on_listening: Callable[[str, int], None] | None = None
) -> None:
    """Serve from several processes on one port until this one is told to stop; a worker that dies is replaced.

    Args:
        factory: Where the function is that builds the service, as ``module:function``.
        workers: How many processes.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        on_listening: Called once with the address and the port that were taken.

    Raises:
        CannotListenError: when the port cannot be taken.
    """
    with open_listener(host=host, port=port) as listener:
        allow_many_connections()
        config = server_config(factory, factory=True, workers=workers)
        if on_listening is not None:
            on_listening(*listener.getsockname()[:2])
        Multiprocess(config, sockets=[listener]).run()


def allow_many_connections() -> None:
    """Raise the number of files that this process may have open as far as it may raise it itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
