"""An event loop in a thread of its own, for code that is not asynchronous itself."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import anyio
from anyio.from_thread import BlockingPortal

_SECONDS_TO_START = 30.0


@contextmanager
def event_loop_thread(
    *, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
) -> Iterator[BlockingPortal]:
    """Run an event loop in a thread until the end of the block.

    anyio's own ``start_blocking_portal`` waits for ever where an interrupt arrives while the loop is starting: nobody
    tells the loop to stop then. This one does, as soon as the loop can be told.

    Args:
        new_loop: Makes the loop.
    """
    started: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve, backend_options={"loop_factory": new_loop})
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
                return
            raise

    thread = Thread(target=run, name="event-loop", daemon=True)
    has_failed = True
    try:
        thread.start()
        yield started.result()
        has_failed = False
    finally:
        # The interrupt may have come at any moment of the start.
        portal = started.result(timeout=_SECONDS_TO_START)
        portal.call(portal.stop, has_failed)
        thread.join()
