"""The demo, as a newcomer runs it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from talent_image_pipeline_tests.conftest import PROJECT_ROOT

# The demo's ports are fixed: one at a time.
pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TALENT_DATA_DIR", "TALENT_ENV_FILE"):
        monkeypatch.delenv(name)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT_ROOT / name, tmp_path / name)
    return tmp_path


def start_demo(home: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "talent_image_pipeline.cli.main", "demo", *options],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_once(home: Path) -> str:
    process = start_demo(home, "--once")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_the_demo_shows_every_kind_of_talent_and_a_second_run_downloads_nothing(home: Path) -> None:
    first = run_once(home)
    for source in ("instagram", "tiktok", "youtube", "initials", "manual"):
        assert source in first, first
    for outcome in ("picture", "no_picture", "gone", "needs_reconnect", "rate_limited", "unavailable"):
        assert outcome in first, first
    assert re.search(r"\d+ talents show something new\..*Pictures downloaded: [1-9]\d*\.", first), first[-2000:]
    second = run_once(home)
    assert "unchanged" in second
    assert re.search(r"Nothing changed\..*Pictures downloaded: 0\.", second), second[-2000:]


def test_the_demo_leaves_the_ui_running_until_it_is_ended_and_then_leaves_nothing_behind(home: Path) -> None:
    port = free_port()
    process = start_demo(home, "--port", str(port))
    try:
        assert "dagster_webserver_version" in answer_of(f"http://127.0.0.1:{port}/server_info", process)
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert f"http://127.0.0.1:{port}" in output
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)


def answer_of(address: str, process: "subprocess.Popen[str]") -> str:
    for _ in range(600):
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310
                body: str = response.read().decode()
                return body
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer")
