"""Tells whether the stored bytes of a rendition are still those that were stored.

What belongs here: the judgment of one rendition, as a pure function of its bytes and its checksum.
What does not: reading the store (``picture_store.py``) and going through all of it (``verification.py``).
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

from talent_image_pipeline.pictures.store.checksums import checksum_of
from talent_image_pipeline.pictures.store.keys import LARGEST_SIZE

_RIFF_HEADER = struct.Struct("<4sI4s")


class DamageKind(StrEnum):
    """How a stored rendition can be unfit to be served."""

    MISSING = "missing"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One rendition that is not as it was stored.

    Attributes:
        content_hash: The picture.
        size: Side of the rendition, in pixels.
        kind: Missing, cut short, or other bytes than were stored.
        message: One sentence for a person.
    """

    content_hash: str
    size: int
    kind: DamageKind
    message: str


class DamagedRenditionError(Exception):
    """A stored rendition must not be served; ``damage`` says what is wrong with it."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(damage.message)
        self.damage = damage


def find_damage(content_hash: str, size: int, content: bytes | None, *, checksum: str | None = None) -> Damage | None:
    """Return what is wrong with the stored bytes of one rendition, or none when it is sound.

    Args:
        content_hash: The picture. It is the checksum of the largest rendition.
        size: Side of the rendition, in pixels; a small source makes a smaller one stand in for it.
        content: What the store returned; none when it is not there.
        checksum: SHA-256 of the rendition, in hex. Pictures that were stored before checksums were have none: of their
            smaller renditions only the outline can be judged, a whole WebP file of a fitting size.
    """
    expected = content_hash if size == LARGEST_SIZE else checksum
    kind, message = _examine(size, content, expected)
    if kind is None:
        return None
    return Damage(content_hash=content_hash, size=size, kind=kind, message=f"the {size} px rendition {message}")


def _examine(size: int, content: bytes | None, checksum: str | None) -> tuple[DamageKind | None, str]:
    if content is None:
        return DamageKind.MISSING, "is not there"
    if checksum is not None and checksum_of(content) == checksum:
        return None, ""
    if len(content) < _RIFF_HEADER.size:
        return DamageKind.TORN, f"has only {len(content)} bytes"
    riff, length, webp = _RIFF_HEADER.unpack_from(content)
    if riff != b"RIFF" or webp != b"WEBP":
        return DamageKind.DAMAGED, "is not a WebP file"
    # https://developers.google.com/speed/webp/docs/riff_container: the length counts all but the first 8 bytes.
    if length + 8 > len(content):
        return DamageKind.TORN, f"has {len(content)} bytes of {length + 8}"
    if checksum is not None:
        return DamageKind.DAMAGED, "has other bytes than were stored"
    return _examine_dimensions(size, content)


def _examine_dimensions(size: int, content: bytes) -> tuple[DamageKind | None, str]:
    # Only pictures from before checksums get here; the process of a run never loads a decoder otherwise.
    from PIL import Image

    try:
        with Image.open(BytesIO(content), formats=("WEBP",)) as picture:
            width, height = picture.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return DamageKind.DAMAGED, "cannot be opened"
    if width != height or width > size:
        return DamageKind.DAMAGED, f"is {width} x {height} px"
    return None, ""
