"""A real nginx that serves a picture store with the location that is shipped for it.

What belongs here: writing its configuration around the shipped one, starting and stopping it.
What does not: what a test or a benchmark asks of it.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCATION = Path(__file__).parents[2] / "deploy" / "nginx-pictures.conf"
_STORE = "/srv/talent-images/images"
_SERVICE = "http://127.0.0.1:3001"
_SECONDS_TO_START = 20.0


@contextmanager
def running_nginx(program: str, *, directory: Path, store: Path, service: str) -> Iterator[str]:
    """Serve until the block ends; yields the address.

    Args:
        program: The executable.
        directory: For its own files.
        store: The picture store's directory; nginx's workers must be able to read it.
        service: Where the service answers what nginx does not have.
    """
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    shipped = LOCATION.read_text()
    assert _STORE in shipped
    assert _SERVICE in shipped
    location = shipped.replace(_STORE, str(store)).replace(_SERVICE, service)
    configuration = directory / "nginx.conf"
    configuration.write_text(
        # As whoever runs the tests: the workers' usual user may not read their temporary directories.
        f"user root; worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;\n"
        f"events {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n"
        f"fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; server_tokens off;\n{location}\n}} }}\n"
    )
    command = [program, "-c", str(configuration), "-e", str(directory / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_listening(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until:
        assert process.poll() is None, "nginx ended by itself"
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("nginx does not listen")
