"""An event loop in a thread: what runs in it, and that no interrupt leaves its owner waiting."""

import asyncio
import os
import signal
import threading
import time

import pytest

from talent_image_pipeline.event_loop_thread import event_loop_thread


def test_asynchronous_code_runs_in_another_thread_that_ends_with_the_block() -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    with event_loop_thread() as portal:
        thread = portal.call(where)
        assert thread is not threading.current_thread()

    assert not thread.is_alive()


def test_an_interrupt_while_the_loop_starts_ends_the_wait_and_the_loop() -> None:
    starting: list[threading.Thread] = []

    def interrupt_while_starting() -> asyncio.AbstractEventLoop:
        starting.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        # Long enough for the main thread to be interrupted in its wait.
        time.sleep(0.2)
        return asyncio.new_event_loop()

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), event_loop_thread(new_loop=interrupt_while_starting):
            raise AssertionError("the interrupt comes first")
    finally:
        signal.signal(signal.SIGINT, previous)

    assert not starting[0].is_alive()
