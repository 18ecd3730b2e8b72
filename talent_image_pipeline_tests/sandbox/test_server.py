"""Starting and stopping: in a thread, in a process of its own, and where the port is taken.

What belongs here: the server's life. What does not: what it answers.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from talent_image_pipeline.sandbox.samples import sample_accounts
from talent_image_pipeline.sandbox.server import (
    PortTakenError,
    is_sandbox,
    running_sandbox,
    sandbox_environment,
    sandbox_process,
)
from talent_image_pipeline.settings import settings_with


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_a_sandbox_in_a_thread_answers_until_its_block_ends() -> None:
    with running_sandbox() as sandbox:
        assert is_sandbox(sandbox.origin)
    assert not is_sandbox(sandbox.origin)


def test_a_sandbox_in_a_process_answers_until_its_block_ends() -> None:
    with sandbox_process(port=free_port()) as sandbox:
        assert is_sandbox(sandbox.origin)
    assert not is_sandbox(sandbox.origin)


def test_a_sandbox_that_answers_already_is_never_taken_for_ones_own() -> None:
    with sandbox_process(port=free_port()) as first:
        port = int(first.origin.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=str(port)), sandbox_process(port=port):
            pass
        assert is_sandbox(first.origin)


def test_a_port_that_something_else_holds_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        for start in (lambda: running_sandbox(port=port), lambda: sandbox_process(port=port)):
            with pytest.raises(PortTakenError, match=str(port)), start():
                pass


def test_a_sandbox_does_not_outlive_a_killed_owner() -> None:
    port = free_port()
    program = (
        "import time\nfrom talent_image_pipeline.sandbox.server import sandbox_process\n"
        f"with sandbox_process(port={port}) as sandbox:\n    print('up', flush=True)\n    time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        deadline = time.monotonic() + 30
        while is_sandbox(f"http://127.0.0.1:{port}"):
            assert time.monotonic() < deadline, "the sandbox lives on"
            time.sleep(0.05)


def test_tokens_that_one_process_rotated_are_known_to_the_next(tmp_path: Path, client: httpx.Client) -> None:
    port, state_file = free_port(), tmp_path / "sandbox.json"
    token = next(row for row in sample_accounts() if row["handle"] == "siripornchai")["refreshToken"]
    answers = []
    for _ in range(2):
        with sandbox_process(port=port, state_file=state_file) as sandbox:
            settings = sandbox.environment
            form = {
                "client_key": settings["TIKTOK_CLIENT_KEY"],
                "client_secret": settings["TIKTOK_CLIENT_SECRET"],
                "grant_type": "refresh_token",
                "refresh_token": token,
            }
            answers.append(client.post(f"{settings['TIKTOK_API_URL']}/v2/oauth/token/", data=form).json())
    assert "access_token" in answers[0]
    assert answers[1]["error"] == "invalid_grant"


def test_the_environment_holds_settings_that_the_pipeline_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = sandbox_environment("http://127.0.0.1:9999")
    for name, value in environment.items():
        assert name.lower() in type(settings_with()).model_fields
        monkeypatch.setenv(name, value)
    assert settings_with().trusted_origins == {"http://127.0.0.1:9999"}
