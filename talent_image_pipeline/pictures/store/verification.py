"""Keeping the picture store sound: which pictures may go, and which are damaged.

What belongs here: the decision what is garbage, and the check of what is stored.
What does not: what refers to a picture (``database/``), and asking for it from the command line.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from io import BytesIO
from itertools import islice

from PIL import Image

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.keys import LARGEST_SIZE
from talent_image_pipeline.pictures.store.picture_store import PictureStore, StoredPicture

_PICTURES_AT_ONCE = 16
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


def find_garbage(
    stored: Iterable[StoredPicture], referenced: Set[str], *, older_than: datetime
) -> Iterator[StoredPicture]:
    """Yield the pictures that nothing refers to and that were last written before a time, also incomplete ones.

    Args:
        stored: What the store holds, listed before ``referenced`` was read.
        referenced: Every content hash that a ledger row, a version or a pin names.
        older_than: Now less the grace period: a sync stores a picture first and refers to it moments later.
    """
    return (
        picture for picture in stored if picture.content_hash not in referenced and picture.last_modified < older_than
    )


async def verify_pictures(
    store: PictureStore, content_hashes: Iterable[str], *, on_progress: Callable[[int], None] | None = None
) -> list[Damage]:
    """Read every rendition of every picture again and report what is not as it was stored.

    The largest rendition is hashed; the smaller ones, whose hashes are not known, must be whole WebP files of a fitting
    size.

    Args:
        store: Where the pictures are.
        content_hashes: The pictures to check.
        on_progress: Called now and then with the number of pictures checked so far.

    Returns:
        The damage, ordered by content hash and size; empty when all is sound.

    Raises:
        PictureStoreUnavailableError: when the store is not there or cannot be read: no damage to any picture.
    """
    await store.check_reachable()
    remaining = iter(content_hashes)
    found: list[Damage] = []
    checked = 0
    while batch := list(islice(remaining, _PICTURES_AT_ONCE)):
        for damages in await asyncio.gather(*(_check_picture(store, content_hash) for content_hash in batch)):
            found.extend(damages)
        checked += len(batch)
        if on_progress is not None:
            on_progress(checked)
    return sorted(found, key=lambda damage: (damage.content_hash, damage.size))


def find_damage(content_hash: str, size: int, content: bytes | None) -> Damage | None:
    """Return what is wrong with the stored bytes of one rendition, or none when it is sound.

    Args:
        content_hash: The picture.
        size: Side of the rendition, in pixels; a small source makes a smaller one stand in for it.
        content: What the store returned; none when it is not there.
    """
    kind, message = _examine(content_hash, size, content)
    if kind is None:
        return None
    return Damage(content_hash=content_hash, size=size, kind=kind, message=f"the {size} px rendition {message}")


async def _check_picture(store: PictureStore, content_hash: str) -> list[Damage]:
    results = [find_damage(content_hash, size, await store.get(content_hash, size)) for size in RENDITION_SIZES]
    return [damage for damage in results if damage is not None]


def _examine(content_hash: str, size: int, content: bytes | None) -> tuple[DamageKind | None, str]:
    if content is None:
        return DamageKind.MISSING, "is not there"
    if len(content) < _RIFF_HEADER.size:
        return DamageKind.TORN, f"has only {len(content)} bytes"
    riff, length, webp = _RIFF_HEADER.unpack_from(content)
    if riff != b"RIFF" or webp != b"WEBP":
        return DamageKind.DAMAGED, "is not a WebP file"
    # https://developers.google.com/speed/webp/docs/riff_container: the length counts all but the first 8 bytes.
    if length + 8 > len(content):
        return DamageKind.TORN, f"has {len(content)} bytes of {length + 8}"
    if size == LARGEST_SIZE:
        is_sound = sha256(content).hexdigest() == content_hash
        return (None, "") if is_sound else (DamageKind.DAMAGED, "has other bytes than were stored")
    return _examine_dimensions(size, content)


def _examine_dimensions(size: int, content: bytes) -> tuple[DamageKind | None, str]:
    try:
        with Image.open(BytesIO(content), formats=("WEBP",)) as picture:
            width, height = picture.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return DamageKind.DAMAGED, "cannot be opened"
    if width != height or width > size:
        return DamageKind.DAMAGED, f"is {width} x {height} px"
    return None, ""
