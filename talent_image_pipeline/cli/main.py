"""The program's entry point: signals, then the commands.

Almost nothing is imported here, so that an interrupt is answered in one line however early it comes.
"""

import io
import signal
import sys
from types import FrameType

EXIT_AFTER_INTERRUPT = 128 + signal.SIGINT
_EXIT_AFTER_TERMINATION = 128 + signal.SIGTERM


def main() -> None:
    """Run the command that was typed and end the process."""
    handle_signals()
    # A terminal that cannot show a letter shows its code instead of ending the command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from talent_image_pipeline.cli.commands import talent_images

        talent_images.main(prog_name="talent-images")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_AFTER_INTERRUPT)


def handle_signals() -> None:
    """Let Ctrl-C and a termination end the command, whatever the process was started with or a library has set."""
    # Scripts start their background commands with SIGINT ignored; these commands can be interrupted all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The default ends the process on the spot, and leaves its child processes behind.
    signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(_EXIT_AFTER_TERMINATION)


if __name__ == "__main__":
    main()
