"""Every way in which a CDN answers, and the ending that it has."""

import asyncio
import logging
import socket
import traceback
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from pydantic import SecretStr

from talent_image_pipeline.pictures.download.downloader import (
    DownloadedPicture,
    DownloadLimits,
    NotModified,
    PictureDownloader,
    PictureExpired,
    PictureRefused,
    PictureUnavailable,
)
from talent_image_pipeline_tests.pictures.loopback import (
    BODY,
    SECRET,
    Answer,
    LoopbackServer,
    Send,
    answer,
    fetch,
    fetch_from,
    raw_answer,
    redirect,
)

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def test_a_picture_comes_with_its_bytes_and_its_etag() -> None:
    with LoopbackServer(answer('ETag: "v1"', "Content-Type: image/jpeg")) as cdn:
        assert fetch_from(cdn) == DownloadedPicture(body=BODY, etag='"v1"')


def test_the_declared_content_type_changes_nothing() -> None:
    with LoopbackServer(answer("Content-Type: text/html")) as cdn:
        assert fetch_from(cdn) == DownloadedPicture(body=BODY, etag=None)


def test_a_signed_path_and_query_are_requested_byte_for_byte() -> None:
    target = (
        "/v/t51.2885-19/a~tplv-x:100:100.jpeg/%7e%2F?x-signature=%2b%2F%3d+a/b==&stp=dst-jpg_s150x150&_nc_ohc=&d=%zz"
    )
    with LoopbackServer(answer()) as cdn:
        fetch_from(cdn, target)
    assert cdn.requests[0].startswith(f"GET {target} HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("status", "is_retryable"),
    [
        ("408 Request Timeout", True),
        ("429 Too Many Requests", True),
        ("500 Internal Server Error", True),
        ("502 Bad Gateway", True),
        ("503 Service Unavailable", True),
        ("504 Gateway Timeout", True),
        ("400 Bad Request", False),
        ("401 Unauthorized", False),
        ("404 Not Found", False),
        ("407 Proxy Authentication Required", False),
        ("410 Gone", False),
        ("451 Unavailable For Legal Reasons", False),
        ("201 Created", False),
        ("206 Partial Content", False),
        ("300 Multiple Choices", False),
        ("305 Use Proxy", False),
    ],
)
def test_any_other_status_is_unavailable(status: str, *, is_retryable: bool) -> None:
    with LoopbackServer(answer(status=status)) as cdn, pytest.raises(PictureUnavailable, match=status[:3]) as failure:
        fetch_from(cdn)
    assert failure.value.is_retryable == is_retryable


def test_a_403_asks_for_a_new_address() -> None:
    with (
        LoopbackServer(answer(status="403 Forbidden", body=b"URL signature expired")) as cdn,
        pytest.raises(PictureExpired, match="403"),
    ):
        fetch_from(cdn)


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_an_empty_answer_is_no_picture(status: str) -> None:
    with LoopbackServer(answer(status=status, body=b"")) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn)


@pytest.mark.parametrize(
    "nonsense", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n", b"HTTP/9.9 abc\r\n\r\n", b"<html>\r\n\r\n"]
)
def test_what_is_not_http_is_unavailable(nonsense: bytes) -> None:
    with LoopbackServer(lambda send: send(nonsense)) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn, limits=DownloadLimits(deadline_seconds=2))


def reset(send: Send) -> None:
    raise ConnectionResetError


def reset_in_the_headers(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Le")
    raise ConnectionResetError


@pytest.mark.parametrize("broken", [reset, reset_in_the_headers])
def test_a_connection_that_breaks_off_is_unavailable_and_may_be_tried_again(broken: Answer) -> None:
    with LoopbackServer(broken) as cdn, pytest.raises(PictureUnavailable) as failure:
        fetch_from(cdn)
    assert failure.value.is_retryable


def test_a_host_that_nobody_listens_at_is_unavailable_and_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PictureUnavailable, match="could not be reached") as failure:
        fetch(f"{origin}/a", trusted=[origin])
    assert failure.value.is_retryable


def test_with_an_etag_the_request_is_conditional_and_304_means_not_modified() -> None:
    with LoopbackServer(raw_answer("HTTP/1.1 304 Not Modified", 'ETag: "v1"')) as cdn:
        assert fetch_from(cdn, etag='"v1"') == NotModified()
    assert '\r\nIf-None-Match: "v1"\r\n' in cdn.requests[0]


def test_a_changed_picture_is_downloaded_in_spite_of_an_etag() -> None:
    with LoopbackServer(answer('ETag: W/"v2"')) as cdn:
        assert fetch_from(cdn, etag='"v1"') == DownloadedPicture(body=BODY, etag='W/"v2"')


def test_a_304_that_nobody_asked_for_is_no_picture() -> None:
    with LoopbackServer(raw_answer("HTTP/1.1 304 Not Modified")) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn)
    assert "If-None-Match" not in cdn.requests[0]


@pytest.mark.parametrize(
    "etag", ["", "v1", '"v1', '"v\r\nX-Injected: 1"', '"a" , "b"', '"\xe9"', '"' + "a" * 1_000 + '"', "*"]
)
def test_an_unusable_etag_is_not_sent(etag: str) -> None:
    with LoopbackServer(answer()) as cdn:
        assert isinstance(fetch_from(cdn, etag=etag), DownloadedPicture)
    assert "If-None-Match" not in cdn.requests[0]
    assert "X-Injected" not in cdn.requests[0]


@pytest.mark.parametrize("etag", ["v1", '"v1', "", '"' + "a" * 1_000 + '"'])
def test_an_unusable_etag_is_not_handed_on(etag: str) -> None:
    with LoopbackServer(answer(f"ETag: {etag}")) as cdn:
        assert fetch_from(cdn) == DownloadedPicture(body=BODY, etag=None)


@pytest.mark.parametrize("seconds", [-60, 0, 2])
def test_a_signed_url_that_is_past_is_not_requested(seconds: int) -> None:
    expires_at = NOW + timedelta(seconds=seconds)
    with LoopbackServer(answer()) as cdn, pytest.raises(PictureExpired, match="expired at"):
        fetch(f"{cdn.origin}/a", trusted=[cdn.origin], clock=lambda: NOW, expires_at=expires_at)
    assert cdn.connections == 0


def test_a_signed_url_that_lives_on_is_requested() -> None:
    later = NOW + timedelta(minutes=1)
    with LoopbackServer(answer()) as cdn:
        found = fetch(f"{cdn.origin}/a", trusted=[cdn.origin], clock=lambda: NOW, expires_at=later)
    assert isinstance(found, DownloadedPicture)


def test_a_url_that_breaks_a_rule_is_refused_even_when_it_is_past() -> None:
    with pytest.raises(PictureRefused):
        fetch("https://evil.example/", hosts=(".cdninstagram.com",), expires_at=NOW)


def test_downloads_and_bytes_are_counted_also_those_given_up() -> None:
    answers = {"/a": answer(), "/b": answer(status="404 Not Found"), "/c": answer(), "/d": redirect("/a")}
    with LoopbackServer({**answers, "/304": raw_answer("HTTP/1.1 304 Not Modified")}) as cdn:

        async def run() -> tuple[int, int]:
            async with PictureDownloader(trusted_origins=frozenset({cdn.origin})) as downloader:
                for path in ("/a", "/c", "/d"):
                    await downloader.download(SecretStr(cdn.origin + path), hosts=())
                await downloader.download(SecretStr(f"{cdn.origin}/304"), hosts=(), etag='"v1"')
                with pytest.raises(PictureUnavailable):
                    await downloader.download(SecretStr(f"{cdn.origin}/b"), hosts=())
                return downloader.downloads, downloader.bytes_received

        assert asyncio.run(run()) == (3, 3 * len(BODY))


def test_one_connection_serves_many_downloads_from_a_host() -> None:
    with LoopbackServer(answer()) as cdn:

        async def run() -> None:
            async with PictureDownloader(trusted_origins=frozenset({cdn.origin})) as downloader:
                for _ in range(5):
                    await downloader.download(SecretStr(f"{cdn.origin}/a"), hosts=())

        asyncio.run(run())
    assert (len(cdn.requests), cdn.connections) == (5, 1)


def test_no_more_connections_are_open_at_once_than_allowed() -> None:
    limits = DownloadLimits(connections=3)
    with LoopbackServer(answer()) as cdn:

        async def run() -> None:
            async with PictureDownloader(trusted_origins=frozenset({cdn.origin}), limits=limits) as downloader:
                url = SecretStr(f"{cdn.origin}/a")
                await asyncio.gather(*(downloader.download(url, hosts=()) for _ in range(30)))

        asyncio.run(run())
    assert len(cdn.requests) == 30
    assert cdn.connections <= 3


def test_a_cancelled_download_stops_and_frees_its_place() -> None:
    limits = DownloadLimits(connections=1)
    was_asked = Event()

    def get_stuck(send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\n")
        was_asked.set()

    with LoopbackServer({"/stuck": get_stuck, "/a": answer()}) as cdn:

        async def run() -> object:
            async with PictureDownloader(trusted_origins=frozenset({cdn.origin}), limits=limits) as downloader:
                stuck = asyncio.create_task(downloader.download(SecretStr(f"{cdn.origin}/stuck"), hosts=()))
                await asyncio.to_thread(was_asked.wait)
                stuck.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await stuck
                return await downloader.download(SecretStr(f"{cdn.origin}/a"), hosts=())

        assert isinstance(asyncio.run(run()), DownloadedPicture)


@pytest.mark.parametrize(
    "broken",
    [
        answer(status="500 No"),
        answer(status="403 No"),
        answer("Content-Encoding: gzip"),
        redirect(f"https://evil.example/{SECRET}"),
        redirect(f"/{SECRET}"),
        raw_answer("HTTP/1.1 200 OK", f"Content-Length: {10**12}"),
        raw_answer("nonsense"),
        raw_answer("HTTP/1.1 200 OK", f"X-{'a' * 20_000}: 1"),
        raw_answer(f"HTTP/1.1 200 {SECRET * 1_000}"),
        reset,
    ],
)
def test_no_failure_and_no_log_tells_the_path_or_query(broken: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        LoopbackServer(broken) as cdn,
        pytest.raises((PictureRefused, PictureUnavailable, PictureExpired)) as failure,
    ):
        fetch_from(cdn, f"/{SECRET}?oh={SECRET}")
    assert SECRET not in "".join(traceback.format_exception(failure.value))
    assert failure.value.__context__ is None
    assert SECRET not in caplog.text


def test_the_bytes_are_not_part_of_what_a_picture_shows_of_itself() -> None:
    assert repr(DownloadedPicture(body=BODY, etag=None)) == "DownloadedPicture(etag=None)"
