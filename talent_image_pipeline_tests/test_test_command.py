"""The test command itself: what a failing property leaves to read, and what tests that run in the background start."""

import os
import subprocess
import sys
from pathlib import Path

from talent_image_pipeline_tests.conftest import PROJECT_ROOT

FAILING_PROPERTY = """
import hypothesis
from hypothesis import strategies as st

@hypothesis.given(st.integers())
def test_no_number_is_large(number):
    assert number < 1000
"""
STARTS_A_PROCESS = """
import subprocess, sys

def test_what_is_started_can_be_interrupted():
    ask = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "False\\n"
"""


def run_tests(directory: Path, source: str) -> "subprocess.CompletedProcess[str]":
    """Run tests with this project's configuration, in another directory, as a script does in the background."""
    (directory / "test_it.py").write_text(source)
    options = ["-p", "talent_image_pipeline_tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist", "test_it.py"]
    return subprocess.run(
        ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-m", "pytest", *options],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_failing_property_prints_what_reproduces_it_and_remembers_nothing(tmp_path: Path) -> None:
    result = run_tests(tmp_path, FAILING_PROPERTY)

    assert result.returncode == 1, result.stdout
    assert "assert 1000 < 1000" in result.stdout
    assert "@reproduce_failure(" in result.stdout
    assert not (tmp_path / ".hypothesis" / "examples").exists()


def test_what_tests_start_can_be_interrupted_although_they_run_in_the_background(tmp_path: Path) -> None:
    result = run_tests(tmp_path, STARTS_A_PROCESS)

    assert result.returncode == 0, result.stdout
