"""Attack: a body of 5 GB, declared, undeclared or lied about. The connection is cut and memory stays bounded."""

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from talent_image_pipeline.pictures.download.downloader import (
    DownloadedPicture,
    DownloadLimits,
    PictureRefused,
    PictureUnavailable,
)
from talent_image_pipeline_tests.pictures.loopback import BODY, LoopbackServer, Send, answer, fetch_from, raw_answer

FIVE_GIGABYTES = 5 * 1024**3
MEBIBYTE = 1024**2
BLOCK = bytes(64 * 1024)
CAP = DownloadLimits().max_bytes


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """Fail when more is held at once than the cap needs: the buffer, its growth and its copy."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * CAP


def send_zeros(send: Send) -> None:
    for _ in range(FIVE_GIGABYTES // len(BLOCK)):
        send(BLOCK)


def declared(send: Send) -> None:
    send(f"HTTP/1.1 200 OK\r\nContent-Length: {FIVE_GIGABYTES}\r\n\r\n".encode())
    send_zeros(send)


def until_closed(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
    send_zeros(send)


def chunked(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(FIVE_GIGABYTES // len(BLOCK)):
        send(f"{len(BLOCK):x}\r\n".encode() + BLOCK + b"\r\n")


def one_endless_chunk(send: Send) -> None:
    send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{FIVE_GIGABYTES:x}\r\n".encode())
    send_zeros(send)


def tiny_chunks(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunks = b"1\r\n.\r\n" * 16_384
    for _ in range(FIVE_GIGABYTES // len(chunks)):
        send(chunks)


@pytest.mark.usefixtures("bounded_memory")
def test_a_declared_length_over_the_cap_is_refused_before_the_body_is_read() -> None:
    with LoopbackServer(declared) as cdn, pytest.raises(PictureRefused, match="declares"):
        fetch_from(cdn)
    assert cdn.was_cut_off
    assert cdn.bytes_sent < 32 * MEBIBYTE


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize("answer_without_end", [until_closed, chunked, one_endless_chunk])
def test_an_undeclared_body_is_cut_off_at_the_cap(answer_without_end: object) -> None:
    assert callable(answer_without_end)
    with LoopbackServer(answer_without_end) as cdn, pytest.raises(PictureRefused, match="more than"):
        fetch_from(cdn)
    assert cdn.was_cut_off
    assert cdn.bytes_sent < CAP + 32 * MEBIBYTE


@pytest.mark.usefixtures("bounded_memory")
def test_a_body_in_one_byte_chunks_is_cut_off_at_the_cap() -> None:
    limits = DownloadLimits(max_bytes=256 * 1024)
    with LoopbackServer(tiny_chunks) as cdn, pytest.raises(PictureRefused, match="more than"):
        fetch_from(cdn, limits=limits)
    assert cdn.was_cut_off


def test_what_follows_the_declared_length_is_never_part_of_the_picture() -> None:
    with (
        LoopbackServer(raw_answer("HTTP/1.1 200 OK", "Content-Length: 4", body=BODY)) as cdn,
        suppress(PictureUnavailable),
    ):
        picture = fetch_from(cdn)
        assert isinstance(picture, DownloadedPicture)
        assert picture.body == BODY[:4]


def test_less_than_the_declared_length_is_unavailable_and_no_short_picture() -> None:
    def stop_early(send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + BODY)
        raise ConnectionResetError

    with LoopbackServer(stop_early) as cdn, pytest.raises(PictureUnavailable) as failure:
        fetch_from(cdn)
    assert failure.value.is_retryable


def test_a_chunked_body_that_stops_in_the_middle_is_unavailable() -> None:
    def stop_early(send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf")
        raise ConnectionResetError

    with LoopbackServer(stop_early) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn)


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "22, 23", ""])
def test_a_nonsensical_length_is_unavailable(length: str) -> None:
    with (
        LoopbackServer(raw_answer("HTTP/1.1 200 OK", f"Content-Length: {length}", body=BODY)) as cdn,
        pytest.raises(PictureUnavailable),
    ):
        fetch_from(cdn, limits=DownloadLimits(deadline_seconds=1))


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_body_of_exactly_the_cap_is_taken_and_one_byte_more_is_refused(*, is_declared: bool) -> None:
    def respond(size: int) -> LoopbackServer:
        if is_declared:
            return LoopbackServer(answer(body=bytes(size)))
        body = f"{size:x}\r\n".encode() + bytes(size) + b"\r\n0\r\n\r\n"
        return LoopbackServer(raw_answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=body))

    limits = DownloadLimits(max_bytes=100_000)
    with respond(100_000) as cdn:
        picture = fetch_from(cdn, limits=limits)
    assert isinstance(picture, DownloadedPicture)
    assert len(picture.body) == 100_000
    with respond(100_001) as cdn, pytest.raises(PictureRefused):
        fetch_from(cdn, limits=limits)
