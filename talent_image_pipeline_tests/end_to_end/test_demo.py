"""The demo, as a newcomer runs it."""

import os
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len

from talent_image_pipeline_tests.conftest import PROJECT_ROOT

# What it leaves running weighs on the machine: one at a time.
pytestmark = pytest.mark.xdist_group("demo")

USUAL_PORTS = (3000, 3001, 9999)


def demo_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "talent_image_pipeline.cli.main", "demo", *options]


def environment(**changes: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TALENT_", "DAGSTER_"))}
    return {**own, "PYTHONPATH": str(PROJECT_ROOT), "COLUMNS": "80", **changes}


def start_demo(home: Path, *options: str) -> "subprocess.Popen[str]":
    """Start it as a script does that runs it in the background, its output into a pipe."""
    return subprocess.Popen(
        ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", *demo_command(*options)],
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home in which the demo ran once, and what it printed into a pipe."""
    home = tmp_path_factory.mktemp("demo")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT_ROOT / name, home / name)
    process = start_demo(home, "--once")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return home, output


@pytest.fixture
def home(first_run: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(first_run[0], tmp_path / "home"))


@pytest.fixture
def usual_ports_are_taken() -> Iterator[None]:
    """Somebody listens on all of the demo's usual ports."""
    with ExitStack() as stack:
        for port in USUAL_PORTS:
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                assert not is_free(port)
        yield


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def lines_of_talents(output: str) -> list[str]:
    """Return the lines of the table."""
    lines = output.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("Talent ")) + 2
    return lines[begin : lines.index("", begin)]


def test_once_shows_every_kind_of_talent_in_a_line_each_and_no_address_that_nothing_serves(
    first_run: tuple[Path, str],
) -> None:
    _, output = first_run

    talents = lines_of_talents(output)
    assert len(talents) == 25
    for shown in ("Instagram", "TikTok", "YouTube", "initials", "manual", "new picture", "needs reconnecting"):
        assert any(shown in line for line in talents), output
    assert max(cell_len(line) for line in talents) <= 80
    assert "…" not in output
    assert re.search(r"\d+ talents show something new\..*Pictures\s+downloaded:\s+[1-9]\d*\.", output, re.DOTALL)
    assert "http://" not in output


def test_each_step_is_printed_with_how_long_it_took(first_run: tuple[Path, str]) -> None:
    steps = [line for line in first_run[1].splitlines() if re.fullmatch(r".* \(\d+\.\d s\)", line)]

    assert [step.split()[0] for step in steps] == ["Sandbox", "Embedded", "Profile"]


def test_what_holds_tokens_is_readable_by_its_owner_alone(first_run: tuple[Path, str]) -> None:
    data = first_run[0] / ".talent-images"

    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for name in ("sandbox.env", "sandbox.json", "talents.db"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name


class Terminal:
    """A demo in a terminal of 80 columns, and what it has printed so far."""

    def __init__(self, home: Path, *options: str) -> None:
        controller, terminal = pty.openpty()
        os.set_blocking(controller, True)
        self._controller = controller
        self._printed = b""
        self.process = subprocess.Popen(
            demo_command(*options),
            cwd=home,
            env=environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # The end of a terminal is an error.
        try:
            while piece := os.read(self._controller, 4096):
                self._printed += piece
        except OSError:
            return

    @property
    def text(self) -> str:
        """What was printed, without colors and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._printed.decode("utf-8", "replace")).replace("\r", "")

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.text, self.process, lambda: self.text)

    def end(self) -> int:
        code = self.process.wait(60)
        self._reader.join(10)
        os.close(self._controller)
        return code


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", printed: Callable[[], str]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, printed()
        assert time.monotonic() < deadline, printed()
        time.sleep(0.1)


@contextmanager
def killed_at_the_end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def ports_in(output: str) -> Sequence[int]:
    return sorted({int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", output)})


def test_in_a_terminal_with_taken_ports_everything_answers_elsewhere_until_it_is_terminated(
    home: Path, usual_ports_are_taken: None
) -> None:
    terminal = Terminal(home)
    with killed_at_the_end(terminal.process):
        terminal.wait_for("Ctrl-C ends everything")
        output = terminal.text
        for port in USUAL_PORTS:
            assert f"Port {port} is taken; " in output
        assert re.search(r"Nothing changed\..*Pictures\s+downloaded:\s+0\.", output, re.DOTALL), output
        assert "Gallery ready" in output
        assert "Dagster UI ready" in output
        ports = ports_in(output)
        assert len(ports) == 3
        assert not set(ports) & set(USUAL_PORTS)
        assert all(not is_free(port) for port in ports), "what is printed is served"
        (address,) = re.findall(r"Dagster UI: (\S+)", output)
        assert b"dagster_webserver_version" in urllib.request.urlopen(f"{address}/server_info", timeout=30).read()  # noqa: S310 - loopback
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 143
    assert all(is_free(port) for port in ports)


def test_killed_in_the_background_it_leaves_nothing_behind_and_a_second_one_is_kept_out_while_it_runs(
    home: Path,
) -> None:
    process = start_demo(home)
    with killed_at_the_end(process):
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Gallery ready" in line:
                break
        second = subprocess.run(
            demo_command(), cwd=home, env=environment(), capture_output=True, text=True, check=False
        )
        assert (second.returncode, "A demo is running in" in second.stderr) == (1, True), second
        children = [pid for pid in descendants(process.pid) if pid != process.pid]
        assert children
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "something lives on"
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """Return a process and all that it started, and they started, and so on."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def test_ctrl_c_in_the_background_ends_it(home: Path) -> None:
    process = start_demo(home, "--once")
    with killed_at_the_end(process):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Sandbox")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.endswith("Interrupted.\n")
