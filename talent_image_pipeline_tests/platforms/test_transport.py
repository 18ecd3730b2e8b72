"""What a hostile, broken or slow server can do to a request: end it, and nothing else."""

import asyncio
import gzip
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from talent_image_pipeline.platforms.contract import Account, Outcome
from talent_image_pipeline.platforms.transport import BODY_LIMIT, ApiAnswer, ApiTransport, Unreachable, open_api_client
from talent_image_pipeline.platforms.youtube import YOUTUBE
from talent_image_pipeline_tests.platforms.scripted_server import Received, Reply, converse, reply_json, serving

SOON = 0.3


def fetch(reply: Reply, *, deadline_seconds: float = 10.0) -> ApiAnswer | Unreachable:
    async def run() -> ApiAnswer | Unreachable:
        async with serving(lambda _: reply) as server, open_api_client() as pool:
            transport = ApiTransport(pool, deadline_seconds=deadline_seconds)
            return await transport.send("GET", f"{server.origin}/path")

    return asyncio.run(run())


def writing(*pieces: bytes, pause: float = 0.0) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def write(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return write


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def reset_within_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "write",
    [writing(b"", pause=60), writing(HEAD, pause=60), writing(HEAD, *[b"{"] * 900, pause=0.02)],
    ids=["no answer", "no body", "a byte at a time"],
)
def test_a_slow_answer_ends_at_the_deadline(write: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    ended = fetch(Reply(write=write), deadline_seconds=SOON)
    assert isinstance(ended, Unreachable)
    assert ended.kind == "no answer in time"
    assert ended.is_retryable


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b" " * (BODY_LIMIT + 1)),
        Reply(write=endless),
    ],
    ids=["declared", "without end"],
)
def test_a_body_over_the_limit_is_given_up(reply: Reply) -> None:
    ended = fetch(reply)
    assert isinstance(ended, Unreachable)
    assert ended.kind == "body too large"
    assert not ended.is_retryable


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "deflate", "zstd"])
def test_an_answer_that_is_compressed_is_never_unpacked(encoding: str) -> None:
    bomb = gzip.compress(gzip.compress(b" " * BODY_LIMIT))
    ended = fetch(Reply(body=bomb, headers={"content-encoding": encoding}))
    assert ended == Unreachable(host="127.0.0.1", kind="its answer is compressed", is_retryable=False)


def test_a_body_at_the_limit_is_read() -> None:
    ended = fetch(Reply(body=b" " * BODY_LIMIT))
    assert isinstance(ended, ApiAnswer)
    assert len(ended.body) == BODY_LIMIT


@pytest.mark.parametrize(
    "write",
    [
        reset,
        reset_within_the_body,
        writing(b"nonsense\r\n\r\n"),
        writing(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"),
        writing(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        writing(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"),
        writing(),
    ],
    ids=["reset", "reset within", "no HTTP", "cut short", "bad chunk", "giant header", "nothing"],
)
def test_a_broken_connection_is_worth_another_try(write: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    ended = fetch(Reply(write=write))
    assert isinstance(ended, Unreachable)
    assert ended.is_retryable


def test_a_port_where_nobody_listens_is_worth_another_try() -> None:
    async def run() -> ApiAnswer | Unreachable:
        async with serving(lambda _: Reply()) as server:
            closed = server.origin
        async with open_api_client() as pool:
            return await ApiTransport(pool).send("GET", closed)

    ended = asyncio.run(run())
    assert isinstance(ended, Unreachable)
    assert ended.kind == "no connection"
    assert ended.is_retryable


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_to_a_private_address_is_not_followed(status: int) -> None:
    async def run() -> tuple[ApiAnswer | Unreachable, list[Received], list[Received]]:
        async with serving(lambda _: Reply()) as private, open_api_client() as pool:
            elsewhere = Reply(status=status, headers={"location": f"{private.origin}/secret"})
            async with serving(lambda _: elsewhere) as server:
                ended = await ApiTransport(pool).send("GET", server.origin)
                return ended, server.received, private.received

    ended, received, received_elsewhere = asyncio.run(run())
    assert isinstance(ended, Unreachable)
    assert not ended.is_retryable
    assert len(received) == 1
    assert received_elsewhere == []


def test_every_request_is_counted_whatever_became_of_it() -> None:
    async def run() -> int:
        def script(request: Received) -> Reply:
            return Reply(write=reset if request.path == "/reset" else None)

        async with serving(script) as server, open_api_client() as pool:
            transport = ApiTransport(pool)
            await transport.send("GET", f"{server.origin}/fine")
            await transport.send("POST", f"{server.origin}/reset", form={"a": "b"})
            await transport.send("GET", "http://127.0.0.1:1/")
            return transport.calls

    assert asyncio.run(run()) == 3


def test_cookies_are_neither_kept_nor_sent() -> None:
    async def run() -> list[Received]:
        given = Reply(headers={"set-cookie": "session=talent-1; Path=/"})
        async with serving(lambda _: given) as server, open_api_client() as pool:
            transport = ApiTransport(pool)
            for host in ("127.0.0.1", "localhost"):
                address = server.origin.replace("127.0.0.1", host)
                await transport.send("GET", address)
                await transport.send("GET", address)
            return server.received

    received = asyncio.run(run())
    assert len(received) == 4
    assert all("cookie" not in request.headers for request in received)


def test_an_answer_shows_neither_its_body_nor_its_headers() -> None:
    answer = fetch(Reply(body=b'{"access_token": "SECRET"}', headers={"location": "/?token=SECRET"}))
    assert isinstance(answer, ApiAnswer)
    assert b"SECRET" in answer.body
    assert "SECRET" not in repr(answer)


def test_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert isinstance(fetch(Reply()), ApiAnswer)


def test_a_header_that_cannot_be_written_ends_the_request_alone() -> None:
    async def run() -> ApiAnswer | Unreachable:
        async with serving(lambda _: Reply()) as server, open_api_client() as pool:
            return await ApiTransport(pool).send("GET", server.origin, headers={"Authorization": "a\r\nb: ü"})

    ended = asyncio.run(run())
    assert isinstance(ended, Unreachable)
    assert not ended.is_retryable


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\xfa", b"[" * 500_000, b"9" * 10_000, b'"'])
def test_a_body_that_is_not_json_is_nothing(body: bytes) -> None:
    answer = fetch(Reply(body=body))
    assert isinstance(answer, ApiAnswer)
    assert answer.json is None


def test_no_address_with_a_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = Account(account_id="a", handle="UC_x5XG1OV2P6uZZ5FSM9Ttw")
    conversation = converse(YOUTUBE, [account], lambda _: reply_json({"items": []}))
    assert conversation.received[0].query["key"] == "api-key-SECRET"
    assert conversation.reading.outcome is Outcome.UNCONFIRMED
    assert "SECRET" not in caplog.text


def test_a_cancelled_request_stops_at_once_and_says_so() -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        async def announce_and_stall(writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await writing(HEAD, pause=60)(writer)

        async with serving(lambda _: Reply(write=announce_and_stall)) as server, open_api_client() as pool:
            sending = asyncio.create_task(ApiTransport(pool, deadline_seconds=60).send("GET", server.origin))
            await arrived.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    asyncio.run(asyncio.wait_for(run(), 30))


@settings(max_examples=60)
@given(
    head=st.sampled_from(
        [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
    ),
    rest=st.binary(max_size=80) | st.text("0123456789abc\r\n:; ", max_size=40).map(str.encode),
)
def test_any_bytes_on_the_wire_end_as_an_answer_or_none(*, head: bytes, rest: bytes) -> None:
    ended = fetch(Reply(write=writing(head + rest)), deadline_seconds=5)
    assert isinstance(ended, ApiAnswer | Unreachable)


def test_a_certificate_that_nobody_signed_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    certificate = self_signed_certificate(tmp_path)

    async def run() -> tuple[ApiAnswer | Unreachable, list[bytes]]:
        heard: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read())
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
        async with listener, open_api_client() as pool:
            port = listener.sockets[0].getsockname()[1]
            ended = await ApiTransport(pool).send("GET", f"https://127.0.0.1:{port}/")
        return ended, heard

    ended, heard = asyncio.run(run())
    assert isinstance(ended, Unreachable)
    assert "TLS" in ended.kind
    assert not ended.is_retryable
    assert b"".join(heard) == b""


def self_signed_certificate(directory: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that it signed itself into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_request_whose_connection_breaks_is_sent_once_and_counted_once() -> None:
    async def run() -> tuple[ApiAnswer | Unreachable, int, int]:
        def answer(request: Received) -> Reply:
            return Reply() if request.path == "/first" else Reply(write=writing())

        async with serving(answer) as server, open_api_client() as pool:
            transport = ApiTransport(pool)
            await transport.send("GET", f"{server.origin}/first")
            ended = await transport.send("GET", f"{server.origin}/second")
            return ended, len(server.received), transport.calls

    ended, received, calls = asyncio.run(run())
    assert ended == Unreachable(host="127.0.0.1", kind="the connection broke", is_retryable=True)
    assert (received, calls) == (2, 2)


def test_a_body_is_parsed_once_however_often_it_is_looked_at() -> None:
    answer = fetch(Reply(body=b'{"items": [{"id": 1}]}'))
    assert isinstance(answer, ApiAnswer)
    assert answer.json == {"items": [{"id": 1}]}
    assert answer.json is answer.json
