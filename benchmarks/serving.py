"""The HTTP service: pictures beside nginx, normal requests beside hostile connections, and refreshes.

    uv run python -m benchmarks.serving

Needs ``wrk`` for the load, and ``nginx`` to compare with (both from Debian); what is missing is said, and left out. The
service is ``talent-images serve`` in a process of its own, on SQLite, against the sandbox.

What belongs here: the measurements and the lines printed. What does not: starting the service (the tests' own helpers).
"""

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from talent_image_pipeline.database.engine import open_engine
from talent_image_pipeline.database.migrate import migrate
from talent_image_pipeline_tests.service.live_service import LiveService, live_service
from talent_image_pipeline_tests.service.nginx import running_nginx

_API_SECONDS, _PICTURE_SECONDS = 0.2, 0.05
_LATENCY = _API_SECONDS + _PICTURE_SECONDS
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a load came to."""

    requests_per_second: float
    p99_milliseconds: float


@click.command(help="Measure the HTTP service on this machine, in temporary directories.")
@click.option("--seconds", default=5, show_default=True, help="How long each load lasts.")
@click.option("--talents", default=20, show_default=True, help="How many different talents are refreshed.")
def main(*, seconds: int, talents: int) -> None:
    """Measure and print."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with (
        tempfile.TemporaryDirectory(prefix="talent-images-benchmark-") as directory,
        _service(Path(directory)) as service,
    ):
        picture = _picture_of(service)
        _measure_pictures(service, picture, seconds=seconds)
        _measure_disturbances(service, picture, seconds=seconds)
        _measure_refreshes(service, talents=talents)


@contextlib.contextmanager
def _service(directory: Path) -> Iterator[LiveService]:
    url = f"sqlite:///{directory / 'talents.db'}"
    engine = open_engine(url)
    migrate(engine, with_app_tables=True)
    engine.dispose()
    limits = {"TALENT_SERVICE_CONNECTIONS": "3000", "TALENT_SERVICE_CONNECTIONS_PER_CLIENT": "3000"}
    with live_service(home=directory / "home", database_url=url, environment=limits) as service:
        yield service


def _picture_of(service: LiveService) -> str:
    """Sync one talent and return the path of its picture."""
    answer = service.sync(service.add_talent("instagram"))
    address: str = answer.json()["data"]["imageUrl"]
    return address[address.index("/images/") :]


def _measure_pictures(service: LiveService, picture: str, *, seconds: int) -> None:
    size = len(service.anonymous.get(picture).content)
    own = _load(f"{service.address}{picture}", connections=50, seconds=seconds)
    print(f"A picture of {size} bytes, 50 connections: {_words(own)}")
    nginx = shutil.which("nginx")
    if nginx is None:
        print("  nginx is not installed: not compared")
        return
    directory = service.home.parent
    with running_nginx(nginx, directory=directory, store=service.image_directory, service=service.address) as address:
        other = _load(f"{address}{picture}", connections=50, seconds=seconds)
    print(f"  nginx, one worker: {_words(other)}")
    print(f"  ratio {own.requests_per_second / other.requests_per_second:.2f} (to hold: at least 0.33)")


def _measure_disturbances(service: LiveService, picture: str, *, seconds: int) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    address = f"{service.address}{picture}"
    quiet = _load(address, connections=10, seconds=seconds)
    with contextlib.ExitStack() as stack:
        for number in range(1200):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            if number >= 1000:
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        disturbed = _load(address, connections=10, seconds=seconds)
    print(f"Normal requests, 10 connections: {_words(quiet)}")
    print(f"  beside 1,000 idle connections and 200 half requests: {_words(disturbed)}")


def _measure_refreshes(service: LiveService, *, talents: int) -> None:
    everybody = [service.add_talent("instagram") for _ in range(talents + 9)]
    service.world.set_latency(api=_API_SECONDS, image=_PICTURE_SECONDS)
    _refresh(service, everybody.pop())
    taken = sorted(_refresh(service, everybody.pop()) - _LATENCY for _ in range(talents))
    print(
        f"Refreshes of {talents} talents, one after the other, beyond the platforms' {_LATENCY:.2f} s: "
        f"median {statistics.median(taken):.2f} s, longest {taken[-1]:.2f} s (to hold: under 0.5 s)"
    )
    one = statistics.median(taken) + _LATENCY
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda talent_id: _refresh(service, talent_id), everybody))
    eight = time.perf_counter() - began
    print(f"  8 at once: {eight:.2f} s, {eight / one:.1f} times one (to hold: under 3)")


def _refresh(service: LiveService, talent_id: str) -> float:
    began = time.perf_counter()
    answer = service.sync(talent_id, force=True)
    taken = time.perf_counter() - began
    if answer.status_code != 200:
        raise RuntimeError(f"a refresh failed: {answer.text}")
    return taken


def _words(load: Load) -> str:
    return f"{load.requests_per_second:,.0f}/s, p99 {load.p99_milliseconds:.1f} ms"


def _load(address: str, *, connections: int, seconds: int) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", address]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own words
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    rate, tail = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if rate is None or tail is None:
        raise RuntimeError(output)
    return Load(requests_per_second=float(rate[1]), p99_milliseconds=float(tail[1]) * _UNITS[tail[2]])


if __name__ == "__main__":
    main()
