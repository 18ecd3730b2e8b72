"""Attack: proxies, credentials and cookies that lie around in the process reach a picture's host, or see its URL."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from talent_image_pipeline.pictures.download.downloader import DownloadedPicture, PictureDownloader, PictureRefused
from talent_image_pipeline_tests.pictures.loopback import (
    LoopbackServer,
    ScriptedResolver,
    Victim,
    answer,
    fetch,
    fetch_from,
    redirect,
)

PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]


def test_proxies_from_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Victim() as proxy, LoopbackServer(answer()) as cdn:
        for variable in PROXY_VARIABLES:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(variable.lower(), f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert isinstance(fetch_from(cdn), DownloadedPicture)
        with pytest.raises(PictureRefused, match="public internet"):
            fetch("https://a.cdninstagram.com/", hosts=(".cdninstagram.com",), resolver=ScriptedResolver(["10.0.0.1"]))
        assert not proxy.was_reached


def test_credentials_from_a_netrc_file_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login operator password secret\ndefault login operator password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with LoopbackServer(answer()) as cdn:
        fetch_from(cdn)
    assert "authorization" not in cdn.requests[0].lower()


def test_cookies_are_neither_kept_nor_sent_on() -> None:
    answers = {"/a": redirect("/b"), "/b": answer("Set-Cookie: id=1; Path=/")}
    with LoopbackServer(answers) as cdn:

        async def run() -> None:
            async with PictureDownloader(trusted_origins=frozenset({cdn.origin})) as downloader:
                for path in ("/b", "/a", "/b"):
                    await downloader.download(SecretStr(cdn.origin + path), hosts=())

        asyncio.run(run())
    assert len(cdn.requests) == 4
    assert not any("cookie" in request.lower() for request in cdn.requests)


def test_a_request_says_nothing_about_where_the_url_came_from() -> None:
    with LoopbackServer({"/a": redirect("/b"), "/b": answer()}) as cdn:
        fetch_from(cdn, "/a")
    names = {line.partition(":")[0].lower() for request in cdn.requests for line in request.split("\r\n")[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding"}
