"""The sandbox over HTTP: one port, one folder per host of the real platforms, as in ``/graph.instagram.com/v26.0/me``.

What belongs here: routing to the platforms, and starting and stopping the server in every way that is needed.
What does not: what the platforms answer, and what the sandbox's world holds.

``python -m talent_image_pipeline.sandbox.server --port 9999`` runs it alone.
"""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.sandbox.answers import error_page
from talent_image_pipeline.sandbox.control import SANDBOX_NAME, control_routes
from talent_image_pipeline.sandbox.graph_api import facebook_api, instagram_api
from talent_image_pipeline.sandbox.image_hosts import instagram_picture, tiktok_picture, youtube_picture
from talent_image_pipeline.sandbox.samples import build_sample_world
from talent_image_pipeline.sandbox.situations import Platform
from talent_image_pipeline.sandbox.tiktok import tiktok_api
from talent_image_pipeline.sandbox.world import (
    AGENCY_ACCOUNT_ID,
    AGENCY_TOKEN,
    TIKTOK_CLIENT_KEY,
    TIKTOK_CLIENT_SECRET,
    YOUTUBE_API_KEY,
    World,
)
from talent_image_pipeline.sandbox.youtube import youtube_api

DEFAULT_PORT = 9999
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0

Answerer = Callable[[World, Request], Awaitable[Response]]


class PortTakenError(UserError):
    """Something else listens on the port; the message says which port and what to do."""


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A sandbox that answers.

    Attributes:
        origin: Where, like ``http://127.0.0.1:9999``.
        world: What it knows; changes take effect at once.
    """

    origin: str
    world: World

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead the pipeline here."""
        return sandbox_environment(self.origin)


@dataclass(frozen=True, kw_only=True)
class SandboxProcess:
    """A sandbox that answers in a process of its own.

    Attributes:
        origin: Where, like ``http://127.0.0.1:9999``.
    """

    origin: str

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead the pipeline here."""
        return sandbox_environment(self.origin)


def sandbox_environment(origin: str) -> dict[str, str]:
    """Return the settings, by the names of their environment variables, that lead the pipeline to a sandbox."""
    return {
        "INSTAGRAM_API_URL": f"{origin}/graph.instagram.com",
        "FACEBOOK_API_URL": f"{origin}/graph.facebook.com",
        "TIKTOK_API_URL": f"{origin}/open.tiktokapis.com",
        "YOUTUBE_API_URL": f"{origin}/youtube.googleapis.com",
        "TALENT_IMAGE_TRUSTED_ORIGINS": origin,
        "INSTAGRAM_BUSINESS_ACCOUNT_ID": AGENCY_ACCOUNT_ID,
        "INSTAGRAM_BUSINESS_TOKEN": AGENCY_TOKEN,
        "TIKTOK_CLIENT_KEY": TIKTOK_CLIENT_KEY,
        "TIKTOK_CLIENT_SECRET": TIKTOK_CLIENT_SECRET,
        "YOUTUBE_API_KEY": YOUTUBE_API_KEY,
    }


def build_app(world: World) -> Starlette:
    """Return the sandbox as an ASGI application.

    It needs the server's connection under ``state["connection"]`` to cut it; :func:`serve` and the context managers
    of this module give it.
    """
    app = Starlette(
        routes=[
            _api("/graph.instagram.com", world, Platform.INSTAGRAM, instagram_api),
            _api("/graph.facebook.com", world, Platform.FACEBOOK, facebook_api),
            _api("/open.tiktokapis.com", world, Platform.TIKTOK, tiktok_api),
            _api("/youtube.googleapis.com", world, Platform.YOUTUBE, youtube_api),
            _pictures("/{host}/v/t51.2885-15/{file}", world, ".cdninstagram.com", instagram_picture),
            _pictures("/yt3.ggpht.com/{folder}/{file}", world, "", youtube_picture),
            _pictures("/{host}/{bucket}/{file}", world, ".tiktokcdn.com", tiktok_picture),
            *control_routes(world),
        ]
    )
    app.router.redirect_slashes = False
    return app


def serve(
    *,
    host: str,
    port: int,
    state_file: Path | None = None,
    until_stdin_ends: bool = False,
    on_listening: Callable[[], None] | None = None,
) -> None:
    """Serve the sample world until the process is told to stop.

    Args:
        host: The address to listen on.
        port: The port to listen on.
        state_file: Where rotated tokens are kept over restarts.
        until_stdin_ends: Whether to stop when whoever started the process has gone.
        on_listening: Called once when the port has been taken.

    Raises:
        PortTakenError: when something listens there already.
    """
    with _listening_socket(host, port) as listener:
        server = _server(build_sample_world(state_file))
        if on_listening is not None:
            on_listening()
        if until_stdin_ends:
            threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
        # uvicorn raises the interrupt that ended it once more.
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    # Not through sys.stdin: its lock would keep the interpreter from ending while this waits.
    while os.read(0, 1024):
        pass
    server.should_exit = True


@contextmanager
def running_sandbox(world: World | None = None, *, port: int = 0) -> Iterator[RunningSandbox]:
    """Serve a world (the sample world by default) on loopback from a thread, until the end of the block.

    Args:
        world: What to serve.
        port: The port to listen on; 0 takes a free one.

    Raises:
        PortTakenError: when something listens there already.
    """
    world = world or build_sample_world()
    with _listening_socket(_LOOPBACK, port) as listener:
        server = _server(world)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
        thread.start()
        try:
            _wait_until(lambda: server.started or not thread.is_alive())
            if not server.started:
                raise RuntimeError("the sandbox ended before it answered")
            yield RunningSandbox(origin=f"http://{_LOOPBACK}:{listener.getsockname()[1]}", world=world)
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)


@contextmanager
def sandbox_process(*, port: int = DEFAULT_PORT, state_file: Path | None = None) -> Iterator[SandboxProcess]:
    """Serve the sample world on loopback from a process of its own, until the end of the block.

    Args:
        port: The port to listen on.
        state_file: Where rotated tokens are kept over restarts.

    Raises:
        PortTakenError: when something listens there already, be it another sandbox.
        RuntimeError: when the process does not come up.
    """
    origin = f"http://{_LOOPBACK}:{port}"
    _listening_socket(_LOOPBACK, port).close()
    command = [sys.executable, "-m", "talent_image_pipeline.sandbox.server", "--port", str(port), "--until-stdin-ends"]
    if state_file is not None:
        command += ["--state-file", str(state_file)]
    # In a session of its own the terminal's Ctrl-C does not reach it: its owner stops it, last of all, and where the
    # owner is killed, the end of the standard input does.
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        yield from _answering(process, origin)


def _answering(process: "subprocess.Popen[bytes]", origin: str) -> Iterator[SandboxProcess]:
    """Give the sandbox of a process once it answers, and stop it."""
    try:
        _wait_until(lambda: process.poll() is not None or is_sandbox(origin))
        if process.poll() is not None:
            raise RuntimeError(f"the sandbox ended with exit code {process.returncode} before it answered")
        yield SandboxProcess(origin=origin)
    finally:
        _stop(process)


def is_sandbox(origin: str) -> bool:
    """Whether a sandbox answers at an origin."""
    try:
        # A context that trusts nobody: it is plain HTTP, and loading the system's authorities takes longer.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        answer = httpx.get(f"{origin}/control/calls", timeout=2.0, trust_env=False, verify=nobody)
    except httpx.HTTPError:
        return False
    return bool(answer.headers.get("server") == SANDBOX_NAME)


class _Protocol(HttpToolsProtocol):
    """HTTP as usual, except that the application is given the connection, so that it can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection for the requests that come through it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


def _api(prefix: str, world: World, platform: Platform, answer: Answerer) -> Route:
    async def endpoint(request: Request) -> Response:
        latency = world.platforms[platform].api_latency
        if latency:
            await asyncio.sleep(latency)
        return await answer(world, request)

    return Route(f"{prefix}/{{path:path}}", endpoint, methods=["GET", "POST"])


def _pictures(path: str, world: World, suffix: str, answer: Answerer) -> Route:
    async def endpoint(request: Request) -> Response:
        if not request.path_params.get("host", "").endswith(suffix):
            return PlainTextResponse("Not Found", status_code=404)
        if request.method == "POST":
            return error_page(400)
        return await answer(world, request)

    return Route(path, endpoint, methods=["GET", "POST"])


def _server(world: World) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            build_app(world),
            http=_Protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            headers=[("server", SANDBOX_NAME)],
            backlog=4096,
            timeout_graceful_shutdown=1,
        )
    )


def _listening_socket(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(4096)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"Port {port} on {host} cannot be used ({error.strerror}): stop what listens there, or choose another port."
        ) from error
    return listener


def _wait_until(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the sandbox did not answer within {_START_SECONDS:.0f} s")
        time.sleep(0.02)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@click.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port to listen on, on 127.0.0.1.")
@click.option("--state-file", type=click.Path(path_type=Path), help="Where rotated tokens are kept over restarts.")
@click.option("--until-stdin-ends", is_flag=True, help="Stop when the standard input ends.")
def main(*, port: int, state_file: Path | None, until_stdin_ends: bool) -> None:
    """Serve the three platforms and their image hosts on loopback."""
    try:
        serve(host=_LOOPBACK, port=port, state_file=state_file, until_stdin_ends=until_stdin_ends)
    except PortTakenError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main(sys.argv[1:])
