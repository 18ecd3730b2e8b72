"""Listening on a port: what happens when it is taken, and that the service stops when it is told to."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from talent_image_pipeline.service.server import CannotListenError, open_listener

SERVICE = """
import sys
import sqlalchemy as sa
from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.server import serve
from talent_image_pipeline_tests.service.in_process import service_on

engine = sa.create_engine(f"sqlite:///{sys.argv[1]}/talents.db")
store = PictureStore.from_url(f"{sys.argv[1]}/images")
service = service_on(store=store, engine=engine)
serve(service, host="127.0.0.1", port=0, on_listening=lambda host, port: print(f"http://{host}:{port}", flush=True))
print("stopped", flush=True)
"""


def test_a_port_that_is_taken_is_an_error_that_says_which_and_what_to_do() -> None:
    with open_listener(host="127.0.0.1", port=0) as first:
        port = first.getsockname()[1]

        with pytest.raises(CannotListenError, match=rf"127\.0\.0\.1, port {port}: the port is taken.*--port"):
            open_listener(host="127.0.0.1", port=port)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("127.0.0.1", 65536), ("127.0.0.1", -1)])
def test_an_address_that_cannot_be_listened_on_is_an_error_in_words(host: str, port: int) -> None:
    with pytest.raises(CannotListenError, match=f"cannot listen on {host}"):
        open_listener(host=host, port=port)


def test_a_port_can_be_taken_again_right_after_it_was_given_back() -> None:
    with open_listener(host="127.0.0.1", port=0) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()

    open_listener(host="127.0.0.1", port=port).close()


@pytest.mark.parametrize(
    ("how", "said", "code"), [(signal.SIGINT, "stopped\n", 0), (signal.SIGTERM, "", -signal.SIGTERM)]
)
def test_the_service_runs_until_it_is_told_to_stop(tmp_path: Path, how: signal.Signals, said: str, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            assert httpx.get(f"{address}/images/{'0' * 64}/64.webp").status_code == 404
        finally:
            process.send_signal(how)
        assert process.stdout.read() == said
    assert process.returncode == code

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz")
