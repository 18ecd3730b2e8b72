"""Attack: a gzip bomb: a body of a few kilobytes that unfolds to gigabytes."""

import gzip
import tracemalloc
import zlib

import pytest

from talent_image_pipeline.pictures.download.downloader import DownloadedPicture, PictureRefused
from talent_image_pipeline_tests.pictures.loopback import BODY, LoopbackServer, answer, fetch_from, raw_answer

BOMB = gzip.compress(bytes(64 * 1024**2))


def test_no_compression_is_asked_for() -> None:
    with LoopbackServer(answer()) as cdn:
        fetch_from(cdn)
    assert "\r\nAccept-Encoding: identity\r\n" in cdn.requests[0]


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip, gzip", "?"]
)
def test_a_compressed_body_is_refused_whatever_it_is_compressed_with(encoding: str) -> None:
    with (
        LoopbackServer(answer(f"Content-Encoding: {encoding}", body=BOMB)) as cdn,
        pytest.raises(PictureRefused, match="compresses"),
    ):
        fetch_from(cdn)


def test_a_second_encoding_header_does_not_hide_the_first() -> None:
    hidden = answer("Content-Encoding: gzip", "Content-Encoding: identity", body=BOMB)
    with LoopbackServer(hidden) as cdn, pytest.raises(PictureRefused):
        fetch_from(cdn)


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_compressed_is_taken(encoding: str) -> None:
    with LoopbackServer(answer(f"Content-Encoding: {encoding}")) as cdn:
        picture = fetch_from(cdn)
    assert isinstance(picture, DownloadedPicture)
    assert picture.body == BODY


def test_an_undeclared_compressed_body_is_handed_on_as_it_came() -> None:
    tracemalloc.start()
    with LoopbackServer(answer(body=BOMB)) as cdn:
        picture = fetch_from(cdn)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(picture, DownloadedPicture)
    assert picture.body == BOMB
    assert peak < 16 * 1024**2


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked"])
def test_a_transfer_coding_is_not_unfolded(coding: str) -> None:
    packed = zlib.compress(bytes(64 * 1024**2))
    body = f"{len(packed):x}\r\n".encode() + packed + b"\r\n0\r\n\r\n"
    tracemalloc.start()
    with LoopbackServer(raw_answer("HTTP/1.1 200 OK", f"Transfer-Encoding: {coding}", body=body)) as cdn:
        picture = fetch_from(cdn)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(picture, DownloadedPicture)
    assert picture.body == packed
    assert peak < 16 * 1024**2
