"""Child processes end with their owner, however it ends, and are missed when they end by themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from talent_image_pipeline.cli.children import ChildEndedError, Children

# A child that starts a child of its own, writes both process ids down and stops for no signal but SIGKILL.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".draft", "w") as file:
    file.write(f"{os.getpid()} {grandchild.pid}")
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(600)
"""
OWNER = """
import sys, time
from pathlib import Path
from talent_image_pipeline.cli.children import Children
children = Children(Path(sys.argv[1]))
children.start("The child", [sys.executable, "-c", sys.argv[2], sys.argv[3]])
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def started(file: Path) -> list[int]:
    wait_until(file.exists)
    return [int(pid) for pid in file.read_text().split()]


def test_children_and_their_children_end_with_a_killed_owner(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "log"), STUBBORN, str(file)])
    pids = started(file)
    assert all(is_alive(pid) for pid in pids)

    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()

    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_the_end_of_the_block_ends_even_what_does_not_listen(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with Children(tmp_path / "log") as children:
        children.start("The child", [sys.executable, "-c", STUBBORN, str(file)])
        pids = started(file)

    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_ends_by_itself_is_named_with_its_exit_code_and_last_words(tmp_path: Path) -> None:
    with Children(tmp_path / "log") as children:
        children.start("The child", [sys.executable, "-c", "import sys; print('no port for me'); sys.exit(3)"])
        words = r"(?s)The child ended with exit code 3; .*log says why.*no port for me"
        with pytest.raises(ChildEndedError, match=words):
            children.watch()


def test_a_child_can_be_interrupted_although_its_owner_was_started_in_the_background(tmp_path: Path) -> None:
    file = tmp_path / "disposition"
    ask = "import signal,sys; open(sys.argv[1],'w').write(str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))"
    owner = OWNER.replace('"-c", sys.argv[2]', f'"-c", {ask!r}')
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", owner]
    with subprocess.Popen([*command, str(tmp_path / "log"), "", str(file)]) as process:
        wait_until(lambda: file.exists() and file.read_text() != "")
        process.kill()

    assert file.read_text() == "False"
