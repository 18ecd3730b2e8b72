"""Which network addresses a picture may be fetched from: global unicast ones, and nothing that leads inside.

What belongs here: the judgement of one IP address.
What does not: host names and URLs (``url_rules.py``), resolving and dialling (``connections.py``).

The blocks follow the IANA special-purpose address registries (RFC 6890 and its updates). They are spelled out because
``ipaddress.is_global`` differs between Python releases and accepts tunnels into IPv4.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_REFUSED_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network; Linux dials 0.0.0.0 as the loopback
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers, and a cloud's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, inside every virtual machine
        "169.254.0.0/16",  # link-local, and most clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)

_GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo (IPv4 inside), benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 (IPv4 inside)
        "3fff::/20",  # documentation
    )
)
# The one translation prefix that public DNS64 resolvers answer with (RFC 6052). 64:ff9b:1::/48 is for local use
# (RFC 8215) and lies, like the IPv4-compatible ::/96, outside of global unicast.
_NAT64 = IPv6Network("64:ff9b::/96")
# The third quarter of an ISATAP address, with and without the bit that says "globally unique" (RFC 5214).
_ISATAP_MARKS = frozenset({0x00005EFE, 0x02005EFE})


class RefusedAddressError(OSError):
    """A host name stands for an address that is not global unicast. The text names the host, no URL."""


def is_global_unicast(address: str | IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to one machine on the public internet.

    IPv4 addresses inside IPv6 ones are unwrapped and judged: mapped, NAT64 and ISATAP. The forms that no public host
    answers with are refused whatever is inside: compatible, 6to4, Teredo and local-use NAT64.

    Args:
        address: In the canonical text form, or parsed. Any other spelling is refused, and so is a scoped address.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in block for block in _REFUSED_IPV4)
    if parsed.scope_id is not None:
        return False
    if parsed.ipv4_mapped is not None:
        return is_global_unicast(parsed.ipv4_mapped)
    lowest_quarter = IPv4Address(int(parsed) & 0xFFFFFFFF)
    if parsed in _NAT64:
        return is_global_unicast(lowest_quarter)
    if parsed not in _GLOBAL_UNICAST_IPV6 or any(parsed in block for block in _REFUSED_IPV6):
        return False
    is_isatap = (int(parsed) >> 32) & 0xFFFFFFFF in _ISATAP_MARKS
    return is_global_unicast(lowest_quarter) if is_isatap else True
