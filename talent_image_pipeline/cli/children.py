"""Child processes that are watched, and that never outlive the process that started them."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from talent_image_pipeline.errors import UserError

_LINES_OF_THE_LOG = 2
_SECONDS_BETWEEN_LOOKS = 0.1
#: A guard ends its command within a second. To kill the guard would leave the command behind.
_SECONDS_TO_STOP = 20.0


class ChildEndedError(UserError):
    """A child process ended by itself; the message names it and its last words."""


class Children:
    """The child processes of a command; they end with the block, or when this process is killed."""

    def __init__(self, log: Path) -> None:
        """Take the file that everything they print goes to; it is emptied."""
        self.log = log
        self._output = log.open("wb")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command under a guard that ends it when this process is gone."""
        guard = [sys.executable, "-m", "talent_image_pipeline.cli.child_guard"]
        # In a session of its own the terminal's Ctrl-C does not reach it: this process ends it.
        self._processes[name] = subprocess.Popen(  # noqa: S603 - our own commands
            [*guard, *command],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    def wait_until(self, is_done: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Wait for something that the children do.

        Raises:
            ChildEndedError: when one of them ends, or it takes too long.
        """
        deadline = time.monotonic() + timeout_seconds
        while not is_done():
            self._require_all_alive()
            if time.monotonic() > deadline:
                raise ChildEndedError(f"It was not ready within {timeout_seconds:.0f} s; {self.log} may say why.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def watch(self) -> None:
        """Wait until one of them ends.

        Raises:
            ChildEndedError: always; naming it.
        """
        while True:
            self._require_all_alive()
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def stop(self) -> None:
        """End all of them at once."""
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._output.close()

    def _require_all_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ChildEndedError(
                    f"{name} ended with exit code {process.returncode}; {self.log} says why.{self._last_words()}"
                )

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return "".join(f"\n  {line[:160]}" for line in lines[-_LINES_OF_THE_LOG:])
