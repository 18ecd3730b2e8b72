"""Where a stored picture is: its content hash, the key of each rendition in the store, and its public address.

What belongs here: names and their validation, as pure functions.
What does not: reading and writing (``picture_store.py``), and making renditions.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES
from talent_image_pipeline.pictures.store.checksums import FILE_NAME

LARGEST_SIZE = RENDITION_SIZES[-1]
PROFILE_SIZE = 256

_CONTENT_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY = re.compile(r"(?P<content_hash>[0-9a-f]{64})/(?P<size>64|128|256|512)\.webp", re.ASCII)


def content_hash_of(renditions: Mapping[int, bytes]) -> str:
    """Return the SHA-256, in hex, of the largest rendition: the name that the picture is stored under.

    Args:
        renditions: Encoded bytes by side in pixels.
    """
    return sha256(renditions[LARGEST_SIZE]).hexdigest()


def is_content_hash(text: str) -> bool:
    """Whether the text is exactly 64 lower-case hexadecimal digits."""
    return _CONTENT_HASH.fullmatch(text) is not None


def rendition_key(content_hash: str, size: int) -> str:
    """Return the key of one rendition in the store, like ``<content hash>/256.webp``.

    Raises:
        ValueError: when the hash is not one, or the size is none of ours. Nothing else gets into a key, so no text
            from outside can name another object.
    """
    if not is_content_hash(content_hash):
        raise ValueError("a content hash has exactly 64 lower-case hexadecimal digits")
    if size not in RENDITION_SIZES:
        raise ValueError(f"no rendition has {size} px; there are {', '.join(map(str, RENDITION_SIZES))}")
    return f"{content_hash}/{size}.webp"


def checksums_key(content_hash: str) -> str:
    """Return the key of the checksums of a picture's renditions. Raises as :func:`rendition_key` does."""
    return rendition_key(content_hash, LARGEST_SIZE).rpartition("/")[0] + "/" + FILE_NAME


def parse_rendition_key(key: str) -> tuple[str, int] | None:
    """Return the content hash and the size that a key names, or none when it is not the key of a rendition."""
    match = _KEY.fullmatch(key)
    return (match["content_hash"], int(match["size"])) if match else None


def rendition_url(public_url: str, content_hash: str, size: int = PROFILE_SIZE) -> str:
    """Return the public address of a rendition; what it answers never changes.

    Raises:
        ValueError: as for :func:`rendition_key`.
    """
    return f"{public_url.rstrip('/')}/images/{rendition_key(content_hash, size)}"
