"""What one connection, one client and all together may take, and that others are served meanwhile; on real sockets."""

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa

from talent_image_pipeline.pictures.store.picture_store import PictureStore
from talent_image_pipeline.service.app import Service
from talent_image_pipeline.service.http_protocol import ConnectionLimits, ConnectionTable
from talent_image_pipeline_tests.service.in_process import running, service_on
from talent_image_pipeline_tests.service.live_service import API_TOKEN
from talent_image_pipeline_tests.service.test_app import CONTENT_HASH, RENDITIONS

PICTURE = f"/images/{CONTENT_HASH}/256.webp"
REQUEST = f"GET {PICTURE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
def service(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Service]:
    store = PictureStore.from_url(str(tmp_path / "images"))
    anyio.run(store.put, CONTENT_HASH, RENDITIONS)
    engine = sa.create_engine(f"sqlite:///{migrated_sqlite_file}")
    yield service_on(store=store, engine=engine)
    engine.dispose()


@contextlib.contextmanager
def bounded(service: Service, **limits: float) -> Iterator[httpx.Client]:
    """Serve within these limits."""
    service.connections = ConnectionTable(ConnectionLimits(**limits))  # type: ignore[arg-type]
    with running(service) as client:
        yield client


def dial(client: httpx.Client, *, source: str = "127.0.0.1") -> socket.socket:
    """Open a connection that says nothing, from an address of the loopback network."""
    assert client.base_url.port is not None
    return socket.create_connection(("127.0.0.1", client.base_url.port), timeout=30, source_address=(source, 0))


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def refusal_in(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of a refusal, which has the shape and the headers of every error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-content-type-options: nosniff" in head
    assert b"connection: close" in head
    error = json.loads(body)
    assert error["success"] is False
    return int(head.split()[1]), error["error"]["code"]


def send_all(connection: socket.socket, data: bytes) -> None:
    """Send as much as the other side takes."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 400_000,
        b"GET /" + b"a" * 400_000,
        b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"A: " + b"b" * 9000 + b"\r\nC: " + b"d" * 9000 + b"\r\n\r\n",
        b"POST /api HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET /healthz HTTP/1.1\r\nX: " + b"a" * 400_000,
    ],
)
def test_headers_beyond_the_bound_are_refused_and_nobody_else_notices(service: Service, head: bytes) -> None:
    with bounded(service) as client, dial(client) as greedy:
        send_all(greedy, head)

        assert client.get(PICTURE).content == RENDITIONS[256]
        answer = read_to_end(greedy)
        assert refusal_in(answer[answer.rindex(b"HTTP/1.1 431") :]) == (431, "HEADERS_TOO_LARGE")


def test_a_header_line_that_never_ends_is_cut_off_while_it_comes(service: Service) -> None:
    with bounded(service) as client, dial(client) as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000):
                greedy.sendall(b"a" * 4096)
            pytest.fail("40 MB of one line were taken")

        assert client.get("/healthz").status_code == 200


def test_what_is_no_http_is_refused_in_the_one_shape(service: Service) -> None:
    with bounded(service) as client, dial(client) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")

        assert refusal_in(read_to_end(connection)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_does_not_come_in_time_ends_the_connection(service: Service, sent: bytes) -> None:
    with bounded(service, header_seconds=0.2) as client, dial(client) as slow:
        slow.sendall(sent)
        answer = read_to_end(slow)

        assert refusal_in(answer) == (408, "REQUEST_TIMEOUT") if sent else answer == b""
        assert client.get(PICTURE).status_code == 200


def test_bytes_that_drip_do_not_win_time(service: Service) -> None:
    with bounded(service, header_seconds=0.5) as client, dial(client) as loris:
        loris.settimeout(0.05)
        loris.sendall(b"GET / HTTP/1.1\r\nX: ")
        answer = b""
        while not answer:
            loris.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                answer = loris.recv(1000)
        assert refusal_in(answer) == (408, "REQUEST_TIMEOUT")
        assert client.get("/healthz").status_code == 200


def test_a_body_that_does_not_come_in_time_ends_the_connection(service: Service) -> None:
    head = (
        "POST /api/admin/talent/one/profile-image/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {API_TOKEN}\r\nContent-Length: 100\r\n\r\n{{"
    )
    with bounded(service, body_seconds=0.2) as client, dial(client) as slow:
        slow.sendall(head.encode())

        assert refusal_in(read_to_end(slow)) == (408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_bound_is_refused(service: Service, is_chunked: bool) -> None:
    body = b'{"forceRefresh": true, "more": "' + b"a" * 200_000 + b'"}'
    content = iter([body]) if is_chunked else body
    with bounded(service) as client:
        response = client.post(
            "/api/admin/talent/one/profile-image/sync",
            content=content,
            headers={"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"},
        )

    assert (response.status_code, response.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


def test_a_connection_that_asks_nothing_more_is_closed(service: Service) -> None:
    with bounded(service, idle_seconds=0.2) as client, dial(client) as idle:
        idle.sendall(REQUEST)

        answer = read_to_end(idle)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(RENDITIONS[256])


def test_a_connection_serves_one_request_after_the_other_and_many_at_once_in_order(service: Service) -> None:
    with bounded(service) as client, dial(client) as connection:
        for _ in range(3):
            connection.sendall(REQUEST + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST)
        connection.sendall(REQUEST.replace(b"Host", b"Connection: close\r\nHost"))
        answers = read_to_end(connection)

    assert answers.count(b"HTTP/1.1 200 OK") == 10
    assert answers.count(RENDITIONS[256]) == 7
    assert answers.count(b'{"status":"alive"}') == 3


def test_a_client_that_reads_nothing_is_left_behind(service: Service) -> None:
    with bounded(service, stalled_seconds=0.2) as client, dial(client) as greedy:
        greedy.settimeout(10)
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(2_000):
                greedy.sendall(REQUEST * 500)
            pytest.fail("a million requests were taken and not one answer read")

        assert client.get(PICTURE).content == RENDITIONS[256]


def test_one_client_cannot_take_all_connections(service: Service) -> None:
    with bounded(service, connections_per_client=5) as client, contextlib.ExitStack() as stack:
        assert client.get("/healthz").status_code == 200
        held = [stack.enter_context(dial(client)) for _ in range(4)]
        refused = stack.enter_context(dial(client))
        assert refusal_in(read_to_end(refused)) == (503, "TOO_MANY_CONNECTIONS")

        other = stack.enter_context(dial(client, source="127.0.0.2"))
        other.sendall(REQUEST)
        assert other.recv(15) == b"HTTP/1.1 200 OK"
        held.pop().close()
        assert client.get(PICTURE).status_code == 200


def test_when_all_connections_are_taken_the_one_that_is_idle_for_the_longest_goes(service: Service) -> None:
    with bounded(service, connections=4) as client, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(dial(client)) for _ in range(4)]
        for connection in idle[1:]:
            connection.sendall(REQUEST)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"

        assert client.get("/healthz").status_code == 200
        assert read_to_end(idle[0]) == b""
        assert client.get(PICTURE).status_code == 200


def test_hundreds_of_idle_and_slow_connections_keep_nobody_from_being_served(service: Service) -> None:
    with bounded(service, connections=2000, header_seconds=60) as client, contextlib.ExitStack() as stack:
        for number in range(350):
            connection = stack.enter_context(dial(client, source=f"127.0.1.{number % 250 + 1}"))
            if number % 2:
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")

        def ask(_: int) -> int:
            return client.get(PICTURE).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(200))) == {200}
        assert client.get("/avatars/nobody").status_code == 404
