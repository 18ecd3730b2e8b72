"""Attack: the platform's own host is harmless, and what it redirects to is not."""

import pytest

from talent_image_pipeline.pictures.download.downloader import (
    DownloadedPicture,
    PictureRefused,
    PictureUnavailable,
)
from talent_image_pipeline_tests.pictures.loopback import (
    BODY,
    SECRET,
    LoopbackServer,
    ScriptedResolver,
    Victim,
    answer,
    fetch,
    fetch_from,
    raw_answer,
    redirect,
)

HOSTS = (".cdninstagram.com",)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirect_within_the_platform_is_followed(status: str) -> None:
    with LoopbackServer({"/a": redirect("/b?x=%2b", status=status), "/b": answer()}) as cdn:
        picture = fetch_from(cdn, "/a")
    assert isinstance(picture, DownloadedPicture)
    assert picture.body == BODY
    assert cdn.requests[1].startswith("GET /b?x=%2b HTTP/1.1")


def test_relative_addresses_are_resolved_against_the_hop_before() -> None:
    answers = {"/v/a": redirect("../w/b"), "/w/b": redirect("c"), "/w/c": redirect("?d"), "/w/c?d": answer()}
    with LoopbackServer({**answers, "/w/c": redirect("/last"), "/last": answer()}) as cdn:
        assert isinstance(fetch_from(cdn, "/v/a"), DownloadedPicture)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "https://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "//localhost:{port}/",
    ],
)
def test_a_redirect_to_the_loopback_is_refused(address: str) -> None:
    with Victim() as victim, LoopbackServer(redirect(address.format(port=victim.port))) as cdn:
        with pytest.raises(PictureRefused):
            fetch_from(cdn, hosts=HOSTS)
        assert not victim.was_reached


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "https://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://10.0.0.1/",
        "https://metadata.google.internal/",
        "https://evil.example/?cdninstagram.com",
        "https://cdninstagram.com.evil.example/",
        "https://evilcdninstagram.com/",
        "https://x.cdninstagram.com@evil.example/",
        "https://user:password@x.cdninstagram.com/",
        "https://x.cdninstagram.com:8443/",
        "http://x.cdninstagram.com/",
        "https://evil.example\\.cdninstagram.com/",
        "https://x.cdninstagram.com\\@evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "//evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "",
        "https://[/",
        "https://x.cdninstagram.com/\xe9",
    ],
)
def test_a_redirect_is_judged_by_every_rule(address: str) -> None:
    resolver = ScriptedResolver(["127.0.0.1"])
    with LoopbackServer({"/a": redirect(address)}) as cdn:
        with pytest.raises((PictureRefused, PictureUnavailable)) as failure:
            fetch(f"{cdn.origin}/a", trusted=[cdn.origin], hosts=HOSTS, resolver=resolver)
        assert failure.type is PictureRefused or address == ""
    assert len(cdn.requests) == 1
    assert resolver.lookups == []


def test_a_redirect_from_a_trusted_origin_to_a_private_address_behind_the_platforms_name_is_refused() -> None:
    with Victim() as victim, LoopbackServer(redirect("https://x.cdninstagram.com/a")) as cdn:
        resolver = ScriptedResolver(["127.0.0.1"], port=victim.port)
        with pytest.raises(PictureRefused, match="public internet"):
            fetch(f"{cdn.origin}/a", trusted=[cdn.origin], hosts=HOSTS, resolver=resolver)
        assert resolver.lookups == ["x.cdninstagram.com"]
        assert not victim.was_reached


def test_three_redirects_are_followed_and_a_fourth_is_refused() -> None:
    answers = {"/1": redirect("/2"), "/2": redirect("/3"), "/3": redirect("/4"), "/4": answer(), "/0": redirect("/1")}
    with LoopbackServer(answers) as cdn:
        assert isinstance(fetch_from(cdn, "/1"), DownloadedPicture)
        with pytest.raises(PictureRefused, match="redirect too many"):
            fetch_from(cdn, "/0")


def test_a_redirect_loop_ends_after_three_redirects() -> None:
    with LoopbackServer({"/a": redirect("/b"), "/b": redirect("/a")}) as cdn, pytest.raises(PictureRefused):
        fetch_from(cdn, "/a")
    assert len(cdn.requests) == 4


def test_a_redirect_without_an_address_is_no_picture() -> None:
    with LoopbackServer(answer(status="302 Found")) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn)


def test_a_redirect_with_two_addresses_is_no_picture() -> None:
    both = answer("Location: /a", "Location: /b", status="302 Found")
    with LoopbackServer(both) as cdn, pytest.raises(PictureUnavailable):
        fetch_from(cdn)
    assert len(cdn.requests) == 1


def test_the_body_of_a_redirect_is_not_read() -> None:
    endless = raw_answer("HTTP/1.1 302 Found", "Location: /b", f"Content-Length: {5 * 1024**3}")
    with LoopbackServer({"/a": endless, "/b": answer()}) as cdn:
        assert isinstance(fetch_from(cdn, "/a"), DownloadedPicture)
    assert cdn.connections == 2


def test_a_refused_redirect_tells_nothing_of_the_address() -> None:
    with (
        LoopbackServer(redirect(f"https://evil.example/{SECRET}?{SECRET}")) as cdn,
        pytest.raises(PictureRefused) as refusal,
    ):
        fetch_from(cdn, f"/{SECRET}")
    assert SECRET not in repr(refusal.value)
    assert refusal.value.__context__ is None
