"""Attack: an answer that never ends: one byte at a time, headers without end, a name that takes for ever."""

import asyncio
import itertools
import socket
import time
import tracemalloc

import pytest
from aiohttp.abc import ResolveResult
from pydantic import SecretStr

from talent_image_pipeline.pictures.download.downloader import (
    DownloadLimits,
    PictureDownloader,
    PictureUnavailable,
)
from talent_image_pipeline_tests.pictures.loopback import (
    LoopbackServer,
    ScriptedResolver,
    Send,
    answer,
    fetch,
    fetch_from,
)

SHORT = DownloadLimits(deadline_seconds=0.4)


def trickle(send: Send, piece: bytes) -> None:
    while True:
        send(piece)
        time.sleep(0.02)


def trickle_body(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    trickle(send, b".")


def trickle_chunks(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    trickle(send, b"1\r\n.\r\n")


def trickle_header(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    trickle(send, b".")


def trickle_status(send: Send) -> None:
    trickle(send, b"H")


def trickle_provisional_answers(send: Send) -> None:
    trickle(send, b"HTTP/1.1 103 Early Hints\r\n\r\n")


@pytest.mark.parametrize("stubborn", [trickle_body, trickle_chunks, trickle_header, trickle_provisional_answers])
def test_an_answer_in_single_bytes_is_cut_off_at_the_deadline(stubborn: object) -> None:
    assert callable(stubborn)
    with LoopbackServer(stubborn) as cdn, pytest.raises(PictureUnavailable, match="within") as failure:
        fetch_from(cdn, limits=SHORT)
    assert failure.value.is_retryable
    assert cdn.was_cut_off


def test_a_status_line_that_is_none_is_cut_off() -> None:
    with LoopbackServer(trickle_status) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn, limits=SHORT)
    assert cdn.was_cut_off


def test_a_host_that_accepts_and_says_nothing_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PictureUnavailable, match="within"):
            fetch(f"{origin}/a", trusted=[origin], limits=SHORT)


def test_redirects_do_not_begin_the_deadline_anew() -> None:
    def stall_then_redirect(send: Send) -> None:
        time.sleep(0.25)
        send(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")

    with LoopbackServer(stall_then_redirect) as cdn, pytest.raises(PictureUnavailable, match="within"):
        fetch_from(cdn, limits=SHORT)


def test_a_name_that_takes_for_ever_to_resolve_is_given_up_at_the_deadline() -> None:
    class Stuck(ScriptedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return []

    with pytest.raises(PictureUnavailable, match="within"):
        fetch("https://x.cdninstagram.com/a", hosts=(".cdninstagram.com",), resolver=Stuck(), limits=SHORT)


def endless_header(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in itertools.count():
        send(bytes(b"." * 65_536))


def endless_headers(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\n")
    for _ in itertools.count():
        send(b"X-Many: header\r\n" * 4_096)


def endless_provisional_answers(send: Send) -> None:
    for _ in itertools.count():
        send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1_000)


def endless_trailers(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n")
    for _ in itertools.count():
        send(b"X-Many: trailer\r\n" * 4_096)


@pytest.mark.parametrize("stubborn", [endless_header, endless_headers, endless_provisional_answers, endless_trailers])
def test_headers_without_end_are_cut_off_in_bounded_memory(stubborn: object) -> None:
    assert callable(stubborn)
    tracemalloc.start()
    with LoopbackServer(stubborn) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn, limits=DownloadLimits(deadline_seconds=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cdn.was_cut_off
    assert peak < 32 * 1024**2


def test_one_slow_host_does_not_hold_up_the_others() -> None:
    with LoopbackServer({"/slow": trickle_body, "/quick": answer()}) as cdn:

        async def run() -> list[object]:
            origins = frozenset({cdn.origin})
            async with PictureDownloader(
                trusted_origins=origins, limits=DownloadLimits(deadline_seconds=1)
            ) as downloader:
                paths = ["/slow", *["/quick"] * 20, "/slow"]
                return await asyncio.gather(
                    *(downloader.download(SecretStr(cdn.origin + path), hosts=()) for path in paths),
                    return_exceptions=True,
                )

        endings = asyncio.run(run())
    assert [isinstance(ending, PictureUnavailable) for ending in endings] == [True, *[False] * 20, True]
