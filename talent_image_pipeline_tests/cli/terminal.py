"""The real command in a process of its own, as a person types it."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT_PATH = str(Path(__file__).parent.parent.parent)
COMMAND = (sys.executable, "-m", "talent_image_pipeline.cli.main")


def start(*arguments: str, cwd: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start ``talent-images`` in a directory, with these variables besides the test's own."""
    return start_command([*COMMAND, *arguments], cwd=cwd, **environment)


def start_in_background(*arguments: str, cwd: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start ``talent-images`` as a script starts a command in the background: with SIGINT ignored."""
    return start_command(["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *COMMAND, *arguments], cwd=cwd, **environment)


def start_command(command: list[str], *, cwd: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start a command that finds this package."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": PROJECT_PATH, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``talent-images`` to its end."""
    process = start(*arguments, cwd=cwd, **environment)
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def message_of(process: "subprocess.CompletedProcess[str]") -> str:
    """Return the message that a command failed with; it must be nothing but one to three lines."""
    assert process.returncode == 1, process
    assert "Traceback" not in process.stderr, process.stderr
    lines = process.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 3, process.stderr
    assert lines[0].startswith("Error: "), process.stderr
    return process.stderr.removeprefix("Error: ").strip()
