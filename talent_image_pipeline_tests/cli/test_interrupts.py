"""Ctrl-C and SIGTERM end a command at any moment, in one line."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from talent_image_pipeline_tests.cli.terminal import PROJECT_PATH, start, start_in_background


def wait_for_reader(pipe: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until the process has stopped at a pipe into which nobody ever writes; it is let go at its end alone."""
    while True:
        assert process.poll() is None, process.communicate()
        try:
            os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
        else:
            return


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("begin", [start, start_in_background])
@pytest.mark.parametrize(
    ("how", "code", "said"), [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "")], ids=["INT", "TERM"]
)
def test_a_command_at_work_is_ended(
    begin: Callable[..., "subprocess.Popen[str]"], how: signal.Signals, code: int, said: str, tmp_path: Path, pipe: Path
) -> None:
    process = begin("--env-file", str(pipe), "show", "ada", cwd=tmp_path)
    wait_for_reader(pipe, process)

    process.send_signal(how)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (code, "", said)


def test_a_command_that_is_still_being_imported_is_interrupted_in_one_line(tmp_path: Path, pipe: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sqlalchemy.py").write_text(f"open({str(pipe)!r}).read()")
    process = start("show", "ada", cwd=tmp_path, PYTHONPATH=f"{slow}:{PROJECT_PATH}")
    wait_for_reader(pipe, process)

    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (130, "", "Interrupted.\n")
