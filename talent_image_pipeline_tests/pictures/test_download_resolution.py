"""Attack: the platform's name resolves to somewhere inside, at once, in between, or only when it is dialled."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from talent_image_pipeline.pictures.download.connections import open_checked_socket
from talent_image_pipeline.pictures.download.downloader import DownloadLimits, PictureRefused, PictureUnavailable
from talent_image_pipeline.pictures.download.ip_rules import RefusedAddressError
from talent_image_pipeline_tests.pictures.loopback import LoopbackServer, ScriptedResolver, Victim, answer, fetch

HOSTS = (".cdninstagram.com",)
URL = "https://x.cdninstagram.com/a.jpg"
# Global unicast by its number, given to nobody: what is dialled there goes nowhere.
NOWHERE = "3000::1"
QUICK = DownloadLimits(deadline_seconds=5, connect_seconds=0.2)

_watchers: list[list[tuple[str, Any]]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo"}:
        for events in _watchers:
            events.append((event, arguments[1][0] if event == "socket.connect" else arguments[0]))


sys.addaudithook(_watch)


@contextmanager
def network_calls() -> Iterator[list[tuple[str, Any]]]:
    """Record what the interpreter itself says is dialled and resolved, whichever library does it."""
    events: list[tuple[str, Any]] = []
    _watchers.append(events)
    try:
        yield events
    finally:
        _watchers.remove(events)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.1.2.3", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.0.0.1", "169.254.169.254", "fe80::1%1"],
)
def test_a_name_of_the_platform_that_stands_for_an_inner_address_is_refused(address: str) -> None:
    with Victim() as victim, network_calls() as calls:
        with pytest.raises(PictureRefused, match=r"x\.cdninstagram\.com .* public internet"):
            fetch(URL, hosts=HOSTS, resolver=ScriptedResolver([address], port=victim.port))
        assert not victim.was_reached
    assert calls == []


@pytest.mark.parametrize("addresses", [["127.0.0.1", NOWHERE], [NOWHERE, "127.0.0.1"], [NOWHERE, "::1", NOWHERE]])
def test_one_inner_address_among_public_ones_refuses_the_host(addresses: list[str]) -> None:
    with Victim() as victim, network_calls() as calls:
        with pytest.raises(PictureRefused):
            fetch(URL, hosts=HOSTS, resolver=ScriptedResolver(addresses, port=victim.port))
        assert not victim.was_reached
    assert calls == []


def test_a_rebinding_name_is_resolved_once_and_what_was_checked_is_dialled() -> None:
    with Victim() as victim, network_calls() as calls:
        resolver = ScriptedResolver([NOWHERE], ["127.0.0.1"], port=victim.port)
        with pytest.raises(PictureUnavailable):
            fetch(URL, hosts=HOSTS, resolver=resolver, limits=QUICK)
        assert resolver.lookups == ["x.cdninstagram.com"]
        assert set(calls) <= {("socket.connect", NOWHERE)}
        assert not victim.was_reached


def test_a_rebinding_name_is_refused_once_it_stands_for_an_inner_address() -> None:
    with Victim() as victim:
        resolver = ScriptedResolver([NOWHERE], ["127.0.0.1"], port=victim.port)
        with pytest.raises(PictureUnavailable):
            fetch(URL, hosts=HOSTS, resolver=resolver, limits=QUICK)
        with pytest.raises(PictureRefused):
            fetch(URL, hosts=HOSTS, resolver=resolver, limits=QUICK)
        assert not victim.was_reached


def test_the_systems_own_resolver_is_judged_like_any_other() -> None:
    with network_calls() as calls, pytest.raises(PictureRefused):
        fetch("https://localhost/a.jpg", hosts=("localhost",))
    assert [event for event, _ in calls] == ["socket.getaddrinfo"]


def test_a_trusted_origin_does_not_free_another_port_of_its_host() -> None:
    with Victim() as victim, LoopbackServer(answer()) as sandbox, pytest.raises(PictureRefused):
        fetch(f"http://127.0.0.1:{victim.port}/", trusted=[sandbox.origin], hosts=("127.0.0.1", "localhost"))


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "169.254.169.254"), (socket.AF_INET6, "::1")],
)
def test_the_socket_itself_is_refused_for_an_inner_address(family: socket.AddressFamily, address: str) -> None:
    with pytest.raises(RefusedAddressError):
        open_checked_socket((family, socket.SOCK_STREAM, 0, "", (address, 443)))


def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    class Silent(ScriptedResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(PictureUnavailable, match="does not resolve") as failure:
        fetch(URL, hosts=HOSTS, resolver=Silent())
    assert failure.value.is_retryable
