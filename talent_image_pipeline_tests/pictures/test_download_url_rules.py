"""Attack: a URL that looks like the platform's own and leads elsewhere."""

from urllib.parse import urlsplit

import httpx
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.pictures.download.downloader import PictureRefused
from talent_image_pipeline.pictures.download.url_rules import (
    CheckedAddress,
    RefusedWebAddressError,
    check_web_address,
)
from talent_image_pipeline_tests.pictures.loopback import SECRET, ScriptedResolver, Victim, fetch

HOSTS = (".cdninstagram.com", ".fbcdn.net", "yt3.ggpht.com")
NOBODY: frozenset[str] = frozenset()


def check(url: str, *, trusted: frozenset[str] = NOBODY) -> CheckedAddress:
    return check_web_address(url, hosts=HOSTS, trusted_origins=trusted)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://scontent-iad3-1.cdninstagram.com/v/a.jpg?oe=1&oh=2", "scontent-iad3-1.cdninstagram.com"),
        ("https://instagram.fxyz1-1.fna.fbcdn.net/v/a.jpg", "instagram.fxyz1-1.fna.fbcdn.net"),
        ("https://yt3.ggpht.com/ytc/abc=s800-c-k-c0x00ffffff-no-rj", "yt3.ggpht.com"),
        ("HTTPS://YT3.GGPHT.COM/a", "yt3.ggpht.com"),
        ("https://yt3.ggpht.com./a", "yt3.ggpht.com"),
        ("https://yt3.ggpht.com:443/a", "yt3.ggpht.com"),
        ("https://yt3.ggpht.com", "yt3.ggpht.com"),
        ("https://yt3.ggpht.com?a", "yt3.ggpht.com"),
        ("https://xn--bcher-kva.cdninstagram.com/a", "xn--bcher-kva.cdninstagram.com"),
    ],
)
def test_the_platforms_own_hosts_are_accepted_in_any_normal_spelling(url: str, host: str) -> None:
    assert check(url).origin.host == host


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?cdninstagram.com",
        "https://evil.example/#.cdninstagram.com",
        "https://evil.example/.cdninstagram.com",
        "https://cdninstagram.com.evil.example/",
        "https://x.cdninstagram.com.evil.example/",
        "https://evilcdninstagram.com/",
        "https://x.evilcdninstagram.com/",
        "https://cdninstagram.com/",
        "https://xcdninstagramZcom/",
        "https://sub.yt3.ggpht.com/",
        "https://ggpht.com/",
        "https://localhost/",
        "https://127-0-0-1.sslip.io/",
    ],
)
def test_a_host_that_only_resembles_the_platforms_is_refused(url: str) -> None:
    with pytest.raises(RefusedWebAddressError, match="own hosts"):
        check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://yt3.ggpht.com@evil.example/",
        "https://user:password@yt3.ggpht.com/",
        "https://@yt3.ggpht.com/",
        "https://:@yt3.ggpht.com/",
        "https://evil.example:443@yt3.ggpht.com:443/",
    ],
)
def test_user_names_and_passwords_are_refused(url: str) -> None:
    with pytest.raises(RefusedWebAddressError, match="user name"):
        check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://yt3.ggpht.com\\@evil.example/",
        "https://evil.example\\.cdninstagram.com/",
        "https:\\\\yt3.ggpht.com/",
        "https://yt3.ggpht.com/a b",
        " https://yt3.ggpht.com/",
        "https://yt3.ggpht.com/\n",
        "https://evil.example\t.cdninstagram.com/",
        "https://yt3.ggpht.com/a\r\nHost: evil.example",
        "https://yt3.ggpht.com\x00.evil.example/",
        "https://yt3.ggpht.com/\x7f",
        "https://evil.example\u2044x.cdninstagram.com/",
        "https://evil.example\uff0fx.cdninstagram.com/",
        "https://yt3\u3002ggpht\u3002com/",
        "https://\uff59t3.ggpht.com/",
        "https://\u212a.cdninstagram.com/",
        "https://yt3.ggpht.com/\u202egpj.exe",
    ],
)
def test_backslashes_whitespace_and_characters_beyond_ascii_are_refused(url: str) -> None:
    with pytest.raises(RefusedWebAddressError, match="space, a backslash"):
        check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https:",
        "https://",
        "https:///v/a.jpg",
        "//yt3.ggpht.com/a",
        "/v/a.jpg",
        "yt3.ggpht.com/a",
        "https:yt3.ggpht.com/a",
        "https:/yt3.ggpht.com/a",
        "https://yt3.ggpht.com:/",
        "https://yt3.ggpht.com:443:443/",
        "https://yt3.ggpht.com:+443/",
        "https://yt3.ggpht.com:0x1bb/",
        "https://yt3.ggpht.com:999999/",
        "https://yt3.ggpht.com../",
        "https://.cdninstagram.com/",
        "https://..cdninstagram.com/",
        "https://-a.cdninstagram.com/",
        "https://a_b.cdninstagram.com/",
        "https://%78.cdninstagram.com/",
        "https://evil.example%40yt3.ggpht.com/",
        "https://*.cdninstagram.com/",
        "https://a,b.cdninstagram.com/",
        "https://" + "a" * 64 + ".cdninstagram.com/",
        "https://" + "a." * 130 + "cdninstagram.com/",
        "https://yt3.ggpht.com/" + "a" * 9_000,
    ],
)
def test_a_misshapen_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedWebAddressError):
        check(url)


@pytest.mark.parametrize("scheme", ["http", "ftp", "file", "gopher", "data", "ws", "httpss", "javascript"])
def test_every_scheme_but_https_is_refused(scheme: str) -> None:
    with pytest.raises(RefusedWebAddressError, match="not https"):
        check(f"{scheme}://yt3.ggpht.com/a")


@pytest.mark.parametrize("port", [0, 22, 80, 4430, 8443, 65_535])
def test_every_port_but_443_is_refused(port: int) -> None:
    with pytest.raises(RefusedWebAddressError, match="port"):
        check(f"https://yt3.ggpht.com:{port}/a")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.0x1",
        "127.0.0.1.",
        "0",
        "0x",
        "8.8.8.8",
        "yt3.ggpht.com.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2a03:2880:f22d:c5:face:b00c:0:43fe]",
    ],
)
def test_an_ip_address_in_any_spelling_is_refused_even_when_it_is_listed_as_a_host(host: str) -> None:
    hosts = HOSTS if host.startswith("[") else (*HOSTS, host)
    with pytest.raises(RefusedWebAddressError, match="IP address"):
        check_web_address(f"https://{host}/a", hosts=hosts, trusted_origins=NOBODY)


@pytest.mark.parametrize(
    "url", ["https://[::1%25lo]/", "https://[v1.x]/", "https://[::1]x/", "https://x[::1]/", "https://[]/"]
)
def test_a_broken_bracketed_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedWebAddressError):
        check(url)


@pytest.mark.parametrize("entry", ["", ".", "..", "*", "*.cdninstagram.com", "https://yt3.ggpht.com", "a/b"])
def test_a_host_entry_that_could_let_in_too_much_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a host name nor a dotted suffix"):
        check_web_address("https://yt3.ggpht.com/a", hosts=(entry,), trusted_origins=NOBODY)


def test_without_listed_hosts_everything_is_refused() -> None:
    with pytest.raises(RefusedWebAddressError):
        check_web_address("https://yt3.ggpht.com/a", hosts=(), trusted_origins=NOBODY)


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("http://127.0.0.1:9999", "http://127.0.0.1:9999/a"),
        ("http://[::1]:9999", "http://[::1]:9999/a"),
        ("https://localhost:8443", "https://LOCALHOST:8443/a"),
        ("http://sandbox", "http://sandbox:80/a"),
        ("http://sandbox:80", "http://sandbox/a"),
    ],
)
def test_a_trusted_origin_is_freed_from_the_rules_on_scheme_host_and_port(origin: str, url: str) -> None:
    assert check(url, trusted=frozenset({origin})).is_trusted


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:9999/a",
        "http://127.0.0.1:9998/a",
        "http://127.0.0.1/a",
        "http://127.1:9999/a",
        "http://2130706433:9999/a",
        "http://localhost:9999/a",
        "http://127.0.0.1:9999@evil.example/a",
        "http://user@127.0.0.1:9999/a",
        "http://127.0.0.1:9999\\a",
        "http://127.0.0.1:99990/a",
        "http://[::ffff:127.0.0.1]:9999/a",
    ],
)
def test_what_is_not_exactly_the_trusted_origin_is_judged_like_anything_else(url: str) -> None:
    with pytest.raises(RefusedWebAddressError):
        check(url, trusted=frozenset({"http://127.0.0.1:9999"}))


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:9999/", "http://a/b", "http://u@a", "127.0.0.1", "ftp://a", "http://a?b", "http://a#b"]
)
def test_a_trusted_origin_that_is_no_exact_origin_is_an_error(origin: str) -> None:
    with pytest.raises(ValueError, match="exact origin"):
        check("https://yt3.ggpht.com/a", trusted=frozenset({origin}))


def test_the_path_and_query_stay_as_they_came() -> None:
    target = "/v/t51.2885-19/a~tplv:100:100.jpg/../%7e%2F+;,='()!?x-signature=%2b%2F%3D&b=a/b?c&_nc_ohc=&d=e%"
    assert check(f"https://yt3.ggpht.com{target}#fragment").target == target


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example/{SECRET}?{SECRET}#{SECRET}",
        f"http://yt3.ggpht.com/{SECRET}?{SECRET}",
        f"https://yt3.ggpht.com:8443/{SECRET}",
        f"https://{SECRET}@yt3.ggpht.com/",
        f"https://127.0.0.1/{SECRET}",
        f"https://yt3.ggpht.com/{SECRET} ",
        f"{SECRET}",
    ],
)
def test_a_refusal_tells_nothing_of_the_path_and_query(url: str) -> None:
    with pytest.raises(RefusedWebAddressError) as refusal:
        check(url)
    assert SECRET not in repr(refusal.value)


def test_a_checked_address_does_not_show_its_path_and_query() -> None:
    assert SECRET not in repr(check(f"https://yt3.ggpht.com/{SECRET}"))


HOST_PIECES = st.sampled_from(
    [
        "yt3.ggpht.com",
        "x.cdninstagram.com",
        "cdninstagram.com",
        "evil.example",
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "fbcdn.net",
    ]
)
GLUE = st.sampled_from(
    [
        "",
        ".",
        "@",
        ":",
        "/",
        "\\",
        "?",
        "#",
        "%2f",
        "%40",
        "%00",
        ";",
        "\t",
        " ",
        ":443",
        ":80",
        "..",
        "//",
        "[",
        "]",
        "\u3002",
        "\uff0f",
    ]
)
NEARLY_RIGHT = st.builds(
    lambda scheme, pieces: scheme + "".join(first + second for first, second in pieces),
    st.sampled_from(["https://", "HTTPS://", "http://", "https:/", "https:", "//", "https:\\\\", "https:///", ""]),
    st.lists(st.tuples(GLUE | HOST_PIECES, HOST_PIECES | GLUE), max_size=5),
)


@given(NEARLY_RIGHT | st.text(max_size=60) | st.text(max_size=40).map(lambda tail: f"https://yt3.ggpht.com{tail}"))
def test_whatever_is_accepted_is_read_by_every_parser_as_one_of_the_platforms_hosts(url: str) -> None:
    try:
        address = check(url)
    except RefusedWebAddressError:
        return
    host = address.origin.host
    assert host == "yt3.ggpht.com" or host.endswith((".cdninstagram.com", ".fbcdn.net"))
    assert (address.origin.scheme, address.origin.port) == ("https", 443)
    for text in (url, address.url):
        readings = {urlsplit(text).hostname, yarl.URL(text).host, httpx.URL(text).host}
        assert {(reading or "").removesuffix(".") for reading in readings} == {host}


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?cdninstagram.com",
        "https://cdninstagram.com.evil.example/",
        "https://evilcdninstagram.com/",
        "https://yt3.ggpht.com@evil.example/",
        "https://127.0.0.1/",
        "http://yt3.ggpht.com/",
    ],
)
def test_a_refused_url_is_neither_resolved_nor_dialled(url: str) -> None:
    with Victim() as victim:
        resolver = ScriptedResolver(["127.0.0.1"], port=victim.port)
        with pytest.raises(PictureRefused):
            fetch(url, hosts=HOSTS, resolver=resolver)
        assert resolver.lookups == []
        assert not victim.was_reached
