"""Servers that production has and a checkout need not: found on this machine, started on free ports, stopped again.

What belongs here: starting them, and saying plainly what was not tried where one is missing.
What does not: PostgreSQL, which the tests bring themselves (``conftest.py``).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from talent_image_pipeline_tests.programs import find_program


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 120) -> None:
    """Wait for something that another process does."""
    for _ in range(int(seconds / 0.1)):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"it did not happen in time: {what}")


def answers(port: int) -> bool:
    """Whether somebody listens on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Service:
    """A program that runs in a process group of its own, and what it prints."""

    def __init__(self, command: Sequence[str], *, directory: Path, environment: Mapping[str, str], log: Path) -> None:
        self._command, self._directory, self._environment, self.log = list(command), directory, environment, log
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, again too."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children as the loss of the machine would."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None

    def said(self, text: str) -> bool:
        """Whether it has printed this."""
        return text in self.log.read_text(errors="replace")


@contextmanager
def running(command: Sequence[str], *, directory: Path, environment: Mapping[str, str], log: Path) -> Iterator[Service]:
    """Run a service inside."""
    service = Service(command, directory=directory, environment=environment, log=log)
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def running_redis(directory: Path) -> Iterator[int]:
    """Run Redis inside; gives its port."""
    port = free_port()
    program = find_program("redis-server", what_for="runs over Redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    with running(command, directory=directory, environment={}, log=directory / "redis.log"):
        wait_until(lambda: answers(port), what="Redis listens")
        yield port
