"""Keeping the picture store sound: which pictures may go, and which are damaged.

What belongs here: the decision what is garbage, and the check of what is stored.
What does not: what refers to a picture (``database/``), and asking for it from the command line.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Set
from datetime import datetime
from itertools import islice

from talent_image_pipeline.pictures.store.damage import Damage
from talent_image_pipeline.pictures.store.picture_store import PictureStore, StoredPicture

_PICTURES_AT_ONCE = 16


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

    Each rendition must have its own checksum. A sound picture from before checksums were kept gets them here: from
    then on, a bit that changes in any of its renditions is found.

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
        for damages in await asyncio.gather(*(store.check(content_hash) for content_hash in batch)):
            found.extend(damages)
        checked += len(batch)
        if on_progress is not None:
            on_progress(checked)
    return sorted(found, key=lambda damage: (damage.content_hash, damage.size))
