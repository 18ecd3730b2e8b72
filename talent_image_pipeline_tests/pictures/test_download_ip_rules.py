"""Attack: a host name of the platform that stands for an address inside: loopback, metadata services, tunnels."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.pictures.download.ip_rules import is_global_unicast

IPV4 = st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address)))
IPV6 = st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address)))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 -- refused, not bound
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "2600::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_one_machine_on_the_public_internet_is_refused(address: str) -> None:
    assert not is_global_unicast(address)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:10.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "::8.8.8.8",
        "2002:7f00:1::",
        "2002:808:808::1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2001:0:808:808:0:0:80ff:fffe",
        "2600::5efe:10.0.0.1",
        "2600::200:5efe:127.0.0.1",
    ],
)
def test_an_inner_address_wrapped_into_ipv6_is_refused(address: str) -> None:
    assert not is_global_unicast(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "157.240.22.63", "2a03:2880:f22d:c5:face:b00c:0:43fe", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_an_address_on_the_public_internet_is_accepted(address: str) -> None:
    assert is_global_unicast(address)


@pytest.mark.parametrize(
    "spelling",
    ["", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "8.8", "010.8.8.8", "[::1]", "localhost", "8.8.8.8 "],
)
def test_an_unusual_spelling_of_an_address_is_refused(spelling: str) -> None:
    assert not is_global_unicast(spelling)


@given(IPV4)
def test_no_ipv4_address_is_accepted_that_the_registry_does_not_call_global(address: IPv4Address) -> None:
    if is_global_unicast(address):
        assert address.is_global
        assert not address.is_multicast


@given(IPV6)
def test_no_ipv6_address_is_accepted_that_the_registry_does_not_call_global(address: IPv6Address) -> None:
    if is_global_unicast(address):
        assert address.is_global or address.ipv4_mapped is not None
        assert not address.is_multicast


@given(IPV4)
def test_wrapping_an_ipv4_address_never_makes_it_acceptable(address: IPv4Address) -> None:
    number = int(address)
    judgement = is_global_unicast(address)
    assert is_global_unicast(IPv6Address((0xFFFF << 32) | number)) == judgement
    assert is_global_unicast(IPv6Address((0x0064FF9B << 96) | number)) == judgement
    assert not is_global_unicast(IPv6Address(number))
    assert not is_global_unicast(IPv6Address((0x2002 << 112) | (number << 80)))
    assert not is_global_unicast(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)))
    assert not is_global_unicast(IPv6Address((0x0064FF9B0001 << 80) | number))


@given(address=IPV4, prefix=st.integers(min_value=0x2600 << 48, max_value=(0x2601 << 48) - 1), mark=st.booleans())
def test_an_isatap_address_is_judged_by_what_is_inside(address: IPv4Address, prefix: int, *, mark: bool) -> None:
    interface = ((0x02005EFE if mark else 0x5EFE) << 32) | int(address)
    assert is_global_unicast(IPv6Address((prefix << 64) | interface)) == is_global_unicast(address)
