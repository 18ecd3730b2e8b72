"""Pictures that were served lately, kept in memory ready to be sent: head and body, below a bound.

What belongs here: what is kept, for how long, and what goes when it is full.
What does not: reading a picture and making sure of its bytes (``picture_route.py``).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from talent_image_pipeline.service.safe_headers import SAFE_HEADERS

#: A picture that the clean-up removed is served for at most this much longer.
SECONDS_KEPT: Final = 60.0
FOR_EVER: Final = "public, max-age=31536000, immutable"
#: Beside its bytes: heads, keys, dictionaries.
_OVERHEAD: Final = 2048

Header = tuple[bytes, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPicture:
    """A picture whose bytes were found to be those of its address.

    Attributes:
        entity_tag: Strong, with its quotes.
        headers: Of an answer with the body, without ``Date``.
        head: The same as they go over the wire, from the line after ``Date`` to the empty line.
        not_modified_head: Of an answer without the body.
        until: When the store is asked again, on the clock of :class:`PictureMemory`.
    """

    body: bytes
    entity_tag: bytes
    headers: tuple[Header, ...]
    head: bytes
    not_modified_head: bytes
    until: float


class PictureMemory:
    """The pictures served lately, by the path of their address as it comes over the wire; for one event loop."""

    def __init__(self, *, limit_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit_bytes
        self._clock = clock
        self._kept: OrderedDict[bytes, KeptPicture] = OrderedDict()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """How much is kept now."""
        return self._bytes

    def find(self, path: bytes) -> KeptPicture | None:
        """Return the picture of an address, or none when it is not kept or was kept for long enough."""
        kept = self._kept.get(path)
        if kept is None or kept.until <= self._clock():
            return None
        self._kept.move_to_end(path)
        return kept

    def keep(self, path: bytes, body: bytes, *, entity_tag: str) -> KeptPicture:
        """Keep a picture, in place of those that were not asked for the longest; one larger than the bound is not."""
        kept = _prepare(body, entity_tag=entity_tag, until=self._clock() + SECONDS_KEPT)
        self._drop(path)
        if _cost(kept) <= self._limit:
            self._kept[path] = kept
            self._bytes += _cost(kept)
        while self._bytes > self._limit:
            self._drop(next(iter(self._kept)))
        return kept

    def _drop(self, path: bytes) -> None:
        dropped = self._kept.pop(path, None)
        if dropped is not None:
            self._bytes -= _cost(dropped)


def names_entity_tag(if_none_match: bytes, entity_tag: bytes) -> bool:
    """Whether ``If-None-Match`` holds a tag, compared weakly (RFC 9110, section 13.1.2)."""
    tags = (tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b","))
    return any(tag in (entity_tag, b"*") for tag in tags)


def _cost(kept: KeptPicture) -> int:
    return len(kept.body) + _OVERHEAD


def _prepare(body: bytes, *, entity_tag: str, until: float) -> KeptPicture:
    quoted = f'"{entity_tag}"'.encode()
    common = [(b"etag", quoted), (b"cache-control", FOR_EVER.encode())]
    common += [(name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()]
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"image/webp"), *common]
    return KeptPicture(
        body=body,
        entity_tag=quoted,
        headers=tuple(headers),
        head=_on_the_wire(headers),
        not_modified_head=_on_the_wire(common),
        until=until,
    )


def _on_the_wire(headers: list[Header]) -> bytes:
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n"
