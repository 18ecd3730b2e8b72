"""Which URLs a picture may be fetched from: the rules on the text of an address, as pure functions.

What belongs here: the shape of a URL, the host rules, trusted origins.
What does not: what a host name resolves to (``ip_rules.py``, ``connections.py``), and asking for it
(``downloader.py``).

An address is taken apart once, strictly, and what is requested is put together from the checked parts, so that no
second parser can read another host out of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urljoin

MAX_WEB_ADDRESS_LENGTH = 8_192

_VISIBLE_ASCII = re.compile(r"[!-\[\]-~]+")  # without the backslash, which some parsers read as a slash
_WEB_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE,
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
# Whatever ends in a number is read as an IPv4 address by some resolver: 127.1, 0177.0.0.1, 0x7f000001, 2130706433.
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


class RefusedWebAddressError(ValueError):
    """A URL breaks a rule. The text says which, and at most the host: a path or a query may be a bearer secret."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a URL points: scheme and host in lower case, the port always filled in."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write it as in a URL, without the default port."""
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


@dataclass(frozen=True, kw_only=True)
class CheckedAddress:
    """A URL that broke no rule, in the parts that are requested.

    Attributes:
        origin: What is dialled.
        target: Path and query, exactly as they came: changing a signed part kills the URL.
        is_trusted: The origin is a trusted one, and its network address is not judged.
    """

    origin: Origin
    target: str = field(repr=False)
    is_trusted: bool

    @property
    def url(self) -> str:
        """The whole address. It is a bearer secret."""
        return f"{self.origin}{self.target}"


def check_web_address(url: str, *, hosts: Sequence[str], trusted_origins: frozenset[str]) -> CheckedAddress:
    """Judge a URL by every rule that its text can break.

    Args:
        url: Absolute, as the platform or a redirect gave it.
        hosts: Where the platform keeps pictures: exact host names, or dotted suffixes such as ``.cdninstagram.com``,
            which stand for every host below but not for ``cdninstagram.com`` itself.
        trusted_origins: Exact origins, freed from the rules on scheme, host and port and from no other.

    Raises:
        RefusedWebAddressError: naming the rule.
        ValueError: an entry of ``hosts`` or ``trusted_origins`` cannot be used.
    """
    origin, target = _take_apart(url)
    if any(origin == parse_origin(trusted) for trusted in trusted_origins):
        return CheckedAddress(origin=origin, target=target, is_trusted=True)
    if origin.scheme != "https":
        raise RefusedWebAddressError("the address is not https")
    if origin.host.startswith("[") or _ENDS_IN_A_NUMBER.fullmatch(origin.host):
        raise RefusedWebAddressError("the address names an IP address, not a host")
    if origin.port != _DEFAULT_PORTS["https"]:
        raise RefusedWebAddressError(f"the address asks {origin.host} for port {origin.port}, not 443")
    if not any(_is_named_by(entry, origin.host) for entry in hosts):
        raise RefusedWebAddressError(f"{origin.host} is none of the platform's own hosts")
    return CheckedAddress(origin=origin, target=target, is_trusted=False)


def resolve_redirect(location: str, *, base: CheckedAddress) -> str:
    """Turn a Location, absolute or relative, into an absolute URL that is yet to be judged.

    Raises:
        RefusedWebAddressError: it holds characters that no web address has.
    """
    _check_characters(location)
    try:
        return urljoin(base.url, location)
    except ValueError:
        refusal = RefusedWebAddressError("the redirect's address cannot be read")
    raise refusal


@lru_cache(maxsize=64)
def parse_origin(text: str) -> Origin:
    """Read an exact origin such as ``http://127.0.0.1:9999``.

    Raises:
        ValueError: it is none.
    """
    try:
        origin, _ = _take_apart(text)
    except RefusedWebAddressError as refusal:
        raise ValueError(f"{text!r} is not an exact origin: {refusal}") from None
    if re.search(r"[/?#]", text.partition("://")[2]) or origin.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{text!r} is not an exact origin; write it like http://127.0.0.1:9999")
    return origin


def _take_apart(url: str) -> tuple[Origin, str]:
    _check_characters(url)
    parts = _WEB_ADDRESS.fullmatch(url)
    if parts is None:
        raise RefusedWebAddressError("the address is not of the form https://host/path")
    authority = parts["authority"]
    if "@" in authority:
        raise RefusedWebAddressError("the address holds a user name or password")
    host_and_port = _AUTHORITY.fullmatch(authority)
    if host_and_port is None:
        raise RefusedWebAddressError("the address has no readable host and port")
    scheme = parts["scheme"].lower()
    host = host_and_port["host"].lower().removesuffix(".")
    if not host.startswith("[") and not _HOST_NAME.fullmatch(host):
        raise RefusedWebAddressError("the address's host is not a plain ASCII host name")
    port = int(host_and_port["port"]) if host_and_port["port"] else _DEFAULT_PORTS.get(scheme, 0)
    if port > _LAST_PORT:
        raise RefusedWebAddressError("the address's port is not a number up to 65535")
    return Origin(scheme=scheme, host=host, port=port), (parts["path"] or "/") + (parts["query"] or "")


def _check_characters(text: str) -> None:
    if len(text) > MAX_WEB_ADDRESS_LENGTH:
        raise RefusedWebAddressError(f"the address is longer than {MAX_WEB_ADDRESS_LENGTH} characters")
    if not _VISIBLE_ASCII.fullmatch(text):
        raise RefusedWebAddressError("the address holds a space, a backslash, or a control or non-ASCII character")


def _is_named_by(entry: str, host: str) -> bool:
    wanted = entry.lower().removesuffix(".")
    if not _HOST_NAME.fullmatch(wanted.removeprefix(".")):
        raise ValueError(f"{entry!r} is neither a host name nor a dotted suffix")
    return host.endswith(wanted) if wanted.startswith(".") else host == wanted
