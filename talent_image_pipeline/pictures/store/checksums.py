"""The checksums of a picture's renditions, as a file that lies beside them in the store.

What belongs here: its format, which is that of ``sha256sum``: in a directory ``sha256sum --check SHA256SUMS`` reads it.
What does not: reading and writing it (``picture_store.py``) and what a wrong checksum means (``damage.py``).
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from talent_image_pipeline.pictures.rendering.rendered_picture import RENDITION_SIZES

FILE_NAME = "SHA256SUMS"

_LINE = re.compile(r"(?P<checksum>[0-9a-f]{64})  (?P<size>64|128|256|512)\.webp", re.ASCII)

#: SHA-256, in hex, by size of the rendition.
Checksums = Mapping[int, str]


def checksum_of(content: bytes) -> str:
    """Return the SHA-256 of a rendition's bytes, in hex."""
    return sha256(content).hexdigest()


def checksums_of(renditions: Mapping[int, bytes]) -> Checksums:
    """Return the checksum of each rendition.

    Args:
        renditions: Encoded bytes by side in pixels.
    """
    return {size: checksum_of(content) for size, content in renditions.items()}


def format_checksums(checksums: Checksums) -> bytes:
    """Return the content of the file: a line for each rendition, from the smallest to the largest."""
    return "".join(f"{checksums[size]}  {size}.webp\n" for size in sorted(checksums)).encode("ascii")


def parse_checksums(content: bytes) -> Checksums:
    """Return what the file says; a rendition whose line is damaged or missing gets a checksum that no bytes have."""
    lines = content.decode("ascii", errors="replace").splitlines()
    found = {int(match["size"]): match["checksum"] for line in lines if (match := _LINE.fullmatch(line))}
    return dict.fromkeys(RENDITION_SIZES, "") | found
