"""A process that runs one command and ends it, with everything that it has started, when its own owner has gone.

The owner holds the other end of the standard input: closing it, or being killed, ends the command. Run as
``python -m talent_image_pipeline.cli.child_guard COMMAND...``; it imports the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

SECONDS_TO_END = 1.0


def main() -> None:
    """Run the command, in a process group of its own, for as long as somebody holds the standard input."""
    # Handlers are not inherited, ignored signals are: the command begins with its own dispositions.
    signal.signal(signal.SIGINT, _do_nothing)
    with (
        subprocess.Popen(  # noqa: S603 - what our own command line hands over
            sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True
        ) as process
    ):
        signal.signal(signal.SIGTERM, lambda *_: _signal_group(process, signal.SIGTERM))
        threading.Thread(target=_end_with_owner, args=(process,), daemon=True).start()
        code = process.wait()
        # What it started may outlive it.
        _signal_group(process, signal.SIGKILL)
    sys.exit(code if code >= 0 else 128 - code)


def _do_nothing(_signal: int, _frame: FrameType | None) -> None:
    pass


def _end_with_owner(process: "subprocess.Popen[bytes]") -> None:
    # Not through sys.stdin: its lock would keep the interpreter from ending while this waits.
    while os.read(0, 1024):
        pass
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


if __name__ == "__main__":
    main()
